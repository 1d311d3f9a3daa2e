/** What the gateway has to know of a whole answer that it relays. Pure. */
import { tryParse } from "../bedrock/json.ts";
import type { OperationName } from "../bedrock/operations.ts";
import { stopReasonIn } from "../bedrock/stop-reason.ts";
import { readStopReason, readUsage, type StreamUsage } from "../bedrock/stream-facts.ts";

export interface AnswerFacts {
  readonly usage: StreamUsage | undefined;
  readonly stopReason: string | undefined;
}

/** @returns undefined when it is not what the operation answers */
export function readAnswerFacts(operation: OperationName, body: Buffer): AnswerFacts | undefined {
  if (operation === "Converse") return readConverseFacts(body);
  return { usage: undefined, stopReason: operation === "InvokeModel" ? readStopReason(body) : undefined };
}

/**
 * What a Converse answer says of itself; undefined when it is none: no object with `output` (an answer without one
 * crashes clients).
 */
function readConverseFacts(body: Buffer): AnswerFacts | undefined {
  const parsed = tryParse(body);
  if (typeof parsed !== "object" || parsed === null || !("output" in parsed)) return undefined;
  return { usage: "usage" in parsed ? readUsage(parsed.usage) : undefined, stopReason: stopReasonIn(parsed) };
}
