import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ConverseRequest } from "../../../src/bedrock/converse.ts";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import type { Encoded, Target } from "../../../src/providers/dialect.ts";
import { mistral } from "../../../src/providers/mistral/mistral.ts";
import { conversation, expectCarried } from "../conversations.ts";
import { assistant, call, requestOf, result, targetOf, user } from "../fixtures.ts";
import { accept, type MistralRequest } from "./server.ts";

function encode(request: ConverseRequest, target: Partial<Target> = {}): Encoded {
  return mistral.encode(request, targetOf({ kind: "mistral", model: "mistral-large-latest", ...target }));
}

function send(request: ConverseRequest, target: Partial<Target> = {}): MistralRequest {
  return accept(encode(request, target).request.body);
}

const hello = user({ text: "hi" });
const png = { image: { format: "png" as const, source: { bytes: "aGk=" } } };
const pdf = { document: { format: "pdf" as const, name: "x", source: { bytes: "JVBERg==" } } };
const weather = { toolSpec: { name: "weather", inputSchema: { json: { type: "object" } } } };
const time = { toolSpec: { name: "time", description: "", inputSchema: { json: { type: "object" } } } };

function schemaConfig(): Required<Pick<ConverseRequest, "outputConfig">> {
  const jsonSchema = { schema: '{"type":"object","b":1,"a":2}', name: "My answer!", description: "d" };
  return { outputConfig: { textFormat: { type: "json_schema", structure: { jsonSchema } } } };
}

describe("every request", () => {
  const target = fc
    .record({
      model: fc.constantFrom("mistral-large-latest", "mistral-small-latest", "magistral-medium-latest"),
      streaming: fc.boolean(),
    })
    .map((changes) => targetOf({ kind: "mistral", ...changes }));

  test("is refused by a path, or taken by the strict server with nothing lost", () => {
    let taken = 0;
    fc.assert(
      fc.property(conversation, target, (request, to) => {
        let encoded: Encoded;
        try {
          encoded = mistral.encode(request, to);
        } catch (error) {
          expect(error).toBeInstanceOf(BedrockError);
          expect(error).toMatchObject({ type: "ValidationException", message: expect.stringMatching(/^[\w[\].]+: /) });
          return;
        }
        taken++;
        accept(encoded.request.body);
        expectCarried(request, encoded);
        expect(mistral.encode(request, to)).toEqual(encoded);
      }),
      { numRuns: 400 },
    );
    expect(taken).toBeGreaterThan(100);
  });

  test("F50 goes to the chat endpoint without fields Mistral does not know", () => {
    const { request } = encode(requestOf([hello]), { streaming: true });
    expect(request).toMatchObject({ method: "POST", path: "/v1/chat/completions" });
    expect(request.headers).toEqual([["content-type", "application/json"]]);
    expect(JSON.parse(request.body)).toEqual({
      model: "mistral-large-latest",
      messages: [{ role: "user", content: "hi" }],
      stream: true,
    });
  });
});

describe("messages", () => {
  test("system blocks are one message, a later system message is folded into the user's (F16)", () => {
    const { messages } = send(
      requestOf([hello, { role: "system", content: [{ text: "be brief" }] }], {
        system: [{ text: "one" }, { text: "two" }],
      }),
    );
    expect(messages).toEqual([
      { role: "system", content: "one\n\ntwo" },
      {
        role: "user",
        content: [
          { type: "text", text: "hi" },
          { type: "text", text: "<system-message>\nbe brief\n</system-message>" },
        ],
      },
    ]);
  });

  test("F22 ids are nine letters or digits, and differ for ten thousand calls", () => {
    const ids = Array.from({ length: 10_000 }, (_, index) => `tooluse_k3J9x${index}`);
    const { messages } = send(
      requestOf([hello, assistant(...ids.map((id) => call(id))), user(...ids.map((id) => result(id)))]),
    );
    const sent = messages.flatMap((message) => (message.role === "tool" ? [message.tool_call_id] : []));
    expect(new Set(sent).size).toBe(10_000);
  });

  test("F22 an id that fits stays", () => {
    const { messages } = send(requestOf([hello, assistant(call("Abc123xyZ")), user(result("Abc123xyZ"))]));
    expect(messages[1]).toMatchObject({ content: null, tool_calls: [{ id: "Abc123xyZ" }] });
    expect(messages[2]).toMatchObject({ role: "tool", tool_call_id: "Abc123xyZ", name: "weather" });
  });

  test("F4 F5 F25 each call has one result, whatever the history lost", () => {
    const { messages } = send(
      requestOf([
        hello,
        assistant(call("a"), call("b")),
        user(result("b"), result("gone"), result("b")),
        assistant({ text: "ok" }),
        hello,
      ]),
    );
    expect(messages.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "tool",
      "tool",
      "assistant",
      "user",
      "assistant",
      "user",
    ]);
    expect(JSON.stringify(messages[2])).toContain("not available");
  });

  test("F26 between a result and what the user says stands the assistant", () => {
    const { messages } = send(requestOf([hello, assistant(call("a")), user(result("a"), { text: "and?" })]));
    expect(messages.slice(2)).toEqual([
      { role: "tool", tool_call_id: expect.any(String), name: "weather", content: "result of a" },
      { role: "assistant", content: "Ok." },
      { role: "user", content: "and?" },
    ]);
  });

  test("F6 F76 media in a result is announced there and follows behind all results", () => {
    const shown = { toolResult: { toolUseId: "a", content: [{ text: "see" }, png, pdf], status: "error" as const } };
    const { messages } = send(requestOf([hello, assistant(call("a"), call("b")), user(shown, result("b"))]));
    expect(messages[2]).toMatchObject({ content: "Error: see\n[image 1 follows]\n[document-1 follows]" });
    expect(messages[4]).toEqual({ role: "assistant", content: "Ok." });
    expect(messages[5]).toEqual({
      role: "user",
      content: [
        { type: "text", text: "[image 1]" },
        { type: "image_url", image_url: "data:image/png;base64,aGk=" },
        { type: "text", text: "[document-1]" },
        { type: "document_url", document_url: "data:application/pdf;base64,JVBERg==", document_name: "document-1" },
      ],
    });
  });

  test("F20 a text document in a result is written out, an empty result says so", () => {
    const document = { document: { name: "n", format: "txt" as const, source: { text: "inside" } } };
    const { messages } = send(
      requestOf([
        hello,
        assistant(call("a"), call("b")),
        user({ toolResult: { toolUseId: "a", content: [document] } }, { toolResult: { toolUseId: "b", content: [] } }),
      ]),
    );
    expect(messages[2]).toMatchObject({ content: expect.stringContaining("inside") });
    expect(messages[3]).toMatchObject({ content: "(no output)" });
  });

  test("F77 an image of the assistant goes into the user's next message", () => {
    const { messages } = send(requestOf([hello, assistant({ text: "here" }, png), user({ text: "nice" })]));
    expect(messages.slice(1)).toEqual([
      {
        role: "assistant",
        content: [
          { type: "text", text: "here" },
          { type: "text", text: "[image 1 follows]" },
        ],
      },
      {
        role: "user",
        content: [
          { type: "text", text: "[image 1]" },
          { type: "image_url", image_url: "data:image/png;base64,aGk=" },
          { type: "text", text: "nice" },
        ],
      },
    ]);
  });

  test("F17 a last message of the assistant is to be continued", () => {
    expect(send(requestOf([hello, assistant({ text: "Once" })])).messages.at(-1)).toEqual({
      role: "assistant",
      content: "Once",
      prefix: true,
    });
  });

  test("assumes the conversation must begin with the user", () => {
    expect(send(requestOf([assistant({ text: "hello" }), hello])).messages[0]).toEqual({ role: "user", content: "." });
  });

  test("F32 earlier reasoning goes back as thinking, to models that reason", () => {
    const turn = assistant({ reasoningContent: { reasoningText: { text: "hm", signature: "s" } } }, { text: "ok" });
    const request = requestOf([hello, turn, hello]);
    expect(send(request, { model: "mistral-small-2603" }).messages[1]).toEqual({
      role: "assistant",
      content: [
        { type: "thinking", thinking: [{ type: "text", text: "hm" }], closed: true },
        { type: "text", text: "ok" },
      ],
    });
    const plain = encode(request);
    expect(plain.ignored).toContain("messages[1].content[0].reasoningContent");
    expect(accept(plain.request.body).messages[1]).toEqual({ role: "assistant", content: "ok" });
  });

  test("F78 content is null only beside calls; a turn without anything to say has a placeholder", () => {
    const turn = assistant({ reasoningContent: { reasoningText: { text: "" } } });
    expect(send(requestOf([hello, turn, hello]), { model: "magistral-small-latest" }).messages[1]).toEqual({
      role: "assistant",
      content: ".",
    });
  });

  test.each([
    ["video", { video: { format: "mp4" as const, source: { bytes: "aGk=" } } }],
    ["audio", { audio: { format: "mp3" as const, source: { bytes: "aGk=" } } }],
    ["document.format", { document: { format: "docx" as const, name: "n", source: { bytes: "aGk=" } } }],
    ["image.source.s3Location", { image: { format: "png" as const, source: { s3Location: { uri: "s3://b/k" } } } }],
  ])("%s is refused by its path", (path, block) => {
    expect(() => encode(requestOf([user({ text: "x" }, block)]))).toThrow(`messages[0].content[1].${path}:`);
  });
});

describe("tools", () => {
  test("F11 F12 F56 a tool keeps its schema's order; an empty description is left out, a long name shortened", () => {
    const json = { type: "object", z: 1, properties: { b: {}, a: {} }, a: 2 };
    const odd = { toolSpec: { name: "mcp.server/search", strict: true, inputSchema: { json } } };
    const { request, memo } = encode(requestOf([hello], { toolConfig: { tools: [odd, time] } }));
    const { tools } = accept(request.body);
    expect(request.body).toContain(JSON.stringify(json));
    expect(tools?.[0]?.function.strict).toBe(true);
    expect(tools?.[1]?.function).not.toHaveProperty("description");
    expect(memo.toolNames.get(tools?.[0]?.function.name ?? "")).toBe("mcp.server/search");
  });

  test("the choice: auto, any, and one tool as that tool alone", () => {
    const tools = [weather, time];
    expect(send(requestOf([hello], { toolConfig: { tools } })).tool_choice).toBeUndefined();
    expect(send(requestOf([hello], { toolConfig: { tools, toolChoice: { auto: {} } } })).tool_choice).toBe("auto");
    expect(send(requestOf([hello], { toolConfig: { tools, toolChoice: { any: {} } } })).tool_choice).toBe("any");
    const one = encode(requestOf([hello], { toolConfig: { tools, toolChoice: { tool: { name: "time" } } } }));
    expect(accept(one.request.body)).toMatchObject({ tool_choice: "any", tools: [{ function: { name: "time" } }] });
    expect(one.ignored).toEqual(["toolConfig.tools[0].toolSpec"]);
  });

  test("F9 F10 calls in the history need no tools, and without tools there is no choice", () => {
    const { body } = encode(requestOf([hello, assistant(call("a")), user(result("a"))])).request;
    expect(JSON.parse(body)).not.toHaveProperty("tools");
    expect(JSON.parse(body)).not.toHaveProperty("tool_choice");
  });

  test("a system tool is refused", () => {
    const toolConfig = { tools: [{ systemTool: { name: "nova_grounding" } }] };
    expect(() => encode(requestOf([hello], { toolConfig }))).toThrow("toolConfig.tools[0].systemTool");
  });
});

describe("parameters", () => {
  test("F45 temperature is held within Mistral's range, and what is not said is not sent", () => {
    const inferenceConfig = { maxTokens: 5, temperature: 5, topP: 0.5 };
    expect(send(requestOf([hello], { inferenceConfig }))).toMatchObject({
      max_tokens: 5,
      temperature: 1.5,
      top_p: 0.5,
    });
  });

  test("assumes that top_p is refused without sampling", () => {
    const encoded = encode(requestOf([hello], { inferenceConfig: { temperature: 0, topP: 0.5 } }));
    expect(accept(encoded.request.body).top_p).toBeUndefined();
    expect(encoded.ignored).toEqual(["inferenceConfig.topP"]);
  });

  test("F48 assumes any number of stop sequences is taken", () => {
    const stopSequences = Array.from({ length: 40 }, (_, index) => `stop${index}`);
    const { request, memo } = encode(requestOf([hello], { inferenceConfig: { stopSequences } }));
    expect(accept(request.body).stop).toEqual(stopSequences);
    expect(memo.stops).toEqual([]);
  });

  test("the answer's schema; assumes it may always be strict", () => {
    const { request, memo } = encode(requestOf([hello], schemaConfig()));
    expect(accept(request.body).response_format).toMatchObject({
      type: "json_schema",
      json_schema: { name: expect.stringMatching(/^My_answer_/), description: "d", strict: true },
    });
    expect(request.body).toContain('"schema":{"type":"object","b":1,"a":2}');
    expect(memo.schema).toBe(true);
  });

  test("F50 Mistral's own fields are passed on, others listed, the gateway's refused", () => {
    const additionalModelRequestFields = {
      random_seed: 1,
      safe_prompt: true,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      parallel_tool_calls: false,
      response_format: { type: "json_object" },
      top_k: 4,
      stream_options: {},
      anthropic_beta: ["x"],
    };
    const { request, ignored } = encode(requestOf([hello], { additionalModelRequestFields }));
    expect(accept(request.body)).toMatchObject({ random_seed: 1, safe_prompt: true, parallel_tool_calls: false });
    expect(ignored).toEqual([
      "additionalModelRequestFields.top_k",
      "additionalModelRequestFields.anthropic_beta",
      "additionalModelRequestFields.stream_options",
    ]);
    const reserved = requestOf([hello], { additionalModelRequestFields: { max_tokens: 1 } });
    expect(() => encode(reserved)).toThrow("additionalModelRequestFields.max_tokens:");
    const twice = { ...schemaConfig(), additionalModelRequestFields: { response_format: { type: "text" } } };
    expect(() => encode(requestOf([hello], twice))).toThrow("additionalModelRequestFields.response_format:");
  });

  test("what Mistral has no place for is listed", () => {
    const { ignored } = encode(
      requestOf([user({ text: "x" }, { cachePoint: { type: "default" } })], {
        requestMetadata: { a: "b" },
        serviceTier: { type: "flex" },
        performanceConfig: { latency: "optimized" },
      }),
    );
    expect(ignored).toEqual([
      "requestMetadata",
      "performanceConfig.latency",
      "messages[0].content[1].cachePoint",
      "serviceTier",
    ]);
    expect(() => encode(requestOf([hello], { guardrailConfig: {} }))).toThrow("guardrailConfig:");
  });

  test.each([
    ["mistral-small-latest", { outputConfig: { effort: "low" } }, "high"],
    [
      "mistral-medium-3-5",
      { additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 1024 } } },
      "high",
    ],
    ["mistral-small-2603", { additionalModelRequestFields: { thinking: { type: "disabled" } } }, "none"],
    ["mistral-small-latest", {}, undefined],
  ])("reasoning on %s: %j becomes %s", (model, changes, effort) => {
    const { request, ignored } = encode(requestOf([hello], changes), { model });
    expect(accept(request.body).reasoning_effort).toBe(effort);
    expect(ignored).toEqual([]);
  });

  test("the base model's abilities count; elsewhere the wish is listed", () => {
    const wish = { outputConfig: { effort: "high" } };
    const aliased = encode(requestOf([hello], wish), { model: "mine", baseModel: "mistral-small-latest" });
    expect(accept(aliased.request.body)).toMatchObject({ model: "mine", reasoning_effort: "high" });
    expect(encode(requestOf([hello], wish)).ignored).toEqual(["outputConfig.effort"]);
    const thinking = {
      additionalModelRequestFields: { thinking: { type: "disabled" }, output_config: { effort: "low" } },
    };
    expect(encode(requestOf([hello], thinking), { model: "magistral-medium-latest" }).ignored).toEqual([
      "additionalModelRequestFields.thinking",
      "additionalModelRequestFields.output_config.effort",
    ]);
  });
});
