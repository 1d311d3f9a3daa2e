/** Gemini's failures, as far as the common tables do not know them. */
import type { FailedAnswer, ProviderFailure, Target } from "../dialect.ts";
import { type FailureHints, readFailure } from "../failures.ts";

export const failureHints: FailureHints = {
  words: {
    // Reasons of Google's ErrorInfo.
    API_KEY_EXPIRED: "credential",
    ACCESS_TOKEN_EXPIRED: "credential",
    ACCOUNT_STATE_INVALID: "credential",
    BILLING_DISABLED: "exhausted",
  },
  texts: [
    // A 400 of FAILED_PRECONDITION; from elsewhere, or with another key, it may work.
    [/user location is not supported/i, "forbidden"],
  ],
};

export function failure(answer: FailedAnswer, target: Target): ProviderFailure {
  return readFailure(answer, target, failureHints);
}
