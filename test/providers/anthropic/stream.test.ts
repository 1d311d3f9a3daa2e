import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { textOf } from "../../../src/providers/answer.ts";
import { anthropic } from "../../../src/providers/anthropic/anthropic.ts";
import { readRedacted, readSignature } from "../../../src/providers/provenance.ts";
import { SseReader } from "../../../src/upstream/sse.ts";
import { collect } from "../collect.ts";
import { claudeMemo, message, messageEnd, messageStart, streamed, textBlock, toolBlock } from "./support.ts";

function delta(index: number, value: JsonObject): JsonObject {
  return { type: "content_block_delta", index, delta: value };
}

function start(index: number, content_block: JsonObject): JsonObject {
  return { type: "content_block_start", index, content_block };
}

const stop = (index: number): JsonObject => ({ type: "content_block_stop", index });
const ping: JsonObject = { type: "ping" };

function collected(...events: readonly (JsonObject | string)[]) {
  const { events: written, done } = streamed(events);
  expect(done).toBe(true);
  return collect(written);
}

describe("a stream", () => {
  test("of text and a call", () => {
    const { blocks, stopReason, usage } = collected(
      messageStart,
      ping,
      ...textBlock(0, "Okay", ", ", "let's"),
      ...toolBlock(1, "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "", '{"location":', ' "San', ' Francisco"}'),
      ...messageEnd("tool_use", { output_tokens: 89 }),
    );
    expect(blocks).toEqual([
      { text: "Okay, let's" },
      {
        start: { toolUse: { toolUseId: "toolu_01T1x1fJ34qAmk2tNTrN7Up6", name: "weather" } },
        input: '{"location": "San Francisco"}',
      },
    ]);
    expect(stopReason).toBe("tool_use");
    expect(usage).toEqual({ inputTokens: 12, outputTokens: 89, totalTokens: 101 });
  });

  test("F30 F40 of thinking: the signature comes last, also where the text is not shown", () => {
    const thinking = (index: number, ...deltas: readonly JsonObject[]) => [
      start(index, { type: "thinking", thinking: "", signature: "" }),
      ...deltas.map((value) => delta(index, value)),
      stop(index),
    ];
    const { blocks } = collected(
      messageStart,
      ...thinking(
        0,
        { type: "thinking_delta", thinking: "Let me" },
        { type: "thinking_delta", thinking: " see" },
        { type: "signature_delta", signature: "EqQB+/==" },
      ),
      ...thinking(1, { type: "signature_delta", signature: "second" }),
      ...textBlock(2, "Done"),
      ...messageEnd("end_turn"),
    );
    expect(blocks).toMatchObject([{ reasoning: "Let me see" }, {}, { text: "Done" }]);
    expect(blocks.slice(0, 2).map(({ signature = "" }) => readSignature(signature).blob)).toEqual([
      "EqQB+/==",
      "second",
    ]);
  });

  test("F33 of redacted thinking", () => {
    const { blocks } = collected(
      messageStart,
      start(0, { type: "redacted_thinking", data: "EmwK" }),
      stop(0),
      ...messageEnd("end_turn"),
    );
    expect(readRedacted(blocks[0]?.redacted ?? "").blob).toBe("EmwK");
  });

  test("F75 of citations", () => {
    const citation = {
      type: "char_location",
      cited_text: "c",
      document_index: 0,
      document_title: "D",
      start_char_index: 0,
      end_char_index: 1,
    };
    const { blocks } = collected(
      messageStart,
      start(0, { type: "text", text: "", citations: [] }),
      delta(0, { type: "citations_delta", citation }),
      delta(0, { type: "text_delta", text: "green" }),
      delta(0, { type: "citations_delta", citation: { type: "unknown" } }),
      stop(0),
      ...messageEnd("end_turn"),
    );
    expect(blocks).toEqual([{ text: "green", citations: 1 }]);
  });

  test("F66 of a call without input, and of one whose input came at once", () => {
    const { blocks } = collected(
      messageStart,
      ...toolBlock(0, "a", ""),
      ...toolBlock(1, "b"),
      start(2, { type: "tool_use", id: "c", name: "weather", input: { city: "Paris" } }),
      stop(2),
      start(3, { type: "tool_use", id: "d", name: "weather", input: { city: "Rome" } }),
      ...messageEnd("tool_use"),
    );
    expect(blocks.map(({ input }) => input)).toEqual(["{}", "{}", '{"city":"Paris"}', '{"city":"Rome"}']);
  });

  test("F62 whose indexes begin anywhere, or come again, or are missing", () => {
    const { blocks } = collected(
      messageStart,
      ...toolBlock(1, "a", '{"n":1}'),
      ...toolBlock(1, "b", '{"n":2}'),
      start(7, { type: "text", text: "x" }),
      stop(7),
      { type: "content_block_start", content_block: { type: "tool_use", id: "c", name: "weather", input: {} } },
      { type: "content_block_delta", delta: { type: "input_json_delta", partial_json: '{"n":3}' } },
      { type: "content_block_stop" },
      ...messageEnd("tool_use"),
    );
    expect(blocks.map(({ input, text }) => input ?? text)).toEqual(['{"n":1}', '{"n":2}', "x", '{"n":3}']);
  });

  test("F65 a call whose input looks complete is not closed before its end", () => {
    const { steps } = streamed([
      messageStart,
      start(0, { type: "tool_use", id: "a", name: "weather", input: {} }),
      delta(0, { type: "input_json_delta", partial_json: '{"a":1}' }),
      delta(0, { type: "input_json_delta", partial_json: " " }),
    ]);
    expect(steps.flatMap((step) => step.events).some((event) => "contentBlockStop" in event)).toBe(false);
  });

  test("F81 input that is cut off stays cut off", () => {
    const { blocks, stopReason } = collected(
      messageStart,
      ...toolBlock(0, "a", '{"city": "Pa'),
      ...messageEnd("max_tokens"),
    );
    expect(blocks[0]?.input).toBe('{"city": "Pa');
    expect(stopReason).toBe("max_tokens");
  });

  test("of the provider's own tools says nothing of them", () => {
    const { blocks, stopReason } = collected(
      messageStart,
      start(0, { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} }),
      delta(0, { type: "input_json_delta", partial_json: '{"query":"x"}' }),
      stop(0),
      start(1, { type: "compaction", content: null }),
      delta(1, { type: "compaction_delta", content: "summary" }),
      stop(1),
      ...textBlock(2, "found"),
      ...messageEnd("pause_turn"),
    );
    expect(blocks).toEqual([{ text: "found" }]);
    expect(stopReason).toBe("end_turn");
  });

  test("whose message begins with blocks that are complete", () => {
    const content = [
      { type: "tool_use", id: "a", name: "weather", input: { city: "Rome" } },
      { type: "text", text: "and" },
    ];
    const { blocks } = collected(
      { type: "message_start", message: message(content, { stop_reason: null }) },
      ...textBlock(2, "so"),
      ...messageEnd("tool_use"),
    );
    expect(blocks).toMatchObject([{ input: '{"city":"Rome"}' }, { text: "and" }, { text: "so" }]);
  });

  test("of a refusal has no content", () => {
    const { blocks, stopReason } = collected(
      messageStart,
      {
        type: "message_delta",
        delta: { stop_reason: "refusal", stop_sequence: null, stop_details: { type: "refusal", category: null } },
        usage: { output_tokens: 1 },
      },
      { type: "message_stop" },
    );
    expect(blocks).toEqual([]);
    expect(stopReason).toBe("content_filtered");
  });

  test("tells the stop sequence that was asked for, as it stands here and as it stands in a whole answer", () => {
    const memo = claudeMemo({ responsePaths: ["/delta/stop_sequence", "/stop_sequence"] });
    const end = { type: "message_delta", delta: { stop_reason: "stop_sequence", stop_sequence: "END" }, usage: {} };
    const { events } = streamed([messageStart, ...textBlock(0, "a"), end, { type: "message_stop" }], memo);
    expect(collect(events).additional).toEqual({ delta: { stop_sequence: "END" }, stop_sequence: "END" });
  });

  test("F53 the hidden tool's input is text", () => {
    const memo = claudeMemo({ answerTool: "weather" });
    const text = (...pieces: readonly string[]) =>
      collect(streamed([messageStart, ...toolBlock(0, "a", ...pieces), ...messageEnd("tool_use")], memo).events);
    expect(text('{"n":', "1}")).toMatchObject({ blocks: [{ text: '{"n":1}' }], stopReason: "end_turn" });
    expect(text()).toMatchObject({ blocks: [{ text: "{}" }] });
  });
});

describe("usage", () => {
  test("F67 at the end replaces what it repeats of the beginning", () => {
    const { usage } = collected(
      {
        type: "message_start",
        message: message([], {
          usage: {
            input_tokens: 12,
            cache_creation_input_tokens: 30,
            cache_read_input_tokens: 0,
            cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
            output_tokens: 1,
          },
        }),
      },
      ...textBlock(0, "a"),
      ...messageEnd("end_turn", { input_tokens: 20, cache_read_input_tokens: 5, output_tokens: 9 }),
    );
    expect(usage).toEqual({
      inputTokens: 20,
      outputTokens: 9,
      totalTokens: 64,
      cacheReadInputTokens: 5,
      cacheWriteInputTokens: 30,
      cacheDetails: [
        { ttl: "1h", inputTokens: 20 },
        { ttl: "5m", inputTokens: 10 },
      ],
    });
  });

  test("is known for a stream that is cut", () => {
    const { stream } = streamed([messageStart, ...textBlock(0, "a")]);
    expect(stream.usage()).toEqual({ usage: { inputTokens: 12, outputTokens: 1, totalTokens: 13 }, estimated: false });
  });

  test("is estimated where the provider does not say", () => {
    const { stream } = streamed([...textBlock(0, "four"), ...messageEnd("end_turn", {})]);
    expect(stream.usage()).toEqual({ usage: { inputTokens: 7, outputTokens: 1, totalTokens: 8 }, estimated: true });
  });
});

describe("commitment", () => {
  test("F69 an error is a failure before anything is committed, also behind message_start and pings", () => {
    const error = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } };
    for (const before of [[], [messageStart], [messageStart, ping]]) {
      const { events, failure } = streamed([...before, error]);
      expect(events).toEqual([]);
      expect(failure).toMatchObject({
        error: { type: "ServiceUnavailableException" },
        retry: "same_key",
        elsewhere: true,
      });
    }
  });

  test("the answer begins with its first block", () => {
    const { steps } = streamed([messageStart, ping, start(0, { type: "text", text: "" })]);
    expect(steps.map(({ events }) => events.length)).toEqual([0, 0, 1, 0]);
    expect(steps[2]?.events).toEqual([{ messageStart: { role: "assistant" } }]);
  });

  test("an error in the middle lets what was written stand, and nothing follows", () => {
    const error = { type: "error", error: { type: "rate_limit_error", message: "slow down" } };
    const { events, failure, done } = streamed([messageStart, start(0, { type: "text", text: "a" }), error]);
    expect(events).toHaveLength(2);
    expect(failure?.error.type).toBe("ThrottlingException");
    expect(done).toBe(false);
  });
});

describe("F70 a stream that ends too early is a failure", () => {
  const truncated = { error: { type: "ModelStreamErrorException" } };

  test.each([
    ["before anything", []],
    ["behind message_start", [messageStart]],
    ["within a block", [messageStart, start(0, { type: "text", text: "a" })]],
    ["behind a block", [messageStart, ...textBlock(0, "a")]],
    ["with message_stop but without a stop reason", [messageStart, ...textBlock(0, "a"), { type: "message_stop" }]],
  ])("%s", (_, events: readonly JsonObject[]) => {
    const { failure, events: written } = streamed(events);
    expect(failure).toMatchObject(truncated);
    expect(written.some((event) => "messageStop" in event)).toBe(false);
  });

  test("but not when only message_stop is missing, or is [DONE]", () => {
    const finished = [messageStart, ...textBlock(0, "a"), ...messageEnd("end_turn").slice(0, 1)];
    expect(streamed(finished)).toMatchObject({ done: true, failure: undefined });
    expect(streamed([...finished, "[DONE]"])).toMatchObject({ done: true, failure: undefined });
  });
});

describe("F72 a second message_start", () => {
  test("of the same message is a repetition, and its usage does not count", () => {
    const again = { type: "message_start", message: message([], { usage: { input_tokens: 99, output_tokens: 1 } }) };
    const { usage, blocks } = collected(messageStart, again, ...textBlock(0, "ok"), ...messageEnd("end_turn"));
    expect(blocks).toEqual([{ text: "ok" }]);
    expect(usage?.inputTokens).toBe(12);
  });

  test("of another message is a failure", () => {
    const { failure } = streamed([messageStart, { type: "message_start", message: message([], { id: "msg_other" }) }]);
    expect(failure?.error.type).toBe("ModelStreamErrorException");
  });
});

describe("events that are none", () => {
  test.each([
    ["not JSON"],
    ["[]"],
    ["null"],
    [start(0, { type: "text", text: 5 })],
    [start(0, { type: "tool_use", id: "a", name: "" })],
    [start(0, { type: "tool_use", id: "a", name: "f", input: [] })],
    [{ type: "content_block_start", index: 0 }],
    [delta(0, { type: "text_delta" })],
    [delta(0, { type: "text_delta", text: { a: 1 } })],
    [delta(0, { type: "thinking_delta", thinking: null })],
    [delta(0, { type: "signature_delta", signature: 1 })],
    [delta(0, { type: "input_json_delta", partial_json: {} })],
    [`{"type":"content_block_start","content_block":${"[".repeat(20_000)}${"]".repeat(20_000)}}`],
  ])("%j is a failure", (event) => {
    expect(streamed([messageStart, event]).failure).toMatchObject({
      error: { type: "ModelStreamErrorException" },
      retry: "same_key",
    });
  });

  test.each([
    [{}],
    [{ type: 5 }],
    [{ type: "something_new", error: null }],
    [{ type: "message_start" }],
    [{ type: "content_block_delta", index: 0 }],
    [delta(0, { type: "hologram_delta", hologram: "x" })],
    [delta(9, { type: "input_json_delta", partial_json: "x" })],
    [start(0, { type: "hologram" })],
    [{ type: "content_block_stop", index: "x" }],
    [{ type: "message_delta" }],
    [{ type: "message_delta", delta: { stop_reason: null }, usage: "x" }],
  ])("%j is nothing to worry about", (event: JsonObject) => {
    const { failure, done } = streamed([event, ...textBlock(0, "a"), ...messageEnd("end_turn")]);
    expect(failure).toBeUndefined();
    expect(done).toBe(true);
  });
});

test("F58 F59 recorded bytes, cut anywhere", () => {
  const text = `event: message_start\r\ndata: ${JSON.stringify(messageStart)}\r\n\r\n: comment\r\n\r\nevent: ping\r\ndata: {"type": "ping"}\r\n\r\n${[
    ...textBlock(0, "日本", "語 🎉"),
    ...messageEnd("end_turn"),
  ]
    .map((event) => `event: ${textOf(event.type)}\r\ndata: ${JSON.stringify(event)}\r\n\r\n`)
    .join("")}`;
  const bytes = Buffer.from(text);
  for (let cut = 1; cut < bytes.length; cut += 7) {
    const reader = new SseReader();
    const stream = anthropic.stream(claudeMemo());
    const items = [...reader.push(bytes.subarray(0, cut)), ...reader.push(bytes.subarray(cut)), ...reader.end()];
    const events = items.flatMap((item) => stream.push(item).events);
    expect(collect(events)).toMatchObject({ blocks: [{ text: "日本語 🎉" }], stopReason: "end_turn" });
  }
});
