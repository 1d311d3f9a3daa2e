import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ContentBlock } from "../../../src/bedrock/converse.ts";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { textOf } from "../../../src/providers/answer.ts";
import type { StreamStep } from "../../../src/providers/dialect.ts";
import { jsonObject, jsonValue, text } from "../../bedrock/arbitraries.ts";
import { type CollectedBlock, collect } from "../collect.ts";
import { claudeMemo, decode, decoded, message, messageStart, streamed, textBlock, toolBlock } from "./support.ts";

const shown = text.filter((value) => value.trim() !== "");
const location = { document_index: 0, document_title: null, start_page_number: 1, end_page_number: 2 };
const citation = shown.map((cited_text) => ({ type: "page_location", cited_text, ...location }));
const block: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.record({ type: fc.constant("text"), text }),
  fc.record({ type: fc.constant("text"), text: shown, citations: fc.array(citation, { minLength: 1, maxLength: 2 }) }),
  fc.record({ type: fc.constant("thinking"), thinking: text, signature: text }),
  fc.record({ type: fc.constant("redacted_thinking"), data: text }),
  fc.record({
    type: fc.constant("tool_use"),
    id: fc.constantFrom("toolu_1", "toolu_2", ""),
    name: fc.constantFrom("weather", "sent_name", "hidden"),
    input: jsonObject,
  }),
  fc.record({ type: fc.constant("server_tool_use"), id: text, input: jsonObject }),
);
const stopReason = fc.constantFrom(
  "end_turn",
  "tool_use",
  "max_tokens",
  "stop_sequence",
  "refusal",
  "pause_turn",
  "new",
);
const count = fc.nat(1000);
const counts = {
  input_tokens: count,
  output_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
  service_tier: fc.constantFrom("standard", "priority", "batch"),
};
const byTimeToLive = fc.record({ ephemeral_5m_input_tokens: count, ephemeral_1h_input_tokens: count });
const usage: fc.Arbitrary<JsonObject> = fc.record({ ...counts, cache_creation: byTimeToLive }, { requiredKeys: [] });
const usageAtEnd: fc.Arbitrary<JsonObject> = fc.record(counts, { requiredKeys: [] });

/** Where to cut; a cut may go through a character. */
const cuts = fc.array(fc.nat(12), { maxLength: 4 });

function cutUp(whole: string, at: readonly number[]): readonly string[] {
  const places = [...new Set(at.filter((place) => place < whole.length))].sort((a, b) => a - b);
  return [0, ...places].map((from, piece) => whole.slice(from, places[piece]));
}

/** The events of a block that the API would stream. */
function blockEvents(value: JsonObject, index: number, at: readonly number[]): readonly JsonObject[] {
  const deltas = (kind: string, member: string, whole: JsonValue | undefined) =>
    cutUp(typeof whole === "string" ? whole : "", at).map((piece) => ({ type: kind, [member]: piece }));
  const streamedAs: Readonly<Record<string, readonly [JsonObject, readonly JsonObject[]]>> = {
    text: [
      { type: "text", text: "" },
      [
        ...deltas("text_delta", "text", value.text),
        ...(Array.isArray(value.citations) ? value.citations : []).map((cited: JsonValue) => ({
          type: "citations_delta",
          citation: cited,
        })),
      ],
    ],
    thinking: [
      { type: "thinking", thinking: "", signature: "" },
      [
        ...deltas("thinking_delta", "thinking", value.thinking),
        ...deltas("signature_delta", "signature", value.signature),
      ],
    ],
    tool_use: [{ ...value, input: {} }, deltas("input_json_delta", "partial_json", JSON.stringify(value.input))],
  };
  const [start, pieces] = streamedAs[textOf(value.type)] ?? [value, []];
  return [
    { type: "content_block_start", index, content_block: start },
    ...pieces.map((delta) => ({ type: "content_block_delta", index, delta })),
    { type: "content_block_stop", index },
  ];
}

/** A block of a whole answer as a reader of the stream has it in the end. */
function asCollected(value: ContentBlock): CollectedBlock {
  if ("text" in value) return { text: value.text };
  if ("toolUse" in value) {
    const { toolUseId, name, input } = value.toolUse;
    return { start: { toolUse: { toolUseId, name } }, input: JSON.stringify(input) };
  }
  if ("citationsContent" in value) {
    const { content = [], citations = [] } = value.citationsContent;
    return { text: content.map((part) => part.text).join(""), citations: citations.length };
  }
  if (!("reasoningContent" in value)) throw new Error("a block that Claude does not have");
  const reasoning = value.reasoningContent;
  if ("redactedContent" in reasoning) return { redacted: reasoning.redactedContent };
  const { text: thought, signature } = reasoning.reasoningText;
  return { ...(thought !== "" && { reasoning: thought }), ...(signature !== undefined && { signature }) };
}

const memo = claudeMemo({
  toolNames: new Map([["sent_name", "client.name"]]),
  answerTool: "hidden",
  responsePaths: ["/stop_sequence", "/delta/stop_reason"],
});

test("an answer is the same, whole or streamed in whatever pieces", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(block, cuts), { maxLength: 5 }),
      stopReason,
      fc.constantFrom(null, "END"),
      usage,
      // Counts only rise, and by time to live they are told at the beginning alone.
      usageAtEnd,
      (blocks, stop_reason, stop_sequence, early, late) => {
        const whole = decoded(
          message(
            blocks.map(([value]) => value),
            { stop_reason, stop_sequence, usage: { ...early, ...late } },
          ),
          memo,
        );
        const { events, done, stream } = streamed(
          [
            { type: "message_start", message: message([], { stop_reason: null, usage: early }) },
            ...blocks.flatMap(([value, at], index) => blockEvents(value, index, at)),
            { type: "message_delta", delta: { stop_reason, stop_sequence }, usage: late },
            { type: "message_stop" },
          ],
          memo,
        );
        expect(done).toBe(true);
        const collected = collect(events);
        const { output, additionalModelResponseFields, serviceTier } = whole.response;
        expect(collected.blocks.map(sameInput)).toEqual(output.message.content.map(asCollected).map(sameInput));
        expect(collected.stopReason).toBe(whole.response.stopReason);
        expect(collected.usage).toEqual(whole.response.usage);
        expect(collected.additional).toEqual(additionalModelResponseFields);
        expect(stream.usage().estimated).toBe(whole.estimated);
        expect(events.at(-1)).toMatchObject({ metadata: serviceTier === undefined ? {} : { serviceTier } });
      },
    ),
    { numRuns: 500 },
  );
});

/** Input is compared as a value: a call without any is `{}` both ways. */
function sameInput({ input, ...rest }: CollectedBlock): unknown {
  return input === undefined ? rest : { ...rest, input: JSON.parse(input) };
}

describe("hostile answers", () => {
  const valid = message(
    [
      { type: "thinking", thinking: "t", signature: "s" },
      { type: "redacted_thinking", data: "d" },
      { type: "text", text: "x", citations: [{ type: "page_location", cited_text: "c", ...location }] },
      { type: "tool_use", id: "a", name: "weather", input: { city: "Rome" } },
    ],
    {
      usage: {
        input_tokens: 1,
        output_tokens: 2,
        cache_creation: { ephemeral_5m_input_tokens: 3 },
        iterations: [{ type: "compaction", input_tokens: 1, output_tokens: 1 }],
      },
    },
  );
  const events: readonly JsonObject[] = [
    messageStart,
    ...textBlock(0, "a", "b"),
    ...blockEvents({ type: "thinking", thinking: "thought", signature: "s" }, 1, [2]),
    ...toolBlock(2, "a", '{"a":', "1}"),
    { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 3 } },
    { type: "message_stop" },
  ];
  const strange = fc.oneof(
    jsonValue,
    fc.constantFrom<JsonValue>(null, -1, 1e308, "", "error", [], {}, { type: "error" }, { message: null }),
  );

  test("are read, or are failures, and never anything else", () => {
    fc.assert(
      fc.property(fc.nat(), strange, (place, by) => {
        const answer = decode(replaced(valid, place, by), memo);
        if (answer.kind === "answer") expectCounts(answer.response.usage);
        else expect(answer.error.name).toBe("BedrockError");
      }),
      { numRuns: 1000 },
    );
  });

  test("streamed, too", () => {
    fc.assert(
      fc.property(fc.nat(events.length - 1), fc.nat(), strange, (at, place, by) => {
        const changed = events.map((event, index) => (index === at ? replaced(event, place, by) : event));
        const { steps, failure, done, stream } = streamed(
          changed.map((event) => JSON.stringify(event)),
          memo,
        );
        expect(done).toBe(failure === undefined);
        expectCounts(stream.usage().usage);
        expectOrder(steps);
      }),
      { numRuns: 1000 },
    );
  });
});

function expectCounts(usageNumbers: object): void {
  for (const value of Object.values(usageNumbers)) {
    if (typeof value === "number") expect(value).toBeGreaterThanOrEqual(0);
  }
}

/** The order Bedrock promises holds for what was written before a failure as well. */
function expectOrder(steps: readonly StreamStep[]): void {
  collect(steps.flatMap((step) => step.events));
}

/** The value with one of its members, at any depth, replaced. */
function replaced(value: JsonValue, place: number, by: JsonValue): JsonValue {
  const paths = pathsOf(value);
  return put(value, paths[place % paths.length] ?? [], by);
}

function pathsOf(value: JsonValue): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [[]];
  return [[], ...Object.entries(value).flatMap(([name, member]) => pathsOf(member).map((path) => [name, ...path]))];
}

function put(value: JsonValue, [name, ...rest]: readonly string[], by: JsonValue): JsonValue {
  if (name === undefined || typeof value !== "object" || value === null) return by;
  if (Array.isArray(value)) {
    return value.map((item: JsonValue, index) => (String(index) === name ? put(item, rest, by) : item));
  }
  return Object.fromEntries(
    Object.entries(value).map(([known, member]) => [known, known === name ? put(member, rest, by) : member]),
  );
}
