import fc from "fast-check";
import { expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { textOf } from "../../../src/providers/answer.ts";
import { cohere } from "../../../src/providers/cohere/cohere.ts";
import { jsonObject } from "../../bedrock/arbitraries.ts";
import { item, readStream, readWhole, type Shown } from "../both-ways.ts";
import { memoOf } from "../fixtures.ts";

const said = fc.string({ unit: "grapheme", maxLength: 12 });
const part = fc.record({ kind: fc.constantFrom("text" as const, "thinking" as const), text: said });
const call = fc.record({ name: fc.constantFrom("f", "g_h"), input: jsonObject });
const answer = fc.record({
  parts: fc.array(part, { maxLength: 3 }),
  /** Where in the last text a citation begins and ends. */
  cite: fc.option(fc.tuple(fc.nat(), fc.nat()), { nil: null }),
  plan: said,
  calls: fc.array(call, { maxLength: 3 }),
  finish: fc.constantFrom("COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "TOOL_CALL", "ERROR_TOXIC"),
  usage: fc.record({ tokens: fc.record({ input_tokens: fc.nat(1000), output_tokens: fc.nat(1000) }) }),
  seed: fc.array(fc.nat(), { minLength: 1, maxLength: 8 }),
});

type Generated = typeof answer extends fc.Arbitrary<infer T> ? T : never;

function writeCall({ name, input }: Generated["calls"][0], index: number): JsonObject {
  return { id: `c${index}`, type: "function", function: { name, arguments: JSON.stringify(input) } };
}

/** A citation within the last content, if that is text. */
function citationOf({ parts, cite }: Generated): JsonObject | undefined {
  const last = parts.at(-1);
  if (cite === null || last?.kind !== "text" || last.text.trim() === "") return undefined;
  const characters = Array.from(last.text);
  const [start = 0, end = 0] = cite.map((number) => number % (characters.length + 1)).sort((one, other) => one - other);
  const text = characters.slice(start, end).join("");
  return {
    start,
    end,
    text,
    content_index: parts.length - 1,
    sources: [{ type: "tool", id: "t:0", tool_output: "x" }],
  };
}

function whole(generated: Generated): JsonObject {
  const { parts, plan, calls, finish, usage } = generated;
  const citation = citationOf(generated);
  const message = {
    content: parts.map(({ kind, text }) => ({ type: kind, [kind]: text })),
    ...(plan !== "" && { tool_plan: plan }),
    tool_calls: calls.map(writeCall),
    ...(citation !== undefined && { citations: [citation] }),
  };
  return { message, finish_reason: finish, usage };
}

function pieces(text: string, seed: readonly number[]): readonly string[] {
  const cuts = [...new Set(seed.map((number) => number % (text.length + 1)))].sort((one, other) => one - other);
  return [0, ...cuts].map((from, index) => text.slice(from, cuts[index] ?? text.length));
}

function event(type: string, index: number, message: JsonValue): JsonObject {
  return { type, index, delta: { message } };
}

function stream(generated: Generated): readonly JsonObject[] {
  const { parts, plan, calls, finish, usage, seed } = generated;
  const content = parts.flatMap(({ kind, text }, index) => [
    event("content-start", index, { content: { type: kind, [kind]: "" } }),
    ...pieces(text, seed).map((piece) => event("content-delta", index, { content: { [kind]: piece } })),
    { type: "content-end", index },
  ]);
  const citation = citationOf(generated);
  const cited =
    citation === undefined
      ? []
      : [event("citation-start", 0, { citations: citation }), { type: "citation-end", index: 0 }];
  const planned =
    plan === "" ? [] : pieces(plan, seed).map((piece) => event("tool-plan-delta", 0, { tool_plan: piece }));
  const called = calls.flatMap(({ name, input }, index) => [
    event("tool-call-start", index, {
      tool_calls: { id: `c${index}`, type: "function", function: { name, arguments: "" } },
    }),
    ...pieces(JSON.stringify(input), seed).map((piece) =>
      event("tool-call-delta", index, { tool_calls: { function: { arguments: piece } } }),
    ),
    { type: "tool-call-end", index },
  ]);
  return [
    ...content,
    ...cited,
    ...planned,
    ...called,
    { type: "message-end", delta: { finish_reason: finish, usage } },
  ];
}

/** A stream cannot cut the text it has written: there a cited text is one block, where the whole answer has pieces. */
function joinCited(content: readonly Shown[], cites: boolean): readonly Shown[] {
  if (!cites) return content;
  const joined: Shown[] = [];
  const last = content.findLastIndex((block) => "text" in block);
  const first = content.findLastIndex((block, index) => index < last && !("text" in block)) + 1;
  const texts = content.slice(first, last + 1).filter((block) => "text" in block);
  const citations = texts.reduce((sum, { citations: own }) => sum + (typeof own === "number" ? own : 0), 0);
  joined.push({ text: texts.map(({ text }) => text).join(""), citations });
  return [...content.slice(0, first), ...joined, ...content.slice(last + 1)];
}

test("an answer read whole and in any pieces is the same, but for where a cited text is cut", () => {
  fc.assert(
    fc.property(answer, (generated) => {
      const once = readWhole(cohere, whole(generated), memoOf());
      const inPieces = readStream(
        cohere,
        stream(generated).map((data) => item(data, textOf(data.type))),
        memoOf(),
      );
      const cites = citationOf(generated) !== undefined;
      expect({ ...inPieces, content: joinCited(inPieces.content, cites) }).toEqual({
        ...once,
        content: joinCited(once.content, cites),
      });
    }),
    { numRuns: 300 },
  );
});
