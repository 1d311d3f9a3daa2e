import { describe, expect, test } from "vitest";
import type { ContentBlock, StopReason } from "../../../src/bedrock/converse.ts";
import { anthropicMessages } from "../../../src/bedrock/families/anthropic-messages.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { answer, context, refusal } from "./support.ts";

const content = (...blocks: readonly ContentBlock[]) => anthropicMessages.write(answer(blocks), context).content;

describe("an Anthropic message", () => {
  test("has the members of recorded traffic, in their order", () => {
    const message = anthropicMessages.write(answer([{ text: "hello" }]), context);
    expect(message).toStrictEqual({
      model: "us.vendor.model-v1:0",
      id: expect.stringMatching(/^msg_bdrk_01[0-9a-f]{22}$/),
      type: "message",
      role: "assistant",
      content: [{ type: "text", text: "hello" }],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: {
        input_tokens: 12,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: 7,
      },
    });
    expect(Object.keys(message)).toEqual([
      "model",
      "id",
      "type",
      "role",
      "content",
      "stop_reason",
      "stop_sequence",
      "usage",
    ]);
  });

  test("has the same id for the same request, and another for another", () => {
    const id = (requestId: string) => anthropicMessages.write(answer([]), { ...context, requestId }).id;
    expect(id("a")).toBe(id("a"));
    expect(id("a")).not.toBe(id("b"));
  });

  test("counts what was read from the cache and written to it", () => {
    const usage = {
      inputTokens: 1,
      outputTokens: 2,
      totalTokens: 20,
      cacheReadInputTokens: 5,
      cacheWriteInputTokens: 12,
      cacheDetails: [
        { ttl: "1h", inputTokens: 10 },
        { ttl: "5m", inputTokens: 2 },
      ],
    } as const;
    expect(anthropicMessages.write(answer([], "end_turn", { usage }), context).usage).toStrictEqual({
      input_tokens: 1,
      cache_creation_input_tokens: 12,
      cache_read_input_tokens: 5,
      cache_creation: { ephemeral_5m_input_tokens: 2, ephemeral_1h_input_tokens: 10 },
      output_tokens: 2,
    });
  });

  test("has a block for each of Converse's, in their order", () => {
    expect(
      content(
        { reasoningContent: { reasoningText: { text: "hm", signature: "S" } } },
        { reasoningContent: { redactedContent: Buffer.from("opaque=é").toString("base64") } },
        { text: "" },
        { toolUse: { toolUseId: "tooluse_1", name: "f", input: { a: 1 }, type: "tool_use" } },
        { reasoningContent: { reasoningText: { text: "unsigned" } } },
      ),
    ).toStrictEqual([
      { type: "thinking", thinking: "hm", signature: "S" },
      { type: "redacted_thinking", data: "opaque=é" },
      { type: "text", text: "" },
      { type: "tool_use", id: "tooluse_1", name: "f", input: { a: 1 } },
      { type: "thinking", thinking: "unsigned", signature: "" },
    ]);
  });

  test("keeps citations with their text, and can be read again", () => {
    const citations = [
      {
        title: "T",
        sourceContent: [{ text: "c" }],
        location: { documentChar: { documentIndex: 0, start: 1, end: 2 } },
      },
      { sourceContent: [{ text: "c" }], location: { documentPage: { documentIndex: 0, start: 1, end: 2 } } },
      {
        title: "T",
        sourceContent: [{ text: "c" }],
        location: { documentChunk: { documentIndex: 0, start: 1, end: 2 } },
      },
      {
        title: "T",
        source: "s",
        sourceContent: [{ text: "c" }],
        location: { searchResultLocation: { searchResultIndex: 0, start: 1, end: 2 } },
      },
      { title: "T", sourceContent: [{ text: "c" }], location: { web: { url: "https://x" } } },
    ];
    const block = { citationsContent: { content: [{ text: "a" }], citations } };
    const written = content(block) ?? null;
    const again = anthropicMessages.read({ max_tokens: 1, messages: [{ role: "assistant", content: written }] });
    expect(again.messages[0]?.content).toStrictEqual([block]);
  });

  test("cites a source that has no place as one of the web", () => {
    const block = {
      citationsContent: { content: [{ text: "a" }, { text: "b" }], citations: [{ source: "https://x" }] },
    };
    expect(content(block)).toStrictEqual([
      {
        type: "text",
        text: "ab",
        citations: [
          { type: "web_search_result_location", cited_text: "", url: "https://x", title: null, encrypted_index: "" },
        ],
      },
    ]);
    expect(content({ citationsContent: {} })).toStrictEqual([{ type: "text", text: "" }]);
  });

  test.each([
    { image: { format: "png", source: { bytes: "AAAA" } } },
    { toolResult: { toolUseId: "a", content: [] } },
    { toolUse: { toolUseId: "a", name: "nova_grounding", input: {}, type: "server_tool_use" } },
    { video: { format: "mp4", source: { bytes: "AAAA" } } },
  ] as const)("cannot hold %j, and says so", (block) => {
    const said = refusal(() => content(block), "ModelErrorException");
    expect(said).toContain("an Anthropic message has no form for");
  });
});

describe("a stop reason", () => {
  const stop = (reason: StopReason, body?: JsonObject, more?: JsonObject) => {
    const message = anthropicMessages.write(
      answer([], reason, more === undefined ? {} : { additionalModelResponseFields: more }),
      body === undefined ? context : { ...context, body },
    );
    return [message.stop_reason, message.stop_sequence];
  };

  test.each([
    ["end_turn", "end_turn"],
    ["tool_use", "tool_use"],
    ["max_tokens", "max_tokens"],
    ["stop_sequence", "stop_sequence"],
    ["content_filtered", "refusal"],
    ["guardrail_intervened", "end_turn"],
    ["model_context_window_exceeded", "model_context_window_exceeded"],
    ["malformed_model_output", "end_turn"],
    ["malformed_tool_use", "end_turn"],
  ] as const)("%s is %s", (reason, expected) => {
    expect(stop(reason)).toEqual([expected, null]);
  });

  test("names the sequence when there was only one, or the model said which", () => {
    expect(stop("stop_sequence", { stop_sequences: ["END"] })).toEqual(["stop_sequence", "END"]);
    expect(stop("stop_sequence", { stop_sequences: ["A", "B"] })).toEqual(["stop_sequence", null]);
    expect(stop("stop_sequence", { stop_sequences: ["A", "B"] }, { stop_sequence: "B" })).toEqual([
      "stop_sequence",
      "B",
    ]);
    expect(stop("stop_sequence", { stop_sequences: ["A", "B"] }, { delta: { stop_sequence: "A" } })).toEqual([
      "stop_sequence",
      "A",
    ]);
    expect(stop("end_turn", { stop_sequences: ["END"] })).toEqual(["end_turn", null]);
  });

  test("of a guardrail shows beside the message, as AWS shows it", () => {
    const trace = { guardrail: { inputAssessment: {} } };
    expect(anthropicMessages.write(answer([], "guardrail_intervened", { trace }), context)).toMatchObject({
      "amazon-bedrock-guardrailAction": "INTERVENED",
      "amazon-bedrock-trace": { guardrail: { inputAssessment: {} } },
    });
    expect(anthropicMessages.write(answer([], "end_turn", { trace }), context)).toMatchObject({
      "amazon-bedrock-guardrailAction": "NONE",
    });
    expect(anthropicMessages.write(answer([]), context)).not.toHaveProperty("amazon-bedrock-guardrailAction");
  });
});
