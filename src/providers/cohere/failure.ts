import type { JsonObject } from "../../bedrock/json.ts";
import { textOf } from "../answer.ts";
import type { FailedAnswer, ProviderFailure, Target } from "../dialect.ts";
import { readErrorBody } from "../error-bodies.ts";
import { type FailureHints, failureFor, readFailure, readInnerFailure } from "../failures.ts";

/** Cohere has no words for what happened, only a message. */
const hints: FailureHints = {
  texts: [
    [/too many tokens|total number of tokens/i, "too_long"],
    [/invalid api token/i, "credential"],
    [/^model .+ not found/i, "not_found"],
  ],
};

/** Reads an answer whose status is not 200. */
export function failure(answer: FailedAnswer, target: Target): ProviderFailure {
  const { message } = readErrorBody(answer.body);
  // 498: the request or the answer has a token that is on a list of forbidden ones.
  if (answer.status === 498) return failureFor("filtered", message, target);
  // A trial key's calls of a month; other 429s are over in a minute.
  if (answer.status === 429 && /\bmonth\b/i.test(message)) return failureFor("exhausted", message, target);
  return readFailure(answer, target, hints);
}

/** The failure in an event or an answer of status 200: `{message}` and nothing of an answer. Undefined when there is none. */
export function innerFailure(body: JsonObject, target: Target): ProviderFailure | undefined {
  const isBare = body.type === undefined && body.delta === undefined && textOf(body.message) !== "";
  return readInnerFailure(isBare ? { ...body, error: body.message ?? "" } : body, target, hints);
}
