/** What Anthropic says of its failures beyond the common words. */
import type { FailureHints } from "../failures.ts";

export const hints: FailureHints = {
  texts: [
    [/exceeds? (?:the )?(?:model's )?context limit/i, "too_long"],
    [/output blocked by content filtering/i, "filtered"],
    [/reached your specified (?:workspace )?api usage limits/i, "exhausted"],
  ],
};
