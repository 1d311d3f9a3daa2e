/** What the tests of families share. */
import type { ConverseEvent, ConverseResponse, StopReason, TokenUsage } from "../../../src/bedrock/converse.ts";
import { BedrockError, type ErrorType } from "../../../src/bedrock/errors.ts";
import type { FamilyContext, FamilyStream, InvocationMetrics } from "../../../src/bedrock/families/family.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../src/bedrock/json.ts";

export const context: FamilyContext = {
  modelId: "us.vendor.model-v1:0",
  requestId: "5f3b1c1e-0000-4000-8000-000000000001",
};

export const usage: TokenUsage = { inputTokens: 12, outputTokens: 7, totalTokens: 19 };

export const metrics: InvocationMetrics = {
  inputTokenCount: 12,
  outputTokenCount: 7,
  invocationLatency: 640,
  firstByteLatency: 212,
};

export function answer(
  content: ConverseResponse["output"]["message"]["content"],
  stopReason: StopReason = "end_turn",
  more: Partial<ConverseResponse> = {},
): ConverseResponse {
  return {
    output: { message: { role: "assistant", content } },
    stopReason,
    usage,
    metrics: { latencyMs: 640 },
    ...more,
  };
}

/** The events of a streamed answer of one text block. */
export function textEvents(pieces: readonly string[], stopReason: StopReason = "end_turn"): readonly ConverseEvent[] {
  return wrapEvents(
    [
      ...pieces.map((text): ConverseEvent => ({ contentBlockDelta: { contentBlockIndex: 0, delta: { text } } })),
      { contentBlockStop: { contentBlockIndex: 0 } },
    ],
    stopReason,
  );
}

/** The beginning and the end around the events of the blocks. */
export function wrapEvents(
  blocks: readonly ConverseEvent[],
  stopReason: StopReason = "end_turn",
): readonly ConverseEvent[] {
  return [
    { messageStart: { role: "assistant" } },
    ...blocks,
    { messageStop: { stopReason } },
    { metadata: { usage, metrics: { latencyMs: 640 } } },
  ];
}

/** All chunks of a stream. */
export function run(stream: FamilyStream, events: readonly ConverseEvent[]): readonly JsonObject[] {
  return [...events.flatMap((event) => stream.push(event)), ...stream.end(metrics)];
}

/** The message of the error that is thrown, which must be of this type. */
export function refusal(read: () => unknown, type: ErrorType = "ValidationException"): string {
  try {
    read();
  } catch (error) {
    if (error instanceof BedrockError && error.type === type) return error.message;
    throw error;
  }
  throw new Error("was not refused");
}

/** A member deep in JSON; undefined when there is none. */
export function dig(value: JsonValue | undefined, ...path: readonly (string | number)[]): JsonValue | undefined {
  let found: JsonValue | undefined = value;
  for (const step of path) {
    if (typeof step === "number") found = Array.isArray(found) ? listItem(found, step) : undefined;
    else found = isJsonObject(found) ? found[step] : undefined;
  }
  return found;
}

function listItem(list: readonly JsonValue[], at: number): JsonValue | undefined {
  return list.at(at);
}

export function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}
