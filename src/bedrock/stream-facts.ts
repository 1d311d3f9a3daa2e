/** What passes by in a stream that the gateway must know without changing it: the end, its reason, and the usage. */
import { tryParseObject } from "./json.ts";
import { stopReasonIn } from "./stop-reason.ts";

/** Token counts in Bedrock's terms; what the stream did not say is left out. */
export interface StreamUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadInputTokens?: number;
  readonly cacheWriteInputTokens?: number;
}

export interface InvokeChunkFacts {
  /** The chunk is the last one of its family's stream, or carries `amazon-bedrock-invocationMetrics`. */
  readonly last: boolean;
  /** Bytes of the model's own JSON; for estimates. */
  readonly textBytes: number;
  readonly usage: StreamUsage | undefined;
  readonly stopReason: string | undefined;
}

const metricsKey = "amazon-bedrock-invocationMetrics";

/** A chunk that has none of these cannot be a last one, and is not parsed. */
const hints = [
  metricsKey,
  "message_stop",
  "top_reason",
  "ompletionReason",
  "finish_reason",
  "is_finished",
  '"metadata"',
];

const quote = 0x22;
const nothing: Omit<InvokeChunkFacts, "textBytes"> = { last: false, usage: undefined, stopReason: undefined };

/** Reads a `chunk` event's payload, `{"bytes": base64, "p": padding}`. Never throws: what it cannot read it knows nothing of. */
export function readInvokeChunk(payload: Uint8Array): InvokeChunkFacts {
  const view = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const key = view.indexOf('"bytes"');
  const start = key === -1 ? -1 : view.indexOf(quote, key + 7) + 1;
  const end = start <= 0 ? -1 : view.indexOf(quote, start);
  if (end === -1) return { ...nothing, textBytes: 0 };
  const json = Buffer.from(view.toString("latin1", start, end), "base64");
  const hinted = hints.some((hint) => json.includes(hint));
  const parsed = hinted ? tryParseObject(json) : undefined;
  if (parsed === undefined) return { ...nothing, textBytes: json.length };
  return {
    last: isLast(parsed),
    textBytes: json.length,
    usage: metricsUsage(parsed[metricsKey]),
    stopReason: stopReasonIn(parsed),
  };
}

/** The `usage` of a Converse `metadata` event or answer; undefined when it is missing or not numbers. */
export function readMetadataUsage(payload: Uint8Array): StreamUsage | undefined {
  return readUsage(tryParseObject(payload)?.usage);
}

/** The `stopReason` of a Converse `messageStop` event. */
export function readStopReason(payload: Uint8Array): string | undefined {
  return stopReasonIn(tryParseObject(payload));
}

/** Takes a Converse `usage` object for what it says; undefined when it is none. */
export function readUsage(usage: unknown): StreamUsage | undefined {
  if (!isObject(usage) || typeof usage.inputTokens !== "number" || typeof usage.outputTokens !== "number")
    return undefined;
  return {
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    ...(typeof usage.cacheReadInputTokens === "number" && { cacheReadInputTokens: usage.cacheReadInputTokens }),
    ...(typeof usage.cacheWriteInputTokens === "number" && { cacheWriteInputTokens: usage.cacheWriteInputTokens }),
  };
}

/**
 * The terminal markers of the Invoke families (Anthropic `message_stop`, Nova `metadata`, Titan `completionReason`,
 * Llama and legacy completion `stop_reason`, Mistral `outputs[].stop_reason`, Cohere `is_finished`, chat shapes
 * `choices[].finish_reason`).
 */
function isLast(chunk: Record<string, unknown>): boolean {
  if (metricsKey in chunk || chunk.type === "message_stop" || chunk.is_finished === true || isObject(chunk.metadata))
    return true;
  if (typeof chunk.type === "string") return false;
  if (isReason(chunk.stop_reason) || isReason(chunk.completionReason)) return true;
  return [chunk.outputs, chunk.choices, chunk.generations].some(
    (list) =>
      Array.isArray(list) &&
      list.some((one) => isObject(one) && (isReason(one.stop_reason) || isReason(one.finish_reason))),
  );
}

function metricsUsage(metrics: unknown): StreamUsage | undefined {
  if (!isObject(metrics)) return undefined;
  return readUsage({
    inputTokens: metrics.inputTokenCount,
    outputTokens: metrics.outputTokenCount ?? 0,
    cacheReadInputTokens: metrics.cacheReadInputTokenCount,
    cacheWriteInputTokens: metrics.cacheWriteInputTokenCount,
  });
}

function isReason(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
