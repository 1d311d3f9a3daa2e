/** What a whole answer and a streamed one have in common. */
import type { StopReason } from "../../bedrock/converse.ts";
import { defined } from "../../bedrock/defined.ts";
import { isJsonObject, type JsonValue } from "../../bedrock/json.ts";
import { objectOf } from "../answer.ts";
import { countOf, type UsageReport } from "../usage.ts";

export interface Piece {
  readonly kind: "text" | "reasoning";
  readonly text: string;
}

/**
 * The pieces of a message's or delta's `content`: text, or a list of `{type: text, text}` and
 * `{type: thinking, thinking: [{type: text, text}]}`. Neighbours of a kind are one piece; parts of other types, such as
 * references, say nothing a client could be shown. Undefined when it is none of these.
 */
export function readPieces(content: JsonValue | undefined): readonly Piece[] | undefined {
  if (content == null) return [];
  if (typeof content === "string") return content === "" ? [] : [{ kind: "text", text: content }];
  if (!Array.isArray(content)) return undefined;
  const pieces: { kind: Piece["kind"]; text: string }[] = [];
  for (const part of content) {
    if (!isJsonObject(part)) return undefined;
    const kind = part.type === "thinking" ? "reasoning" : "text";
    const text = part.type === "thinking" ? thinkingText(part.thinking) : (part.text ?? "");
    if (typeof text !== "string") return undefined;
    if (text === "") continue;
    const last = pieces.at(-1);
    if (last?.kind === kind) last.text += text;
    else pieces.push({ kind, text });
  }
  return pieces;
}

function thinkingText(thinking: JsonValue | undefined): JsonValue {
  if (!Array.isArray(thinking)) return thinking ?? "";
  return thinking.map((part) => (isJsonObject(part) && typeof part.text === "string" ? part.text : "")).join("");
}

/** Why Mistral stopped; `error` when it failed on the way, undefined when it does not say. */
export function readFinish(word: JsonValue | undefined): StopReason | "error" | undefined {
  if (typeof word !== "string" || word === "") return undefined;
  switch (word) {
    case "length":
      return "max_tokens";
    case "model_length":
      return "model_context_window_exceeded";
    case "tool_calls":
      return "tool_use";
    case "content_filter":
      return "content_filtered";
    case "error":
      return "error";
    default:
      return "end_turn";
  }
}

/** Cached tokens are a part of the prompt's, and have had three names. */
export function readUsage(usage: JsonValue | undefined): UsageReport {
  const { prompt_tokens, completion_tokens, num_cached_tokens, prompt_tokens_details, prompt_token_details } =
    objectOf(usage);
  const prompt = countOf(prompt_tokens);
  const cached =
    countOf(num_cached_tokens) ??
    countOf(objectOf(prompt_tokens_details).cached_tokens) ??
    countOf(objectOf(prompt_token_details).cached_tokens);
  return defined({
    inputTokens: prompt === undefined ? undefined : Math.max(0, prompt - (cached ?? 0)),
    outputTokens: countOf(completion_tokens),
    cacheReadTokens: cached,
  });
}
