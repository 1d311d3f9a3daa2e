/** The same answer, whole and streamed in random pieces, is the same to the client. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import type { StreamItem } from "../../../src/providers/dialect.ts";
import { jsonObject } from "../../bedrock/arbitraries.ts";
import { completion, delta, done, finish, memoFor, streamed, usageChunk, whole } from "./chunks.ts";

interface Piece {
  readonly delta: JsonObject;
  /** Of the call the piece belongs to. */
  readonly call?: number;
}

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 30 }),
  fc.constantFrom("", " ", '{"a":1}', '{"a"', "a END b", "日本語 🙂"),
);
const reason = fc.constantFrom("stop", "length", "tool_calls", "content_filter", "eos");
const count = fc.nat(1000);
const usage = fc.record(
  {
    prompt_tokens: count,
    completion_tokens: count,
    prompt_tokens_details: fc.record({ cached_tokens: count }),
    completion_tokens_details: fc.record({ reasoning_tokens: count }),
    prompt_cache_hit_tokens: count,
    prompt_cache_miss_tokens: count,
  },
  { requiredKeys: ["prompt_tokens", "completion_tokens"] },
);
const call = fc.record({
  name: fc.constantFrom("f", "g", "get_time"),
  input: fc.oneof(
    { weight: 4, arbitrary: jsonObject.map((value) => JSON.stringify(value)) },
    fc.constantFrom("", "null", "{}"),
  ),
});
const answer = fc.record({
  kind: fc.constantFrom("openai", "azure", "deepseek", "xai", "groq", "cerebras", "openrouter", "vllm", "perplexity"),
  schema: fc.boolean(),
  reasoning: text,
  text,
  refusal: fc.oneof({ weight: 4, arbitrary: fc.constant("") }, text),
  calls: fc.array(call, { maxLength: 3 }),
  sources: fc.array(fc.webUrl(), { maxLength: 2 }),
  reason,
  usage,
  stops: fc.constantFrom<readonly string[]>([], ["END"], ["END", "a"]),
  /** Where the pieces are cut. */
  cuts: fc.array(fc.nat(7), { minLength: 1, maxLength: 10 }),
  interleaved: fc.boolean(),
});

const nameOf: Readonly<Record<string, string>> = { groq: "reasoning", cerebras: "reasoning", openrouter: "reasoning" };

test("whole and streamed answers agree in content, stop reason and usage", () => {
  fc.assert(
    fc.property(answer, (given) => {
      const name = nameOf[given.kind] ?? "reasoning_content";
      const calls = given.calls.map(({ name: called, input }, n) => ({
        id: `call_${n}`,
        type: "function",
        function: { name: called, arguments: input },
      }));
      const message: JsonObject = {
        role: "assistant",
        [name]: given.reasoning,
        content: given.text,
        refusal: given.refusal,
        ...(calls.length > 0 && { tool_calls: calls }),
      };
      const memo = memoFor(given.kind, { schema: given.schema, tools: true, stops: given.stops });
      const beside: JsonObject =
        given.sources.length > 0 && calls.length + given.stops.length === 0 ? { citations: given.sources } : {};
      const body = completion(message, given.reason, { usage: given.usage, ...beside });

      const next = cutter(given.cuts);
      const pieces = [
        ...split(given.reasoning, next).map((piece) => ({ delta: { [name]: piece } })),
        ...split(given.text, next).map((piece) => ({ delta: { content: piece } })),
        ...split(given.refusal, next).map((piece) => ({ delta: { refusal: piece } })),
        ...order(
          calls.map((one, index) => callPieces(one, index, next)),
          given.interleaved,
        ),
      ];
      const items: StreamItem[] = [
        delta({ role: "assistant", content: "" }),
        ...pieces.map((piece) => delta(piece.delta)),
        finish(given.reason, {}, beside),
        usageChunk(given.usage),
        done,
      ];
      const expected = whole(body, memo);
      const read = streamed(items, memo);
      // A stream that the gateway cuts does not wait for its usage.
      if (expected.stopReason === "stop_sequence") expect({ ...read, usage: expected.usage }).toEqual(expected);
      else expect(read).toEqual(expected);
    }),
    { numRuns: 1000 },
  );
});

function callPieces(
  {
    id,
    type,
    function: { name, arguments: input },
  }: { id: string; type: string; function: { name: string; arguments: string } },
  index: number,
  next: () => number,
): readonly Piece[] {
  return [
    { call: index, delta: { tool_calls: [{ index, id, type, function: { name, arguments: "" } }] } },
    ...split(input, next).map((piece) => ({
      call: index,
      delta: { tool_calls: [{ index, function: { arguments: piece } }] },
    })),
  ];
}

function order(calls: readonly (readonly Piece[])[], interleaved: boolean): readonly Piece[] {
  if (!interleaved) return calls.flat();
  const longest = Math.max(0, ...calls.map((pieces) => pieces.length));
  return Array.from({ length: longest }, (_, step) => calls.flatMap((pieces) => pieces.slice(step, step + 1))).flat();
}

function cutter(cuts: readonly number[]): () => number {
  let at = 0;
  return () => (cuts[at++ % cuts.length] ?? 0) + 1;
}

function split(text_: string, next: () => number): readonly string[] {
  const characters = Array.from(text_);
  const pieces: string[] = [];
  while (characters.length > 0) pieces.push(characters.splice(0, next()).join(""));
  return pieces;
}
