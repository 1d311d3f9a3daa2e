/** Writes a Converse answer as an Anthropic message, and the parts of one that its stream shares. */
import { createHash } from "node:crypto";
import type { ContentBlock, ConverseResponse, StopReason, TokenUsage } from "../converse.ts";
import type { BedrockError } from "../errors.ts";
import type { JsonObject, JsonValue } from "../json.ts";
import { writeCitation } from "./anthropic-messages-citations.ts";
import type { FamilyContext } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { onlyStopSequence, ownStopSequence } from "./stop-sequence.ts";
import { noForm } from "./text-answer.ts";

/**
 * Anthropic has no words for the last three: an intervention shows in `amazon-bedrock-guardrailAction`, as it does
 * when Bedrock serves the model, and what is malformed shows in the text.
 */
const stopReasons: { readonly [reason in StopReason]: string } = {
  end_turn: "end_turn",
  tool_use: "tool_use",
  max_tokens: "max_tokens",
  stop_sequence: "stop_sequence",
  model_context_window_exceeded: "model_context_window_exceeded",
  content_filtered: "refusal",
  guardrail_intervened: "end_turn",
  malformed_model_output: "end_turn",
  malformed_tool_use: "end_turn",
};

/** @throws BedrockError ModelErrorException when the answer holds a block that Anthropic has no form for */
export function writeAnthropicMessage(answer: ConverseResponse, context: FamilyContext): JsonObject {
  const { stopReason, additionalModelResponseFields: more } = answer;
  return {
    ...messageHead(context),
    content: answer.output.message.content.map(writeBlock),
    ...writeStop(stopReason, more, context),
    usage: writeUsage(answer.usage),
    ...guardrailMembers(stopReason, answer.trace),
  };
}

/** The first members of a message. Their order is that of recorded traffic. */
export function messageHead(context: FamilyContext): JsonObject {
  return { model: context.modelId, id: messageId(context.requestId), type: "message", role: "assistant" };
}

/** A message id as Bedrock's look; the same for the same request. */
function messageId(requestId: string): string {
  return `msg_bdrk_01${createHash("sha256").update(requestId).digest("hex").slice(0, 22)}`;
}

/** @param more the answer's `additionalModelResponseFields` */
export function writeStop(
  reason: StopReason,
  more: JsonValue | undefined,
  context: FamilyContext,
): { readonly stop_reason: string; readonly stop_sequence: string | null } {
  return {
    stop_reason: stopReasons[reason],
    stop_sequence:
      reason === "stop_sequence" ? (ownStopSequence(more) ?? onlyStopSequence(context.body?.stop_sequences)) : null,
  };
}

/** Anthropic's counts are Converse's: the input is without what was read from the cache or written to it. */
export function writeUsage(usage: Omit<TokenUsage, "totalTokens">): JsonObject {
  const { cacheDetails } = usage;
  return {
    input_tokens: usage.inputTokens,
    cache_creation_input_tokens: usage.cacheWriteInputTokens ?? 0,
    cache_read_input_tokens: usage.cacheReadInputTokens ?? 0,
    ...(cacheDetails !== undefined && {
      cache_creation: {
        ephemeral_5m_input_tokens: tokensOf(cacheDetails, "5m"),
        ephemeral_1h_input_tokens: tokensOf(cacheDetails, "1h"),
      },
    }),
    output_tokens: usage.outputTokens,
  };
}

function tokensOf(details: NonNullable<TokenUsage["cacheDetails"]>, ttl: string): number {
  return details.reduce((sum, detail) => (detail.ttl === ttl ? sum + detail.inputTokens : sum), 0);
}

function writeBlock(block: ContentBlock): JsonObject {
  if ("text" in block) return { type: "text", text: block.text };
  if ("toolUse" in block) {
    const { toolUseId, name, input, type } = block.toolUse;
    if (type === "server_tool_use") throw refuseBlock({ [type]: name });
    return { type: "tool_use", id: toolUseId, name, input };
  }
  if ("reasoningContent" in block) {
    const reasoning = block.reasoningContent;
    if ("redactedContent" in reasoning) return redactedThinking(Buffer.from(reasoning.redactedContent, "base64"));
    const { text, signature } = reasoning.reasoningText;
    return { type: "thinking", thinking: text, signature: signature ?? "" };
  }
  if ("citationsContent" in block) {
    const { content = [], citations = [] } = block.citationsContent;
    return {
      type: "text",
      text: content.map((part) => part.text).join(""),
      ...(citations.length > 0 && { citations: citations.map(writeCitation) }),
    };
  }
  throw refuseBlock(block);
}

/** @param bytes what `redactedContent` is the base64 of; Anthropic's `data` is its text */
export function redactedThinking(bytes: Buffer): JsonObject {
  return { type: "redacted_thinking", data: bytes.toString("utf8") };
}

/** For an answer that holds what an Anthropic message cannot. */
export function refuseBlock(block: object): BedrockError {
  return noForm("an Anthropic message", Object.keys(block).join());
}
