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
const readable = ["anthropic-messages", "nova", "llama", "titan-text", "mistral-prompt"];

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

test("families that cannot be read back have no reader", () => {
  const others = textFamilies.map(({ name }) => name).filter((name) => !readable.includes(name));
  expect(others.length).toBeGreaterThan(3);
  for (const name of others) expect(invokeReader(familyOf(name), context)).toBeUndefined();
});
