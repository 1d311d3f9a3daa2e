/** The messages of the chat formats: OpenAI's, and what Mistral and AI21 made of it. */
import type { ContentBlock, ToolUse } from "../converse.ts";
import { refuseField } from "../errors.ts";
import {
  quote,
  readAnyObject,
  readDocument,
  readList,
  readName,
  readObject,
  readSome,
  readText,
  readWord,
} from "../reading.ts";
import { readDataUrl } from "./images.ts";
import { parseArguments } from "./tool-arguments.ts";
import { type Conversation, splitSystem, type Turn } from "./turns.ts";

export type ChatRole = "system" | "developer" | "user" | "assistant" | "tool";

const plainFields = new Set(["role", "content"]);
const assistantFields = new Set(["role", "content", "tool_calls", "reasoning_content"]);
const toolFields = new Set(["role", "content", "tool_call_id", "name"]);
const callFields = new Set(["id", "type", "function"]);
const functionFields = new Set(["name", "arguments"]);
const textPartFields = new Set(["type", "text"]);
const imagePartFields = new Set(["type", "image_url"]);
const imageUrlFields = new Set(["url", "detail"]);

/**
 * Reads `messages`. The system's at the beginning become the system prompt, neighbours of one role one message, and a
 * tool's message a result in the user's.
 *
 * @param roles those the family knows
 * @param parts whether content may be a list of parts
 */
export function readChatMessages(value: unknown, roles: readonly ChatRole[], parts: boolean): Conversation {
  const path = "messages";
  const turns = readSome(value, path, (item, place) => readTurn(item, place, roles, parts));
  const conversation = splitSystem(turns);
  if (conversation.messages.length === 0) throw refuseField(path, "must have a message that is not the system's");
  return conversation;
}

function readTurn(value: unknown, path: string, roles: readonly ChatRole[], parts: boolean): Turn {
  const role = readWord(readAnyObject(value, path).role, `${path}.role`, roles);
  switch (role) {
    case "system":
    case "developer": {
      const { content } = readObject(value, path, plainFields);
      const texts = readContent(content, `${path}.content`, parts, readTextPart);
      // Converse refuses an empty text here, and it says nothing.
      return { role: "system", content: texts.filter(({ text }) => text !== "") };
    }
    case "user": {
      const { content } = readObject(value, path, plainFields);
      return { role, content: readContent(content, `${path}.content`, parts, readUserPart) };
    }
    case "assistant":
      return { role, content: readAssistant(value, path, parts) };
    case "tool":
      return { role: "user", content: [readToolMessage(value, path, parts)] };
  }
}

function readAssistant(value: unknown, path: string, parts: boolean): readonly ContentBlock[] {
  const { content, tool_calls, reasoning_content } = readObject(value, path, assistantFields);
  const reasoning = reasoning_content == null ? "" : readText(reasoning_content, `${path}.reasoning_content`);
  const calls = tool_calls == null ? [] : readList(tool_calls, `${path}.tool_calls`, readCall);
  const silent = calls.length > 0 && (content == null || content === "");
  const said = silent ? [] : readContent(content, `${path}.content`, parts, readTextPart);
  return [
    ...(reasoning === "" ? [] : [{ reasoningContent: { reasoningText: { text: reasoning } } }]),
    ...said,
    ...calls.map((toolUse) => ({ toolUse })),
  ];
}

/** A result does not need the `name` that older clients send along: its call has it. */
function readToolMessage(value: unknown, path: string, parts: boolean): ContentBlock {
  const { content, tool_call_id, name } = readObject(value, path, toolFields);
  if (name != null) readText(name, `${path}.name`);
  return {
    toolResult: {
      toolUseId: readName(tool_call_id, `${path}.tool_call_id`),
      content: readContent(content, `${path}.content`, parts, readTextPart),
    },
  };
}

function readCall(value: unknown, path: string): ToolUse {
  const fields = readObject(value, path, callFields);
  if (fields.type != null) readWord(fields.type, `${path}.type`, ["function"]);
  const place = `${path}.function`;
  const called = readObject(fields.function, place, functionFields);
  const text = called.arguments == null ? "" : readText(called.arguments, `${place}.arguments`);
  const input = parseArguments(text);
  if (input === undefined) throw refuseField(`${place}.arguments`, `must be JSON, not ${quote(text)}`);
  return {
    toolUseId: readName(fields.id, `${path}.id`),
    name: readName(called.name, `${place}.name`),
    input: readDocument(input, `${place}.arguments`),
  };
}

// Content

function readContent<Block>(
  value: unknown,
  path: string,
  parts: boolean,
  readPart: (value: unknown, path: string) => Block,
): readonly (Block | { readonly text: string })[] {
  if (typeof value === "string" || !parts) return [{ text: readText(value, path) }];
  return readList(value, path, readPart);
}

function readTextPart(value: unknown, path: string): { readonly text: string } {
  readWord(readAnyObject(value, path).type, `${path}.type`, ["text"]);
  return { text: readText(readObject(value, path, textPartFields).text, `${path}.text`) };
}

function readUserPart(value: unknown, path: string): ContentBlock {
  const type = readWord(readAnyObject(value, path).type, `${path}.type`, ["text", "image_url"]);
  if (type === "text") return readTextPart(value, path);
  const place = `${path}.image_url`;
  const { url, detail } = readObject(readObject(value, path, imagePartFields).image_url, place, imageUrlFields);
  if (detail != null && readText(detail, `${place}.detail`) !== "auto") {
    throw refuseField(`${place}.detail`, "must be auto: how closely an image is looked at is left to the model");
  }
  return { image: readDataUrl(url, `${place}.url`) };
}
