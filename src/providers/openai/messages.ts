/** The conversation as chat messages. */
import { refuseField } from "../../bedrock/errors.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import { Attachments } from "../chat/attachments.ts";
import { writeCall } from "../chat/tools.ts";
import type { ChatQuirks } from "../chat-quirks.ts";
import type { Target } from "../dialect.ts";
import type { Block, CachePart, Prepared, ReasoningPart, RedactedPart, SystemPart, Turn } from "../prepared.ts";
import { resultText } from "../results.ts";
import { surplusCachePoints } from "./cache-points.ts";
import { Content, type Part } from "./content.ts";
import { writeDetail } from "./reasoning-details.ts";

export type ChatMessage =
  | { readonly role: "system" | "developer" | "user"; readonly content: string | readonly Part[] }
  | { readonly role: "tool"; readonly tool_call_id: string; readonly content: string | readonly Part[] }
  | {
      readonly role: "assistant";
      /** Null only beside calls: some servers refuse null without them, others an empty text with them. */
      readonly content: string | readonly Part[] | null;
      readonly tool_calls?: readonly JsonObject[];
      readonly reasoning_content?: string;
      readonly reasoning?: string;
      readonly reasoning_details?: readonly JsonObject[];
    };

/** How the messages are to be written for a target. */
export interface MessageStyle {
  readonly quirks: ChatQuirks;
  readonly target: Target;
  /** Whose reasoning signatures these are. */
  readonly family: string;
  readonly systemRole: "system" | "developer";
  /** Stands at the end of the system prompt. */
  readonly instructions: string | undefined;
}

/**
 * @param ignored takes the paths of what is left out
 * @throws BedrockError ValidationException when nothing is left to be sent
 */
export function writeMessages(prepared: Prepared, style: MessageStyle, ignored: string[]): readonly ChatMessage[] {
  const writer = new MessageWriter(style, surplusCachePoints(prepared), ignored);
  writer.system(prepared.system, style.instructions);
  for (const turn of prepared.turns) writer.turn(turn);
  return writer.finish();
}

class MessageWriter {
  readonly #style: MessageStyle;
  readonly #surplus: ReadonlySet<CachePart>;
  readonly #ignored: string[];
  readonly #messages: ChatMessage[] = [];
  readonly #attachments = new Attachments();

  constructor(style: MessageStyle, surplus: ReadonlySet<CachePart>, ignored: string[]) {
    this.#style = style;
    this.#surplus = surplus;
    this.#ignored = ignored;
  }

  system(parts: readonly (SystemPart | Block)[], instructions?: string): void {
    const content = new Content();
    for (const part of parts) {
      if (part.kind === "text") content.text(part.text);
      if (part.kind === "cachePoint") this.#mark(content, part);
    }
    if (instructions !== undefined) content.text(instructions);
    if (content.isEmpty) return;
    this.#messages.push({ role: this.#style.systemRole, content: this.#build(content) });
  }

  turn({ role, blocks }: Turn): void {
    if (role === "system") this.system(blocks);
    else if (role === "user") this.#user(blocks);
    else this.#assistant(blocks);
  }

  finish(): readonly ChatMessage[] {
    this.#user([]);
    if (this.#messages.some(({ role }) => role !== "system" && role !== "developer")) return this.#messages;
    throw refuseField("messages", "must have at least one message with more than reasoning");
  }

  #user(blocks: readonly Block[]): void {
    const results = blocks.filter((block) => block.kind === "toolResult");
    for (const result of results) {
      const text = resultText(result, this.#attachments.describe);
      this.#messages.push({ role: "tool", tool_call_id: result.id, content: text });
    }
    const content = new Content();
    for (const { label, part } of this.#attachments.take()) {
      content.text(label);
      content.media(part);
    }
    for (const block of blocks) this.#userBlock(block, content);
    if (!content.isEmpty) this.#messages.push({ role: "user", content: this.#build(content) });
  }

  #userBlock(block: Block, content: Content): void {
    switch (block.kind) {
      case "text":
        content.text(block.text);
        return;
      case "image":
      case "document":
      case "audio":
        content.media(block);
        return;
      case "cachePoint":
        if (content.isEmpty) this.#markResult(block);
        else this.#mark(content, block);
        return;
      case "toolResult":
      case "toolUse":
      case "reasoning":
      case "redacted":
      case "video":
      case "searchResult":
        // Results have been written; the preparation leaves none of the others in a user's turn.
        return;
    }
  }

  #assistant(blocks: readonly Block[]): void {
    const content = new Content();
    const calls: JsonObject[] = [];
    for (const block of blocks) {
      if (block.kind === "text") content.text(block.text);
      if (block.kind === "image" || block.kind === "document") content.text(this.#attachments.add(block));
      if (block.kind === "audio")
        throw refuseField(block.path, "the provider takes audio only in messages of the user");
      if (block.kind === "cachePoint") this.#mark(content, block);
      if (block.kind === "toolUse") calls.push(writeCall(block));
    }
    if (content.isEmpty && calls.length === 0) {
      this.#ignored.push(...reasoningOf(blocks).map((block) => block.path));
      return;
    }
    this.#messages.push({
      role: "assistant",
      content: content.isEmpty ? null : this.#build(content),
      ...(calls.length > 0 && { tool_calls: calls }),
      ...this.#reasoning(blocks, calls.length > 0),
    });
  }

  #reasoning(blocks: readonly Block[], hasCalls: boolean): Partial<Extract<ChatMessage, { role: "assistant" }>> {
    const { reasoningOut, reasoningDetails } = this.#style.quirks;
    const reasoning = reasoningOf(blocks);
    const text = reasoning.map((block) => (block.kind === "reasoning" ? block.text : "")).join("");
    if (reasoningOut === "reasoning_content_on_calls") {
      if (hasCalls) return { reasoning_content: text };
      this.#ignored.push(...reasoning.map((block) => block.path));
      return {};
    }
    if (reasoningDetails) {
      const details = this.#details(reasoning);
      if (details.length > 0) return { reasoning_details: details };
    }
    if (text === "" || reasoningOut === "none") return {};
    return reasoningOut === "reasoning" ? { reasoning: text } : { reasoning_content: text };
  }

  /** Empty when none of the reasoning is the model's own: then it goes as text. */
  #details(reasoning: readonly (ReasoningPart | RedactedPart)[]): readonly JsonObject[] {
    const details: JsonObject[] = [];
    const others: string[] = [];
    for (const block of reasoning) {
      const detail = writeDetail(block, this.#style.family, this.#style.target);
      if (detail !== undefined) details.push(detail);
      else if (block.kind === "redacted") this.#ignored.push(block.path);
      else others.push(block.path);
    }
    if (details.length > 0) this.#ignored.push(...others);
    return details;
  }

  #build(content: Content): string | readonly Part[] {
    return content.build(this.#style.quirks.textParts);
  }

  #mark(content: Content, point: CachePart): void {
    if (this.#surplus.has(point) || !content.mark(point)) this.#ignored.push(point.path);
  }

  /** The point stands behind a tool's result, which is a message of its own. */
  #markResult(point: CachePart): void {
    const last = this.#messages.at(-1);
    if (last?.role !== "tool" || typeof last.content !== "string") {
      this.#ignored.push(point.path);
      return;
    }
    const content = new Content();
    content.text(last.content);
    this.#mark(content, point);
    this.#messages[this.#messages.length - 1] = { ...last, content: this.#build(content) };
  }
}

function reasoningOf(blocks: readonly Block[]): readonly (ReasoningPart | RedactedPart)[] {
  return blocks.filter((block) => block.kind === "reasoning" || block.kind === "redacted");
}
