/** A complete answer and the same answer streamed, in whatever pieces, are the same to the client. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import type { Memo } from "../../../src/providers/dialect.ts";
import { gemini } from "../../../src/providers/gemini/gemini.ts";
import { SseReader } from "../../../src/upstream/sse.ts";
import { jsonObject, text } from "../../bedrock/arbitraries.ts";
import { collect } from "../collect.ts";
import { asContent, decodeWhole, geminiMemo, geminiTarget, vertexTarget } from "./support.ts";

const signature = fc.option(fc.base64String({ minLength: 4, maxLength: 12 }), { nil: undefined });
const signed = <T extends JsonObject>(part: fc.Arbitrary<T>): fc.Arbitrary<JsonObject> =>
  fc
    .tuple(part, signature)
    .map(([value, thoughtSignature]) => ({ ...value, ...(thoughtSignature && { thoughtSignature }) }));

const part: fc.Arbitrary<JsonObject> = fc.oneof(
  { weight: 4, arbitrary: signed(fc.record({ text })) },
  { weight: 2, arbitrary: signed(fc.record({ text, thought: fc.constant(true) })) },
  {
    weight: 2,
    arbitrary: signed(
      fc.record({
        functionCall: fc.record(
          { id: fc.constantFrom("a", "b", ""), name: fc.constantFrom("f", "sent"), args: jsonObject },
          { requiredKeys: ["name"] },
        ),
      }),
    ),
  },
  signed(
    fc.record({
      inlineData: fc.record({ mimeType: fc.constantFrom("image/png", "audio/wav"), data: fc.constant("aGk=") }),
    }),
  ),
  fc.record({ executableCode: fc.record({ language: fc.constant("PYTHON"), code: text }) }),
);

const count = fc.nat(1000);
const answer = fc.record({
  parts: fc.array(part, { maxLength: 6 }),
  finishReason: fc.constantFrom("STOP", "MAX_TOKENS", "SAFETY", "OTHER", "MALFORMED_FUNCTION_CALL"),
  finishMessage: fc.constantFrom("", "why"),
  usageMetadata: fc.option(
    fc.record(
      {
        promptTokenCount: count,
        candidatesTokenCount: count,
        thoughtsTokenCount: count,
        cachedContentTokenCount: count,
      },
      { requiredKeys: [] },
    ),
    { nil: undefined },
  ),
});

/** Text in pieces; the signature comes with the last of them. */
function split({ text: whole, ...rest }: JsonObject, at: readonly number[]): JsonObject[] {
  if (typeof whole !== "string") return [rest];
  const { thoughtSignature, ...plain } = rest;
  const cuts = [...new Set(at.map((place) => place % (whole.length + 1)))].sort((a, b) => a - b);
  const pieces = [0, ...cuts].map((from, index) => ({
    ...plain,
    text: whole.slice(from, [...cuts, whole.length][index]),
  }));
  const last = pieces.pop() ?? { ...plain, text: "" };
  return [...pieces, { ...last, ...(thoughtSignature !== undefined && { thoughtSignature }) }];
}

const memos: readonly Memo[] = [
  geminiMemo(),
  geminiMemo({
    tools: true,
    toolNames: new Map([["sent", "client's"]]),
    responsePaths: ["/candidates/0/finishReason"],
  }),
  geminiMemo({ tools: true, target: vertexTarget() }),
  geminiMemo({ target: geminiTarget("gemini-3-pro-image-preview") }),
];

function stream(chunks: readonly JsonObject[], memo: Memo, cuts: readonly number[]) {
  const wire = Buffer.from(chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\r\n\r\n`).join(""));
  const reader = new SseReader();
  const dialect = gemini.stream(memo);
  const places = [...new Set(cuts.map((cut) => cut % (wire.length + 1)))].sort((a, b) => a - b);
  const events = [0, ...places].flatMap((from, index) =>
    reader.push(wire.subarray(from, [...places, wire.length][index])),
  );
  const steps = [...events, ...reader.end()].map((event) => dialect.push(event));
  steps.push(dialect.end());
  expect(steps.flatMap((step) => (step.failure === undefined ? [] : [step.failure]))).toEqual([]);
  return { collected: collect(steps.flatMap((step) => step.events)), ...dialect.usage() };
}

test("F58 content, stop reason, usage and fields are the same, wherever the bytes are cut", () => {
  fc.assert(
    fc.property(
      answer,
      fc.constantFrom(...memos),
      fc.array(fc.nat(40), { maxLength: 3 }),
      fc.array(fc.nat(4000), { maxLength: 6 }),
      fc.boolean(),
      ({ parts, finishReason, finishMessage, usageMetadata }, memo, at, cuts, together) => {
        const ending = { finishReason, finishMessage };
        const whole = decodeWhole(
          { candidates: [{ content: { parts }, ...ending }], ...(usageMetadata && { usageMetadata }) },
          memo,
        );
        if (!("response" in whole)) throw whole.error;
        const pieces = parts.flatMap((one) => split(one, at));
        const groups = together ? [pieces] : pieces.map((piece) => [piece]);
        const streamed = stream(
          [
            ...groups.map((group) => ({ candidates: [{ content: { parts: group } }] })),
            { candidates: [ending], ...(usageMetadata && { usageMetadata }) },
          ],
          memo,
          cuts,
        );
        expect(asContent(streamed.collected)).toEqual(whole.response.output.message.content);
        expect(streamed.collected.stopReason).toBe(whole.response.stopReason);
        expect(streamed.usage).toEqual(whole.response.usage);
        expect(streamed.estimated).toBe(whole.estimated);
        expect(streamed.collected.additional).toEqual(whole.response.additionalModelResponseFields);
      },
    ),
    { numRuns: 300 },
  );
});
