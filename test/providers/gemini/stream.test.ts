import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { gemini } from "../../../src/providers/gemini/gemini.ts";
import { asContent, collected, geminiMemo, streamed, streamFailure } from "./support.ts";

function chunk(parts: readonly JsonObject[], candidate: JsonObject = {}, body: JsonObject = {}): JsonObject {
  return { candidates: [{ content: { parts, role: "model" }, index: 0, ...candidate }], ...body };
}

const stop = { finishReason: "STOP" };
const usage = (candidates: number) => ({
  usageMetadata: { promptTokenCount: 15, candidatesTokenCount: candidates, thoughtsTokenCount: 52 },
});

test("text in pieces is given at once, the end when Google closes the stream", () => {
  const { steps } = streamed([chunk([{ text: "Hel" }], {}, usage(1)), chunk([{ text: "lo" }], stop, usage(2))]);
  expect(steps.map((step) => step.events)).toEqual([
    [{ messageStart: { role: "assistant" } }, { contentBlockDelta: { contentBlockIndex: 0, delta: { text: "Hel" } } }],
    [{ contentBlockDelta: { contentBlockIndex: 0, delta: { text: "lo" } } }],
    [
      { contentBlockStop: { contentBlockIndex: 0 } },
      { messageStop: { stopReason: "end_turn" } },
      { metadata: { usage: { inputTokens: 15, outputTokens: 54, totalTokens: 69 }, metrics: { latencyMs: 0 } } },
    ],
  ]);
  expect(steps.map((step) => step.done)).toEqual([false, false, true]);
});

test("nothing is begun before there is content: a chunk may tell usage alone", () => {
  const { steps } = streamed([
    { usageMetadata: { promptTokenCount: 1 } },
    { candidates: [] },
    chunk([{ text: "" }]),
    chunk([{ text: "a" }], stop),
  ]);
  expect(steps.slice(0, 3).flatMap((step) => step.events)).toEqual([]);
});

test("F61 parallel calls, each in a chunk of its own or many in one, are blocks of their own", () => {
  const call = (name: string) => ({ functionCall: { name, args: { of: name } } });
  const apart = collected([chunk([call("a")]), chunk([call("b")]), chunk([call("c")], stop)]);
  const together = collected([chunk([call("a"), call("b"), call("c")], stop)]);
  expect(apart).toEqual({ ...together, usage: apart.usage });
  expect(together.blocks.map((block) => block.input)).toEqual(['{"of":"a"}', '{"of":"b"}', '{"of":"c"}']);
  expect(together.stopReason).toBe("tool_use");
  const ids = together.blocks.map((block) => JSON.stringify(block.start));
  expect(new Set(ids).size).toBe(3);
});

test("parts of all kinds in one chunk, with the finish reason, are read part by part", () => {
  const { blocks, stopReason } = collected([
    chunk([{ text: "hm", thought: true }, { text: "so" }, { functionCall: { name: "f" } }, { text: "and" }], stop),
  ]);
  expect(blocks).toMatchObject([{ reasoning: "hm" }, { text: "so" }, { input: "{}" }, { text: "and" }]);
  expect(stopReason).toBe("tool_use");
});

test("F42 a change between thinking and speaking is a new block", () => {
  const { blocks } = collected([
    chunk([{ text: "a", thought: true }]),
    chunk([{ text: "b", thought: true }]),
    chunk([{ text: "c" }]),
    chunk([{ text: "d", thought: true }], stop),
  ]);
  expect(blocks).toEqual([{ reasoning: "ab" }, { text: "c" }, { reasoning: "d" }]);
});

test("an image is one block", () => {
  const image = chunk([{ inlineData: { mimeType: "image/png", data: "aGk=" } }], stop);
  expect(collected([image]).blocks).toEqual([{ start: { image: { format: "png" } }, image: "aGk=" }]);
});

test("usage may come with, before or after the finish reason; the last word counts", () => {
  const expected = { inputTokens: 15, outputTokens: 54, totalTokens: 69 };
  const text = [{ text: "a" }];
  expect(collected([chunk(text, stop, usage(2))]).usage).toEqual(expected);
  expect(collected([chunk(text, {}, usage(1)), chunk([], stop), usage(2)]).usage).toEqual(expected);
  expect(collected([chunk(text, {}, usage(2)), chunk([], stop, { usageMetadata: {} })]).usage).toEqual(expected);
});

test("F74 what the search found may come before the end", () => {
  const grounding = { groundingMetadata: { groundingChunks: [{ web: { uri: "https://a.example" } }] } };
  const { blocks } = collected([chunk([{ text: "a" }], grounding), chunk([{ text: "b" }], stop)]);
  expect(blocks).toEqual([{ text: "ab", citations: 1 }]);
});

test("F74 a blocked prompt is an empty answer that was filtered", () => {
  const { blocks, stopReason } = collected([
    { promptFeedback: { blockReason: "SAFETY" }, usageMetadata: { promptTokenCount: 9 } },
  ]);
  expect(blocks).toEqual([]);
  expect(stopReason).toBe("content_filtered");
});

test("an empty answer begins and ends", () => {
  expect(asContent(collected([chunk([], stop)]))).toEqual([]);
});

describe("broken streams", () => {
  test("F70 an end without a finish reason is a failure, at whatever point", () => {
    for (const chunks of [[], [chunk([{ text: "half" }])], [{ usageMetadata: { promptTokenCount: 1 } }]]) {
      const failure = streamFailure(chunks);
      expect(failure.error.type).toBe("ModelStreamErrorException");
      expect(failure).toMatchObject({ retry: "same_key", elsewhere: true });
    }
  });

  test("F69 an error as the first event commits nothing", () => {
    const error = {
      error: { code: 429, message: "slow down", status: "RESOURCE_EXHAUSTED", details: [{ retryDelay: "34.4s" }] },
    };
    const { steps } = streamed([error]);
    expect(steps).toHaveLength(1);
    expect(steps[0]?.events).toEqual([]);
    expect(steps[0]?.failure?.error).toMatchObject({ type: "ThrottlingException", retryAfterSeconds: 35 });
  });

  test("F69 an error in the middle stands behind what was said", () => {
    const error = { error: { code: 500, message: "oops", status: "INTERNAL" } };
    const { steps } = streamed([chunk([{ text: "a" }]), error]);
    expect(steps[1]).toMatchObject({ done: false, failure: { error: { type: "ServiceUnavailableException" } } });
  });

  test.each(["", "[]", "null", "{", "[DONE]", '[{"error":{"code":500}}]'])("%j is no event of Google's", (data) => {
    const step = gemini.stream(geminiMemo()).push({ event: "", data });
    expect(step.failure?.error.type).toBe("ModelStreamErrorException");
  });

  test("a call without a name fails, behind what came before it", () => {
    const { steps } = streamed([chunk([{ text: "a" }, { functionCall: { args: {} } }])]);
    expect(steps[0]?.events).toHaveLength(2);
    expect(steps[0]?.failure).toBeDefined();
  });

  test("what a cut stream has used is known", () => {
    const stream = gemini.stream(geminiMemo());
    stream.push({ event: "", data: JSON.stringify(chunk([{ text: "a" }], {}, usage(1))) });
    expect(stream.usage()).toEqual({ usage: { inputTokens: 15, outputTokens: 53, totalTokens: 68 }, estimated: false });
  });
});

test("our own stop sequence ends the stream at once", () => {
  const { steps } = streamed(
    [chunk([{ text: "a ## b" }]), chunk([{ text: "never" }], stop)],
    geminiMemo({ stops: ["##"] }),
  );
  expect(steps).toHaveLength(1);
  expect(steps[0]?.done).toBe(true);
  expect(steps[0]?.events).toContainEqual({ messageStop: { stopReason: "stop_sequence" } });
});
