/** What AWS adds to the answer of any family when a guardrail was asked: the action, and the trace if there is one. */
import type { ConverseTrace, StopReason } from "../converse.ts";
import type { JsonObject } from "../json.ts";

/**
 * The members for the body of an InvokeModel answer, or for the last chunk of a stream. No family has a stop reason
 * for an intervention, so this is where a client sees it.
 */
export function guardrailMembers(stopReason: StopReason | undefined, trace: ConverseTrace | undefined): JsonObject {
  const guardrail = trace?.guardrail;
  const intervened = stopReason === "guardrail_intervened";
  if (!intervened && guardrail === undefined) return {};
  return {
    ...(guardrail !== undefined && { "amazon-bedrock-trace": { guardrail } }),
    "amazon-bedrock-guardrailAction": intervened ? "INTERVENED" : "NONE",
  };
}
