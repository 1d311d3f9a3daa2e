/** Why an answer ended. */
import type { StopReason } from "../../bedrock/converse.ts";
import type { JsonObject, JsonValue } from "../../bedrock/json.ts";
import type { ProviderFailure, Target } from "../dialect.ts";
import { type Cause, failureFor } from "../failures.ts";
import { nonsense } from "../nonsense.ts";

const stopReasons: Readonly<Record<string, StopReason>> = {
  stop: "end_turn",
  // Together.
  eos: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  function_call: "tool_use",
  content_filter: "content_filtered",
  // Words of other APIs, passed on by servers in front of them.
  end_turn: "end_turn",
  max_tokens: "max_tokens",
  tool_use: "tool_use",
  stop_sequence: "stop_sequence",
  safety: "content_filtered",
  refusal: "content_filtered",
  model_length: "model_context_window_exceeded",
};

/** Reasons that are failures. `abort` is said by vLLM and SGLang for a request that was given up. */
const failures: Readonly<Record<string, Cause>> = {
  // DeepSeek.
  insufficient_system_resource: "unavailable",
  // OpenRouter.
  error: "failed",
  abort: "failed",
};

/** What an answer's choice says of its end; undefined while it has not ended. */
export function readFinish(choice: JsonObject): StopReason | { readonly failed: string } | undefined {
  const reason = choice.finish_reason;
  if (typeof reason !== "string" || reason === "") return undefined;
  const word = reason.toLowerCase();
  if (Object.hasOwn(failures, word)) return { failed: word };
  const known = Object.hasOwn(stopReasons, word) ? stopReasons[word] : undefined;
  if (known === "end_turn" && stopSequenceOf(choice) !== undefined) return "stop_sequence";
  return known ?? "end_turn";
}

/** The stop sequence that was hit, where a server tells: vLLM in `stop_reason`, SGLang in `matched_stop`. */
export function stopSequenceOf(choice: JsonObject): string | undefined {
  return [choice.stop_reason, choice.matched_stop].find(
    (stop): stop is string => typeof stop === "string" && stop !== "",
  );
}

/**
 * The failure a finish reason stands for.
 *
 * @param hasBegun the client has seen a part of the answer: nobody else can begin it again
 */
export function finishFailure(word: string, target: Target, hasBegun: boolean): ProviderFailure {
  const message = `The provider ended the answer with the reason ${word}.`;
  return hasBegun
    ? nonsense(message, "ModelStreamErrorException")
    : failureFor(failures[word] ?? "failed", message, target);
}

/** The provider's answer as `additionalModelResponseFieldPaths` may ask for it: with Claude's members beside its own. */
export function nativeAnswer(body: JsonObject, choice: JsonObject): JsonValue {
  const stop = stopSequenceOf(choice) ?? null;
  return { ...body, stop_sequence: stop, delta: { stop_sequence: stop } };
}
