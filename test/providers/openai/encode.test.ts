import { describe, expect, test } from "vitest";
import type { Target } from "../../../src/providers/dialect.ts";
import { openai } from "../../../src/providers/openai/openai.ts";
import { assistant, call, requestOf, result, targetOf, user } from "../fixtures.ts";
import { hello, schemaConfig, send, toolConfig } from "./encoding.ts";

describe("where a request goes", () => {
  test.each<[Partial<Target>, string]>([
    [{ kind: "openai" }, "/v1/chat/completions"],
    [{ kind: "groq" }, "/v1/chat/completions"],
    [{ kind: "perplexity" }, "/chat/completions"],
    [{ kind: "my-own" }, "/v1/chat/completions"],
    [{ kind: "azure" }, "/openai/v1/chat/completions"],
    [{ kind: "azure", azure: {} }, "/openai/v1/chat/completions"],
    [{ kind: "azure", azure: { apiVersion: "v1" } }, "/openai/v1/chat/completions?api-version=v1"],
    [{ kind: "azure", azure: { apiVersion: "preview" } }, "/openai/v1/chat/completions?api-version=preview"],
    [
      { kind: "azure", model: "my gpt/4", azure: { apiVersion: "2024-10-21" } },
      "/openai/deployments/my%20gpt%2F4/chat/completions?api-version=2024-10-21",
    ],
  ])("%j: %s", (target, path) => {
    const { request } = send(hello(), target);
    expect(request).toMatchObject({ method: "POST", path });
    expect(request.headers).toContainEqual(["content-type", "application/json"]);
  });
});

describe("the whole request", () => {
  test("is as small as what was said", () => {
    expect(send(hello(), { model: "gpt-4o" }).body).toEqual({
      model: "gpt-4o",
      messages: [{ role: "user", content: "hello" }],
    });
  });

  test("a stream asks for its usage", () => {
    expect(send(hello(), { streaming: true }).body).toMatchObject({
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test("is the same each time, and keeps the order of keys", () => {
    const request = hello({
      toolConfig: {
        tools: [{ toolSpec: { name: "f", inputSchema: { json: { z: 1, type: "object", a: { y: 1, b: 2 } } } } }],
      },
    });
    const target = targetOf();
    expect(openai.encode(request, target)).toEqual(openai.encode(request, target));
    expect(send(request).request.body).toContain('{"z":1,"type":"object","a":{"y":1,"b":2}}');
  });

  test("Fireworks is told to refuse a prompt that is too long", () => {
    expect(send(hello(), { kind: "fireworks" }).body).toMatchObject({ context_length_exceeded_behavior: "error" });
  });
});

describe("inference", () => {
  const inferenceConfig = { maxTokens: 50, temperature: 0.5, topP: 0.9, stopSequences: ["a", "b", "c", "d", "e"] };

  test("goes under its common names; F48 stop sequences beyond four are cut by the gateway", () => {
    const { body, memo } = send(hello({ inferenceConfig }), { model: "gpt-4o" });
    expect(body).toMatchObject({ max_tokens: 50, temperature: 0.5, top_p: 0.9, stop: ["a", "b", "c", "d"] });
    expect(memo.stops).toEqual(["e"]);
  });

  test("vLLM takes any number of stop sequences, xAI none", () => {
    expect(send(hello({ inferenceConfig }), { kind: "vllm" })).toMatchObject({
      body: { stop: ["a", "b", "c", "d", "e"] },
      memo: { stops: [] },
    });
    const xai = send(hello({ inferenceConfig }), { kind: "xai", model: "grok-4.3" });
    expect(xai.body).not.toHaveProperty("stop");
    expect(xai.body).toMatchObject({ max_completion_tokens: 50 });
    expect(xai.memo.stops).toHaveLength(5);
  });

  test("F45 a temperature beyond the API's range becomes its highest", () => {
    expect(send(hello({ inferenceConfig: { temperature: 5 } })).body.temperature).toBe(2);
    expect(send(hello({ inferenceConfig: { temperature: 1 } })).body.temperature).toBe(1);
  });

  test("top-k goes where it is known, and is listed where not", () => {
    const request = hello({ additionalModelRequestFields: { top_k: 40 } });
    expect(send(request, { kind: "vllm" }).body.top_k).toBe(40);
    expect(send(request, { kind: "groq" }).ignored).toEqual(["additionalModelRequestFields.top_k"]);
  });
});

describe("the model's own fields", () => {
  test("are passed on", () => {
    const request = hello({ additionalModelRequestFields: { seed: 7, chat_template_kwargs: { x: [1] } } });
    expect(send(request, { kind: "vllm" }, ["seed", "chat_template_kwargs"]).body).toMatchObject({
      seed: 7,
      chat_template_kwargs: { x: [1] },
    });
  });

  test("may say what Converse has no word for", () => {
    const fields = { tool_choice: "none", response_format: { type: "json_object" } };
    const request = hello({ toolConfig: toolConfig("f"), additionalModelRequestFields: fields });
    expect(send(request).body).toMatchObject(fields);
  });

  test.each([["messages"], ["stream"], ["n"], ["modalities"], ["functions"]])("cannot be %s", (name) => {
    const request = hello({ additionalModelRequestFields: { [name]: 2 } });
    expect(() => send(request)).toThrow(`additionalModelRequestFields.${name}: `);
  });

  test("cannot replace what the request's other fields say", () => {
    const request = hello({ inferenceConfig: { maxTokens: 5 }, additionalModelRequestFields: { max_tokens: 9 } });
    expect(() => send(request, { model: "gpt-4o" })).toThrow("additionalModelRequestFields.max_tokens: ");
  });
});

describe("the service tier", () => {
  test.each([
    ["openai", "gpt-4o", "priority", "priority"],
    ["openai", "gpt-4o", "flex", undefined],
    ["openai", "o3", "flex", "flex"],
    ["openai", "gpt-5-nano", "priority", undefined],
    ["groq", "llama-3.3-70b-versatile", "flex", "flex"],
    ["together", "m", "flex", undefined],
  ] as const)("%s %s: %s becomes %s", (kind, model, type, sent) => {
    const { body, ignored } = send(hello({ serviceTier: { type } }), { kind, model });
    expect(body.service_tier).toBe(sent);
    expect(ignored).toEqual(sent === undefined ? ["serviceTier"] : []);
  });

  test("the default is never said, and a reserved one is none", () => {
    expect(send(hello({ serviceTier: { type: "default" } })).ignored).toEqual([]);
    expect(send(hello({ serviceTier: { type: "reserved" } })).ignored).toEqual(["serviceTier"]);
  });
});

describe("tools", () => {
  test("F51 strict goes to who knows it, in the client's own words", () => {
    const json = { type: "object" };
    const request = hello({
      toolConfig: { tools: [{ toolSpec: { name: "f", description: "d", inputSchema: { json }, strict: true } }] },
    });
    const tool = { name: "f", description: "d", parameters: json };
    expect(send(request).body.tools).toEqual([{ type: "function", function: { ...tool, strict: true } }]);
    const groq = send(request, { kind: "groq" });
    expect(groq.body.tools).toEqual([{ type: "function", function: tool }]);
    expect(groq.ignored).toEqual(["toolConfig.tools[0].toolSpec.strict"]);
  });

  test.each([
    [{ auto: {} }, "auto"],
    [{ any: {} }, "required"],
    [{ tool: { name: "g" } }, { type: "function", function: { name: "g" } }],
  ])("the choice %j is %j", (toolChoice, sent) => {
    const { body, ignored } = send(hello({ toolConfig: { ...toolConfig("f", "g"), toolChoice } }));
    expect(body.tool_choice).toEqual(sent);
    expect(ignored).toEqual([]);
  });

  test("Ollama cannot be told to call: only the chosen tool is offered, and the rest is listed", () => {
    const request = hello({ toolConfig: { ...toolConfig("f", "g"), toolChoice: { tool: { name: "g" } } } });
    const { body, ignored } = send(request, { kind: "ollama" });
    expect(body.tools).toHaveLength(1);
    expect(body).not.toHaveProperty("tool_choice");
    expect(ignored).toEqual(["toolConfig.tools[0].toolSpec", "toolConfig.toolChoice"]);
  });

  test("F10 no tools, no choice", () => {
    const { body } = send(hello());
    expect(body).not.toHaveProperty("tools");
    expect(body).not.toHaveProperty("tool_choice");
  });

  test("F9 calls in the history need no tools", () => {
    const { body } = send(requestOf([user({ text: "x" }), assistant(call("a")), user(result("a"))]));
    expect(body).not.toHaveProperty("tools");
  });

  test("F12 a name that is too long for OpenAI is shortened, and found again", () => {
    const name = `mcp.server/${"x".repeat(60)}`;
    const { body, memo } = send(hello({ toolConfig: toolConfig(name) }));
    const [sent] = [...memo.toolNames.keys()];
    expect(memo.toolNames.get(sent ?? "")).toBe(name);
    expect(JSON.stringify(body.tools)).toContain(`"name":"${sent}"`);
  });

  test("F11 an empty description is left out", () => {
    const toolSpec = { name: "f", description: "", inputSchema: { json: { type: "object" } } };
    expect(JSON.stringify(send(hello({ toolConfig: { tools: [{ toolSpec }] } })).body.tools)).not.toContain("desc");
  });
});

describe("the answer's schema", () => {
  const strict = {
    type: "object",
    properties: { a: { type: "string" } },
    required: ["a"],
    additionalProperties: false,
  };

  test("is a response format", () => {
    const { body, memo } = send(hello({ outputConfig: schemaConfig(strict, "my answer") }));
    expect(body.response_format).toMatchObject({ type: "json_schema", json_schema: { schema: strict, strict: true } });
    expect(memo.schema).toBe(true);
  });

  test.each([
    ["an open object", { type: "object", properties: { a: {} }, required: ["a"] }],
    ["an optional member", { ...strict, required: [] }],
    ["an open object below", { ...strict, properties: { a: { type: "array", items: { type: "object" } } } }],
    ["a free-form object", { type: "object" }],
  ])("F52 is not called strict with %s, since that would be refused", (_, schema) => {
    const { body } = send(hello({ outputConfig: schemaConfig(schema) }));
    expect(body.response_format).toMatchObject({ json_schema: { schema, strict: false } });
  });

  test("a default value that looks like a schema does not matter", () => {
    const schema = { ...strict, properties: { a: { type: "string", default: { type: "object" }, enum: [{}] } } };
    expect(send(hello({ outputConfig: schemaConfig(schema) })).body.response_format).toMatchObject({
      json_schema: { strict: true },
    });
  });

  test("DeepSeek takes it in the system prompt, with the word JSON", () => {
    const { body, messages } = send(hello({ outputConfig: schemaConfig(strict), system: [{ text: "Be brief." }] }), {
      kind: "deepseek",
    });
    expect(body.response_format).toEqual({ type: "json_object" });
    expect(messages[0]?.content).toMatch(/^Be brief\.\n\n.*JSON/);
    expect(messages[0]?.content).toContain(JSON.stringify(strict));
  });

  test("Groq refuses it beside tools: there it is a part of the prompt", () => {
    const outputConfig = schemaConfig(strict);
    expect(send(hello({ outputConfig }), { kind: "groq" }).body).toHaveProperty("response_format");
    const { body, messages } = send(hello({ outputConfig, toolConfig: toolConfig("f") }), { kind: "groq" });
    expect(body).not.toHaveProperty("response_format");
    expect(messages[0]).toMatchObject({ role: "system" });
  });
});

describe("what has no place", () => {
  test("is refused by its path", () => {
    const video = { format: "mp4" as const, source: { bytes: "AAAA" } };
    expect(() => send(requestOf([user({ text: "x" }, { video })]))).toThrow("messages[0].content[1].video: ");
    expect(() => send(hello({ guardrailConfig: { guardrailIdentifier: "g" } }))).toThrow("guardrailConfig: ");
    const tools = [{ systemTool: { name: "nova_grounding" } }];
    expect(() => send(hello({ toolConfig: { tools } }))).toThrow("toolConfig.tools[0].systemTool: ");
  });

  test("is listed where it may be left out", () => {
    const { ignored } = send(
      hello({
        requestMetadata: { a: "b" },
        performanceConfig: { latency: "optimized" },
        system: [{ text: "x" }, { cachePoint: { type: "default" } }],
      }),
    );
    expect(ignored).toEqual(["requestMetadata", "performanceConfig.latency", "system[1].cachePoint"]);
  });
});
