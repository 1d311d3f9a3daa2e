/** Answers and streams for the families' tests, and what comes of them. */
import type { ContentBlock, ConverseEvent, ConverseResponse, StopReason } from "../../../src/bedrock/converse.ts";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import type { Family, FamilyContext, InvocationMetrics } from "../../../src/bedrock/families/family.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";

export const context: FamilyContext = { modelId: "some.model-v1:0", requestId: "0c8c5b6e" };

/** 12 tokens of prompt, of which 4 came from a cache and 1 went there; 5 tokens of answer. */
export const metrics: InvocationMetrics = {
  inputTokenCount: 7,
  outputTokenCount: 5,
  invocationLatency: 640,
  firstByteLatency: 210,
  cacheReadInputTokenCount: 4,
  cacheWriteInputTokenCount: 1,
};

const usage = {
  inputTokens: 7,
  outputTokens: 5,
  totalTokens: 17,
  cacheReadInputTokens: 4,
  cacheWriteInputTokens: 1,
};

export function answerOf(content: readonly ContentBlock[], stopReason: StopReason = "end_turn"): ConverseResponse {
  return { output: { message: { role: "assistant", content } }, stopReason, usage, metrics: { latencyMs: 640 } };
}

export const stopReasons: readonly StopReason[] = [
  "end_turn",
  "tool_use",
  "max_tokens",
  "stop_sequence",
  "guardrail_intervened",
  "content_filtered",
  "malformed_model_output",
  "malformed_tool_use",
  "model_context_window_exceeded",
];

export const call: ContentBlock = { toolUse: { toolUseId: "call_1", name: "weather", input: { city: "Ulm" } } };
export const reasoning: ContentBlock = { reasoningContent: { reasoningText: { text: "Hm.", signature: "c2ln" } } };

/** The events of a message: each list is the deltas of one block. */
export function eventsOf(
  blocks: readonly (readonly ConverseEvent[])[],
  stopReason: StopReason = "end_turn",
): readonly ConverseEvent[] {
  return [
    { messageStart: { role: "assistant" } },
    ...blocks.flatMap((block, contentBlockIndex) => [...block, { contentBlockStop: { contentBlockIndex } }]),
    { messageStop: { stopReason } },
    { metadata: { usage, metrics: { latencyMs: 640 } } },
  ];
}

export function textBlock(pieces: readonly string[], contentBlockIndex = 0): readonly ConverseEvent[] {
  return pieces.map((text) => ({ contentBlockDelta: { contentBlockIndex, delta: { text } } }));
}

export function reasoningBlock(pieces: readonly string[], contentBlockIndex = 0): readonly ConverseEvent[] {
  return [
    ...pieces.map((text) => ({
      contentBlockDelta: { contentBlockIndex, delta: { reasoningContent: { text } } },
    })),
    { contentBlockDelta: { contentBlockIndex, delta: { reasoningContent: { signature: "c2ln" } } } },
  ];
}

export function callBlock(
  toolUseId: string,
  name: string,
  pieces: readonly string[],
  contentBlockIndex = 0,
): readonly ConverseEvent[] {
  return [
    { contentBlockStart: { contentBlockIndex, start: { toolUse: { toolUseId, name } } } },
    ...pieces.map((input) => ({ contentBlockDelta: { contentBlockIndex, delta: { toolUse: { input } } } })),
  ];
}

/** Every object the family makes of a stream. */
export function chunksOf(
  family: Family,
  events: readonly ConverseEvent[],
  about: FamilyContext = context,
): readonly JsonObject[] {
  const stream = family.stream(about);
  return [...events.flatMap((event) => stream.push(event)), ...stream.end(metrics)];
}

/** What the chunks' members of this name say one after the other; those that are not text say nothing. */
export function joined(chunks: readonly JsonObject[], name: string): string {
  return chunks.map((chunk) => (typeof chunk[name] === "string" ? chunk[name] : "")).join("");
}

/** The message of the ValidationException that the family refuses a body with. */
export function refusal(family: { read(body: JsonObject): unknown }, body: JsonObject): string {
  const error = failure(() => family.read(body));
  return error.type === "ValidationException" ? error.message : `a ${error.type}, not a ValidationException`;
}

/** The BedrockError that is thrown. */
export function failure(run: () => unknown): BedrockError {
  try {
    run();
  } catch (error) {
    if (error instanceof BedrockError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** JSON of any kind, from its text: names such as `__proto__` become members, as they do in a body. */
export function parse(text: string): JsonObject {
  return JSON.parse(text);
}
