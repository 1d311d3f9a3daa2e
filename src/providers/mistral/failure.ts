import type { JsonObject } from "../../bedrock/json.ts";
import type { FailedAnswer, ProviderFailure, Target } from "../dialect.ts";
import { type FailureHints, readFailure, readInnerFailure } from "../failures.ts";

const hints: FailureHints = {
  words: {
    // 400 with the code 1500.
    invalid_model: "not_found",
    // 429 with the code 3505: it is the model that has no room, whoever asks.
    service_tier_capacity_exceeded: "no_capacity",
  },
  texts: [[/^invalid model\b/i, "not_found"]],
};

/** Reads an answer whose status is not 200. */
export function failure(answer: FailedAnswer, target: Target): ProviderFailure {
  return readFailure(answer, target, hints);
}

/** The failure in an event or an answer of status 200; undefined when there is none. */
export function innerFailure(body: JsonObject, target: Target): ProviderFailure | undefined {
  return readInnerFailure(body, target, hints);
}
