import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ConverseResponse } from "../../src/bedrock/converse.ts";
import { eventsOf } from "../../src/bedrock/converse-events.ts";
import { encodeEvent } from "../../src/bedrock/event-stream.ts";
import { isConverseResponse, isSameInStream, readConverseFrames } from "../../src/gateway/kept-answer.ts";
import { converseAnswer } from "../support/answers.ts";
import { converseFrames } from "../support/frames.ts";

const words = fc.string({ minLength: 1, unit: "grapheme" });
const blocks = fc.oneof(
  words.map((text) => ({ text })),
  fc.record({ text: words, signature: words }).map((reasoningText) => ({ reasoningContent: { reasoningText } })),
  fc.base64String({ minLength: 4 }).map((redactedContent) => ({ reasoningContent: { redactedContent } })),
  fc
    .record({ toolUseId: words, name: words, input: fc.dictionary(words, fc.oneof(words, fc.integer())) })
    .map((toolUse) => ({ toolUse })),
  fc.record({ text: words, title: words }).map(({ text, title }) => ({
    citationsContent: { content: [{ text }], citations: [{ title, location: { web: { url: "https://a.test" } } }] },
  })),
);
const responses: fc.Arbitrary<ConverseResponse> = fc.record(
  {
    output: fc.array(blocks, { maxLength: 5 }).map((content) => ({ message: { role: "assistant" as const, content } })),
    stopReason: fc.constantFrom("end_turn" as const, "stop_sequence" as const, "tool_use" as const),
    usage: fc.record({ inputTokens: fc.nat(), outputTokens: fc.nat(), totalTokens: fc.nat() }),
    metrics: fc.record({ latencyMs: fc.nat() }),
    additionalModelResponseFields: fc.dictionary(words, words),
    serviceTier: fc.constant({ type: "flex" as const }),
  },
  { requiredKeys: ["output", "stopReason", "usage", "metrics"] },
);

describe("an answer that is kept", () => {
  test("comes out of a stream as it went in", () => {
    fc.assert(
      fc.property(responses, (response) => {
        expect(isConverseResponse(response)).toBe(true);
        expect(isSameInStream(response)).toBe(true);
        const frames = eventsOf(response).flatMap((event) =>
          Object.entries(event).map(([name, payload]) => encodeEvent(name, JSON.stringify(payload))),
        );
        expect(readConverseFrames(frames)).toEqual(JSON.parse(JSON.stringify(response)));
      }),
    );
  });

  test("is read from Bedrock's frames, wherever they are cut", () => {
    fc.assert(
      fc.property(fc.array(words, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 200 }), (pieces, size) => {
        const bytes = Buffer.concat(converseFrames({ pieces }));
        const runs: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += size) runs.push(bytes.subarray(at, at + size));
        const answer = readConverseFrames(runs);
        expect(answer).toMatchObject({
          output: { message: { role: "assistant", content: [{ text: pieces.join("") }] } },
          stopReason: "end_turn",
          usage: { inputTokens: 12 },
        });
      }),
    );
  });

  test.each<[string, object]>([
    ["with a member of tomorrow", { tomorrow: 1 }],
    ["with a block of tomorrow", { output: { message: { role: "assistant", content: [{ hologram: {} }] } } }],
    [
      "with two members in one block",
      { output: { message: { role: "assistant", content: [{ text: "a", mood: "b" }] } } },
    ],
    [
      "with a block that is not what it says",
      { output: { message: { role: "assistant", content: [{ toolUse: null }] } } },
    ],
    [
      "with citations whose text is in two",
      {
        output: {
          message: {
            role: "assistant",
            content: [{ citationsContent: { content: [{ text: "a" }, { text: "b" }], citations: [{ title: "t" }] } }],
          },
        },
      },
    ],
  ])("is none %s", (_what, change) => {
    const answer: unknown = { ...converseAnswer, ...change };
    expect(isConverseResponse(answer) && isSameInStream(answer)).toBe(false);
  });

  test.each<[string, Buffer[]]>([
    ["that does not end", converseFrames().slice(0, -1)],
    ["that does not stop", converseFrames().filter((_frame, at, all) => at !== all.length - 2)],
    ["with an event of tomorrow", [encodeEvent("tomorrow", "{}"), ...converseFrames()]],
    [
      "with a delta of tomorrow",
      [
        ...converseFrames().slice(0, 2),
        encodeEvent("contentBlockDelta", '{"contentBlockIndex":0,"delta":{"hologram":"x"}}'),
        ...converseFrames().slice(2),
      ],
    ],
    [
      "with an event that is no JSON",
      [...converseFrames().slice(0, 1), encodeEvent("contentBlockDelta", "{"), ...converseFrames().slice(1)],
    ],
    [
      "with a call cut off within its input",
      converseFrames({ toolUse: { toolUseId: "t", name: "n", fragments: ['{"a":'] } }),
    ],
  ])("is none from a stream %s", (_what, frames) => {
    expect(readConverseFrames(frames)).toBeUndefined();
  });
});
