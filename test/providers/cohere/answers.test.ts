import { describe, expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { textOf } from "../../../src/providers/answer.ts";
import { cohere } from "../../../src/providers/cohere/cohere.ts";
import type { Memo } from "../../../src/providers/dialect.ts";
import { answerOf, bodyOf, drain, failureOf, item, readStream, readWhole } from "../both-ways.ts";
import { memoOf } from "../fixtures.ts";

const usage = {
  billed_units: { input_tokens: 3, output_tokens: 2 },
  tokens: { input_tokens: 70, output_tokens: 9 },
  cached_tokens: 16,
};

function whole(message: JsonObject, finish: JsonValue = "COMPLETE", more: JsonObject = {}): JsonObject {
  return { id: "c1", message: { role: "assistant", ...message }, finish_reason: finish, usage, ...more };
}

function blocksOf(message: JsonObject, memo: Memo = memoOf()) {
  return answerOf(cohere.decode(bodyOf(whole(message)), memo)).response.output.message.content;
}

const source = {
  type: "document",
  id: "document-2",
  document: { id: "document-2", title: "document-2", text: "Gyms." },
};
const cited = {
  title: "document-2",
  source: "document-2",
  sourceContent: [{ text: "Gyms." }],
  location: { documentChunk: { documentIndex: 1 } },
};

describe("a whole answer", () => {
  test("B.3 the tokens as they were, not as billed; assumes cached ones are not to be told apart", () => {
    expect(readWhole(cohere, whole({ content: [{ type: "text", text: "Hi" }] }), memoOf())).toEqual({
      content: [{ text: "Hi" }],
      stopReason: "end_turn",
      usage: { inputTokens: 70, outputTokens: 9, totalTokens: 79 },
    });
  });

  test("thinking and text, then the plan and the calls (F66 the arguments null)", () => {
    const message = {
      content: [
        { type: "thinking", thinking: "hm" },
        { type: "text", text: "Hi" },
      ],
      tool_plan: "I will look.",
      tool_calls: [
        { id: "f_1", type: "function", function: { name: "f", arguments: '{"x":1}' } },
        { id: "g_2", type: "function", function: { name: "g", arguments: "null" } },
      ],
    };
    const read = readWhole(cohere, whole(message, "TOOL_CALL"), memoOf());
    expect(read.content).toEqual([
      { reasoning: "hm" },
      { text: "Hi" },
      { reasoning: "I will look." },
      { id: "f_1", name: "f", input: { x: 1 } },
      { id: "g_2", name: "g", input: {} },
    ]);
    expect(read.stopReason).toBe("tool_use");
  });

  test.each([
    ["COMPLETE", "end_turn"],
    ["STOP_SEQUENCE", "stop_sequence"],
    ["MAX_TOKENS", "max_tokens"],
    ["TOOL_CALL", "end_turn"],
    ["ERROR_TOXIC", "content_filtered"],
    ["SOMETHING_NEW", "end_turn"],
  ])("F8 %s without calls is %s (assumes ERROR_TOXIC is the filter)", (finish, stopReason) => {
    expect(readWhole(cohere, whole({ content: "x" }, finish), memoOf()).stopReason).toBe(stopReason);
  });

  test("ERROR and TIMEOUT are failures", () => {
    const failed = failureOf(cohere.decode(bodyOf(whole({ content: [] }, "ERROR", { error: "boom" })), memoOf()));
    expect(failed).toMatchObject({
      error: { type: "ModelErrorException", message: "boom" },
      retry: "same_key",
      elsewhere: true,
    });
    const late = failureOf(cohere.decode(bodyOf(whole({ content: [] }, "TIMEOUT")), memoOf()));
    expect(late).toMatchObject({ error: { type: "ModelTimeoutException" }, retry: "same_key" });
  });

  test("F81 cut off within a call, the call is left out", () => {
    const message = { content: [], tool_calls: [{ id: "a", function: { name: "f", arguments: '{"x' } }] };
    expect(readWhole(cohere, whole(message, "MAX_TOKENS"), memoOf())).toMatchObject({
      content: [],
      stopReason: "max_tokens",
    });
  });

  test("the client's pointers lead into Cohere's answer", () => {
    const answer = cohere.decode(bodyOf(whole({ content: "x" })), memoOf({ responsePaths: ["/usage/cached_tokens"] }));
    expect(answer).toMatchObject({ response: { additionalModelResponseFields: { usage: { cached_tokens: 16 } } } });
  });
});

describe("F75 citations of a whole answer", () => {
  function cite(text: string, ...citations: readonly JsonObject[]) {
    return blocksOf({ content: [{ type: "text", text }], citations });
  }

  function piece(text: string, ...citations: readonly JsonObject[]) {
    return { citationsContent: { content: [{ text }], citations } };
  }

  test("the text is cut where they begin and end", () => {
    expect(cite("We offer gym cards.", { start: 9, end: 18, text: "gym cards", sources: [source] })).toEqual([
      { text: "We offer " },
      piece("gym cards", cited),
      { text: "." },
    ]);
  });

  test("offsets count characters, though some are two code units", () => {
    expect(cite("😀😀 gym!", { start: 3, end: 6, text: "gym", sources: [source] })).toEqual([
      { text: "😀😀 " },
      piece("gym", cited),
      { text: "!" },
    ]);
  });

  test("blank text between two is not lost, and none stands alone", () => {
    const blocks = cite(
      " gym cards ",
      { start: 5, end: 10, text: "cards", sources: [] },
      { start: 1, end: 4, text: "gym", sources: [source] },
    );
    expect(blocks).toEqual([piece(" gym ", cited), { text: "cards " }]);
  });

  test("those that overlap share a piece", () => {
    const other = { type: "tool", id: "f_1:0", tool_output: { t: 20 } };
    expect(
      cite(
        "gym cards",
        { start: 0, end: 5, text: "gym c", sources: [source] },
        { start: 4, end: 9, text: "cards", sources: [other] },
      ),
    ).toEqual([piece("gym cards", cited, { source: "f_1:0", sourceContent: [{ text: '{"t":20}' }] })]);
  });

  test.each<JsonObject>([
    { start: 2, end: 90, text: "gym", sources: [source] },
    { start: 3, end: 6, text: "gym", sources: [source] },
    { start: 3, end: 3, text: "", sources: [source] },
    { start: -1, end: 3, text: "gym", sources: [source] },
    { start: "0", end: null, sources: [source] },
  ])("%j is nowhere in the text, and cites all of it", (citation) => {
    expect(cite("gym cards", citation)).toEqual([piece("gym cards", cited)]);
  });

  test("sources of search results, of the web, and of nothing known", () => {
    const sources: JsonValue[] = [
      { type: "document", id: "search-result-3", document: { title: "T", text: "x" } },
      { type: "document", id: "7", document: { title: "T", snippet: "s", url: "https://example.com/a" } },
      {},
      null,
    ];
    expect(cite("gym", { start: 0, end: 3, text: "gym", sources })).toEqual([
      piece(
        "gym",
        {
          title: "T",
          source: "search-result-3",
          sourceContent: [{ text: "x" }],
          location: { searchResultLocation: { searchResultIndex: 2 } },
        },
        {
          title: "T",
          source: "7",
          sourceContent: [{ text: "s" }],
          location: { web: { url: "https://example.com/a" } },
        },
        {},
      ),
    ]);
  });

  test("each content has its own, and the plan's are left out", () => {
    const content = [
      { type: "thinking", thinking: "t" },
      { type: "text", text: "gym" },
      { type: "text", text: "card" },
    ];
    const citations = [
      { start: 0, end: 4, text: "card", content_index: 2, sources: [source], type: "TEXT_CONTENT" },
      { start: 0, end: 3, text: "gym", sources: [source] },
      { start: 0, end: 1, text: "I", sources: [source], type: "PLAN" },
    ];
    expect(blocksOf({ content, citations }).slice(1)).toEqual([piece("gym", cited), piece("card", cited)]);
  });

  test("F48 where the gateway looks for stop sequences, the text stays whole", () => {
    const citations = [{ start: 0, end: 3, text: "gym", sources: [source] }];
    expect(blocksOf({ content: "gym cards", citations }, memoOf({ stops: ["m c"] }))).toEqual([piece("gy", cited)]);
  });
});

describe("a stream", () => {
  function event(type: string, message: JsonObject, index?: number): JsonObject {
    return { type, ...(index !== undefined && { index }), delta: { message } };
  }

  function end(finish: JsonValue, more: JsonObject = {}): JsonObject {
    return { type: "message-end", delta: { finish_reason: finish, usage, ...more } };
  }

  function items(events: readonly (JsonObject | string)[]) {
    return events.map((data) => item(data, typeof data === "string" ? "" : textOf(data.type)));
  }

  const start = {
    type: "message-start",
    id: "c1",
    delta: { message: { role: "assistant", content: [], tool_plan: "", tool_calls: [], citations: [] } },
  };
  const hello = [
    event("content-start", { content: { type: "text", text: "" } }, 0),
    event("content-delta", { content: { text: "Hel" } }, 0),
    event("content-delta", { content: { text: "lo" } }, 0),
  ];

  test("typed events, the last of which ends it", () => {
    const reader = cohere.stream(memoOf());
    const step = drain(reader, items([start, ...hello, { type: "content-end", index: 0 }, end("COMPLETE")]));
    expect(step.done).toBe(true);
    const read = readStream(
      cohere,
      items([start, ...hello, { type: "content-end", index: 0 }, end("MAX_TOKENS"), "[DONE]"]),
      memoOf(),
    );
    expect(read).toEqual({
      content: [{ text: "Hello" }],
      stopReason: "max_tokens",
      usage: { inputTokens: 70, outputTokens: 9, totalTokens: 79 },
    });
  });

  test("the type stands in the data, or only in the event's name", () => {
    const named = [...hello, end("COMPLETE")].map(({ type, ...data }) => item(data, textOf(type)));
    expect(readStream(cohere, named, memoOf()).content).toEqual([{ text: "Hello" }]);
  });

  test("nothing is committed before the first content", () => {
    const reader = cohere.stream(memoOf());
    expect(reader.push(item(start)).events).toEqual([]);
  });

  test("F42 thinking, text, plan and calls; the content may stay open", () => {
    const read = readStream(
      cohere,
      items([
        start,
        event("content-start", { content: { type: "thinking", thinking: "h" } }, 0),
        event("content-delta", { content: { thinking: "m" } }, 0),
        { type: "content-end", index: 0 },
        event("content-start", { content: { type: "text", text: "" } }, 1),
        event("content-delta", { content: { text: "Hi" } }, 1),
        event("tool-plan-delta", { tool_plan: "I will" }),
        event("tool-plan-delta", { tool_plan: " look." }),
        event(
          "tool-call-start",
          { tool_calls: { id: "f_1", type: "function", function: { name: "f", arguments: "" } } },
          0,
        ),
        event("tool-call-delta", { tool_calls: { function: { arguments: '{"x"' } } }, 0),
        event("tool-call-delta", { tool_calls: { function: { arguments: ":1}" } } }, 0),
        { type: "tool-call-end", index: 0 },
        event(
          "tool-call-start",
          { tool_calls: { id: "g_2", type: "function", function: { name: "g", arguments: "null" } } },
          0,
        ),
        { type: "tool-call-end", index: 0 },
        { type: "content-end", index: 1 },
        end("TOOL_CALL"),
      ]),
      memoOf(),
    );
    expect(read.content).toEqual([
      { reasoning: "hm" },
      { text: "Hi" },
      { reasoning: "I will look." },
      { id: "f_1", name: "f", input: { x: 1 } },
      { id: "g_2", name: "g", input: {} },
    ]);
    expect(read.stopReason).toBe("tool_use");
  });

  test("F75 citations belong to the text, before and behind its end", () => {
    const citation = { start: 0, end: 5, text: "Hello", sources: [source], type: "TEXT_CONTENT" };
    const { events } = drain(
      cohere.stream(memoOf()),
      items([
        ...hello,
        event("citation-start", { citations: citation }, 0),
        { type: "citation-end", index: 0 },
        { type: "content-end", index: 0 },
        event("citation-start", { citations: [citation, { ...citation, type: "PLAN" }] }, 1),
        end("COMPLETE"),
      ]),
    );
    const deltas = events.flatMap((one) => ("contentBlockDelta" in one ? [one.contentBlockDelta] : []));
    expect(deltas.slice(2)).toEqual([
      { contentBlockIndex: 0, delta: { citation: cited } },
      { contentBlockIndex: 0, delta: { citation: cited } },
    ]);
  });

  test("a citation of the plan, or without any text, is none", () => {
    const citation = event("citation-start", { citations: { start: 0, end: 1, sources: [source] } });
    const read = readStream(
      cohere,
      items([
        citation,
        event("content-start", { content: { type: "text", text: " " } }, 0),
        citation,
        event("tool-plan-delta", { tool_plan: "x" }),
        citation,
        end("COMPLETE"),
      ]),
      memoOf(),
    );
    expect(read.content).toEqual([{ reasoning: "x" }]);
  });

  test("F67 without usage the numbers are estimates", () => {
    const reader = cohere.stream(memoOf());
    drain(reader, items([...hello, end("COMPLETE", { usage: null })]));
    expect(reader.usage()).toEqual({ usage: { inputTokens: 7, outputTokens: 2, totalTokens: 9 }, estimated: true });
  });

  test.each([
    ["at once", []],
    ["within the text", hello],
    ["before [DONE]", [...hello, "[DONE]"]],
    ["without a reason", [...hello, end(null)]],
  ])("F70 a stream that ends %s is a failure", (_, events) => {
    const step = drain(cohere.stream(memoOf()), items(events));
    expect(step.failure?.error.type).toBe("ModelStreamErrorException");
    expect(JSON.stringify(step.events)).not.toContain("messageStop");
  });

  test("ERROR and TIMEOUT, before and after output", () => {
    const typeOf = (events: readonly JsonObject[]) => drain(cohere.stream(memoOf()), items(events)).failure?.error;
    expect(typeOf([start, end("ERROR", { error: "boom" })])).toMatchObject({
      type: "ModelErrorException",
      message: "boom",
    });
    expect(typeOf([start, end("TIMEOUT")])?.type).toBe("ModelTimeoutException");
    expect(typeOf([...hello, end("ERROR")])?.type).toBe("ModelStreamErrorException");
    expect(typeOf([...hello, end("TIMEOUT")])?.type).toBe("ModelStreamErrorException");
  });

  test("F69 an error in place of an event", () => {
    const { failure, events } = drain(cohere.stream(memoOf()), [
      item({ message: "too many tokens: size limit exceeded" }),
    ]);
    expect(failure).toMatchObject({ error: { type: "ValidationException" }, elsewhere: true });
    expect(events).toEqual([]);
  });
});
