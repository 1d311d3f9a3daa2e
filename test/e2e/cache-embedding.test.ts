/** Vectors for the semantic cache from configured providers, and what becomes of requests when those fail. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/bedrock/json.ts";
import { json } from "../support/answers.ts";
import { freshTurn, member, outcome, post, teach } from "../support/cached.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type FakeProviders, startFakeProviders } from "../support/fake-providers.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { answerUsd, governedConfig, quotaOf } from "../support/governed.ts";
import { userTurn } from "../support/raw-http.ts";
import { sleep, until } from "../support/wait.ts";

const model = "vendor.model-v1:0";
const dimension = 16;

/** The same for texts of the same letters. */
function vectorOf(text: string): number[] {
  const vector = Array.from({ length: dimension }, () => 0.01);
  for (const letter of text.toLowerCase().replace(/[^a-z]/g, "")) {
    const at = letter.charCodeAt(0) % dimension;
    vector[at] = (vector[at] ?? 0) + 1;
  }
  return vector;
}

describe("the semantic cache with vectors of a provider", { timeout: 60_000 }, () => {
  let fake: FakeBedrock;
  let fakes: FakeProviders;
  const running: RunningGateway[] = [];

  beforeAll(async () => {
    fake = await startFakeBedrock();
    fakes = await startFakeProviders();
  }, 30_000);
  afterEach(async () => {
    for (const gateway of running.splice(0)) await gateway.stop();
    expect(fake.violations).toEqual([]);
    expect(fakes.violations()).toEqual([]);
    fake.reset();
    fakes.reset();
  });
  afterAll(async () => {
    await fake?.[Symbol.asyncDispose]();
    await fakes?.[Symbol.asyncDispose]();
  });

  async function start(embedding: object, more: object = {}): Promise<RunningGateway> {
    const cache = { enabled: true, embedding: { dimension, timeout_ms: 2000, ...embedding } };
    const relayed = relayConfig(fake.url, { more: { semantic_cache: cache, ...more } });
    const providers = { ...fakes.config(), ...Object(member(relayed, "providers")) };
    const gateway = await startGateway({
      config: { ...relayed, providers },
      env: { BIFROST_FRONTENDS: "1" },
      withoutH2: true,
    });
    running.push(gateway);
    return gateway;
  }

  const inputOf = (body: JsonObject): string => JSON.stringify(body.input ?? body.texts ?? body.requests);

  const openai = (text: string) =>
    json({
      object: "list",
      data: [{ object: "embedding", index: 0, embedding: vectorOf(text) }],
      usage: { prompt_tokens: 3, total_tokens: 3 },
    });
  const cohere = (text: string) =>
    json({
      id: "1",
      embeddings: { float: [vectorOf(text)] },
      texts: [text],
      meta: { billed_units: { input_tokens: 3 } },
    });
  const gemini = (text: string) => json({ embeddings: [{ values: vectorOf(text) }] });

  test.each([
    ["openai", "text-embedding-3-small", openai],
    ["mistral", "mistral-embed", openai],
    ["cohere", "embed-v4.0", cohere],
    ["gemini", "gemini-embedding-001", gemini],
  ] as const)("finds by the vectors of %s", async (name, embedding_model, write) => {
    const gateway = await start({ provider: name, embedding_model });
    fakes[name].when(embedding_model, ({ body }) => write(inputOf(body)));
    await teach(gateway, model, userTurn("What is the capital of France?"));
    expect(outcome(await post(gateway, model, userTurn("what's the capital of France")))).toBe("semantic");
    expect(outcome(await post(gateway, model, userTurn("What is the capital of Germany?")))).toBe("miss");
    expect(fake.all(model)).toHaveLength(2);
    expect(fakes[name].requests.length).toBe(3);
    // Metrics tell of clients' requests.
    expect(await gateway.metric("bifrost_upstream_requests_total", { provider: name })).toBe(0);
  });

  test.each([
    ["amazon.titan-embed-text-v2:0", (text: string) => ({ embedding: vectorOf(text), inputTextTokenCount: 3 })],
    ["cohere.embed-multilingual-v3", (text: string) => ({ embeddings: [vectorOf(text)], texts: [text] })],
  ])("finds by the vectors of %s on Bedrock, signed like any request", async (embedding_model, write) => {
    const gateway = await start({ provider: "bedrock", embedding_model });
    fake.when(embedding_model, ({ body }) => {
      const asked: JsonObject = JSON.parse(body.toString());
      return json(write(JSON.stringify(asked.inputText ?? asked.texts)));
    });
    await teach(gateway, model, userTurn("What is the capital of France?"));
    expect(outcome(await post(gateway, model, userTurn("what's the capital of France")))).toBe("semantic");
    expect(fake.all(embedding_model)).toHaveLength(2);
    expect(fake.all(model)).toHaveLength(1);
  });

  test("costs no client anything", async () => {
    const governed = governedConfig(fake, {
      virtual_keys: [
        {
          id: "app",
          name: "app",
          value: "sk-bf-app",
          allow_all_providers: true,
          budgets: [{ max_limit: 100, reset_duration: "1d" }],
          rate_limit: { request_max_limit: 100, request_reset_duration: "1d" },
        },
      ],
    });
    const gateway = await start(
      { provider: "openai", embedding_model: "text-embedding-3-small" },
      { governance: member(governed, "governance") },
    );
    fakes.openai.when("text-embedding-3-small", ({ body }) => openai(inputOf(body)));
    const headers = { "x-bf-vk": "sk-bf-app" };
    await teach(gateway, model, userTurn("What is the capital of France?"), { headers });
    const spent = async (kind: string) =>
      (await quotaOf(gateway, "sk-bf-app")).find((one) => one.kind === kind)?.current_usage;
    expect(await spent("budget")).toBeCloseTo(answerUsd);
    for (const text of ["What is the capital of France?", "what's the capital of France"])
      expect(["direct", "semantic"]).toContain(outcome(await post(gateway, model, userTurn(text), { headers })));
    expect(await spent("budget")).toBeCloseTo(answerUsd);
    expect(await spent("requests")).toBe(3);
  });

  test.each([
    ["errors", () => fakes.openai.failure(500, "Sorry.")],
    ["refuses its key", () => fakes.openai.failure(401, "Who are you?")],
    ["answers nonsense", () => json("no vector")],
    [
      "gives a vector of another length",
      () => json({ object: "list", data: [{ object: "embedding", index: 0, embedding: [1, 2, 3] }], usage: {} }),
    ],
    [
      "stalls",
      async () => {
        await sleep(5000);
        return openai("late");
      },
    ],
  ])(
    "A66 a provider that %s makes a miss within the cap, and equal requests are found all the same",
    async (_what, script) => {
      const gateway = await start({ provider: "openai", embedding_model: "text-embedding-3-small", timeout_ms: 300 });
      fakes.openai.when("text-embedding-3-small", script);
      for (let time = 0; time < 4; time++) {
        const body = freshTurn();
        const startedAt = performance.now();
        await teach(gateway, model, body);
        // The cap, the wait in teaching it, and what a busy machine may add.
        expect(performance.now() - startedAt).toBeLessThan(300 + 500 + 1500);
        expect(outcome(await post(gateway, model, body))).toBe("direct");
      }
      expect(fake.all(model)).toHaveLength(4);
      await until("a word in the log", () =>
        gateway.logs.find(({ msg, level }) => msg === "the cache" && level === 40),
      );
      // After three failures in a row it is not asked every time.
      expect(fakes.openai.requests.length).toBeLessThanOrEqual(4 * 3);
    },
  );

  test.each([
    ["nobody's", { provider: "acme", embedding_model: "m" }, "semantic_cache.embedding.provider"],
    ["without embeddings", { provider: "anthropic", embedding_model: "claude" }, "makes no embeddings"],
    ["of Bedrock with a model of words", { provider: "bedrock", embedding_model: model }, "makes no embeddings"],
    [
      "local without onnxruntime-node or its model",
      { provider: "local", model_path: "/nonexistent" },
      "semantic_cache.embedding",
    ],
  ])("a provider %s is refused as the gateway starts", async (_what, embedding, words) => {
    await expect(start(embedding)).rejects.toThrow(words);
  });
});
