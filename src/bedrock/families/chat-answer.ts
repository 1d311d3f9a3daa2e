/**
 * Writes answers in the chat formats. Reasoning has a member of its own, `reasoning_content`, without its signature and
 * without redacted parts: the formats have no place for them. Citations are left out, since no body asked for them.
 */
import type { BlockDelta, ContentBlock, ConverseEvent, ConverseTrace, StopReason, TokenUsage } from "../converse.ts";
import type { JsonObject } from "../json.ts";
import { type FamilyStream, type InvocationMetrics, metricsKey } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { plainStopWords, stopWord } from "./stop-words.ts";
import { citedText, cutShort, noForm, startName } from "./text-answer.ts";
import { OpenCalls } from "./tool-arguments.ts";
import { promptTokens } from "./usage.ts";

/**
 * The assistant's message. Its `content` is null only beside tool calls.
 *
 * @param title the family's name, for messages
 * @throws BedrockError ModelErrorException for a block the chat formats have no form for
 */
export function writeChatMessage(content: readonly ContentBlock[], title: string): JsonObject {
  const texts: string[] = [];
  const reasoning: string[] = [];
  const calls: JsonObject[] = [];
  for (const block of content) {
    if ("text" in block) texts.push(block.text);
    else if ("citationsContent" in block) texts.push(citedText(block));
    else if ("toolUse" in block) {
      const { toolUseId, name, input } = block.toolUse;
      calls.push(writeCall(toolUseId, name, JSON.stringify(input)));
    } else if (!("reasoningContent" in block)) throw noForm(title, Object.keys(block).join());
    else if ("reasoningText" in block.reasoningContent) reasoning.push(block.reasoningContent.reasoningText.text);
  }
  const text = texts.join("");
  return {
    role: "assistant",
    content: text === "" && calls.length > 0 ? null : text,
    ...(reasoning.length > 0 && { reasoning_content: reasoning.join("") }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function writeCall(id: string, name: string, input: string): JsonObject {
  return { id, type: "function", function: { name, arguments: input } };
}

/** The stop reason's word; with calls in the answer it says so, whatever the provider said. */
export function chatStopWord(reason: StopReason, calls: boolean): string {
  const known = reason === "end_turn" || reason === "tool_use";
  return known ? (calls ? "tool_calls" : "stop") : stopWord(reason, plainStopWords);
}

export function hasCalls(content: readonly ContentBlock[]): boolean {
  return content.some((block) => "toolUse" in block);
}

export function writeChatUsage(usage: TokenUsage): JsonObject {
  const prompt = promptTokens(usage);
  const cached = usage.cacheReadInputTokens ?? 0;
  return {
    prompt_tokens: prompt,
    completion_tokens: usage.outputTokens,
    total_tokens: prompt + usage.outputTokens,
    ...(cached > 0 && { prompt_tokens_details: { cached_tokens: cached } }),
  };
}

/** How a family writes the parts of a streamed message. */
export interface ChatChunks {
  readonly title: string;
  /** Tool calls come in one piece, not as they are made. */
  readonly wholeCalls: boolean;
  /** What the stream begins with, if anything. */
  readonly first: JsonObject | undefined;
  piece(delta: JsonObject): JsonObject;
  /** What the stream ends with, at least one object; the metrics are added to the last. */
  last(stop: string, metrics: InvocationMetrics): readonly [...JsonObject[], JsonObject];
}

export class ChatStream implements FamilyStream {
  readonly #chunks: ChatChunks;
  readonly #calls = new OpenCalls();
  #reason: StopReason | undefined;
  #trace: ConverseTrace | undefined;

  constructor(chunks: ChatChunks) {
    this.#chunks = chunks;
  }

  push(event: ConverseEvent): readonly JsonObject[] {
    if ("messageStart" in event) return this.#chunks.first === undefined ? [] : [this.#chunks.first];
    return this.#deltas(event).map((delta) => this.#chunks.piece(delta));
  }

  end(metrics: InvocationMetrics): readonly JsonObject[] {
    if (this.#reason === undefined) throw cutShort();
    const stop = chatStopWord(this.#reason, this.#calls.all.length > 0);
    const objects = this.#chunks.last(stop, metrics);
    const extra = { ...guardrailMembers(this.#reason, this.#trace), [metricsKey]: metrics };
    return objects.map((object, index) => (index === objects.length - 1 ? { ...object, ...extra } : object));
  }

  #deltas(event: ConverseEvent): readonly JsonObject[] {
    if ("contentBlockStart" in event) {
      const { contentBlockIndex, start } = event.contentBlockStart;
      if (!("toolUse" in start)) throw noForm(this.#chunks.title, startName(start));
      const { index, id, name } = this.#calls.begin(contentBlockIndex, start.toolUse);
      return this.#chunks.wholeCalls ? [] : [{ tool_calls: [{ index, ...writeCall(id, name, "") }] }];
    }
    if ("contentBlockDelta" in event) {
      const { contentBlockIndex, delta } = event.contentBlockDelta;
      return this.#delta(contentBlockIndex, delta);
    }
    if ("contentBlockStop" in event) return this.#stop(event.contentBlockStop.contentBlockIndex);
    if ("messageStop" in event) this.#reason = event.messageStop.stopReason;
    if ("metadata" in event) this.#trace = event.metadata.trace;
    return [];
  }

  #delta(block: number, delta: BlockDelta): readonly JsonObject[] {
    if ("text" in delta) return delta.text === "" ? [] : [{ content: delta.text }];
    if ("reasoningContent" in delta) {
      const reasoning = delta.reasoningContent;
      return "text" in reasoning && reasoning.text !== "" ? [{ reasoning_content: reasoning.text }] : [];
    }
    if ("citation" in delta) return [];
    if (!("toolUse" in delta)) throw noForm(this.#chunks.title, Object.keys(delta).join());
    const { input } = delta.toolUse;
    if (input === "") return [];
    const { index } = this.#calls.add(block, input);
    return this.#chunks.wholeCalls ? [] : [{ tool_calls: [{ index, function: { arguments: input } }] }];
  }

  /** A call without arguments gets `{}`: clients parse what they have gathered. */
  #stop(block: number): readonly JsonObject[] {
    const call = this.#calls.end(block);
    if (call === undefined) return [];
    const { index, id, name, pieces } = call;
    if (this.#chunks.wholeCalls) return [{ tool_calls: [writeCall(id, name, pieces.join("") || "{}")] }];
    return pieces.length > 0 ? [] : [{ tool_calls: [{ index, function: { arguments: "{}" } }] }];
  }
}
