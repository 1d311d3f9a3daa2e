/** Reads the content of Anthropic Messages, blocks tagged by `type`, into Converse's, tagged by their member's name. */
import type {
  CachePoint,
  ContentBlock,
  Message,
  Role,
  SystemBlock,
  ToolReference,
  ToolResult,
  ToolResultContent,
} from "../converse.ts";
import { refuseField } from "../errors.ts";
import {
  readAnyObject,
  readBoolean,
  readJsonObject,
  readList,
  readName,
  readObject,
  readText,
  readWord,
  wrongType,
} from "../reading.ts";
import { readCitation } from "./anthropic-messages-citations.ts";
import {
  type DocumentNames,
  readDocumentBlock,
  readImage,
  readSearchResult,
  refuseCitations,
} from "./anthropic-messages-media.ts";

const roles: readonly Role[] = ["user", "assistant", "system"];
const messageFields = new Set(["role", "content"]);
const textFields = new Set(["type", "text", "cache_control", "citations"]);
const toolUseFields = new Set(["type", "id", "name", "input", "caller", "cache_control"]);
const callerFields = new Set(["type"]);
const toolResultFields = new Set(["type", "tool_use_id", "content", "is_error", "cache_control"]);
const toolChangeFields = new Set(["type", "tool", "cache_control"]);
const toolReferenceFields = new Set(["type", "name", "server_name"]);
const thinkingFields = new Set(["type", "thinking", "signature"]);
const redactedFields = new Set(["type", "data"]);
const cacheControlFields = new Set(["type", "ttl"]);

/** Reads an item of `messages`. */
export function readMessage(value: unknown, path: string, names: DocumentNames): Message {
  const { role, content } = readObject(value, path, messageFields);
  return {
    role: readWord(role, `${path}.role`, roles),
    content: readContent(content, `${path}.content`, names),
  };
}

/** Reads `system`: text, or text blocks. An empty text says nothing and becomes no block. */
export function readSystem(value: unknown, path: string): readonly SystemBlock[] {
  if (typeof value === "string") return value === "" ? [] : [{ text: value }];
  if (!Array.isArray(value)) throw wrongType(value, path, "a string or a list of text blocks");
  return readList(value, path, (item, place): readonly SystemBlock[] => {
    const { type, text, cache_control, citations } = readObject(item, place, textFields);
    readWord(type, `${place}.type`, ["text"]);
    refuseCitations(citations, `${place}.citations`);
    return withCachePoint({ text: readName(text, `${place}.text`) }, cache_control, place);
  }).flat();
}

/** Reads `cache_control`, which Converse sets as a block of its own behind the block that has it. */
export function readCacheControl(value: unknown, path: string): CachePoint {
  const { type, ttl } = readObject(value, path, cacheControlFields);
  readWord(type, `${path}.type`, ["ephemeral"]);
  return { type: "default", ...(ttl != null && { ttl: readWord(ttl, `${path}.ttl`, ["5m", "1h"]) }) };
}

function withCachePoint<Block>(
  block: Block,
  cacheControl: unknown,
  path: string,
): readonly (Block | { readonly cachePoint: CachePoint })[] {
  if (cacheControl == null) return [block];
  return [block, { cachePoint: readCacheControl(cacheControl, `${path}.cache_control`) }];
}

function readContent(value: unknown, path: string, names: DocumentNames): readonly ContentBlock[] {
  if (typeof value === "string") return [{ text: value }];
  if (!Array.isArray(value)) throw wrongType(value, path, "a string or a list of blocks");
  return readList(value, path, (item, place) => readBlock(item, place, names)).flat();
}

/** @returns the block, and the cache point behind it if it has one */
function readBlock(value: unknown, path: string, names: DocumentNames): readonly ContentBlock[] {
  const { type, cache_control, content } = readAnyObject(value, path);
  switch (readText(type, `${path}.type`)) {
    case "text":
      return withCachePoint(readTextBlock(value, path), cache_control, path);
    case "image":
      return withCachePoint({ image: readImage(value, path) }, cache_control, path);
    case "document":
      return withCachePoint({ document: readDocumentBlock(value, path, names) }, cache_control, path);
    case "search_result":
      return withCachePoint({ searchResult: readSearchResult(value, path) }, cache_control, path);
    case "tool_use":
      return withCachePoint(readToolUse(value, path), cache_control, path);
    case "tool_result":
      return cache_control == null
        ? withCachePoint({ toolResult: readToolResult(value, path, names) }, ...lastCacheControl(content, path))
        : withCachePoint({ toolResult: readToolResult(value, path, names) }, cache_control, path);
    case "tool_addition":
      return withCachePoint({ toolAddition: readToolChange(value, path) }, cache_control, path);
    case "tool_removal":
      return withCachePoint({ toolRemoval: readToolChange(value, path) }, cache_control, path);
    case "thinking":
      return [readThinking(value, path)];
    case "redacted_thinking": {
      const data = readName(readObject(value, path, redactedFields).data, `${path}.data`);
      return [{ reasoningContent: { redactedContent: Buffer.from(data).toString("base64") } }];
    }
    default:
      throw refuseField(`${path}.type`, "is not a block that can be carried to the model");
  }
}

function readTextBlock(value: unknown, path: string): ContentBlock {
  const { text, citations } = readObject(value, path, textFields);
  const read = readText(text, `${path}.text`);
  if (citations == null) return { text: read };
  const list = readList(citations, `${path}.citations`, readCitation);
  return list.length === 0 ? { text: read } : { citationsContent: { content: [{ text: read }], citations: list } };
}

function readThinking(value: unknown, path: string): ContentBlock {
  const { thinking, signature } = readObject(value, path, thinkingFields);
  return {
    reasoningContent: {
      reasoningText: {
        text: readText(thinking, `${path}.thinking`),
        ...(signature != null && { signature: readText(signature, `${path}.signature`) }),
      },
    },
  };
}

// Tools

function readToolUse(value: unknown, path: string): ContentBlock {
  const { id, name, input, caller } = readObject(value, path, toolUseFields);
  // Newer answers say that the model itself called, and clients send that back. It is what Converse means anyway.
  if (caller != null)
    readWord(readObject(caller, `${path}.caller`, callerFields).type, `${path}.caller.type`, ["direct"]);
  return {
    toolUse: {
      toolUseId: readName(id, `${path}.id`),
      name: readName(name, `${path}.name`),
      input: readJsonObject(input, `${path}.input`),
    },
  };
}

function readToolResult(value: unknown, path: string, names: DocumentNames): ToolResult {
  const { tool_use_id, content, is_error } = readObject(value, path, toolResultFields);
  return {
    toolUseId: readName(tool_use_id, `${path}.tool_use_id`),
    content: readToolResultContent(content, `${path}.content`, names),
    ...(is_error != null && { status: readBoolean(is_error, `${path}.is_error`) ? "error" : "success" }),
  };
}

function readToolResultContent(value: unknown, path: string, names: DocumentNames): readonly ToolResultContent[] {
  if (value == null) return [];
  if (typeof value === "string") return [{ text: value }];
  if (!Array.isArray(value)) throw wrongType(value, path, "a string or a list of blocks");
  const last = value.length - 1;
  return readList(value, path, (item, place) => {
    const fields = readAnyObject(item, place);
    if (fields.cache_control != null && item !== value[last]) {
      throw refuseField(`${place}.cache_control`, "can only stand on the last block of a tool result");
    }
    return readToolResultBlock(item, place, names);
  });
}

function readToolResultBlock(value: unknown, path: string, names: DocumentNames): ToolResultContent {
  switch (readText(readAnyObject(value, path).type, `${path}.type`)) {
    case "text": {
      const { text, citations } = readObject(value, path, textFields);
      refuseCitations(citations, `${path}.citations`);
      return { text: readText(text, `${path}.text`) };
    }
    case "image":
      return { image: readImage(value, path) };
    case "document":
      return { document: readDocumentBlock(value, path, names) };
    case "search_result":
      return { searchResult: readSearchResult(value, path) };
    default:
      throw refuseField(`${path}.type`, "is not a block that can be carried in a tool result");
  }
}

/** A cache point on a tool result's last block covers what one on the tool result itself does: it ends at the same place. */
function lastCacheControl(content: unknown, path: string): readonly [cacheControl: unknown, path: string] {
  if (!Array.isArray(content) || content.length === 0) return [undefined, path];
  const place = `${path}.content[${content.length - 1}]`;
  return [readAnyObject(content[content.length - 1], place).cache_control, place];
}

function readToolChange(value: unknown, path: string): { readonly tool: ToolReference } {
  const place = `${path}.tool`;
  const { type, name, server_name } = readObject(
    readObject(value, path, toolChangeFields).tool,
    place,
    toolReferenceFields,
  );
  return {
    tool: {
      type: readName(type, `${place}.type`),
      ...(name != null && { name: readName(name, `${place}.name`) }),
      ...(server_name != null && { serverName: readName(server_name, `${place}.server_name`) }),
    },
  };
}
