import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ConverseEvent, ConverseResponse } from "../../src/bedrock/converse.ts";
import { eventsOf } from "../../src/bedrock/converse-events.ts";
import { encodeEvent } from "../../src/bedrock/event-stream.ts";
import type { Family } from "../../src/bedrock/families/family.ts";
import { textFamilies } from "../../src/bedrock/families/index.ts";
import type { JsonObject } from "../../src/bedrock/json.ts";
import { invokeReader } from "../../src/gateway/invoke-answers.ts";
import { isConverseResponse } from "../../src/gateway/kept-answer.ts";

const context = { modelId: "m", requestId: "r", body: { stop_sequences: ["END"] } };
const readable = textFamilies.map(({ name }) => name);

function familyOf(name: string): Family {
  const family = textFamilies.find((one) => one.name === name);
  if (family === undefined) throw new Error(`no family ${name}`);
  return family;
}

function readerOf(name: string) {
  const reader = invokeReader(familyOf(name), context);
  if (reader === undefined) throw new Error(`no reader for ${name}`);
  return reader;
}

const words = fc.string({ minLength: 1, unit: "grapheme" });
const text = words.map((said) => ({ text: said }));
const usage = fc
  .record({ inputTokens: fc.nat(1e6), outputTokens: fc.nat(1e6) })
  .map((counts) => ({ ...counts, totalTokens: counts.inputTokens + counts.outputTokens }));
const responseWith = (blocks: fc.Arbitrary<ConverseResponse["output"]["message"]["content"]>) =>
  fc.record({
    output: blocks.map((content) => ({ message: { role: "assistant" as const, content } })),
    stopReason: fc.constant("end_turn" as const),
    usage,
    metrics: fc.constant({ latencyMs: 0 }),
  });
const thinking = fc
  .record({ text: words, signature: words })
  .map((reasoningText) => ({ reasoningContent: { reasoningText } }));
const call = fc
  .record({
    toolUseId: words,
    name: words,
    input: fc.dictionary(fc.stringMatching(/^[a-z]+$/), words, { noNullPrototype: true }),
  })
  .map((toolUse) => ({ toolUse }));

const json = (value: object) => Buffer.from(JSON.stringify(value));
const frames = (chunks: readonly JsonObject[]) =>
  chunks.map((chunk) => encodeEvent("chunk", `{"bytes":"${json(chunk).toString("base64")}"}`));

/** The text of a delta in pieces of a few characters. */
function inPieces(events: readonly ConverseEvent[]): ConverseEvent[] {
  return events.flatMap((event) => {
    if (!("contentBlockDelta" in event) || !("text" in event.contentBlockDelta.delta)) return [event];
    const { contentBlockIndex, delta } = event.contentBlockDelta;
    return (delta.text.match(/[\s\S]{1,3}/gu) ?? []).map((piece) => ({
      contentBlockDelta: { contentBlockIndex, delta: { text: piece } },
    }));
  });
}

function chunksOf(family: Family, response: ConverseResponse): readonly JsonObject[] {
  const stream = family.stream(context);
  const chunks = inPieces(eventsOf(response)).flatMap((event) => [...stream.push(event)]);
  const { inputTokens, outputTokens } = response.usage;
  const metrics = {
    inputTokenCount: inputTokens,
    outputTokenCount: outputTokens,
    invocationLatency: 9,
    firstByteLatency: 1,
  };
  return [...chunks, ...stream.end(metrics)];
}

describe.each(readable)("Bedrock's answers of %s", (name) => {
  const family = familyOf(name);
  const blocks =
    name === "anthropic-messages"
      ? fc.array(fc.oneof(text, thinking, call), { minLength: 1, maxLength: 4 })
      : fc.tuple(text);
  const responses = responseWith(blocks);

  test("are read so that they are written again as they were", () => {
    const reader = readerOf(name);
    fc.assert(
      fc.property(responses, (response) => {
        const written = family.write(response, context);
        const read = reader.whole(json(written), response.usage);
        if (!isConverseResponse(read)) throw new Error("it was not read");
        expect(family.write(read, context)).toEqual(written);
        expect(read.output).toEqual(response.output);
      }),
    );
  });

  test("are read from their stream as from their whole", () => {
    const reader = readerOf(name);
    fc.assert(
      fc.property(responses, (response) => {
        const read = reader.frames(frames(chunksOf(family, response)), response.usage);
        if (!isConverseResponse(read)) throw new Error("it was not read");
        expect(read.output).toEqual(response.output);
        expect(read.stopReason).toBe(response.stopReason);
        expect(read.usage).toMatchObject({
          inputTokens: response.usage.inputTokens,
          outputTokens: response.usage.outputTokens,
        });
      }),
    );
  });

  test("are not read with a member that is not known, nor cut off, nor when the answer was not complete", () => {
    const reader = readerOf(name);
    fc.assert(
      fc.property(responses, (response) => {
        const written = family.write(response, context);
        expect(reader.whole(json({ ...written, tomorrow: 1 }), undefined)).toBeUndefined();
        expect(
          reader.whole(json({ ...written, "amazon-bedrock-guardrailAction": "INTERVENED" }), undefined),
        ).toBeUndefined();
        const chunks = chunksOf(family, response);
        expect(reader.frames(frames(chunks.slice(0, -1)), undefined)).toBeUndefined();
        expect(reader.frames(frames([...chunks, { of: "tomorrow" }]), undefined)).toBeUndefined();
        const cut = { ...response, stopReason: "max_tokens" as const };
        const truncated = reader.whole(json(family.write(cut, context)), undefined);
        expect(isConverseResponse(truncated) ? truncated.stopReason : "max_tokens").toBe("max_tokens");
      }),
      { numRuns: 30 },
    );
    expect(reader.whole(Buffer.from("<html>"), undefined)).toBeUndefined();
    expect(reader.frames([encodeEvent("chunk", "{}")], undefined)).toBeUndefined();
    expect(reader.frames([encodeEvent("metadata", "{}")], undefined)).toBeUndefined();
  });
});

describe("chat completions as Bedrock's models write them", () => {
  const answer = {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_769_900_000,
    model: "m",
    system_fingerprint: null,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "Rome.", refusal: null },
        logprobs: null,
        finish_reason: "stop",
      },
    ],
    usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 },
  };
  const reader = readerOf("openai-chat");
  const choice = answer.choices[0];

  test("are read with what is null in them, and with their time", () => {
    const read = reader.whole(json(answer), undefined);
    if (!isConverseResponse(read)) throw new Error("it was not read");
    expect(read.output.message.content).toEqual([{ text: "Rome." }]);
    expect(read.usage).toEqual({ inputTokens: 9, outputTokens: 2, totalTokens: 11 });
  });

  test("keep their reasoning apart, and what was read from a cache", () => {
    const message = { role: "assistant", content: "Rome.", reasoning_content: "Italy, then." };
    const usage = { ...answer.usage, prompt_tokens_details: { cached_tokens: 4 } };
    const read = reader.whole(json({ ...answer, choices: [{ ...choice, message }], usage }), undefined);
    if (!isConverseResponse(read)) throw new Error("it was not read");
    expect(read.output.message.content).toEqual([
      { reasoningContent: { reasoningText: { text: "Italy, then." } } },
      { text: "Rome." },
    ]);
    expect(read.usage).toEqual({ inputTokens: 5, outputTokens: 2, totalTokens: 11, cacheReadInputTokens: 4 });
    expect(familyOf("openai-chat").write(read, context)).toMatchObject({ choices: [{ message }], usage });
  });

  test.each([
    ["a call of a tool", { choices: [{ ...choice, finish_reason: "tool_calls" }] }],
    ["a call beside text", { choices: [{ ...choice, message: { ...choice?.message, tool_calls: [{ id: "1" }] } }] }],
    ["two choices", { choices: [choice, choice] }],
    ["probabilities", { choices: [{ ...choice, logprobs: { content: [] } }] }],
    ["details that have no place", { usage: { ...answer.usage, completion_tokens_details: { reasoning_tokens: 1 } } }],
  ])("are not read with %s", (_what, more) => {
    expect(reader.whole(json({ ...answer, ...more }), undefined)).toBeUndefined();
  });

  test.each([
    ["a call of a tool", { tool_calls: [{ index: 0 }] }],
    ["a refusal", { refusal: "no" }],
  ])("are not read from a stream with %s", (_what, more) => {
    const chunk = (delta: object, stop: string | null) => ({ choices: [{ index: 0, delta, finish_reason: stop }] });
    const chunks = [chunk({ role: "assistant", content: "R" }, null), chunk(more, null), chunk({}, "stop")];
    const of = (some: readonly object[]) => some.map((one): JsonObject => JSON.parse(JSON.stringify(one)));
    expect(reader.frames(frames(of(chunks)), undefined)).toBeUndefined();
    expect(reader.frames(frames(of([chunks[0] ?? {}, chunks[2] ?? {}])), undefined)).toBeDefined();
  });
});
