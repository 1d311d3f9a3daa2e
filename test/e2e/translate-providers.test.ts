import { ConverseCommand, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runtimeClient } from "../support/clients.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import {
  type FakeProvider,
  type FakeProviders,
  keyOf,
  providerNames,
  startFakeProvider,
  startFakeProviders,
} from "../support/fake-providers.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { geminiWire } from "../support/providers/gemini.ts";
import { openaiWire } from "../support/providers/openai.ts";
import { type RawAnswer, send, userTurn } from "../support/raw-http.ts";
import { assemble, modelIdOf } from "../support/translated.ts";
import { collect } from "../support/wait.ts";

const direct = "canary-direct-key-NeverInLogs0123456789";
const apiKey = (key: string) => ["api-key", key] as const;

let fakes: FakeProviders;
let bedrock: FakeBedrock;
let azure: FakeProvider;
let datedAzure: FakeProvider;
let vertex: FakeProvider;
let open: FakeProvider;
let prefixed: FakeProvider;
let deepseek: FakeProvider;
let gateway: RunningGateway;

beforeAll(async () => {
  fakes = await startFakeProviders({ moreKeys: [direct] });
  const key = { keys: [keyOf("other")] };
  const dated = /^\/openai\/deployments\/my-deployment\/(?:chat\/completions|embeddings)\?api-version=2024-10-21$/;
  [bedrock, azure, datedAzure, vertex, open, prefixed, deepseek] = await Promise.all([
    startFakeBedrock(),
    startFakeProvider(
      openaiWire("openai", { auth: apiKey, operations: [["chat", /^\/openai\/v1\/chat\/completions$/]] }),
      key,
    ),
    startFakeProvider(openaiWire("openai", { auth: apiKey, operations: [["chat", dated]] }), key),
    startFakeProvider(geminiWire("vertex"), key),
    startFakeProvider(openaiWire("vllm"), { keys: [] }),
    startFakeProvider(
      openaiWire("groq", { operations: [["chat", /^\/behind\/a\/proxy\/v1\/chat\/completions$/]] }),
      key,
    ),
    startFakeProvider(openaiWire("deepseek"), key),
  ]);
  const custom = (type: string, base_url: string, more: object = {}) => ({
    custom_provider_config: { base_provider_type: type },
    network_config: { base_url, max_retries: 0 },
    keys: [{ name: "main", value: keyOf("other"), ...more }],
  });
  const relayed = relayConfig(bedrock.url);
  const providers = "providers" in relayed && typeof relayed.providers === "object" ? relayed.providers : {};
  gateway = await startGateway({
    config: {
      client: { allow_direct_keys: true, header_filter: { allow: ["x-team"], deny: [] } },
      providers: {
        ...providers,
        ...fakes.config({ network: { extra_headers: { "X-Gateway": "bifrost" } } }),
        azure: {
          keys: [
            {
              name: "main",
              value: keyOf("other"),
              azure_key_config: { endpoint: azure.url },
              models: ["*"],
              aliases: { "gpt-5-mini": "our-deployment" },
            },
          ],
        },
        "dated-azure": custom("azure", "http://unused.invalid", {
          azure_key_config: { endpoint: `${datedAzure.url}/`, api_version: "2024-10-21" },
          aliases: { "gpt-4o": "my-deployment" },
        }),
        vertex: {
          network_config: { base_url: vertex.url },
          keys: [{ name: "main", value: keyOf("other"), vertex_key_config: { region: "global" } }],
        },
        "my-vllm": {
          custom_provider_config: { base_provider_type: "vllm" },
          network_config: { base_url: `${open.url}/v1/` },
          keys: [{ name: "local", value: "none" }],
        },
        "my.groq": custom("groq", `${prefixed.url}/behind/a/proxy/v1`),
        "their-deepseek": custom("deepseek", deepseek.url),
      },
    },
    env: { BIFROST_LOG_LEVEL: "trace" },
  });
}, 60_000);
const everyFake = () => [azure, datedAzure, vertex, open, prefixed, deepseek];
beforeEach(() => {
  fakes.reset();
  bedrock.reset();
  for (const fake of everyFake()) fake.reset();
});
afterEach(() => {
  const violations = [...fakes.violations(), ...bedrock.violations, ...everyFake().flatMap((fake) => fake.violations)];
  expect(violations).toEqual([]);
});
afterAll(async () => {
  await gateway?.stop();
  await Promise.all([fakes, bedrock, ...everyFake()].map((fake) => fake?.[Symbol.asyncDispose]()));
}, 30_000);

const post = (
  modelId: string,
  headers: Readonly<Record<string, string>> = {},
  body = userTurn("hi"),
  action = "converse",
): Promise<RawAnswer> =>
  send(gateway.url, `/bedrock/model/${encodeURIComponent(modelId)}/${action}`, { body, headers });

describe("a provider under a name of its own", () => {
  test("is a prefix like any other, and wants no key where it has none", async () => {
    const client = runtimeClient(gateway, "h2");
    const messages = [{ role: "user" as const, content: [{ text: "hi" }] }];
    const modelId = "my-vllm/meta-llama/Llama-3.3-70B-Instruct";
    const answer = await client.send(new ConverseCommand({ modelId, messages }));
    expect(answer.output?.message?.content).toEqual([{ text: "Hello from the fake." }]);
    const { stream } = await client.send(new ConverseStreamCommand({ modelId, messages }));
    expect(assemble(await collect(stream)).blocks).toMatchObject([{ text: "Hello from the fake." }]);
    client.destroy();
    expect(open.requests.map(({ model }) => model)).toEqual(Array(2).fill("meta-llama/Llama-3.3-70B-Instruct"));
    expect(open.requests[0]?.path).toBe("/v1/chat/completions");
  });

  test("may stand behind a path, with or without the version", async () => {
    const answer = await post("my.groq/llama-3.3-70b-versatile");
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      "x-bifrost-provider": "my.groq",
      "x-bifrost-model": "llama-3.3-70b-versatile",
    });
    expect(prefixed.requests[0]?.path).toBe("/behind/a/proxy/v1/chat/completions");
  });

  test("keeps the habits of its kind", async () => {
    const think = JSON.stringify({
      messages: [{ role: "user", content: [{ text: "hi" }] }],
      additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 4000 } },
      inferenceConfig: { maxTokens: 5000 },
    });
    deepseek.queue({ reasoning: { text: "Hm." }, text: "Yes." });
    const answer = await post("their-deepseek/deepseek-chat", {}, think);
    expect(JSON.parse(answer.body.toString()).output.message.content).toEqual([
      { reasoningContent: { reasoningText: { text: "Hm." } } },
      { text: "Yes." },
    ]);
    expect(deepseek.lastBody()).toMatchObject({
      thinking: { type: "enabled" },
      reasoning_effort: "high",
      max_tokens: 5000,
    });
  });

  test("that is not there leaves the id to Bedrock, and an empty model is nobody's", async () => {
    const missing = await post("nobody/model");
    expect(missing.headers["x-bifrost-provider"]).toBe("bedrock");
    const empty = await post("openai/");
    expect(empty.status).toBe(404);
    expect(empty.headers["x-amzn-errortype"]).toBe("ResourceNotFoundException");
    expect(empty.body.toString()).toContain("my-vllm");
  });
});

describe("Azure", () => {
  test("is asked on its v1 surface, where a deployment is the model and its own name decides what it can", async () => {
    const body = userTurn("hi", { inferenceConfig: { maxTokens: 9, temperature: 0.5 } });
    const answer = await post("azure/gpt-5-mini", {}, body);
    expect(answer.status).toBe(200);
    expect(azure.requests[0]).toMatchObject({ path: "/openai/v1/chat/completions", query: "" });
    expect(azure.lastBody()).toMatchObject({ model: "our-deployment", max_completion_tokens: 9 });
    expect(azure.lastBody()).not.toHaveProperty("temperature");
    expect(answer.headers["x-bifrost-ignored"]).toBe("inferenceConfig.temperature");
  });

  test("is asked at the deployment's path with a dated version", async () => {
    const streamed = await post("dated-azure/gpt-4o", {}, userTurn("hi"), "converse-stream");
    expect(streamed.status).toBe(200);
    expect(datedAzure.requests[0]).toMatchObject({
      path: "/openai/deployments/my-deployment/chat/completions",
      query: "api-version=2024-10-21",
    });
  });

  test("tells of its filter before the first choice, which is no answer yet", async () => {
    const [first = "", ...rest] = azure.wire.events({ text: "Hello." }, "m");
    const filter = 'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}\n\n';
    const parts = [filter, first, ...rest].map((event) => Buffer.from(event));
    azure.queue({ kind: "stream", headers: { "content-type": "text/event-stream" }, parts, ending: "end" });
    const answer = await post("azure/gpt-4o", {}, userTurn("hi"), "converse-stream");
    expect(answer.body.toString("latin1")).toMatch(/^[^{]*\{"role":"assistant"\}/);
    expect(answer.body.toString("latin1")).toContain('"stopReason":"end_turn"');
  });
});

describe("Vertex AI", () => {
  test("is asked in its express mode with a key", async () => {
    const answer = await post("vertex/gemini-3-flash-preview");
    expect(answer.status).toBe(200);
    expect(vertex.requests[0]?.path).toBe("/v1beta1/publishers/google/models/gemini-3-flash-preview:generateContent");
  });
});

describe("headers", () => {
  test("go up where the operator says so, and none of the client's otherwise", async () => {
    for (const name of providerNames) {
      await post(modelIdOf(name), {
        "x-team": "search",
        "x-other": "no",
        "x-bf-eh-x-team": "better",
        cookie: "session=1",
        "x-request-id": "abc-123",
        "x-amzn-bedrock-trace": "ENABLED",
        authorization: "AWS4-HMAC-SHA256 Credential=bifrost-dummy-key/20260101/us-west-2/bedrock/aws4_request",
      });
      const { headers } = fakes[name].requests[0] ?? { headers: {} };
      expect(headers).toMatchObject({ "x-team": "better", "x-gateway": "bifrost", "user-agent": "bifrost-ts" });
      expect(headers).not.toHaveProperty("x-other");
    }
  });

  test("of the client become the answer's id", async () => {
    const answer = await post(modelIdOf("gemini"), { "x-request-id": "abc-123" });
    expect(answer.headers["x-amzn-requestid"]).toBe("abc-123");
  });
});

describe("a direct key", () => {
  test.each(providerNames)("of the client's own is used at %s in its own header", async (name) => {
    const ways = [{ authorization: `Bearer ${direct}` }, { "x-api-key": direct }];
    for (const way of ways) {
      const answer = await post(modelIdOf(name), { "x-bf-direct-key": "true", ...way });
      expect(answer.status).toBe(200);
      expect(fakes[name].requests.at(-1)?.key).toBe(direct);
    }
    expect(gateway.output()).not.toContain("canary");
  });

  test("that a provider refuses is the client's to hear of", async () => {
    fakes.openai.queue(fakes.openai.failure(401, "Incorrect API key provided."));
    const answer = await post(modelIdOf("openai"), { "x-bf-direct-key": "true", "x-api-key": direct });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.body.toString()).not.toContain(direct);
    expect(fakes.openai.requests).toHaveLength(1);
    expect((await post(modelIdOf("openai"))).status).toBe(200);
  });
});

describe("fallbacks", () => {
  const behind = (...names: string[]) => ({ "x-bf-fallbacks": names.join(", ") });

  test("go from provider to provider until one answers, also on a stream that has not begun", async () => {
    for (const action of ["converse", "converse-stream"]) {
      fakes.openai.queue(fakes.openai.failure(500, "Broken."));
      fakes.anthropic.queue(
        fakes.anthropic.stream(
          { text: "x" },
          { upTo: 0, tail: fakes.anthropic.wire.errorEvent("Busy.", "overloaded_error") },
        ),
      );
      const headers = behind("anthropic/claude-sonnet-4-5", "gemini/gemini-3-flash-preview");
      const first = action === "converse" ? fakes.anthropic.failure(529, "Busy.") : undefined;
      if (first !== undefined) {
        fakes.anthropic.reset();
        fakes.anthropic.queue(first);
      }
      const answer = await post("openai/gpt-4o", headers, userTurn("hi"), action);
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({
        "x-bifrost-provider": "gemini",
        "x-bifrost-fallback-index": "2",
        "x-bifrost-attempts": "3",
      });
    }
  });

  test("take what the first target could not carry", async () => {
    const image = { image: { format: "gif", source: { bytes: "R0lGODlhAQABAAAAACw=" } } };
    const body = JSON.stringify({ messages: [{ role: "user", content: [image] }] });
    const answer = await post("gemini/gemini-3-flash-preview", behind("openai/gpt-4o"), body);
    expect(answer.status).toBe(200);
    expect(answer.headers["x-bifrost-provider"]).toBe("openai");
    expect(fakes.gemini.requests).toEqual([]);
  });

  test("go between Bedrock and others with the same conversation", async () => {
    bedrock.when("anthropic.claude-3-haiku-20240307-v1:0", {
      kind: "unary",
      status: 503,
      headers: { "x-amzn-errortype": "ServiceUnavailableException" },
      body: Buffer.from('{"message":"down"}'),
    });
    const answer = await post("anthropic.claude-3-haiku-20240307-v1:0", behind("cohere/command-a-03-2025"));
    expect(answer.status).toBe(200);
    expect(answer.headers["x-bifrost-provider"]).toBe("cohere");
  });

  test("that all fail leave the first one's error", async () => {
    fakes.openai.queue(fakes.openai.failure(429, "First."));
    fakes.gemini.queue(fakes.gemini.failure(400, "Second."));
    const answer = await post("openai/gpt-4o-mini", behind("gemini/gemini-3-flash-preview"));
    expect(answer.status).toBe(429);
    expect(answer.body.toString()).toContain("First.");
    // Not the refused request itself is at fault there, so the fallback was asked.
    expect(fakes.gemini.requests).toHaveLength(1);
  });
});
