import type { JsonObject } from "../../bedrock/json.ts";
import type { FailedAnswer, ProviderFailure, Target } from "../dialect.ts";
import { type FailureHints, readFailure, readInnerFailure } from "../failures.ts";

/** What these servers say beyond the common words. */
const hints: FailureHints = {
  words: {
    // OpenAI: the prompt itself goes against its policy.
    invalid_prompt: "filtered",
    content_policy: "filtered",
  },
  texts: [
    // OpenRouter and xAI refuse with a plain 403.
    [
      /\b(?:was|were|been|input) flagged\b|requires moderation|violates (?:our |the )?usage (?:guidelines|polic)/i,
      "filtered",
    ],
  ],
};

/** Reads an answer of any status but 200. */
export function readChatFailure(answer: FailedAnswer, target: Target): ProviderFailure {
  return readFailure(answer, target, hints);
}

/** The failure in an event or an answer of status 200; undefined when there is none. */
export function innerFailure(body: JsonObject, target: Target): ProviderFailure | undefined {
  return readInnerFailure(body, target, hints);
}
