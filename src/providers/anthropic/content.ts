/** Prepared blocks as Anthropic's, tagged by `type`. */
import type { Citation } from "../../bedrock/converse.ts";
import { refuseField } from "../../bedrock/errors.ts";
import { writeCitation } from "../../bedrock/families/anthropic-messages-citations.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import { documentText } from "../media.ts";
import type { Block, CachePart, DocumentPart, ImagePart, ResultPart, TextPart, ToolResultPart } from "../prepared.ts";
import { noOutput } from "../results.ts";

/**
 * @param ignored takes the paths of what is left out
 * @throws BedrockError ValidationException for a document that is blank or not what its format says
 */
export function writeBlock(block: Exclude<Block, CachePart>, ignored: string[]): JsonObject {
  switch (block.kind) {
    case "text":
      return writeText(block, ignored);
    case "image":
      return writeImage(block);
    case "document":
      return writeDocument(block);
    case "searchResult":
      return writeSearchResult(block);
    case "toolUse":
      return { type: "tool_use", id: block.id, name: block.name, input: block.input };
    case "toolResult":
      return writeToolResult(block);
    case "reasoning":
      return { type: "thinking", thinking: block.text, signature: block.signature?.blob ?? "" };
    case "redacted":
      return { type: "redacted_thinking", data: block.data.blob };
    case "video":
    case "audio":
      throw refuseField(block.path, `the provider takes no ${block.kind}`);
  }
}

function writeText({ text, citations = [], path }: TextPart, ignored: string[]): JsonObject {
  const own = citations.filter(isOfRequest);
  if (own.length < citations.length) ignored.push(path.replace(/content$/, "citations"));
  return { type: "text", text, ...(own.length > 0 && { citations: own.map(writeCitation) }) };
}

/** Places in the request's own documents; of a search on the web, only its provider knows the rest. */
function isOfRequest({ location }: Citation): boolean {
  return location !== undefined && !("web" in location);
}

function writeImage({ mediaType, bytes }: ImagePart): JsonObject {
  return { type: "image", source: { type: "base64", media_type: mediaType, data: bytes } };
}

function writeDocument(document: DocumentPart): JsonObject {
  const { name, context, citations } = document;
  return {
    type: "document",
    source: writeSource(document),
    title: name,
    ...(context !== undefined && context.trim() !== "" && { context }),
    ...(citations && { citations: { enabled: true } }),
  };
}

function writeSource(document: DocumentPart): JsonObject {
  const { source, format, mediaType, path } = document;
  if ("bytes" in source && format === "pdf") return { type: "base64", media_type: mediaType, data: source.bytes };
  if ("chunks" in source) {
    const chunks = source.chunks.filter((text) => text.trim() !== "");
    if (chunks.length === 0) throw refuseField(`${path}.source.content`, "is blank");
    return { type: "content", content: chunks.map(plainText) };
  }
  const data = documentText(document);
  if (data.trim() === "") throw refuseField(`${path}.source`, "is blank");
  return { type: "text", media_type: "text/plain", data };
}

function writeSearchResult(result: Extract<ResultPart, { kind: "searchResult" }>): JsonObject {
  const content = result.content.filter((text) => text.trim() !== "");
  if (content.length === 0) throw refuseField(`${result.path}.content`, "is blank");
  return {
    type: "search_result",
    source: result.source,
    title: result.title,
    content: content.map(plainText),
    ...(result.citations && { citations: { enabled: true } }),
  };
}

/** `is_error` goes only with text, and with some. */
function writeToolResult({ id, content, failed }: ToolResultPart): JsonObject {
  const parts = content.map(writeResultPart);
  const result = { type: "tool_result", tool_use_id: id };
  if (!failed) return { ...result, ...(parts.length > 0 && { content: parts }) };
  if (parts.length === 0) return { ...result, content: [plainText(noOutput)], is_error: true };
  if (parts.every((part) => part.type === "text")) return { ...result, content: parts, is_error: true };
  return { ...result, content: [plainText("Error:"), ...parts] };
}

function writeResultPart(part: ResultPart): JsonObject {
  switch (part.kind) {
    case "text":
      return plainText(part.text);
    case "json":
      return plainText(JSON.stringify(part.json));
    case "image":
      return writeImage(part);
    case "document":
      return writeDocument(part);
    case "searchResult":
      return writeSearchResult(part);
    case "video":
      throw refuseField(part.path, "the provider takes no video");
  }
}

/** A text block without anything beside its text. */
export function plainText(text: string): JsonObject {
  return { type: "text", text };
}
