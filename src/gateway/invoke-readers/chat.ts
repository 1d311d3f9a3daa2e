/** Readers of the families whose answers are chat messages. An answer that calls tools is not read. */
import type { ContentBlock } from "../../bedrock/converse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import type { Usage } from "../../telemetry/usage.ts";
import { countOf, type FamilyReader, first, hasOnly } from "./family-reader.ts";

interface ChatMembers {
  /** Why it ended: its member of a choice. */
  readonly stop: "finish_reason" | "stop_reason";
  /** Where a chunk has its piece of the message. */
  readonly piece: "delta" | "message";
}

const chunkMembers = new Set(["id", "object", "created", "model", "choices", "usage"]);
const messageMembers = new Set(["role", "content", "reasoning_content"]);

export const openaiChat = chatReader({ stop: "finish_reason", piece: "delta" });
export const mistralChat = chatReader({ stop: "stop_reason", piece: "message" });

function chatReader({ stop, piece }: ChatMembers): FamilyReader {
  const choiceMembers = new Set(["index", piece, stop]);
  return {
    read: ({ choices, usage: told }, known) => {
      const choice = first(choices);
      const message = choice?.message;
      if (!isJsonObject(message) || choice?.[stop] !== "stop") return undefined;
      const { content, reasoning_content: reasoning } = message;
      if (typeof content !== "string") return undefined;
      const blocks: ContentBlock[] = [];
      if (typeof reasoning === "string") blocks.push({ reasoningContent: { reasoningText: { text: reasoning } } });
      if (content !== "") blocks.push({ text: content });
      return {
        output: { message: { role: "assistant", content: blocks } },
        stopReason: "end_turn",
        usage: usageOf(told, known),
        metrics: { latencyMs: 0 },
      };
    },

    assemble: (chunks) => {
      let content = "";
      let reasoning = "";
      let stopWord: JsonValue = null;
      let usage: JsonValue | undefined;
      for (const chunk of chunks) {
        if (!hasOnly(chunk, chunkMembers) || !Array.isArray(chunk.choices)) return undefined;
        usage = chunk.usage ?? usage;
        if (chunk.choices.length === 0) continue;
        const choice = first(chunk.choices);
        const part = choice?.[piece];
        if (choice === undefined || !hasOnly(choice, choiceMembers)) return undefined;
        if (!isJsonObject(part) || !hasOnly(part, messageMembers)) return undefined;
        content += textOf(part.content);
        reasoning += textOf(part.reasoning_content);
        stopWord = choice[stop] ?? stopWord;
      }
      const message: JsonObject = {
        role: "assistant",
        content,
        ...(reasoning !== "" && { reasoning_content: reasoning }),
      };
      return { choices: [{ index: 0, message, [stop]: stopWord }], ...(usage !== undefined && { usage }) };
    },

    fresh: new Set(["created"]),
  };
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}

/** @param known what is told beside the answer, which not all of these families do */
function usageOf(told: JsonValue | undefined, known: Usage | undefined) {
  const usage = isJsonObject(told) ? told : {};
  const { prompt_tokens_details: details } = usage;
  const cached = isJsonObject(details) ? countOf(details.cached_tokens) : undefined;
  const prompt = countOf(usage.prompt_tokens);
  const inputTokens = prompt === undefined ? (known?.inputTokens ?? 0) : prompt - (cached ?? 0);
  const outputTokens = countOf(usage.completion_tokens) ?? known?.outputTokens ?? 0;
  return {
    inputTokens,
    outputTokens,
    totalTokens: inputTokens + outputTokens + (cached ?? 0),
    ...(cached !== undefined && cached > 0 && { cacheReadInputTokens: cached }),
  };
}
