/** Why an answer ended, in a family's own words. */
import type { StopReason } from "../converse.ts";

export interface StopWords {
  readonly complete: string;
  readonly length: string;
  readonly sequence: string;
  readonly tools: string;
  /**
   * The families that know only `stop` and `length` say `content_filter`, as the chat formats do: a filtered answer
   * must not pass for a complete one.
   */
  readonly filtered: string;
}

/** What Llama, Mistral, DeepSeek and the chat formats say. */
export const plainStopWords: StopWords = {
  complete: "stop",
  length: "length",
  sequence: "stop",
  tools: "tool_calls",
  filtered: "content_filter",
};

/** A guardrail's intervention shows in `amazon-bedrock-guardrailAction`, and what is malformed shows in the text. */
export function stopWord(reason: StopReason, words: StopWords): string {
  switch (reason) {
    case "end_turn":
    case "guardrail_intervened":
    case "malformed_model_output":
    case "malformed_tool_use":
      return words.complete;
    case "tool_use":
      return words.tools;
    case "stop_sequence":
      return words.sequence;
    case "max_tokens":
    case "model_context_window_exceeded":
      return words.length;
    case "content_filtered":
      return words.filtered;
  }
}
