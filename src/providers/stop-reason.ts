import type { StopReason } from "../bedrock/converse.ts";

/** What of an answer decides about its stop reason. */
export interface StopFacts {
  /** A call the client sees is in the answer. */
  readonly hasCalls: boolean;
  /** The input of a call is not JSON. */
  readonly malformed: boolean;
}

/**
 * The stop reason that fits the answer. Providers say `stop` although there are calls, and the reverse; agents then end
 * silently, or turn for ever. Being cut off by the token limit is always said, since the last block may be incomplete.
 */
export function stopReasonFor(said: StopReason, { hasCalls, malformed }: StopFacts): StopReason {
  if (said !== "end_turn" && said !== "tool_use") return said;
  if (malformed) return "malformed_tool_use";
  return hasCalls ? "tool_use" : "end_turn";
}
