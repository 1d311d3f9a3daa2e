import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ContentBlock, ConverseEvent } from "../../../src/bedrock/converse.ts";
import { anthropicMessages } from "../../../src/bedrock/families/anthropic-messages.ts";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { answer, context, dig, metrics, refusal, run, textEvents, textOf, wrapEvents } from "./support.ts";

const stream = () => anthropicMessages.stream(context);
const chunks = (blocks: readonly ConverseEvent[]) => run(stream(), wrapEvents(blocks));
const types = (list: readonly JsonObject[]) => list.map((chunk) => chunk.type);

const delta = (
  contentBlockIndex: number,
  value: Extract<ConverseEvent, { contentBlockDelta: unknown }>["contentBlockDelta"]["delta"],
): ConverseEvent => ({
  contentBlockDelta: { contentBlockIndex, delta: value },
});
const stop = (contentBlockIndex: number): ConverseEvent => ({ contentBlockStop: { contentBlockIndex } });

describe("an Anthropic stream", () => {
  test("of text has the events of recorded traffic", () => {
    expect(run(stream(), textEvents(["Silent", " code"]))).toStrictEqual([
      {
        type: "message_start",
        message: {
          model: "us.vendor.model-v1:0",
          id: expect.stringMatching(/^msg_bdrk_01/),
          type: "message",
          role: "assistant",
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: {
            input_tokens: 0,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: 0,
            output_tokens: 0,
          },
        },
      },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Silent" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: " code" } },
      { type: "content_block_stop", index: 0 },
      {
        type: "message_delta",
        delta: { stop_reason: "end_turn", stop_sequence: null },
        usage: {
          input_tokens: 12,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 0,
          output_tokens: 7,
        },
      },
      { type: "message_stop", "amazon-bedrock-invocationMetrics": metrics },
    ]);
  });

  test("has the same id as the unary answer", () => {
    const [first] = run(stream(), textEvents(["a"]));
    expect(dig(first, "message", "id")).toBe(anthropicMessages.write(answer([]), context).id);
  });

  test("begins a tool's input with an empty fragment", () => {
    const events = chunks([
      {
        contentBlockStart: {
          contentBlockIndex: 0,
          start: { toolUse: { toolUseId: "t", name: "f", type: "tool_use" } },
        },
      },
      delta(0, { toolUse: { input: "" } }),
      delta(0, { toolUse: { input: '{"a"' } }),
      delta(0, { toolUse: { input: ":1}" } }),
      stop(0),
    ]);
    expect(events.slice(1, -2)).toStrictEqual([
      { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "t", name: "f", input: {} } },
      { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: '{"a"' } },
      { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: ":1}" } },
      { type: "content_block_stop", index: 0 },
    ]);
  });

  test("thinks, signs, and then speaks", () => {
    const events = chunks([
      delta(0, { reasoningContent: { text: "hm" } }),
      delta(0, { reasoningContent: { signature: "S" } }),
      stop(0),
      delta(1, { text: "So." }),
      stop(1),
    ]);
    expect(events.slice(1, -2)).toStrictEqual([
      { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "hm" } },
      { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "S" } },
      { type: "content_block_stop", index: 0 },
      { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "So." } },
      { type: "content_block_stop", index: 1 },
    ]);
  });

  test("puts redacted thinking whole into its start, joined as bytes", () => {
    const bytes = Buffer.from("opaque=é");
    const events = chunks([
      delta(0, { reasoningContent: { redactedContent: bytes.subarray(0, 8).toString("base64") } }),
      delta(0, { reasoningContent: { redactedContent: bytes.subarray(8).toString("base64") } }),
      stop(0),
    ]);
    expect(events.slice(1, -2)).toStrictEqual([
      { type: "content_block_start", index: 0, content_block: { type: "redacted_thinking", data: "opaque=é" } },
      { type: "content_block_stop", index: 0 },
    ]);
  });

  test("sends citations on the block of their text", () => {
    const citation = { title: "T", sourceContent: [{ text: "c" }], location: { web: { url: "https://x" } } };
    const events = chunks([delta(0, { text: "a" }), delta(0, { citation }), stop(0)]);
    expect(events[3]).toStrictEqual({
      type: "content_block_delta",
      index: 0,
      delta: {
        type: "citations_delta",
        citation: {
          type: "web_search_result_location",
          cited_text: "c",
          url: "https://x",
          title: "T",
          encrypted_index: "",
        },
      },
    });
  });

  test("closes a block that the next one, or the end, finds open", () => {
    const events = chunks([delta(0, { text: "a" }), delta(1, { text: "b" })]);
    expect(types(events)).toEqual([
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
  });

  test("counts its blocks from 0 without gaps, whatever Converse's indexes are", () => {
    const events = chunks([stop(0), delta(3, { text: "a" }), stop(3), delta(7, { text: "b" }), stop(7)]);
    const indexes = events.filter((chunk) => chunk.type === "content_block_start").map((chunk) => chunk.index);
    expect(indexes).toEqual([0, 1]);
  });

  test("counts by the metrics when there was no metadata", () => {
    const family = stream();
    family.push({ messageStart: { role: "assistant" } });
    family.push({ messageStop: { stopReason: "max_tokens" } });
    const [last] = family.end({ ...metrics, cacheReadInputTokenCount: 3, cacheWriteInputTokenCount: 4 });
    expect(last?.usage).toStrictEqual({
      input_tokens: 12,
      cache_creation_input_tokens: 4,
      cache_read_input_tokens: 3,
      output_tokens: 7,
    });
    expect(dig(last, "delta", "stop_reason")).toBe("max_tokens");
  });

  test("shows a guardrail's intervention in the last chunk", () => {
    const trace = { guardrail: { outputAssessments: {} } };
    const family = stream();
    family.push({ messageStop: { stopReason: "guardrail_intervened" } });
    family.push({
      metadata: { usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 }, metrics: { latencyMs: 1 }, trace },
    });
    expect(family.end(metrics).at(-1)).toStrictEqual({
      type: "message_stop",
      "amazon-bedrock-trace": trace,
      "amazon-bedrock-guardrailAction": "INTERVENED",
      "amazon-bedrock-invocationMetrics": metrics,
    });
  });

  test("that ends without a stop is an error, not an answer", () => {
    const family = stream();
    family.push({ messageStart: { role: "assistant" } });
    expect(refusal(() => family.end(metrics), "ModelStreamErrorException")).toContain("ended before it was complete");
  });

  test.each([
    [{ contentBlockStart: { contentBlockIndex: 0, start: { image: { format: "png" } } } }],
    [{ contentBlockStart: { contentBlockIndex: 0, start: { toolResult: { toolUseId: "a" } } } }],
    [
      {
        contentBlockStart: {
          contentBlockIndex: 0,
          start: { toolUse: { toolUseId: "a", name: "f", type: "server_tool_use" } },
        },
      },
    ],
    [{ contentBlockDelta: { contentBlockIndex: 0, delta: { image: {} } } }],
    [{ contentBlockDelta: { contentBlockIndex: 0, delta: { toolResult: [] } } }],
    [{ contentBlockDelta: { contentBlockIndex: 0, delta: { toolUse: { input: "{}" } } } }],
  ] as const)("cannot hold %j, and says so", (event) => {
    expect(refusal(() => stream().push(event), "ModelErrorException")).toContain("has no form for");
  });
});

/** What a client makes of the chunks: Anthropic's own way of adding them up. */
function accumulate(list: readonly JsonObject[]): readonly JsonObject[] {
  const blocks: { block: JsonObject; json: string }[] = [];
  for (const chunk of list) {
    if (chunk.type === "content_block_start") {
      expect(chunk.index).toBe(blocks.length);
      blocks.push({ block: Object(chunk.content_block), json: "" });
    }
    if (chunk.type !== "content_block_delta") continue;
    const open = blocks.at(-1);
    expect(chunk.index).toBe(blocks.length - 1);
    if (open === undefined) throw new Error("a delta without a block");
    const grown = (member: string, piece: JsonValue | undefined) => ({
      ...open.block,
      [member]: textOf(open.block[member]) + textOf(piece),
    });
    switch (textOf(dig(chunk, "delta", "type"))) {
      case "text_delta":
        open.block = grown("text", dig(chunk, "delta", "text"));
        break;
      case "thinking_delta":
        open.block = grown("thinking", dig(chunk, "delta", "thinking"));
        break;
      case "signature_delta":
        open.block = { ...open.block, signature: dig(chunk, "delta", "signature") ?? "" };
        break;
      case "input_json_delta":
        open.json += textOf(dig(chunk, "delta", "partial_json"));
        break;
    }
  }
  return blocks.map(({ block, json }) => (json === "" ? block : { ...block, input: JSON.parse(json) }));
}

/** Cuts a text into pieces at these places. */
function cut(text: string, places: readonly number[]): readonly string[] {
  const at = [...new Set(places.map((place) => place % (text.length + 1)))].toSorted((a, b) => a - b);
  return [...at, text.length].map((end, i) => text.slice(at[i - 1] ?? 0, end));
}

function eventsOf(block: ContentBlock, index: number, places: readonly number[]): readonly ConverseEvent[] {
  if ("text" in block) return [...cut(block.text, places).map((text) => delta(index, { text })), stop(index)];
  if ("toolUse" in block) {
    const { toolUseId, name, input } = block.toolUse;
    return [
      { contentBlockStart: { contentBlockIndex: index, start: { toolUse: { toolUseId, name } } } },
      ...cut(JSON.stringify(input), places).map((piece) => delta(index, { toolUse: { input: piece } })),
      stop(index),
    ];
  }
  if (!("reasoningContent" in block)) throw new Error("is not generated");
  const reasoning = block.reasoningContent;
  if ("redactedContent" in reasoning) return [delta(index, { reasoningContent: reasoning }), stop(index)];
  const { text, signature } = reasoning.reasoningText;
  return [
    ...cut(text, places).map((piece) => delta(index, { reasoningContent: { text: piece } })),
    ...(signature === undefined ? [] : [delta(index, { reasoningContent: { signature } })]),
    stop(index),
  ];
}

describe("any answer", () => {
  const block: fc.Arbitrary<ContentBlock> = fc.oneof(
    fc.record({ text: fc.string({ unit: "binary" }) }),
    fc.record({
      toolUse: fc.record({
        toolUseId: fc.string({ minLength: 1 }),
        name: fc.string({ minLength: 1 }),
        input: fc.dictionary(
          fc.string().filter((name) => name !== "__proto__"),
          fc.oneof(fc.string(), fc.integer()),
          { minKeys: 1, noNullPrototype: true },
        ),
      }),
    }),
    fc.record({
      reasoningContent: fc.record({ reasoningText: fc.record({ text: fc.string(), signature: fc.string() }) }),
    }),
    fc.string({ minLength: 1 }).map((data) => ({
      reasoningContent: { redactedContent: Buffer.from(data).toString("base64") },
    })),
  );

  test("streamed in any pieces adds up to the unary one", () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 5 }), fc.array(fc.nat(50), { maxLength: 6 }), (blocks, places) => {
        const events = blocks.flatMap((one, index) => eventsOf(one, index, places));
        const streamed = accumulate(chunks(events));
        expect(streamed).toStrictEqual(anthropicMessages.write(answer(blocks), context).content);
      }),
    );
  });

  test("comes back to the model as it was", () => {
    fc.assert(
      fc.property(fc.array(block, { minLength: 1, maxLength: 5 }), (blocks) => {
        const content = anthropicMessages.write(answer(blocks), context).content ?? null;
        const request = anthropicMessages.read({ max_tokens: 1, messages: [{ role: "assistant", content }] });
        expect(request.messages[0]?.content).toEqual(blocks);
      }),
    );
  });
});
