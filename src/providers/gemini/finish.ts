/** Why Gemini stopped, in Converse's words. */
import type { StopReason } from "../../bedrock/converse.ts";

const reasons: Readonly<Record<string, StopReason>> = {
  STOP: "end_turn",
  MAX_TOKENS: "max_tokens",
  SAFETY: "content_filtered",
  RECITATION: "content_filtered",
  LANGUAGE: "content_filtered",
  BLOCKLIST: "content_filtered",
  PROHIBITED_CONTENT: "content_filtered",
  SPII: "content_filtered",
  MODEL_ARMOR: "content_filtered",
  IMAGE_SAFETY: "content_filtered",
  IMAGE_PROHIBITED_CONTENT: "content_filtered",
  IMAGE_RECITATION: "content_filtered",
  MALFORMED_FUNCTION_CALL: "malformed_tool_use",
  UNEXPECTED_TOOL_CALL: "malformed_tool_use",
  TOO_MANY_TOOL_CALLS: "malformed_tool_use",
};

/** `OTHER`, and words that are new: the answer counts if there is one. */
export function stopReasonOf(finishReason: string, hasContent: boolean): StopReason {
  if (Object.hasOwn(reasons, finishReason)) {
    const known = reasons[finishReason];
    if (known !== undefined) return known;
  }
  return hasContent ? "end_turn" : "malformed_model_output";
}
