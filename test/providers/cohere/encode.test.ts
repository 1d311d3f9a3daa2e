import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ContentBlock, ConverseRequest } from "../../../src/bedrock/converse.ts";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { cohere } from "../../../src/providers/cohere/cohere.ts";
import { goOn } from "../../../src/providers/cohere/messages.ts";
import type { Encoded, Target } from "../../../src/providers/dialect.ts";
import { conversation, expectCarried } from "../conversations.ts";
import { assistant, call, requestOf, result, targetOf, user } from "../fixtures.ts";
import { accept, type CohereRequest } from "./server.ts";

const reasoner = "command-a-reasoning-08-2025";

function encode(request: ConverseRequest, target: Partial<Target> = {}): Encoded {
  return cohere.encode(request, targetOf({ kind: "cohere", model: "command-a-03-2025", ...target }));
}

function send(request: ConverseRequest, target: Partial<Target> = {}): CohereRequest {
  return accept(encode(request, target).request.body);
}

function text(said: string, citations = false, more: { readonly context?: string } = {}) {
  const document = { name: "n", format: "txt" as const, source: { text: said }, citations: { enabled: citations } };
  return { document: { ...document, ...more } };
}

function tool(name: string, json: JsonObject = {}, strict?: boolean) {
  return { toolSpec: { name, inputSchema: { json }, ...(strict !== undefined && { strict }) } };
}

function schema(json = '{"type":"object","b":1,"a":2}'): Required<Pick<ConverseRequest, "outputConfig">> {
  return {
    outputConfig: { textFormat: { type: "json_schema", structure: { jsonSchema: { schema: json, name: "reply" } } } },
  };
}

const hello = user({ text: "hi" });
const png = { image: { format: "png" as const, source: { bytes: "aGk=" } } };
const search: ContentBlock = {
  searchResult: { source: "s", title: "T", content: [{ text: "found" }], citations: { enabled: true } },
};

describe("every request", () => {
  const target = fc
    .record({ model: fc.constantFrom("command-a-03-2025", reasoner), streaming: fc.boolean() })
    .map((changes) => targetOf({ kind: "cohere", ...changes }));

  test("is refused by a path, or taken by the strict server with nothing lost", () => {
    let taken = 0;
    fc.assert(
      fc.property(conversation, target, (request, to) => {
        let encoded: Encoded;
        try {
          encoded = cohere.encode(request, to);
        } catch (error) {
          expect(error).toBeInstanceOf(BedrockError);
          expect(error).toMatchObject({ type: "ValidationException", message: expect.stringMatching(/^[\w[\].]+: /) });
          return;
        }
        taken++;
        accept(encoded.request.body);
        expectCarried(request, encoded);
        expect(cohere.encode(request, to)).toEqual(encoded);
      }),
      { numRuns: 400 },
    );
    expect(taken).toBeGreaterThan(100);
  });

  test("goes to version 2 of the chat", () => {
    const { request } = encode(requestOf([hello], { system: [{ text: "a" }, { text: "b" }] }), { streaming: true });
    expect(request).toMatchObject({
      method: "POST",
      path: "/v2/chat",
      headers: [["content-type", "application/json"]],
    });
    expect(JSON.parse(request.body)).toEqual({
      model: "command-a-03-2025",
      stream: true,
      messages: [
        { role: "system", content: "a\n\nb" },
        { role: "user", content: "hi" },
      ],
    });
  });
});

describe("documents", () => {
  test("stand beside the conversation, under neutral names (F19), and are cited when the client asks", () => {
    const { documents, citation_options, messages } = send(
      requestOf([user({ text: "what?" }, text("one", true, { context: "c" }), search)]),
    );
    expect(documents).toEqual([
      { id: "document-1", data: { title: "document-1", context: "c", text: "one" } },
      { id: "search-result-1", data: { title: "T", source: "s", text: "found" } },
    ]);
    expect(citation_options).toBeUndefined();
    expect(messages).toEqual([{ role: "user", content: "what?" }]);
  });

  test("assumes citations can be switched off for who did not ask, for results as well", () => {
    expect(send(requestOf([user({ text: "x" }, text("one"))])).citation_options).toEqual({ mode: "OFF" });
    const results = requestOf([hello, assistant(call("a")), user(result("a"))]);
    expect(send(results).citation_options).toEqual({ mode: "OFF" });
    const own = { additionalModelRequestFields: { citation_options: { mode: "FAST" } } };
    expect(send({ ...results, ...own }).citation_options).toEqual({ mode: "FAST" });
  });

  test("bytes of text are decoded, and those of PDF refused", () => {
    const csv = {
      document: { name: "n", format: "csv" as const, source: { bytes: Buffer.from("a,ü").toString("base64") } },
    };
    expect(send(requestOf([user({ text: "x" }, csv)])).documents).toMatchObject([{ data: { text: "a,ü" } }]);
    const pdf = { document: { name: "n", format: "pdf" as const, source: { bytes: "JVBERg==" } } };
    expect(() => encode(requestOf([user({ text: "x" }, pdf)]))).toThrow("messages[0].content[1].document.format:");
  });

  test("F19 a message of nothing but documents still says something", () => {
    expect(send(requestOf([user(text("one"), search)])).messages[0]).toEqual({
      role: "user",
      content: [
        { type: "text", text: "[document-1]" },
        { type: "text", text: "[search-result-1]" },
      ],
    });
  });

  test("of the assistant, and beside a schema, they are text", () => {
    const { documents, messages } = send(requestOf([hello, assistant(text("mine")), user({ text: "x" })]));
    expect(documents).toBeUndefined();
    expect(JSON.stringify(messages[1])).toContain("mine");
    const asked = encode(requestOf([user({ text: "x" }, text("one", true))], schema()));
    expect(JSON.stringify(accept(asked.request.body).messages)).toContain("one");
    expect(asked.ignored).toEqual(["messages[0].content[1].document.citations"]);
  });

  test("those of Command R's own field come behind, and are cited", () => {
    const own = {
      additionalModelRequestFields: {
        documents: ["plain", { title: "t", snippet: "s" }, { id: "7", data: { text: "x" } }],
      },
    };
    expect(send(requestOf([user({ text: "x" }, text("one"))], own))).toMatchObject({
      documents: [
        { id: "document-1" },
        "plain",
        { data: { title: "t", snippet: "s" } },
        { id: "7", data: { text: "x" } },
      ],
    });
    expect(send(requestOf([hello], own)).citation_options).toBeUndefined();
    for (const [documents, path] of [
      ["x", "documents"],
      [[3], "documents[0]"],
    ] as const) {
      expect(() => encode(requestOf([hello], { additionalModelRequestFields: { documents } }))).toThrow(
        `additionalModelRequestFields.${path}:`,
      );
    }
    expect(() => encode(requestOf([hello], { ...own, ...schema() }))).toThrow(
      "additionalModelRequestFields.documents:",
    );
  });
});

describe("messages", () => {
  test("an image makes the content a list", () => {
    expect(send(requestOf([user({ text: "see" }, png)])).messages[0]).toEqual({
      role: "user",
      content: [
        { type: "text", text: "see" },
        { type: "image_url", image_url: { url: "data:image/png;base64,aGk=" } },
      ],
    });
  });

  test("F4 F5 F6 results follow their calls, then what the user says, then media of the results (F76)", () => {
    const shown = { toolResult: { toolUseId: "a", content: [png, text("inside")], status: "error" as const } };
    const { messages } = send(requestOf([hello, assistant(call("a"), call("b")), user({ text: "and?" }, shown)]));
    expect(messages.slice(2)).toEqual([
      {
        role: "tool",
        tool_call_id: "a",
        content: expect.stringMatching(/^Error: \[image 1 follows\]\n<document.*inside/s),
      },
      { role: "tool", tool_call_id: "b", content: expect.stringContaining("not available") },
      {
        role: "user",
        content: [
          { type: "text", text: "[image 1]" },
          { type: "image_url", image_url: { url: "data:image/png;base64,aGk=" } },
          { type: "text", text: "and?" },
        ],
      },
    ]);
  });

  test("F77 an image of the assistant goes into the user's next message", () => {
    const { messages } = send(requestOf([hello, assistant(png)]));
    expect(messages.slice(1)).toEqual([
      { role: "assistant", content: "[image 1 follows]" },
      { role: "user", content: [{ type: "text", text: "[image 1]" }, expect.objectContaining({ type: "image_url" })] },
    ]);
  });

  test("F78 beside calls there is no empty content; assumes that text beside calls is the plan", () => {
    const turn = assistant(
      { reasoningContent: { reasoningText: { text: "think" } } },
      { text: "Let me look." },
      call("a", "f", { x: "1" }),
    );
    const calls = [{ id: "a", type: "function", function: { name: "f", arguments: '{"x":"1"}' } }];
    expect(send(requestOf([hello, turn, user(result("a"))])).messages[1]).toEqual({
      role: "assistant",
      tool_plan: "think\n\nLet me look.",
      tool_calls: calls,
    });
    expect(send(requestOf([hello, turn, user(result("a"))]), { model: reasoner }).messages[1]).toEqual({
      role: "assistant",
      content: [
        { type: "thinking", thinking: "think" },
        { type: "text", text: "Let me look." },
      ],
      tool_calls: calls,
    });
    const silent = requestOf([hello, assistant(call("a")), user(result("a"))]);
    for (const model of ["command-r-08-2024", reasoner]) {
      expect(send(silent, { model }).messages[1]).not.toHaveProperty("content");
      expect(send(silent, { model }).messages[1]).not.toHaveProperty("tool_plan");
    }
  });

  test("F32 reasoning without calls goes back only to a model that thinks", () => {
    const request = requestOf([
      hello,
      assistant({ reasoningContent: { reasoningText: { text: "hm" } } }, { text: "ok" }),
      hello,
    ]);
    expect(JSON.stringify(send(request, { model: reasoner }).messages[1])).toContain("hm");
    const plain = encode(request);
    expect(plain.ignored).toEqual(["messages[1].content[0].reasoningContent"]);
    expect(accept(plain.request.body).messages[1]).toEqual({ role: "assistant", content: "ok" });
  });

  test("F17 assumes the last message must not be the assistant's: the user asks to go on", () => {
    const { messages } = send(requestOf([hello, assistant({ text: "Once" })]));
    expect(messages.slice(1)).toEqual([
      { role: "assistant", content: "Once" },
      { role: "user", content: goOn },
    ]);
  });

  test("F16 a later system message is folded into the user's", () => {
    const { messages } = send(requestOf([{ role: "system", content: [{ text: "be brief" }] }]));
    expect(messages).toEqual([{ role: "user", content: "<system-message>\nbe brief\n</system-message>" }]);
  });

  test("ids stay as they are, and a repeated one is told apart", () => {
    const turn = [assistant(call("call.1:2")), user(result("call.1:2"))];
    const ids = send(requestOf([hello, ...turn, ...turn])).messages.flatMap((message) =>
      message.role === "tool" ? [message.tool_call_id] : [],
    );
    expect(ids[0]).toBe("call.1:2");
    expect(ids[1]).not.toBe(ids[0]);
  });
});

describe("tools", () => {
  const needy = { type: "object", properties: { q: {} }, required: ["q"] };

  test("a schema says that it is an object's, and keeps its order (F56)", () => {
    const { body } = encode(
      requestOf([hello], { toolConfig: { tools: [tool("f", {}), tool("g", { z: "1", ...needy, a: "2" })] } }),
    ).request;
    expect(body).toContain('"parameters":{"type":"object","properties":{}}');
    expect(body).toContain('"parameters":{"z":"1","type":"object","properties":{"q":{}},"required":["q"],"a":"2"}');
  });

  test("the choice: nothing for auto, REQUIRED for any, that tool alone for one", () => {
    const tools = [tool("f"), tool("g")];
    expect(send(requestOf([hello], { toolConfig: { tools, toolChoice: { auto: {} } } })).tool_choice).toBeUndefined();
    expect(send(requestOf([hello], { toolConfig: { tools, toolChoice: { any: {} } } })).tool_choice).toBe("REQUIRED");
    const one = encode(requestOf([hello], { toolConfig: { tools, toolChoice: { tool: { name: "g" } } } }));
    expect(accept(one.request.body)).toMatchObject({ tool_choice: "REQUIRED", tools: [{ function: { name: "g" } }] });
    expect(one.ignored).toEqual(["toolConfig.tools[0].toolSpec"]);
  });

  test("F51 strict is for all tools at once, where each requires an argument", () => {
    const both = encode(requestOf([hello], { toolConfig: { tools: [tool("f", needy, true), tool("g", needy)] } }));
    expect(accept(both.request.body).strict_tools).toBe(true);
    const mixed = encode(requestOf([hello], { toolConfig: { tools: [tool("f", needy, true), tool("g")] } }));
    expect(accept(mixed.request.body).strict_tools).toBeUndefined();
    expect(mixed.ignored).toEqual(["toolConfig.tools[0].toolSpec.strict"]);
    expect(send(requestOf([hello], { toolConfig: { tools: [tool("f", needy, false)] } })).strict_tools).toBeUndefined();
  });

  test("a schema for the answer", () => {
    const { request, memo } = encode(requestOf([hello], schema()));
    expect(request.body).toContain(
      '"response_format":{"type":"json_object","json_schema":{"type":"object","b":1,"a":2}}',
    );
    expect(memo.answerTool).toBeUndefined();
  });

  test("F53 beside tools the schema is that of a hidden tool, and every answer a call", () => {
    const { request, memo } = encode(
      requestOf([hello], { ...schema(), toolConfig: { tools: [tool("reply", needy)] } }),
    );
    expect(accept(request.body)).toMatchObject({
      tool_choice: "REQUIRED",
      tools: [
        { function: { name: "reply" } },
        { function: { name: "reply_1", description: "Gives the final answer to the user." } },
      ],
    });
    expect(memo.answerTool).toBe("reply_1");
    const answer = {
      message: { tool_calls: [{ id: "a", function: { name: "reply_1", arguments: '{"b":1}' } }] },
      finish_reason: "TOOL_CALL",
    };
    expect(cohere.decode({ headers: {}, body: Buffer.from(JSON.stringify(answer)) }, memo)).toMatchObject({
      response: { output: { message: { content: [{ text: '{"b":1}' }] } }, stopReason: "end_turn" },
    });
  });

  test("where a call is demanded there is no answer to be formed", () => {
    const toolConfig = { tools: [tool("f")], toolChoice: { any: {} } };
    const { ignored, memo } = encode(requestOf([hello], { ...schema(), toolConfig }));
    expect(ignored).toEqual(["outputConfig.textFormat"]);
    expect(memo.answerTool).toBeUndefined();
  });
});

describe("parameters", () => {
  test("assumes the documented ranges: F45 temperature to 1, p from 0.01 to 0.99, k to 500", () => {
    const inferenceConfig = { maxTokens: 9, temperature: 5, topP: 1 };
    const high = requestOf([hello], { inferenceConfig, additionalModelRequestFields: { top_k: 900 } });
    expect(send(high)).toMatchObject({ max_tokens: 9, temperature: 1, p: 0.99, k: 500 });
    expect(send(requestOf([hello], { inferenceConfig: { temperature: 0, topP: 0 } }))).toMatchObject({
      temperature: 0,
      p: 0.01,
    });
  });

  test("F48 five stop sequences are sent, the others cut by the gateway", () => {
    const stopSequences = ["a", "b", "c", "d", "e", "f"];
    const { request, memo } = encode(requestOf([hello], { inferenceConfig: { stopSequences } }));
    expect(accept(request.body).stop_sequences).toEqual(["a", "b", "c", "d", "e"]);
    expect(memo.stops).toEqual(["f"]);
  });

  test.each([
    [
      { additionalModelRequestFields: { thinking: { type: "enabled", token_budget: 500 } } },
      { type: "enabled", token_budget: 500 },
    ],
    [
      { additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 2000 } } },
      { type: "enabled", token_budget: 2000 },
    ],
    [{ additionalModelRequestFields: { thinking: { type: "adaptive" } } }, { type: "enabled" }],
    [{ additionalModelRequestFields: { thinking: { type: "disabled" } } }, { type: "disabled" }],
    [
      { outputConfig: { effort: "low" }, inferenceConfig: { maxTokens: 1000 } },
      { type: "enabled", token_budget: 200 },
    ],
    [{}, undefined],
  ])("thinking: %j is %j", (changes, thinking) => {
    expect(send(requestOf([hello], changes), { model: reasoner }).thinking).toEqual(thinking);
  });

  test("a model that does not think takes no wish for it", () => {
    const { request, ignored } = encode(requestOf([hello], { outputConfig: { effort: "low" } }));
    expect(accept(request.body).thinking).toBeUndefined();
    expect(ignored).toEqual(["outputConfig.effort"]);
  });

  test("F50 Cohere's own fields are passed on, others listed, the gateway's refused", () => {
    const additionalModelRequestFields = { seed: 1, safety_mode: "OFF", priority: 3, logprobs: true, preamble: "x" };
    const { request, ignored } = encode(
      requestOf([hello], { additionalModelRequestFields, serviceTier: { type: "flex" } }),
    );
    expect(accept(request.body)).toMatchObject({ seed: 1, safety_mode: "OFF", priority: 3 });
    expect(ignored).toEqual(["additionalModelRequestFields.preamble", "serviceTier"]);
    const reserved = requestOf([hello], { additionalModelRequestFields: { stop_sequences: ["x"] } });
    expect(() => encode(reserved)).toThrow("additionalModelRequestFields.stop_sequences:");
  });

  test("a format of the client's own, where nothing speaks against it", () => {
    const own = { additionalModelRequestFields: { response_format: { type: "json_object" } } };
    expect(send(requestOf([hello], own)).response_format).toEqual({ type: "json_object" });
    const path = "additionalModelRequestFields.response_format:";
    expect(() => encode(requestOf([hello], { ...own, ...schema() }))).toThrow(path);
    expect(() => encode(requestOf([hello], { ...own, toolConfig: { tools: [tool("f")] } }))).toThrow(path);
  });
});
