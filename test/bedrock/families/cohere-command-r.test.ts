import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cohereCommandR } from "../../../src/bedrock/families/cohere-command-r.ts";
import { metricsKey } from "../../../src/bedrock/families/family.ts";
import {
  answerOf,
  call,
  callBlock,
  chunksOf,
  context,
  eventsOf,
  failure,
  joined,
  metrics,
  parse,
  reasoning,
  reasoningBlock,
  refusal,
  textBlock,
} from "./exchanges.ts";

const weather = { name: "weather", parameters: { city: "Ulm" } };
const use = (toolUseId: string) => ({ toolUse: { toolUseId, name: "weather", input: { city: "Ulm" } } });
const result = (toolUseId: string) => ({ toolResult: { toolUseId, content: [{ json: { sky: "blue" } }] } });

describe("reading Command R's body", () => {
  test("takes the preamble, the history and the message", () => {
    const request = cohereCommandR.read({
      message: "And you?",
      preamble: "Be brief.",
      chat_history: [
        { role: "USER", message: "Hi" },
        { role: "CHATBOT", message: "Hello" },
      ],
      max_tokens: 100,
      temperature: 0.3,
      p: 0.75,
      k: 0,
      stop_sequences: ["END"],
      documents: [{ title: "A", snippet: "B" }],
      search_queries_only: false,
    });
    expect(request).toEqual({
      system: [{ text: "Be brief." }],
      messages: [
        { role: "user", content: [{ text: "Hi" }] },
        { role: "assistant", content: [{ text: "Hello" }] },
        { role: "user", content: [{ text: "And you?" }] },
      ],
      inferenceConfig: { maxTokens: 100, temperature: 0.3, topP: 0.75, stopSequences: ["END"] },
      additionalModelRequestFields: { k: 0, documents: [{ title: "A", snippet: "B" }] },
    });
  });

  test("makes JSON Schema of Python's types", () => {
    const { toolConfig } = cohereCommandR.read({
      message: "Hi",
      tools: [
        {
          name: "weather",
          description: "The weather",
          parameter_definitions: {
            city: { description: "Where", type: "str", required: true },
            days: { type: "List[int]" },
            grid: { type: "list[list[float]]" },
            more: { type: "Dict[str, bool]", required: false },
          },
        },
        { name: "now", description: "" },
      ],
    });
    expect(toolConfig).toEqual({
      tools: [
        {
          toolSpec: {
            name: "weather",
            description: "The weather",
            inputSchema: {
              json: {
                type: "object",
                properties: {
                  city: { type: "string", description: "Where" },
                  days: { type: "array", items: { type: "integer" } },
                  grid: { type: "array", items: { type: "array", items: { type: "number" } } },
                  more: { type: "object" },
                },
                required: ["city"],
              },
            },
          },
        },
        { toolSpec: { name: "now", inputSchema: { json: { type: "object", properties: {} } } } },
      ],
    });
  });

  test("puts the calls of results behind the message that led to them", () => {
    const { messages } = cohereCommandR.read({
      message: "Weather?",
      tool_results: [{ call: weather, outputs: [{ sky: "blue" }] }],
    });
    expect(messages).toEqual([
      { role: "user", content: [{ text: "Weather?" }] },
      { role: "assistant", content: [use("call_0")] },
      { role: "user", content: [result("call_0")] },
    ]);
  });

  test("gives results the ids of the calls in the history, two calls of one tool in their order", () => {
    const { messages } = cohereCommandR.read({
      message: "",
      chat_history: [
        { role: "USER", message: "Weather?" },
        { role: "CHATBOT", message: "I look.", tool_calls: [weather, weather] },
        {
          role: "TOOL",
          tool_results: [
            { call: weather, outputs: [{ sky: "blue" }] },
            { call: weather, outputs: [{ sky: "blue" }] },
          ],
        },
        { role: "CHATBOT", tool_calls: [weather] },
      ],
      tool_results: [{ call: weather, outputs: [{ sky: "blue" }] }],
    });
    expect(messages).toEqual([
      { role: "user", content: [{ text: "Weather?" }] },
      { role: "assistant", content: [{ text: "I look." }, use("call_0"), use("call_1")] },
      { role: "user", content: [result("call_0"), result("call_1")] },
      { role: "assistant", content: [use("call_2")] },
      { role: "user", content: [result("call_2")] },
    ]);
  });

  test("lets the results of the history come before the next message", () => {
    const { messages } = cohereCommandR.read({
      message: "And?",
      chat_history: [
        { role: "USER", message: "Weather?" },
        { role: "CHATBOT", tool_calls: [weather] },
      ],
      tool_results: [{ call: weather, outputs: [{ sky: "blue" }] }],
    });
    expect(messages.at(-1)).toEqual({ role: "user", content: [result("call_0"), { text: "And?" }] });
  });

  test.each([
    ["{}", "message: is required"],
    ['{"message":""}', "message: must not be empty"],
    ['{"message":"","tool_results":[]}', "message: must not be empty"],
    ['{"message":"Hi","chat_history":{}}', "chat_history: must be a list"],
    ['{"message":"Hi","chat_history":[{"role":"user","message":"Hi"}]}', "chat_history[0].role: must be USER"],
    ['{"message":"Hi","chat_history":[{"role":"CHATBOT"}]}', "chat_history[0].message: is required"],
    ['{"message":"Hi","chat_history":[{"role":"USER","message":"a","x":1}]}', "chat_history[0].x: is not a field"],
    ['{"message":"Hi","preamble":1}', "preamble: must be a string"],
    ['{"message":"Hi","search_queries_only":true}', "search_queries_only: must be false"],
    ['{"message":"Hi","raw_prompting":true}', "raw_prompting: must be false"],
    ['{"message":"Hi","return_prompt":1}', "return_prompt: must be true or false"],
    ['{"message":"Hi","tools":[{}]}', "tools[0].name: is required"],
    [
      '{"message":"Hi","tools":[{"name":"f","parameter_definitions":{"a":{"type":"str[int]"}}}]}',
      'tools[0].parameter_definitions.a.type: "str[int]" is not a type known here',
    ],
    [
      '{"message":"Hi","tools":[{"name":"f","parameter_definitions":{"a":{"type":"constructor"}}}]}',
      "tools[0].parameter_definitions.a.type:",
    ],
    [
      '{"message":"Hi","tools":[{"name":"f","parameter_definitions":{"__proto__":{"type":"str"}}}]}',
      "tools[0].parameter_definitions.__proto__: is a name",
    ],
    ['{"message":"Hi","tool_results":[{"call":{},"outputs":[]}]}', "tool_results[0].call.name: is required"],
    ['{"message":"Hi","tool_results":[{"call":{"name":"f"}}]}', "tool_results[0].outputs: is required"],
    [
      '{"message":"Hi","tool_results":[{"call":{"name":"f","parameters":[]}}]}',
      "tool_results[0].call.parameters: must",
    ],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(cohereCommandR, parse(body))).toContain(message);
  });
});

const history = [{ role: "USER", message: "Hi" }];
const about = { ...context, body: { message: "Weather?", chat_history: history } };
const counts = { input_tokens: 12, output_tokens: 5 };
const meta = { api_version: { version: "1" }, billed_units: counts, tokens: counts };

function whole(text: string, finish: string, calls?: readonly object[]): object {
  const tool_calls = calls === undefined ? {} : { tool_calls: calls };
  return {
    response_id: context.requestId,
    generation_id: `${context.requestId}-0`,
    text,
    chat_history: [
      ...history,
      { role: "USER", message: "Weather?" },
      { role: "CHATBOT", message: text, ...tool_calls },
    ],
    finish_reason: finish,
    ...tool_calls,
    meta,
  };
}

describe("writing Command R's answer", () => {
  test("has the history, the message and the answer in it", () => {
    expect(cohereCommandR.write(answerOf([reasoning, { text: "Blue." }]), about)).toEqual(whole("Blue.", "COMPLETE"));
  });

  test("tells of tool calls without ids", () => {
    expect(cohereCommandR.write(answerOf([{ text: "I look." }, call], "tool_use"), about)).toEqual(
      whole("I look.", "COMPLETE", [weather]),
    );
  });

  test.each([
    ["stop_sequence", "STOP_SEQUENCE"],
    ["max_tokens", "MAX_TOKENS"],
    ["content_filtered", "ERROR_TOXIC"],
  ] as const)("says why it ended: %s is %s", (reason, word) => {
    expect(cohereCommandR.write(answerOf([{ text: "x" }], reason), about)).toMatchObject({ finish_reason: word });
  });

  test("fails on a block it has no form for", () => {
    const video = { video: { format: "mp4" as const, source: { bytes: "AAAA" } } };
    expect(failure(() => cohereCommandR.write(answerOf([video]), about)).message).toContain("video");
  });
});

describe("streaming Command R's answer", () => {
  test("ends with the whole answer", () => {
    const events = eventsOf([reasoningBlock(["Hm"]), textBlock(["Bl", "ue."], 1)]);
    expect(chunksOf(cohereCommandR, events, about)).toEqual([
      { is_finished: false, event_type: "text-generation", text: "Bl" },
      { is_finished: false, event_type: "text-generation", text: "ue." },
      {
        is_finished: true,
        event_type: "stream-end",
        finish_reason: "COMPLETE",
        response: whole("Blue.", "COMPLETE"),
        [metricsKey]: metrics,
      },
    ]);
  });

  test("tells of all calls once they are complete", () => {
    const events = eventsOf(
      [callBlock("a", "weather", ['{"ci', 'ty":"Ulm"}']), callBlock("b", "now", [], 1)],
      "tool_use",
    );
    const calls = [weather, { name: "now", parameters: {} }];
    const chunks = chunksOf(cohereCommandR, events, about);
    expect(chunks[0]).toEqual({ is_finished: false, event_type: "tool-calls-generation", tool_calls: calls });
    expect(chunks[1]).toMatchObject({ response: whole("", "COMPLETE", calls) });
  });

  test("leaves out a call that the end of the tokens cut off", () => {
    const chunks = chunksOf(cohereCommandR, eventsOf([callBlock("a", "weather", ['{"ci'])], "max_tokens"), about);
    expect(chunks).toHaveLength(1);
    expect(chunks[0]).toMatchObject({ finish_reason: "MAX_TOKENS" });
  });

  test("fails on arguments that are no JSON, and on pieces of a call that never began", () => {
    const broken = eventsOf([callBlock("a", "weather", ['{"ci'])], "tool_use");
    expect(failure(() => chunksOf(cohereCommandR, broken, about)).type).toBe("ModelErrorException");
    const nameless = eventsOf([callBlock("a", "weather", ["{}"]).slice(1)], "tool_use");
    expect(failure(() => chunksOf(cohereCommandR, nameless, about)).type).toBe("ModelErrorException");
  });

  test("does not end well without a stop reason", () => {
    expect(failure(() => chunksOf(cohereCommandR, [], about)).type).toBe("ModelStreamErrorException");
  });

  test("says the same as the whole answer, however the text is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (pieces) => {
        const chunks = chunksOf(cohereCommandR, eventsOf([textBlock(pieces)]), about);
        const answer = cohereCommandR.write(answerOf([{ text: pieces.join("") }]), about);
        expect(chunks.at(-1)?.response).toEqual(answer);
        expect(joined(chunks, "text")).toBe(answer.text);
      }),
    );
  });
});
