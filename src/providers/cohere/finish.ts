/** Why Cohere stopped, and what it counted; the same in a whole answer and in a stream's last event. */
import type { StopReason } from "../../bedrock/converse.ts";
import { defined } from "../../bedrock/defined.ts";
import type { JsonValue } from "../../bedrock/json.ts";
import { objectOf } from "../answer.ts";
import type { ProviderFailure, Target } from "../dialect.ts";
import { failureFor } from "../failures.ts";
import { nonsense } from "../nonsense.ts";
import { countOf, type UsageReport } from "../usage.ts";

/** The stop reason, or which way it failed; undefined when it does not say. */
export function readFinish(word: JsonValue | undefined): StopReason | "error" | "timeout" | undefined {
  if (typeof word !== "string" || word === "") return undefined;
  switch (word) {
    case "STOP_SEQUENCE":
      return "stop_sequence";
    case "MAX_TOKENS":
      return "max_tokens";
    case "TOOL_CALL":
      return "tool_use";
    case "ERROR_TOXIC":
      return "content_filtered";
    case "ERROR":
      return "error";
    case "TIMEOUT":
      return "timeout";
    default:
      return "end_turn";
  }
}

/**
 * The failure of an answer that ended with `ERROR` or `TIMEOUT`.
 *
 * @param message what Cohere says of it; may be empty
 * @param begun a stream of which the client has something already
 */
export function failedFinish(
  kind: "error" | "timeout",
  message: string,
  target: Target,
  begun: boolean,
): ProviderFailure {
  const said =
    message === "" ? `The provider broke off the answer with ${kind === "error" ? "an error" : "a timeout"}.` : message;
  if (begun) return nonsense(said, "ModelStreamErrorException");
  return kind === "timeout" ? failureFor("timeout", said, target) : nonsense(said);
}

/**
 * `{tokens: {input_tokens, output_tokens}, billed_units}`: the tokens as they were, not as they are billed. Whether
 * `cached_tokens` are among the input's is not documented, so they are not told apart.
 */
export function readUsage(usage: JsonValue | undefined): UsageReport {
  const { input_tokens, output_tokens } = objectOf(objectOf(usage).tokens);
  return defined({ inputTokens: countOf(input_tokens), outputTokens: countOf(output_tokens) });
}
