import { AnthropicBedrock } from "@anthropic-ai/bedrock-sdk";
import {
  type BedrockRuntimeClient,
  CountTokensCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/bedrock/json.ts";
import { textOf } from "../../src/providers/answer.ts";
import { protocols, runtimeClient } from "../support/clients.ts";
import { type FakeProviders, type ProviderName, providerNames, startFakeProviders } from "../support/fake-providers.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { callOf } from "../support/providers/tools.ts";
import { send } from "../support/raw-http.ts";
import { modelIdOf } from "../support/translated.ts";
import { collect, rejection } from "../support/wait.ts";

let fakes: FakeProviders;
let gateway: RunningGateway;
let client: BedrockRuntimeClient;

beforeAll(async () => {
  fakes = await startFakeProviders();
  gateway = await startGateway({ config: { providers: fakes.config() } });
  client = runtimeClient(gateway, "h2");
}, 30_000);
beforeEach(() => fakes.reset());
afterEach(() => expect(fakes.violations()).toEqual([]));
afterAll(async () => {
  client?.destroy();
  await gateway?.stop();
  await fakes?.[Symbol.asyncDispose]();
}, 30_000);

async function invoke(modelId: string, body: object): Promise<JsonObject> {
  const answer = await client.send(new InvokeModelCommand({ modelId, body: JSON.stringify(body) }));
  return parse(answer.body.transformToString());
}

async function invokeStream(modelId: string, body: object, over = client): Promise<readonly JsonObject[]> {
  const command = new InvokeModelWithResponseStreamCommand({ modelId, body: JSON.stringify(body) });
  const answer = await over.send(command);
  return (await collect(answer.body)).map((event) => parse(Buffer.from(event.chunk?.bytes ?? []).toString()));
}

function parse(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  if (isJsonObject(value)) return value;
  throw new Error(`${text} is no object`);
}

const post = (modelId: string, action: string, body: object, headers: Readonly<Record<string, string>> = {}) =>
  send(gateway.url, `/bedrock/model/${encodeURIComponent(modelId)}/${action}`, { body: JSON.stringify(body), headers });

// Coding agents

const readTool = {
  name: "Read",
  description: "Reads a file.",
  input_schema: {
    $schema: "http://json-schema.org/draft-07/schema#",
    type: "object" as const,
    properties: {
      file_path: { type: "string", description: "Absolute." },
      limit: { type: "number", exclusiveMinimum: 0 },
      mode: { anyOf: [{ type: "string", enum: ["text", "raw"] }, { type: "null" }] },
    },
    required: ["file_path"],
    additionalProperties: false,
  },
};
const bashTool = {
  name: "mcp__shell__run",
  description: "Runs a command.",
  input_schema: { type: "object" as const, properties: {} },
  cache_control: { type: "ephemeral" as const },
};
const ephemeral = { type: "ephemeral" as const };

/** What a coding agent sends on Bedrock, betas and bookkeeping included. */
const agentBody = (more: object) => ({
  anthropic_version: "bedrock-2023-05-31",
  anthropic_beta: ["claude-code-20250219", "interleaved-thinking-2025-05-14", "context-management-2025-06-27"],
  max_tokens: 32_000,
  temperature: 1,
  system: [
    { type: "text", text: "You are a coding agent.", cache_control: ephemeral },
    { type: "text", text: "The working directory is /repo.", cache_control: { ...ephemeral, ttl: "1h" } },
  ],
  tools: [readTool, bashTool],
  tool_choice: { type: "auto", disable_parallel_tool_use: false },
  thinking: { type: "enabled", budget_tokens: 16_000 },
  metadata: { user_id: "user_0123_account__session_4567" },
  context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
  ...more,
});

const agents: readonly ("openai" | "gemini")[] = ["openai", "gemini"];

describe.each(protocols)("a coding agent's Anthropic Messages over %s", (protocol) => {
  test.each(agents)("are served by %s as an Anthropic stream, over turns of tools", async (name) => {
    const over = runtimeClient(gateway, protocol);
    const modelId = name === "openai" ? "openai/gpt-5" : modelIdOf(name);
    const reasoning = name === "gemini" ? { reasoning: { text: "Look first.", signature: "c2ln" } } : {};
    fakes[name].queue(
      {
        ...reasoning,
        text: "Looking.",
        calls: [callOf(name, 0, "Read", { file_path: "/repo/a.ts" }), callOf(name, 1, "mcp__shell__run", {})],
      },
      { text: "All done.", usage: { input: 90, output: 5, cached: 64 } },
    );
    const asking = { role: "user", content: [{ type: "text", text: "Fix it.", cache_control: ephemeral }] };
    const first = await invokeStream(modelId, agentBody({ messages: [asking] }), over);
    const types = first.map((event) => event.type);
    expect(types[0]).toBe("message_start");
    expect(types.slice(-2)).toEqual(["message_delta", "message_stop"]);
    const message = rebuild(first);
    expect(message.stop_reason).toBe("tool_use");
    expect(message.content).toMatchObject([
      ...(name === "gemini" ? [{ type: "thinking", thinking: "Look first." }] : []),
      { type: "text", text: "Looking." },
      // Gemini's signature of the call stands before it.
      ...(name === "gemini" ? [{ type: "thinking", thinking: "" }] : []),
      { type: "tool_use", name: "Read", input: { file_path: "/repo/a.ts" } },
      { type: "tool_use", name: "mcp__shell__run", input: {} },
    ]);
    expect(first.at(-1)).toMatchObject({
      "amazon-bedrock-invocationMetrics": { inputTokenCount: 21, outputTokenCount: 9 },
    });

    const results = message.content
      .filter((block) => block.type === "tool_use")
      .map(({ id }, index) => ({
        type: "tool_result",
        tool_use_id: id ?? "",
        content: index === 0 ? "export {}" : [{ type: "text", text: "exit code 1" }],
        ...(index === 1 && { is_error: true, cache_control: ephemeral }),
      }));
    const second = await invokeStream(
      modelId,
      agentBody({
        messages: [
          asking,
          { role: "assistant", content: message.content },
          {
            role: "user",
            content: [...results, { type: "text", text: "<system-reminder>Be tidy.</system-reminder>" }],
          },
        ],
      }),
      over,
    );
    over.destroy();
    const answer = rebuild(second);
    expect(answer).toMatchObject({ stop_reason: "end_turn", content: [{ type: "text", text: "All done." }] });
    expect(answer.usage).toMatchObject({ input_tokens: 26, output_tokens: 5, cache_read_input_tokens: 64 });
    const sent = JSON.stringify(fakes[name].lastBody());
    for (const word of ["You are a coding agent.", "/repo.", "Fix it.", "export {}", "exit code 1", "Be tidy."]) {
      expect(sent).toContain(word);
    }
    for (const word of ["user_0123", "clear_thinking", "claude-code", "cache_control", "ephemeral"]) {
      expect(sent).not.toContain(word);
    }
  });

  test.each(agents)("say what %s was not told", async (name) => {
    const body = agentBody({ messages: [{ role: "user", content: "Hi" }] });
    const answer = await post(modelIdOf(name), "invoke-with-response-stream", body);
    expect(answer.status).toBe(200);
    const ignored = String(answer.headers["x-bifrost-ignored"]).split(", ");
    expect(ignored).toContain("additionalModelRequestFields.anthropic_beta");
    expect(ignored).toContain("additionalModelRequestFields.metadata");
    expect(ignored).toContain("additionalModelRequestFields.context_management");
  });
});

interface Rebuilt {
  readonly content: readonly RebuiltBlock[];
  readonly stop_reason: unknown;
  readonly usage: unknown;
}

interface RebuiltBlock {
  readonly type: unknown;
  readonly id?: string;
  readonly [name: string]: unknown;
}

/** The message of an Anthropic stream, as its SDK builds it. */
function rebuild(events: readonly JsonObject[]): Rebuilt {
  const blocks: { start: JsonObject; text: string; json: string; thinking: string; signature: string }[] = [];
  let end: JsonObject = {};
  for (const event of events) {
    if (event.type === "content_block_start" && isJsonObject(event.content_block)) {
      expect(event.index).toBe(blocks.length);
      blocks.push({ start: event.content_block, text: "", json: "", thinking: "", signature: "" });
    }
    if (event.type === "content_block_delta" && isJsonObject(event.delta)) {
      const block = blocks.at(-1);
      expect(event.index).toBe(blocks.length - 1);
      if (block === undefined) continue;
      block.text += textOf(event.delta.text);
      block.json += textOf(event.delta.partial_json);
      block.thinking += textOf(event.delta.thinking);
      block.signature += textOf(event.delta.signature);
    }
    if (event.type === "message_delta") end = event;
  }
  const content = blocks.map(({ start, text, json, thinking, signature }): RebuiltBlock => {
    if (start.type === "text") return { type: "text", text };
    if (start.type === "thinking") return { type: "thinking", thinking, signature };
    return { ...start, type: start.type, id: textOf(start.id), input: JSON.parse(json === "" ? "{}" : json) };
  });
  const { stop_reason } = isJsonObject(end.delta) ? end.delta : {};
  return { content, stop_reason, usage: end.usage };
}

test("one call at a time is asked of those that know the words for it, and left out with notice elsewhere", async () => {
  const body = agentBody({
    messages: [{ role: "user", content: "Hi" }],
    tool_choice: { type: "any", disable_parallel_tool_use: true },
    thinking: undefined,
  });
  const words = "additionalModelRequestFields.tool_choice.disable_parallel_tool_use";
  for (const name of providerNames) {
    const answer = await post(modelIdOf(name), "invoke", body);
    expect(answer.status).toBe(200);
    const sent = fakes[name].lastBody();
    const ignored = String(answer.headers["x-bifrost-ignored"]);
    if (name === "openai" || name === "mistral") expect(sent.parallel_tool_calls).toBe(false);
    else if (name === "anthropic") expect(sent.tool_choice).toEqual({ type: "any", disable_parallel_tool_use: true });
    else expect(ignored).toContain(name === "cohere" ? words : "additionalModelRequestFields.tool_choice");
  }
});

describe("Anthropic's SDK for Bedrock", () => {
  const anthropic = () =>
    new AnthropicBedrock({
      baseURL: `${gateway.url}/bedrock`,
      awsRegion: "us-west-2",
      awsAccessKey: "bifrost-dummy-key",
      awsSecretKey: "bifrost-dummy-secret",
      apiKey: null,
      maxRetries: 0,
    });

  test.each(providerNames)("gets messages and streams of %s", async (name) => {
    const request = {
      model: modelIdOf(name),
      max_tokens: 2000,
      system: "Be brief.",
      tools: [readTool],
      messages: [{ role: "user" as const, content: "Read /a." }],
    };
    fakes[name].queue({ text: "Hello." }, { calls: [callOf(name, 0, "Read", { file_path: "/a", limit: 3 })] });
    const message = await anthropic().messages.create(request);
    expect(message.content).toEqual([{ type: "text", text: "Hello." }]);
    expect(message.usage).toMatchObject({ input_tokens: 21, output_tokens: 9 });
    const final = await anthropic().messages.stream(request).finalMessage();
    expect(final.stop_reason).toBe("tool_use");
    expect(final.content.at(-1)).toMatchObject({
      type: "tool_use",
      name: "Read",
      input: { file_path: "/a", limit: 3 },
    });
  });

  test("sees a provider's refusal, and a stream that is cut off", async () => {
    const request = {
      model: modelIdOf("openai"),
      max_tokens: 20,
      messages: [{ role: "user" as const, content: "Hi" }],
    };
    fakes.openai.queue(fakes.openai.failure(429, "Slow down."));
    expect(await rejection(anthropic().messages.create({ ...request, model: "openai/slow" }))).toMatchObject({
      status: 429,
    });
    fakes.openai.queue(fakes.openai.stream({ text: "Once upon a time" }, { upTo: 4, ending: "destroy" }));
    const error = await rejection(anthropic().messages.stream(request).finalMessage());
    expect(String(error)).toMatch(/stream|connection/i);
  });
});

describe("families by their body", () => {
  const bodies: readonly (readonly [family: string, body: object, text: (answer: JsonObject) => unknown])[] = [
    [
      "Anthropic Messages",
      { anthropic_version: "bedrock-2023-05-31", max_tokens: 9, messages: [{ role: "user", content: "Hi" }] },
      ({ content }) => content,
    ],
    [
      "Nova",
      { schemaVersion: "messages-v1", messages: [{ role: "user", content: [{ text: "Hi" }] }] },
      ({ output }) => output,
    ],
    ["Titan text", { inputText: "Hi", textGenerationConfig: { maxTokenCount: 9 } }, ({ results }) => results],
    ["Llama", { prompt: "Hi", max_gen_len: 9 }, ({ generation }) => generation],
    ["Cohere Command R", { message: "Hi" }, ({ text }) => text],
    [
      "OpenAI chat",
      {
        messages: [
          { role: "system", content: "s" },
          { role: "user", content: "Hi" },
        ],
      },
      ({ choices }) => choices,
    ],
  ];

  test.each(bodies)("%s is answered in its own shape, by every provider", async (_, body, textOf) => {
    for (const name of providerNames) {
      const answer = await invoke(modelIdOf(name), body);
      expect(JSON.stringify(textOf(answer))).toContain("Hello from the fake.");
      const chunks = await invokeStream(modelIdOf(name), body);
      expect(chunks.at(-1)).toHaveProperty("amazon-bedrock-invocationMetrics");
      expect(chunks.map((chunk) => JSON.stringify(chunk)).join("")).toContain("Hell");
    }
  });

  test("carry their counts in headers", async () => {
    const body = { max_tokens: 9, messages: [{ role: "user", content: "Hi" }] };
    const answer = await post(modelIdOf("cohere"), "invoke", body);
    expect(answer.headers).toMatchObject({
      "x-amzn-bedrock-input-token-count": "21",
      "x-amzn-bedrock-output-token-count": "9",
      "x-amzn-bedrock-invocation-latency": expect.stringMatching(/^\d+$/),
    });
  });

  test("a prompt alone says too little, unless the model's name says the rest", async () => {
    await expect(invoke(modelIdOf("openai"), { prompt: "Hi" })).rejects.toThrow(/several vendors/);
    const answer = await invoke(modelIdOf("mistral"), { prompt: "<s>[INST]Hi[/INST]" });
    expect(answer).toMatchObject({ outputs: [{ text: "Hello from the fake.", stop_reason: "stop" }] });
    expect(fakes.mistral.lastBody()).toMatchObject({ messages: [{ role: "user", content: "Hi" }] });
  });

  test("an unknown member is refused by its path", async () => {
    const body = { inputText: "Hi", textGenerationConfig: { warp: 9 } };
    await expect(invoke(modelIdOf("gemini"), body)).rejects.toThrow(/textGenerationConfig\.warp/);
    expect(fakes.gemini.requests).toEqual([]);
  });
});

describe("embeddings", () => {
  const makers: readonly (readonly [name: ProviderName, modelId: string])[] = [
    ["openai", "openai/text-embedding-3-small"],
    ["gemini", "gemini/gemini-embedding-001"],
    ["cohere", "cohere/embed-v4.0"],
    ["mistral", "mistral/mistral-embed"],
  ];

  test.each(makers)("in Titan's form are made by %s", async (name, modelId) => {
    const answer = await invoke(modelId, { inputText: "żółw", dimensions: 256, normalize: false });
    expect(answer.embedding).toEqual([3, 4, 0.5]);
    expect(answer.inputTextTokenCount).toBeTypeOf("number");
    expect(JSON.stringify(fakes[name].lastBody())).toContain("256");
    const headers = (await post(modelId, "invoke", { inputText: "x", dimensions: 8 })).headers;
    expect(Number(headers["x-amzn-bedrock-input-token-count"])).toBeGreaterThan(0);
  });

  test.each(makers)("in Cohere's form are made by %s, in the order of the texts", async (name, modelId) => {
    const texts = ["a", "bbb", "cc"];
    const vectors = [
      [3, 1, 0.5],
      [3, 3, 0.5],
      [3, 2, 0.5],
    ];
    const plain = await invoke(modelId, { texts, input_type: "search_query" });
    expect(plain).toMatchObject({ embeddings: vectors, response_type: "embeddings_floats", texts });
    const typed = await invoke(modelId, { texts, input_type: "search_query", embedding_types: ["float"] });
    expect(typed).toMatchObject({ embeddings: { float: vectors }, response_type: "embeddings_by_type" });
    expect(fakes[name].requests.every(({ operation }) => operation === "embed")).toBe(true);
  });

  test("are Titan's of length one where the body does not say otherwise", async () => {
    const { embedding } = await invoke("openai/text-embedding-3-small", { inputText: "abcd" });
    const numbers: readonly unknown[] = Array.isArray(embedding) ? embedding : [];
    expect(Math.hypot(...numbers.map(Number))).toBeCloseTo(1, 6);
  });

  test("are refused by a provider that makes none, and as a stream", async () => {
    const body = { inputText: "x", dimensions: 8 };
    await expect(invoke(modelIdOf("anthropic"), body)).rejects.toThrow(/anthropic makes no embeddings/);
    await expect(invokeStream("openai/text-embedding-3-small", body)).rejects.toThrow(/does not stream/);
    await expect(invoke("openai/m", { texts: ["a"], embedding_types: ["binary"] })).rejects.toThrow(
      /embedding_types\[0\]/,
    );
    await expect(invoke("openai/m", { inputText: "a", inputImage: "aGk=", dimensions: 8 })).rejects.toThrow(
      /inputImage/,
    );
  });

  test("that fail are AWS's errors", async () => {
    for (const [name, modelId] of makers) {
      fakes[name].queue(fakes[name].failure(400, "Too many texts."));
      await expect(invoke(modelId, { texts: ["a"], input_type: "clustering" })).rejects.toMatchObject({
        name: "ValidationException",
        message: expect.stringContaining("Too many texts."),
      });
    }
  });
});

describe("CountTokens", () => {
  const messages = [{ role: "user" as const, content: [{ text: "How long is this?" }] }];
  const toolSpec = { name: "f", inputSchema: { json: { type: "object" } } };
  const converse = { messages, system: [{ text: "Be brief." }], toolConfig: { tools: [{ toolSpec }] } };
  const invokeModel = {
    body: Buffer.from(JSON.stringify({ max_tokens: 9, messages: [{ role: "user", content: "How long is this?" }] })),
  };

  test.each(["anthropic", "gemini"] as const)("asks %s, which counts", async (name) => {
    for (const input of [{ converse }, { invokeModel }]) {
      const { inputTokens } = await client.send(new CountTokensCommand({ modelId: modelIdOf(name), input }));
      expect(inputTokens).toBe(42);
    }
    expect(fakes[name].requests.map(({ operation }) => operation)).toEqual(["count", "count"]);
    const answer = await post(modelIdOf(name), "count-tokens", { input: { converse } });
    expect(answer.headers).not.toHaveProperty("x-bifrost-usage");
  });

  test.each(["openai", "cohere", "mistral"] as const)("estimates for %s, and says so", async (name) => {
    for (const input of [{ converse }, { invokeModel: { body: invokeModel.body.toString("base64") } }]) {
      const answer = await post(modelIdOf(name), "count-tokens", { input });
      expect(answer.status).toBe(200);
      expect(answer.headers["x-bifrost-usage"]).toBe("estimated");
      const { inputTokens } = parse(answer.body.toString());
      expect(inputTokens).toBeGreaterThan(3);
      expect(inputTokens).toBeLessThan(60);
    }
    expect(fakes[name].requests).toEqual([]);
  });

  test("of what a provider cannot carry is refused as the request itself would be", async () => {
    const strange = { messages: [{ role: "user", content: [{ hologram: {} }] }] };
    const answer = await post(modelIdOf("anthropic"), "count-tokens", { input: { converse: strange } });
    expect(answer.status).toBe(400);
    expect(answer.body.toString()).toContain("input.converse.messages[0].content[0].hologram");
  });

  test("that a provider refuses is AWS's error", async () => {
    fakes.gemini.queue(fakes.gemini.failure(404, "No such model."));
    const error = await rejection(client.send(new CountTokensCommand({ modelId: "gemini/none", input: { converse } })));
    expect(error).toMatchObject({ name: "ResourceNotFoundException" });
  });
});

test.each(providerNames)("operations that only Bedrock has are refused for %s", async (name) => {
  const answer = await send(gateway.url, "/bedrock/async-invoke", {
    body: JSON.stringify({ modelId: modelIdOf(name), modelInput: {}, outputDataConfig: {} }),
  });
  expect(answer.status).toBe(400);
  expect(answer.body.toString()).toContain("StartAsyncInvoke");
});
