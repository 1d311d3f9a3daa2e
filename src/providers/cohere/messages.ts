/** The conversation as Cohere's messages. */
import type { JsonObject } from "../../bedrock/json.ts";
import { Attachments, dataUrl } from "../chat/attachments.ts";
import { writeCall } from "../chat/tools.ts";
import { inlineDocument } from "../media.ts";
import type { Block, Prepared } from "../prepared.ts";
import { resultText, searchResultText } from "../results.ts";
import type { Documents } from "./documents.ts";

/** Follows a last message of the assistant: the last one has to be the user's or a tool's. */
export const goOn = "Continue your last message from exactly where it ends, without repeating any of it.";

/** Stands for a turn whose blocks have no place here; an empty one is refused. */
const placeholder = ".";

export interface MessageRules {
  readonly documents: Documents;
  /** The model takes its thinking back. */
  readonly thinks: boolean;
  /** Takes the paths of what is left out. */
  readonly ignored: string[];
}

export function writeMessages({ system, turns }: Prepared, rules: MessageRules): readonly JsonObject[] {
  const writer = new MessageWriter(rules);
  const instructions = system.flatMap((part) => (part.kind === "text" ? [part.text] : []));
  if (instructions.length > 0) writer.messages.push({ role: "system", content: instructions.join("\n\n") });
  for (const { role, blocks } of turns) {
    if (role === "assistant") writer.assistant(blocks);
    else writer.user(blocks);
  }
  return writer.finish();
}

class MessageWriter {
  readonly messages: JsonObject[] = [];
  readonly #attachments = new Attachments();
  readonly #rules: MessageRules;

  constructor(rules: MessageRules) {
    this.#rules = rules;
  }

  user(blocks: readonly Block[]): void {
    for (const block of blocks) {
      if (block.kind !== "toolResult") continue;
      const content = resultText(block, this.#attachments.describe);
      this.messages.push({ role: "tool", tool_call_id: block.id, content });
    }
    const attached = this.#attachments.take().flatMap(({ label, part }) => [textPart(label), ...userParts(part)]);
    const parts = [...attached, ...blocks.flatMap(userParts)];
    // A message that was nothing but documents still has to say something.
    const said = parts.length > 0 ? parts : blocks.flatMap((block) => documentMark(block, this.#rules.documents));
    if (said.length > 0) this.messages.push({ role: "user", content: textOrParts(said) });
  }

  /**
   * Beside calls, what a model says goes into `tool_plan`, which is where it said it; a model that thinks has its
   * content beside the calls.
   */
  assistant(blocks: readonly Block[]): void {
    const calls = blocks.flatMap((block) => (block.kind === "toolUse" ? [writeCall(block)] : []));
    if (calls.length > 0 && !this.#rules.thinks) {
      const plan = blocks.flatMap((block) => this.#texts(block)).join("\n\n");
      this.messages.push({ role: "assistant", ...(plan !== "" && { tool_plan: plan }), tool_calls: calls });
      return;
    }
    const parts = blocks.flatMap((block) => this.#parts(block));
    this.messages.push({
      role: "assistant",
      ...((parts.length > 0 || calls.length === 0) && { content: textOrParts(parts) }),
      ...(calls.length > 0 && { tool_calls: calls }),
    });
  }

  finish(): readonly JsonObject[] {
    // What the assistant's last message holds besides text.
    this.user([]);
    if (this.messages.at(-1)?.role === "assistant") this.messages.push({ role: "user", content: goOn });
    return this.messages;
  }

  #parts(block: Block): readonly JsonObject[] {
    if (block.kind !== "reasoning") return this.#texts(block).map(textPart);
    if (block.text === "") return [];
    if (this.#rules.thinks) return [{ type: "thinking", thinking: block.text }];
    this.#rules.ignored.push(block.path);
    return [];
  }

  #texts(block: Block): readonly string[] {
    switch (block.kind) {
      case "text":
        return [block.text];
      case "reasoning":
        return block.text === "" ? [] : [block.text];
      // Only what the user gives is a source to be cited.
      case "document":
        return [inlineDocument(block)];
      case "searchResult":
        return [searchResultText(block)];
      case "image":
        return [this.#attachments.add(block)];
      case "redacted":
        this.#rules.ignored.push(block.path);
        return [];
      case "toolUse":
      case "toolResult":
      case "video":
      case "audio":
      case "cachePoint":
        // Calls stand beside the content; the preparation leaves none of the others.
        return [];
    }
  }
}

function userParts(block: Block): readonly JsonObject[] {
  if (block.kind === "text") return [textPart(block.text)];
  if (block.kind !== "image") return [];
  return [{ type: "image_url", image_url: { url: dataUrl(block.mediaType, block.bytes) } }];
}

function documentMark(block: Block, { ids }: Documents): readonly JsonObject[] {
  if (block.kind !== "document" && block.kind !== "searchResult") return [];
  return [textPart(`[${ids.get(block) ?? block.kind}]`)];
}

function textPart(text: string): JsonObject {
  return { type: "text", text };
}

/** A single text stands as such; with an image beside it there has to be a list. */
function textOrParts(parts: readonly JsonObject[]): string | readonly JsonObject[] {
  const [first, ...more] = parts;
  if (first === undefined) return placeholder;
  return more.length === 0 && typeof first.text === "string" ? first.text : parts;
}
