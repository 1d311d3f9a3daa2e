/** Answers of status 200 that are none. */
import { BedrockError, type ErrorType } from "../bedrock/errors.ts";
import { isJsonObject, type JsonObject } from "../bedrock/json.ts";
import { isTooDeep } from "./depth.ts";
import type { ProviderAnswer, ProviderFailure, StreamItem } from "./dialect.ts";

/**
 * The answer's body as an object; a failure when it is not JSON, JSON of another kind, or nested too deep.
 */
export function readJson(answer: ProviderAnswer): JsonObject | ProviderFailure {
  return (
    parseObject(Buffer.from(answer.body).toString("utf8")) ?? nonsense("The provider's answer is not a JSON object.")
  );
}

/** The data of a streamed event as an object; a failure when it is none. */
export function readItem(item: StreamItem): JsonObject | ProviderFailure {
  return (
    parseObject(item.data) ??
    nonsense("The provider sent an event that is not a JSON object.", "ModelStreamErrorException")
  );
}

/** True for a failure among what a reader gave. A provider's JSON cannot pass for one. */
export function isFailure(value: unknown): value is ProviderFailure {
  return typeof value === "object" && value !== null && "error" in value && value.error instanceof BedrockError;
}

/** The provider answered what its API does not answer: worth one more try, here or elsewhere. */
export function nonsense(message: string, type: ErrorType = "ModelErrorException"): ProviderFailure {
  return {
    kind: "failure",
    error: new BedrockError(type, message),
    retry: "same_key",
    elsewhere: true,
    exhausted: false,
  };
}

/** The stream is over, and nothing in it said so. */
export function truncatedStream(): ProviderFailure {
  return nonsense("The provider ended the stream before the answer was complete.", "ModelStreamErrorException");
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) && !isTooDeep(value) ? value : undefined;
  } catch {
    // Not JSON: the caller says so in its own words.
    return undefined;
  }
}
