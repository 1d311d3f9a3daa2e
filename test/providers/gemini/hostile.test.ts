/** Answers that no server should give: a failure or an answer comes of each, never anything else. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import { gemini } from "../../../src/providers/gemini/gemini.ts";
import { isFailure } from "../../../src/providers/nonsense.ts";
import { collect } from "../collect.ts";
import { geminiMemo, geminiTarget, vertexTarget } from "./support.ts";

const memos = [
  geminiMemo(),
  geminiMemo({ tools: true, responsePaths: ["/candidates/0", "/usageMetadata/promptTokenCount", "/a/b"] }),
  geminiMemo({ target: vertexTarget(), stops: ["x"] }),
];

const leaf = fc.oneof(
  fc.constantFrom(null, true, 0, -1, 1e308, "", "STOP", "SAFETY", "constructor", "__proto__", "image/png", "aGk="),
  fc.string({ maxLength: 5 }),
);
const names = fc.constantFrom(
  ..."candidates content parts text thought thoughtSignature functionCall name args id inlineData mimeType data".split(
    " ",
  ),
  ..."finishReason finishMessage promptFeedback blockReason usageMetadata promptTokenCount serviceTier".split(" "),
  ..."candidatesTokenCount thoughtsTokenCount cachedContentTokenCount groundingMetadata groundingChunks web".split(" "),
  ..."uri executableCode code codeExecutionResult error".split(" "),
);

/** The right names with the wrong things in them. */
const nonsense: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, depthSize: "medium" },
    leaf,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(names, tie("value"), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value;

/** Almost an answer: one place is wrong. */
const spoilt: fc.Arbitrary<JsonValue> = fc
  .tuple(nonsense, nonsense, nonsense, fc.constantFrom("STOP", "OTHER", "MALFORMED_FUNCTION_CALL"))
  .map(([part, usageMetadata, extra, finishReason]) => ({
    candidates: [
      { content: { parts: [{ text: "a" }, part] }, finishReason, groundingMetadata: extra, finishMessage: extra },
    ],
    usageMetadata,
  }));

const body = fc.oneof(nonsense, spoilt);

function checkFailure(failure: unknown): void {
  if (!isFailure(failure)) throw new Error("no failure");
  expect(failure.error).toBeInstanceOf(BedrockError);
}

test("complete answers", () => {
  fc.assert(
    fc.property(body, fc.constantFrom(...memos), (json, memo) => {
      const read = gemini.decode({ headers: {}, body: Buffer.from(JSON.stringify(json)) }, memo);
      if (isFailure(read)) return checkFailure(read);
      const { usage } = read.response;
      expect(usage.inputTokens + usage.outputTokens).toBeGreaterThanOrEqual(0);
      expect(usage.totalTokens).toBeGreaterThanOrEqual(0);
      JSON.stringify(read);
      return undefined;
    }),
    { numRuns: 300 },
  );
});

test("streams", () => {
  fc.assert(
    fc.property(fc.array(body, { maxLength: 4 }), fc.constantFrom(...memos), (chunks, memo) => {
      const stream = gemini.stream(memo);
      const events = [];
      for (const chunk of chunks) {
        const step = stream.push({ event: "", data: JSON.stringify(chunk) });
        events.push(...step.events);
        if (step.failure !== undefined) return checkFailure(step.failure);
        if (step.done) break;
      }
      const last = stream.end();
      if (last.failure !== undefined) checkFailure(last.failure);
      else collect([...events, ...last.events]);
      expect(Number.isNaN(stream.usage().usage.totalTokens)).toBe(false);
      return undefined;
    }),
    { numRuns: 300 },
  );
});

test("bytes that are no JSON", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
      checkFailure(gemini.decode({ headers: {}, body: bytes }, geminiMemo()));
      checkFailure(gemini.failure({ status: 500, headers: {}, body: bytes, now: 0 }, geminiTarget()));
    }),
  );
});

test("bodies nested a hundred thousand levels deep", () => {
  const depth = 100_000;
  const args = `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
  const deep = `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":${args}}}]},"finishReason":"STOP"}]}`;
  checkFailure(gemini.decode({ headers: {}, body: Buffer.from(deep) }, geminiMemo({ responsePaths: ["/candidates"] })));
  checkFailure(gemini.stream(geminiMemo()).push({ event: "", data: deep }).failure);
  const error = `{"error":${'{"message":'.repeat(depth)}"x"${"}".repeat(depth)}}`;
  checkFailure(gemini.failure({ status: 400, headers: {}, body: Buffer.from(error), now: 0 }, geminiTarget()));
});

test("counts and embeddings", () => {
  fc.assert(
    fc.property(body, fc.constantFrom(...memos), (json, memo) => {
      const answer = { headers: {}, body: Buffer.from(JSON.stringify(json)) };
      const count = gemini.countTokens?.decode(answer, memo);
      if (typeof count !== "number") checkFailure(count);
      const vectors = gemini.embed?.decode(answer, memo);
      if (vectors?.kind !== "embeddings") checkFailure(vectors);
    }),
  );
});
