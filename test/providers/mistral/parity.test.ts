import fc from "fast-check";
import { expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { mistral } from "../../../src/providers/mistral/mistral.ts";
import { jsonObject } from "../../bedrock/arbitraries.ts";
import { item, readStream, readWhole } from "../both-ways.ts";
import { memoOf } from "../fixtures.ts";

/** A generated answer, and where its texts are cut into deltas. */
const text = fc.string({ unit: "grapheme", maxLength: 12 });
const part = fc.record({ kind: fc.constantFrom("text", "thinking"), text });
const call = fc.record({ name: fc.constantFrom("f", "g_h"), input: jsonObject });
const answer = fc.record({
  parts: fc.array(part, { maxLength: 4 }),
  calls: fc.array(call, { maxLength: 3 }),
  finish: fc.constantFrom("stop", "length", "model_length", "tool_calls"),
  usage: fc.option(
    fc.record({ prompt_tokens: fc.nat(1000), completion_tokens: fc.nat(1000), num_cached_tokens: fc.nat(1200) }),
    { nil: null },
  ),
  lateUsage: fc.boolean(),
  seed: fc.array(fc.nat(), { minLength: 1, maxLength: 8 }),
});

type Generated = typeof answer extends fc.Arbitrary<infer T> ? T : never;

function writePart({ kind, text: said }: { kind: string; text: string }): JsonObject {
  return kind === "text"
    ? { type: "text", text: said }
    : { type: "thinking", thinking: [{ type: "text", text: said }] };
}

function idOf(index: number): string {
  return `call0000${index}`;
}

function whole({ parts, calls, finish, usage }: Generated): JsonObject {
  const message = {
    content: parts.map(writePart),
    tool_calls: calls.map(({ name, input }, index) => ({
      id: idOf(index),
      function: { name, arguments: JSON.stringify(input) },
    })),
  };
  return { choices: [{ message, finish_reason: finish }], usage };
}

/** Cuts a text at places that depend on the seed; inside of characters too. */
function pieces(said: string, seed: readonly number[]): readonly string[] {
  const cuts = [...new Set(seed.map((number) => number % (said.length + 1)))].sort((one, other) => one - other);
  return [0, ...cuts].map((from, index) => said.slice(from, cuts[index] ?? said.length));
}

function deltas({ parts, calls, seed }: Generated): readonly JsonObject[] {
  const content = parts.flatMap((one) =>
    pieces(one.text, seed).map((said) => ({ content: [writePart({ ...one, text: said })] })),
  );
  const starts = calls.map(({ name }, index) => ({
    tool_calls: [{ index, id: idOf(index), function: { name, arguments: "" } }],
  }));
  const inputs = calls.map(({ input }, index) =>
    pieces(JSON.stringify(input), seed).map((fragment) => ({
      tool_calls: [{ index, function: { arguments: fragment } }],
    })),
  );
  // The fragments of the calls take turns.
  const longest = Math.max(0, ...inputs.map((list) => list.length));
  const woven = Array.from({ length: longest }, (_, at) => inputs.flatMap((list) => list.slice(at, at + 1))).flat();
  return [...content, ...starts, ...woven];
}

function stream(generated: Generated): readonly JsonValue[] {
  const { finish, usage, lateUsage } = generated;
  const chunks: JsonObject[] = deltas(generated).map((delta) => ({ choices: [{ delta, finish_reason: null }] }));
  chunks.push({ choices: [{ delta: { content: "" }, finish_reason: finish }], ...(!lateUsage && { usage }) });
  if (lateUsage) chunks.push({ choices: [], usage });
  return [...chunks, "[DONE]"];
}

test("an answer read whole and in any pieces is the same", () => {
  fc.assert(
    fc.property(answer, (generated) => {
      const memo = memoOf();
      const once = readWhole(mistral, whole(generated), memo);
      const inPieces = readStream(
        mistral,
        stream(generated).map((data) => item(typeof data === "string" ? data : JSON.stringify(data))),
        memo,
      );
      const { usage, ...rest } = once;
      expect(inPieces).toMatchObject(rest);
      // Estimates of a call's length count its text, which only a stream shows as it was written.
      if (generated.usage !== null) expect(inPieces.usage).toEqual(usage);
    }),
    { numRuns: 300 },
  );
});
