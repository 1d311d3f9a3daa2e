/** Whom the semantic cache never serves: who asks for anything else, or is somebody else. */
import { describe, expect, test } from "vitest";
import { converseAnswer, failure, json } from "../support/answers.ts";
import { freshTurn, type Headers, inFrontOfFakes, outcome, post, teach } from "../support/cached.ts";
import { fakeBearer, fakeIdentity } from "../support/fake-bedrock.ts";
import { relayConfig, startGateway } from "../support/gateway.ts";
import { answerUsd, quotaOf, thousandth } from "../support/governed.ts";

const model = "vendor.model-v1:0";
const ownBearer = "ABSKdirectCanaryBearer0123456789";
const virtualKey = (id: string) => ({
  id,
  name: id,
  value: `sk-bf-${id}`,
  allow_all_providers: true,
  budgets: [{ max_limit: 100, reset_duration: "1d" }],
  rate_limit: { request_max_limit: 1000, request_reset_duration: "1d" },
});

describe("the semantic cache keeps apart", { timeout: 60_000 }, () => {
  const on = inFrontOfFakes(
    ({ fake, fakes }) => {
      const { bedrock } = Object(Object(relayConfig(fake.url)).providers);
      const second = { name: "second", models: ["*"], weight: 0, value: fakeBearer };
      const endpoints = { runtime: fake.url };
      return startGateway({
        config: {
          client: { allow_direct_keys: true, header_filter: { allow: ["x-flavour"], deny: [] } },
          providers: {
            ...fakes.config(),
            bedrock: {
              ...bedrock,
              keys: [...bedrock.keys, { ...second, bedrock_key_config: { region: "us-east-1", endpoints } }],
              network_config: { max_retries: 0, base_url: fake.url },
            },
          },
          governance: {
            virtual_keys: [virtualKey("one"), virtualKey("two")],
            pricing_overrides: [thousandth],
          },
          semantic_cache: { enabled: true },
        },
        env: { BIFROST_FRONTENDS: "1", BIFROST_LOG_LEVEL: "debug" },
        withoutH2: true,
      });
    },
    { bearers: [fakeBearer, ownBearer, "ABSKanotherCanaryBearer0123456789"] },
  );

  const png = (byte: number) => {
    const bytes = Buffer.alloc(3000, 7);
    bytes[1500] = byte;
    return { image: { format: "png", source: { bytes: bytes.toString("base64") } } };
  };
  const text = "What do you think of it?";
  const tool = (name: string) => ({ toolSpec: { name, inputSchema: { json: { type: "object" } } } });
  const base = {
    system: [{ text: "You are a cat." }],
    messages: [{ role: "user", content: [{ text }, png(1)] }],
    inferenceConfig: { temperature: 0.1, maxTokens: 50 },
    toolConfig: { tools: [tool("look"), tool("jump")], toolChoice: { auto: {} } },
    guardrailConfig: { guardrailIdentifier: "g1", guardrailVersion: "1" },
    additionalModelRequestFields: { top_k: 5 },
  };
  const differences: readonly (readonly [what: string, change: object])[] = [
    ["the system prompt", { system: [{ text: "You are a dog." }] }],
    ["no system prompt", { system: undefined }],
    ["a tool's name", { toolConfig: { ...base.toolConfig, tools: [tool("look"), tool("leap")] } }],
    ["the tools' order", { toolConfig: { ...base.toolConfig, tools: [tool("jump"), tool("look")] } }],
    ["the choice of tools", { toolConfig: { ...base.toolConfig, toolChoice: { any: {} } } }],
    ["the temperature", { inferenceConfig: { ...base.inferenceConfig, temperature: 0.10000001 } }],
    ["the most tokens", { inferenceConfig: { ...base.inferenceConfig, maxTokens: 51 } }],
    ["the guardrail's version", { guardrailConfig: { ...base.guardrailConfig, guardrailVersion: "2" } }],
    ["the guardrail's trace", { guardrailConfig: { ...base.guardrailConfig, trace: "enabled" } }],
    ["a byte of an image", { messages: [{ role: "user", content: [{ text }, png(2)] }] }],
    ["the place of the image", { messages: [{ role: "user", content: [png(1), { text }] }] }],
    ["a field of the model's own", { additionalModelRequestFields: { top_k: 6 } }],
    ["wanted fields of the answer", { additionalModelResponseFieldPaths: ["/stop_sequence"] }],
    ["the latency", { performanceConfig: { latency: "optimized" } }],
    ["a field that nobody knows yet", { somethingNew: true }],
    [
      "an earlier turn",
      {
        messages: [
          { role: "user", content: [{ text: "Hi." }] },
          { role: "assistant", content: [{ text: "Hi." }] },
          ...base.messages,
        ],
      },
    ],
  ];

  test("A62 requests that differ in anything that changes the answer, in both lanes", async () => {
    for (const target of [model, "anthropic/claude-sonnet-4-5"]) {
      const translated = target !== model;
      // Another provider has no guardrails of Bedrock's, and fields that nobody knows are refused for it.
      const own = translated ? { ...base, guardrailConfig: undefined } : base;
      const body = (change: object) => JSON.stringify({ ...own, ...change });
      await teach(on.gateway, target, body({}));
      expect(outcome(await post(on.gateway, target, body({})))).toBe("direct");
      for (const [what, change] of differences) {
        if (translated && ("guardrailConfig" in change || "somethingNew" in change)) continue;
        const answer = await post(on.gateway, target, body(change));
        expect([target, what, answer.status, outcome(answer)]).toEqual([target, what, 200, "miss"]);
      }
      expect(outcome(await post(on.gateway, target, body({ requestMetadata: { tenant: "a" } })))).toBe("direct");
    }
  });

  test("A62 clients of different virtual keys, cache keys, and those without", async () => {
    const body = freshTurn();
    const as = (key: string, headers: Headers = {}) => ({ key, headers });
    const askers = [
      as("app"),
      as("other"),
      as("app", { "x-bf-vk": "sk-bf-one" }),
      as("app", { "x-bf-vk": "sk-bf-two" }),
    ];
    for (const asker of askers) await teach(on.gateway, model, body, asker);
    for (const asker of askers) expect(outcome(await post(on.gateway, model, body, asker))).toBe("direct");
    expect(on.fake.requests).toHaveLength(askers.length);
  });

  test("A62 models, providers, regions, pinned keys and headers for the model", async () => {
    const body = freshTurn();
    const asks: readonly (readonly [target: string, headers: Headers])[] = [
      [model, {}],
      ["vendor.model-v2:0", {}],
      [`eu-west-1/${model}`, {}],
      ["openai/gpt-4o", {}],
      ["mistral/gpt-4o", {}],
      [model, { "x-bf-api-key": "second" }],
      [model, { "x-flavour": "sweet" }],
      [model, { "x-bf-eh-x-flavour": "sour" }],
    ];
    for (const [target, headers] of asks) await teach(on.gateway, target, body, { headers });
    for (const [target, headers] of asks)
      expect([target, headers, outcome(await post(on.gateway, target, body, { headers }))]).toEqual([
        target,
        headers,
        "direct",
      ]);
    // What only tells requests apart makes no difference.
    const headers = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x-request-id": "r1" };
    expect(outcome(await post(on.gateway, model, body, { headers }))).toBe("direct");
  });

  test("clients that bring their own keys, from each other and from those who do not", async () => {
    const body = freshTurn();
    const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });
    const aws: Headers = {
      "x-bf-bedrock-access-key": fakeIdentity.accessKeyId,
      "x-bf-bedrock-secret-key": fakeIdentity.secretAccessKey,
      "x-bf-bedrock-region": "us-east-1",
    };
    const askers: Headers[] = [{}, bearer(ownBearer), bearer("ABSKanotherCanaryBearer0123456789"), aws];
    for (const headers of askers) await teach(on.gateway, model, body, { headers });
    for (const headers of askers) expect(outcome(await post(on.gateway, model, body, { headers }))).toBe("direct");
    const wrong = { ...aws, "x-bf-bedrock-secret-key": "guessed" };
    const guessed = await post(on.gateway, model, body, { headers: wrong });
    expect(outcome(guessed)).toBe("miss");
    expect(on.gateway.output()).not.toContain(ownBearer);
    on.fake.reset();
  });

  test("a fallback's answer is the fallback's, and no other model's", async () => {
    const body = freshTurn();
    const headers = { "x-bf-fallbacks": "openai/gpt-4o" };
    on.fake.when(model, failure(500, "InternalServerException", "no"));
    const first = await teach(on.gateway, model, body, { headers });
    expect(first.headers["x-bifrost-provider"]).toBe("openai");
    const again = await post(on.gateway, model, body, { headers });
    expect([outcome(again), again.headers["x-bifrost-provider"], again.headers["x-bifrost-model"]]).toEqual([
      "direct",
      "openai",
      "gpt-4o",
    ]);
    expect(outcome(await post(on.gateway, "openai/gpt-4o", body))).toBe("direct");
    // Two requests, each with both keys.
    expect(on.fake.all(model)).toHaveLength(4);
    on.fake.when(model, json(converseAnswer));
    expect(outcome(await post(on.gateway, model, body, { headers }))).toBe("miss");
  });

  test("A64 a hit costs nothing: budgets stay, requests are counted", async () => {
    const body = freshTurn();
    const headers = { "x-bf-vk": "sk-bf-one" };
    const usage = async (kind: string) =>
      (await quotaOf(on.gateway, "sk-bf-one")).find((limit) => limit.kind === kind) ?? {
        current_usage: -1,
        reserved: -1,
      };
    const before = { budget: (await usage("budget")).current_usage, requests: (await usage("requests")).current_usage };
    await teach(on.gateway, model, body, { headers });
    for (const action of ["converse", "converse-stream", "converse"] as const)
      expect(outcome(await post(on.gateway, model, body, { action, headers }))).toBe("direct");
    const budget = await usage("budget");
    expect(budget.current_usage - before.budget).toBeCloseTo(answerUsd, 6);
    expect(budget.reserved).toBe(0);
    expect((await usage("requests")).current_usage - before.requests).toBe(4);
  });
});
