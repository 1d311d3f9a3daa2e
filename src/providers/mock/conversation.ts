/** What a conversation says, as far as the mock listens. */
import type {
  ContentBlock,
  ConverseRequest,
  GuardContent,
  Message,
  SystemBlock,
  ToolResultContent,
} from "../../bedrock/converse.ts";

/** Without a tokenizer: about four bytes of text to a token. */
const bytesPerToken = 4;

/**
 * The text of the last user message: its text blocks, else what its tool results say, else a note on what it holds
 * instead, such as `[2 images]`. Never empty.
 */
export function lastUserText(request: ConverseRequest): string {
  const turn = lastUserTurn(request);
  if (turn === undefined) return "[no user message]";
  const said = joined(turn.content.map(blockText));
  if (said !== "") return said;
  const results = turn.content.flatMap((block) => ("toolResult" in block ? block.toolResult.content : []));
  const resulted = joined(results.map(resultText));
  return resulted === "" ? note([...turn.content, ...results]) : resulted;
}

/** The last user message brings a tool's result: the model is expected to use it rather than to call again. */
export function bringsToolResult(request: ConverseRequest): boolean {
  return lastUserTurn(request)?.content.some((block) => "toolResult" in block) ?? false;
}

/** Tokens of all text in the request, tool definitions included; at least 1. Media count nothing. */
export function countInputTokens(request: ConverseRequest): number {
  let bytes = 0;
  for (const block of request.system ?? []) bytes += systemBytes(block);
  for (const message of request.messages) for (const block of message.content) bytes += blockBytes(block);
  for (const tool of request.toolConfig?.tools ?? []) if ("toolSpec" in tool) bytes += jsonBytes(tool.toolSpec);
  return tokensOf(bytes);
}

/** Tokens of texts that are no conversation; at least 1. */
export function countTextTokens(texts: readonly string[]): number {
  let bytes = 0;
  for (const text of texts) bytes += Buffer.byteLength(text);
  return tokensOf(bytes);
}

function tokensOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / bytesPerToken));
}

function lastUserTurn(request: ConverseRequest): Message | undefined {
  return request.messages.findLast((message) => message.role === "user");
}

function joined(texts: readonly string[]): string {
  return texts.filter((text) => text !== "").join("\n");
}

function blockText(block: ContentBlock): string {
  if ("text" in block) return block.text;
  return "guardContent" in block ? guardText(block.guardContent) : "";
}

function resultText(content: ToolResultContent): string {
  if ("text" in content) return content.text;
  if ("json" in content) return JSON.stringify(content.json);
  return "searchResult" in content ? joined(content.searchResult.content.map(({ text }) => text)) : "";
}

function guardText(content: GuardContent): string {
  return "text" in content ? content.text.text : "";
}

/** How the members of content without text are called, and how several of them are. */
const nouns = new Map([
  ["image", ["image", "images"]],
  ["document", ["document", "documents"]],
  ["video", ["video", "videos"]],
  ["audio", ["audio clip", "audio clips"]],
  ["searchResult", ["search result", "search results"]],
  ["toolResult", ["tool result", "tool results"]],
]);

function note(content: readonly (ContentBlock | ToolResultContent)[]): string {
  const counts = new Map<string, number>();
  for (const block of content) {
    for (const member of Object.keys(block)) {
      // Guarded content without text is an image.
      const kind = member === "guardContent" ? "image" : member;
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
  }
  const parts: string[] = [];
  for (const [member, [one, many]] of nouns) {
    const count = counts.get(member);
    if (count !== undefined) parts.push(`${count} ${count === 1 ? one : many}`);
  }
  return parts.length === 0 ? "[empty message]" : `[${parts.join(", ")}]`;
}

function systemBytes(block: SystemBlock): number {
  if ("text" in block) return Buffer.byteLength(block.text);
  return "guardContent" in block ? Buffer.byteLength(guardText(block.guardContent)) : 0;
}

function blockBytes(block: ContentBlock): number {
  if ("text" in block) return Buffer.byteLength(block.text);
  if ("toolUse" in block) return jsonBytes(block.toolUse.input);
  if ("toolResult" in block) {
    return block.toolResult.content.reduce((bytes, content) => bytes + Buffer.byteLength(resultText(content)), 0);
  }
  if ("guardContent" in block) return Buffer.byteLength(guardText(block.guardContent));
  if ("reasoningContent" in block) {
    const reasoning = block.reasoningContent;
    return "reasoningText" in reasoning ? Buffer.byteLength(reasoning.reasoningText.text) : 0;
  }
  if ("citationsContent" in block) return textsBytes(block.citationsContent.content ?? []);
  if ("searchResult" in block) return textsBytes(block.searchResult.content);
  if ("document" in block) {
    const { source } = block.document;
    if ("text" in source) return Buffer.byteLength(source.text);
    return "content" in source ? textsBytes(source.content) : 0;
  }
  return 0;
}

function textsBytes(parts: readonly { readonly text: string }[]): number {
  return parts.reduce((bytes, { text }) => bytes + Buffer.byteLength(text), 0);
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
