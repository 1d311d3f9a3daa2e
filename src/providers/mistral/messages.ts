/** The conversation as Mistral's messages. Their order is checked by the server: no user may follow a tool. */
import type { JsonObject } from "../../bedrock/json.ts";
import { Attachments, dataUrl } from "../chat/attachments.ts";
import { writeCall } from "../chat/tools.ts";
import type { Block, DocumentPart, ImagePart, Prepared } from "../prepared.ts";
import { resultText } from "../results.ts";

/** Stands between a tool's result and what the user says beside it: 3230 `Unexpected role 'user' after role 'tool'`. */
const bridge: JsonObject = { role: "assistant", content: "Ok." };

/** Stands for a turn whose blocks have no place here; an empty one is refused. */
const placeholder = ".";

/** @param ignored takes the paths of what is left out */
export function writeMessages({ system, turns }: Prepared, ignored: string[]): readonly JsonObject[] {
  const writer = new MessageWriter(ignored);
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
  readonly #ignored: string[];

  constructor(ignored: string[]) {
    this.#ignored = ignored;
  }

  user(blocks: readonly Block[]): void {
    for (const block of blocks) {
      if (block.kind !== "toolResult") continue;
      const content = resultText(block, this.#attachments.describe);
      this.messages.push({ role: "tool", tool_call_id: block.id, name: block.name, content });
    }
    const attached = this.#attachments.take().flatMap(({ label, part }) => [textPart(label), ...mediaParts(part)]);
    const parts = [...attached, ...blocks.flatMap(userParts)];
    if (parts.length === 0) return;
    if (this.messages.at(-1)?.role === "tool") this.messages.push(bridge);
    this.messages.push({ role: "user", content: textOrParts(parts) });
  }

  assistant(blocks: readonly Block[]): void {
    const parts = blocks.flatMap((block) => this.#assistantParts(block));
    const calls = blocks.flatMap((block) => (block.kind === "toolUse" ? [writeCall(block)] : []));
    this.messages.push({
      role: "assistant",
      content: parts.length === 0 && calls.length > 0 ? null : textOrParts(parts),
      ...(calls.length > 0 && { tool_calls: calls }),
    });
  }

  finish(): readonly JsonObject[] {
    // What the assistant's last message holds besides text.
    this.user([]);
    const last = this.messages.at(-1);
    // The answer continues a last message of the assistant; without the mark it is refused.
    if (last?.role === "assistant") this.messages[this.messages.length - 1] = { ...last, prefix: true };
    return this.messages;
  }

  #assistantParts(block: Block): readonly JsonObject[] {
    switch (block.kind) {
      case "text":
        return [textPart(block.text)];
      case "reasoning":
        return block.text === "" ? [] : [{ type: "thinking", thinking: [textPart(block.text)], closed: true }];
      case "image":
      case "document":
        return [textPart(this.#attachments.add(block))];
      case "redacted":
        this.#ignored.push(block.path);
        return [];
      case "toolUse":
      case "toolResult":
      case "video":
      case "audio":
      case "searchResult":
      case "cachePoint":
        // Calls stand beside the content; the preparation leaves none of the others.
        return [];
    }
  }
}

function userParts(block: Block): readonly JsonObject[] {
  if (block.kind === "text") return [textPart(block.text)];
  return block.kind === "image" || block.kind === "document" ? mediaParts(block) : [];
}

function mediaParts(part: ImagePart | DocumentPart): readonly JsonObject[] {
  if (part.kind === "image") return [{ type: "image_url", image_url: dataUrl(part.mediaType, part.bytes) }];
  // Only PDF is left a document, and one that came as text has become text.
  if (!("bytes" in part.source)) return [];
  const url = dataUrl(part.mediaType, part.source.bytes);
  const document = { type: "document_url", document_url: url, document_name: part.name };
  return part.context === undefined ? [document] : [textPart(part.context), document];
}

function textPart(text: string): JsonObject {
  return { type: "text", text };
}

/** A single text stands as such. */
function textOrParts(parts: readonly JsonObject[]): string | readonly JsonObject[] {
  const [first, ...more] = parts;
  if (first === undefined) return placeholder;
  return more.length === 0 && typeof first.text === "string" ? first.text : parts;
}
