import { describe, expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import type { Memo } from "../../../src/providers/dialect.ts";
import { mistral } from "../../../src/providers/mistral/mistral.ts";
import { bodyOf, drain, failureOf, item, readStream, readWhole } from "../both-ways.ts";
import { memoOf } from "../fixtures.ts";

const usage = { prompt_tokens: 10, completion_tokens: 4, total_tokens: 14 };

function whole(message: JsonObject, finish: JsonValue = "stop", more: JsonObject = {}): JsonObject {
  const choices = [{ index: 0, message: { role: "assistant", ...message }, finish_reason: finish }];
  return { id: "a1", object: "chat.completion", model: "m", choices, usage, ...more };
}

function chunk(delta: JsonObject, finish: JsonValue = null, more: JsonObject = {}): JsonObject {
  return { id: "a1", object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: finish }], ...more };
}

function call(name: string, input: JsonValue, more: JsonObject = {}): JsonObject {
  return { id: "Abc123xyZ", function: { name, arguments: input }, ...more };
}

describe("a whole answer", () => {
  test("text, usage, and the reason to stop", () => {
    expect(readWhole(mistral, whole({ content: "Hello", tool_calls: null }), memoOf())).toEqual({
      content: [{ text: "Hello" }],
      stopReason: "end_turn",
      usage: { inputTokens: 10, outputTokens: 4, totalTokens: 14 },
    });
  });

  test("thinking and text in parts, other parts left out; F3 empty ones are no blocks", () => {
    const content = [
      {
        type: "thinking",
        thinking: [
          { type: "text", text: "let me" },
          { type: "reference", reference_ids: [1] },
        ],
        closed: true,
      },
      { type: "thinking", thinking: [{ type: "text", text: " see" }] },
      { type: "text", text: "" },
      { type: "text", text: "It" },
      { type: "reference", reference_ids: [1] },
      { type: "text", text: " is." },
    ];
    expect(readWhole(mistral, whole({ content }), memoOf()).content).toEqual([
      { reasoning: "let me see" },
      { text: "It is." },
    ]);
  });

  test("F7 calls, with the client's names; the reason follows the content", () => {
    const memo = memoOf({ toolNames: new Map([["a_1", "a.b"]]) });
    const read = readWhole(mistral, whole({ content: "", tool_calls: [call("a_1", '{"x":1}')] }), memo);
    expect(read.content).toEqual([{ id: "Abc123xyZ", name: "a.b", input: { x: 1 } }]);
    expect(read.stopReason).toBe("tool_use");
    expect(readWhole(mistral, whole({ content: "x" }, "tool_calls"), memo).stopReason).toBe("end_turn");
  });

  test.each<JsonValue>(["", "null", '"null"', null, "{}", {}])("F66 the arguments %j are none", (input) => {
    const { content } = readWhole(
      mistral,
      whole({ content: "", tool_calls: [call("f", input)] }, "tool_calls"),
      memoOf(),
    );
    expect(content).toEqual([{ id: "Abc123xyZ", name: "f", input: {} }]);
  });

  test.each<JsonValue>(["", "null", null, 7])("F23 the id %j is none, and one is made", (id) => {
    const read = () => readWhole(mistral, whole({ tool_calls: [call("f", {}, { id })] }, "tool_calls"), memoOf());
    expect(read().content[0]).toMatchObject({ id: expect.stringMatching(/^tooluse_\w{22}$/) });
    expect(read()).toEqual(read());
  });

  test.each([
    ["stop", "end_turn"],
    ["length", "max_tokens"],
    ["model_length", "model_context_window_exceeded"],
    ["content_filter", "content_filtered"],
    ["something new", "end_turn"],
  ])("%s is %s", (finish, stopReason) => {
    expect(readWhole(mistral, whole({ content: "x" }, finish), memoOf()).stopReason).toBe(stopReason);
  });

  test("F81 cut off within a call, the call is left out", () => {
    const read = readWhole(mistral, whole({ content: "a", tool_calls: [call("f", '{"x')] }, "length"), memoOf());
    expect(read).toMatchObject({ content: [{ text: "a" }], stopReason: "max_tokens" });
  });

  test.each<[JsonObject, JsonObject]>([
    [{ num_cached_tokens: 6 }, { inputTokens: 4, cacheReadInputTokens: 6 }],
    [{ prompt_tokens_details: { cached_tokens: 6 } }, { inputTokens: 4, cacheReadInputTokens: 6 }],
    [{ prompt_token_details: { cached_tokens: 6 } }, { inputTokens: 4, cacheReadInputTokens: 6 }],
    [{ num_cached_tokens: 60 }, { inputTokens: 0, cacheReadInputTokens: 60 }],
    [{ num_cached_tokens: "6", prompt_tokens_details: null }, { inputTokens: 10 }],
  ])("B.3 usage with %j", (more, expected) => {
    const read = readWhole(mistral, whole({ content: "x" }, "stop", { usage: { ...usage, ...more } }), memoOf());
    expect(read.usage).toMatchObject(expected);
  });

  test("usage that is missing or nonsense is estimated", () => {
    for (const odd of [null, {}, { prompt_tokens: "x", completion_tokens: null }, 5, []]) {
      const answer = mistral.decode(bodyOf(whole({ content: "12345678" }, "stop", { usage: odd })), memoOf());
      expect(answer).toMatchObject({ estimated: true, response: { usage: { inputTokens: 7, outputTokens: 2 } } });
    }
  });

  test("the client's pointers lead into Mistral's answer", () => {
    const memo = memoOf({ responsePaths: ["/usage/prompt_tokens", "/choices/0/finish_reason"] });
    const answer = mistral.decode(bodyOf(whole({ content: "x" })), memo);
    expect(answer).toMatchObject({
      response: {
        additionalModelResponseFields: { usage: { prompt_tokens: 10 }, choices: { 0: { finish_reason: "stop" } } },
      },
    });
  });
});

describe("a stream", () => {
  function stream(chunks: readonly (JsonObject | string)[], memo: Memo = memoOf()) {
    return readStream(
      mistral,
      chunks.map((data) => item(data)),
      memo,
    );
  }

  test("text in pieces, usage with the last, and [DONE]", () => {
    const read = stream([
      chunk({ role: "assistant", content: "" }),
      chunk({ content: "Hel" }),
      chunk({ content: "lo" }),
      chunk({ content: "" }, "stop", { usage: { ...usage, num_cached_tokens: 2 } }),
      "[DONE]",
    ]);
    expect(read).toEqual({
      content: [{ text: "Hello" }],
      stopReason: "end_turn",
      usage: { inputTokens: 8, outputTokens: 4, totalTokens: 14, cacheReadInputTokens: 2 },
    });
  });

  test("nothing is committed before the first content, so that a failure can still go elsewhere", () => {
    const reader = mistral.stream(memoOf());
    expect(reader.push(item(chunk({ role: "assistant", content: "" }))).events).toEqual([]);
    expect(reader.push(item(chunk({ content: "H" }))).events[0]).toEqual({ messageStart: { role: "assistant" } });
  });

  test("F42 thinking, then text", () => {
    const think = (text: string) => chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text }] }] });
    const read = stream([
      think("let me"),
      think(" see"),
      chunk({ content: [{ type: "text", text: "It" }] }),
      chunk({ content: " is" }, "stop"),
    ]);
    expect(read.content).toEqual([{ reasoning: "let me see" }, { text: "It is" }]);
  });

  test("F64 null members, F63 deltas without type and index", () => {
    const read = stream([
      chunk({ role: "", content: null, tool_calls: null }),
      chunk({ content: null, tool_calls: [call("weather", '{"a":', { type: null })] }),
      chunk({ tool_calls: [{ id: "null", function: { name: "", arguments: "1}" } }] }, "tool_calls", { usage }),
    ]);
    expect(read.content).toEqual([{ id: "Abc123xyZ", name: "weather", input: { a: 1 } }]);
    expect(read.stopReason).toBe("tool_use");
  });

  test("several whole calls in one delta, without ids and indexes, are several", () => {
    const calls = [1, 2].map((n) => ({ function: { name: "f", arguments: { n } } }));
    const { content } = stream([chunk({ tool_calls: calls }, "tool_calls")]);
    expect(content).toMatchObject([
      { name: "f", input: { n: 1 } },
      { name: "f", input: { n: 2 } },
    ]);
  });

  test("the finish may stand in the chunk of the content, usage behind it, and [DONE] be missing", () => {
    const read = stream([chunk({ content: "x" }, "length"), { choices: [], usage }]);
    expect(read).toMatchObject({ content: [{ text: "x" }], stopReason: "max_tokens", usage: { inputTokens: 10 } });
  });

  test("F67 without usage the numbers are estimates", () => {
    const reader = mistral.stream(memoOf());
    drain(reader, [item(chunk({ content: "12345678" }, "stop"))]);
    expect(reader.usage()).toEqual({ usage: { inputTokens: 7, outputTokens: 2, totalTokens: 9 }, estimated: true });
  });

  test.each([
    ["at once", []],
    ["within the text", [chunk({ content: "x" })]],
    ["before [DONE]", [chunk({ content: "x" }), "[DONE]"]],
  ])("F70 a stream that ends without a reason %s is a failure", (_, chunks) => {
    const { failure, events } = drain(
      mistral.stream(memoOf()),
      chunks.map((data) => item(data)),
    );
    expect(failure?.error.type).toBe("ModelStreamErrorException");
    expect(JSON.stringify(events)).not.toContain("messageStop");
  });

  test("F69 an error in an event", () => {
    const error = {
      object: "error",
      message: "Service tier capacity exceeded",
      type: "service_tier_capacity_exceeded",
      code: "3505",
    };
    const first = drain(mistral.stream(memoOf()), [item(error)]);
    expect(first).toMatchObject({ events: [], failure: { error: { type: "ThrottlingException" }, elsewhere: true } });
    const later = drain(mistral.stream(memoOf()), [item(chunk({ content: "x" })), item(error)]);
    expect(later.events).toHaveLength(2);
    expect(later.failure?.error.type).toBe("ThrottlingException");
  });

  test("the finish reason error, before and after output", () => {
    expect(drain(mistral.stream(memoOf()), [item(chunk({}, "error"))]).failure?.error.type).toBe(
      "ServiceUnavailableException",
    );
    const begun = drain(mistral.stream(memoOf()), [item(chunk({ content: "x" })), item(chunk({}, "error"))]);
    expect(begun.failure?.error.type).toBe("ModelStreamErrorException");
    const answer = mistral.decode(bodyOf(whole({ content: "x" }, "error")), memoOf());
    expect(failureOf(answer)).toMatchObject({
      error: { type: "ServiceUnavailableException" },
      retry: "same_key",
      elsewhere: true,
    });
  });
});
