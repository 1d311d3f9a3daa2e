/**
 * Stands for a server that refuses what it does not know: the documented shape of a chat-completions request, checked
 * member by member. A server's own members are added by its kind.
 */
import { expect } from "vitest";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../src/bedrock/json.ts";
import { textOf } from "../../../src/providers/answer.ts";

const common = [
  "model",
  "messages",
  "tools",
  "tool_choice",
  "response_format",
  "max_tokens",
  "max_completion_tokens",
  "temperature",
  "top_p",
  "stop",
  "reasoning_effort",
  "service_tier",
  "stream",
  "stream_options",
];

const ofKind: Readonly<Record<string, readonly string[]>> = {
  groq: ["reasoning_format"],
  ollama: ["top_k"],
  vllm: ["top_k"],
  openrouter: ["top_k", "reasoning"],
  deepseek: ["thinking"],
  together: ["top_k"],
  fireworks: ["top_k", "context_length_exceeded_behavior"],
  perplexity: ["top_k"],
  sglang: ["top_k"],
  nebius: ["top_k"],
};

type Check = (value: JsonValue, at: string) => void;

/** Fails when a server of this kind would answer 400. */
export function expectAccepted(body: JsonObject, kind: string, own: readonly string[] = []): void {
  onlyMembers(body, [...common, ...(ofKind[kind] ?? []), ...own], "body");
  expect(body.model).toBeTypeOf("string");
  expect(body).toHaveProperty("messages");
  checkMessages(list(body.messages, "messages"));
  optional(body.tools, "tools", (value, at) => {
    for (const [n, tool] of nonEmpty(value, at).entries()) checkTool(tool, `${at}[${n}]`);
  });
  if (body.tool_choice !== undefined) {
    expect(body.tools, "tool_choice without tools").toBeDefined();
    checkChoice(body.tool_choice, list(body.tools, "tools"));
  }
  optional(body.response_format, "response_format", checkFormat);
  for (const name of ["max_tokens", "max_completion_tokens"]) optional(body[name], name, atLeast(1));
  expect(body.max_tokens === undefined || body.max_completion_tokens === undefined).toBe(true);
  optional(body.temperature, "temperature", between(0, 2));
  optional(body.top_p, "top_p", between(0, 1));
  optional(body.top_k, "top_k", atLeast(0));
  optional(body.stop, "stop", (value, at) => {
    for (const stop of nonEmpty(value, at)) expect(stop, at).toBeTypeOf("string");
  });
  optional(body.service_tier, "service_tier", oneOf("priority", "flex"));
  optional(body.reasoning_effort, "reasoning_effort", (value, at) => expect(value, at).toMatch(/^[a-z]+$/));
  optional(body.stream, "stream", oneOf(true));
  if (body.stream_options !== undefined) expect(body.stream).toBe(true);
}

function checkMessages(messages: readonly JsonValue[]): void {
  let waiting: string[] = [];
  for (const [n, value] of messages.entries()) {
    const at = `messages[${n}]`;
    const message = object(value, at);
    if (message.role === "tool") {
      onlyMembers(message, ["role", "tool_call_id", "content"], at);
      expect(waiting[0], `${at}: a result in the order of the calls`).toBe(message.tool_call_id);
      waiting = waiting.slice(1);
      checkContent(message.content, at, ["text"]);
      continue;
    }
    expect(waiting, `${at}: every call is answered at once`).toEqual([]);
    if (message.role === "assistant") {
      waiting = checkAssistant(message, at);
      continue;
    }
    expect(["system", "developer", "user"], `${at}.role`).toContain(message.role);
    onlyMembers(message, ["role", "content"], at);
    checkContent(
      message.content,
      at,
      message.role === "user" ? ["text", "image_url", "file", "input_audio"] : ["text"],
    );
  }
  expect(waiting, "the last calls are answered").toEqual([]);
}

function checkAssistant(message: JsonObject, at: string): string[] {
  const known = ["role", "content", "tool_calls", "reasoning", "reasoning_content", "reasoning_details"];
  onlyMembers(message, known, at);
  const calls = message.tool_calls === undefined ? [] : nonEmpty(message.tool_calls, `${at}.tool_calls`);
  if (message.content === null) expect(calls, `${at}: null stands only beside calls`).not.toEqual([]);
  else checkContent(message.content, at, ["text"]);
  for (const name of ["reasoning", "reasoning_content"]) {
    optional(message[name], `${at}.${name}`, (value, place) => expect(value, place).toBeTypeOf("string"));
  }
  return calls.map((value, n) => {
    const place = `${at}.tool_calls[${n}]`;
    const call = object(value, place);
    onlyMembers(call, ["id", "type", "function"], place);
    expect(call.id, place).toMatch(/^.{1,40}$/);
    const named = object(call.function, place);
    onlyMembers(named, ["name", "arguments"], place);
    expect(named.name, place).toMatch(/^[\w-]{1,64}$/);
    expect(JSON.parse(textOf(named.arguments)), place).toBeTypeOf("object");
    return textOf(call.id);
  });
}

const parts: Readonly<Record<string, Check>> = {
  text: (value, at) => expect(value, at).toMatch(/\S/),
  image_url: (value, at) => expect(object(value, at).url, at).toMatch(/^data:image\/[a-z]+;base64,/),
  input_audio: (value, at) => expect(object(value, at).format, at).toMatch(/^(?:wav|mp3)$/),
  file: (value, at) => {
    onlyMembers(object(value, at), ["filename", "file_data"], at);
    expect(object(value, at).filename, at).toMatch(/^document-\d+\.pdf$/);
    expect(object(value, at).file_data, at).toMatch(/^data:application\/pdf;base64,/);
  },
};

function checkContent(content: JsonValue | undefined, at: string, allowed: readonly string[]): void {
  if (typeof content === "string") {
    expect(content, at).toMatch(/\S/);
    return;
  }
  for (const [n, value] of nonEmpty(content, at).entries()) {
    const place = `${at}.content[${n}]`;
    const part = object(value, place);
    expect(allowed, place).toContain(part.type);
    const type = textOf(part.type);
    onlyMembers(part, type === "text" ? ["type", "text", "cache_control"] : ["type", type], place);
    parts[type]?.(part[type] ?? null, place);
  }
}

function checkTool(value: JsonValue, at: string): void {
  const tool = object(value, at);
  onlyMembers(tool, ["type", "function"], at);
  const named = object(tool.function, at);
  onlyMembers(named, ["name", "description", "parameters", "strict"], at);
  expect(named.name, at).toMatch(/^[\w-]{1,64}$/);
  object(named.parameters, at);
  optional(named.description, at, (description) => expect(description, at).toMatch(/\S/));
}

function checkChoice(choice: JsonValue, tools: readonly JsonValue[]): void {
  if (typeof choice === "string") {
    expect(["auto", "required", "none"]).toContain(choice);
    return;
  }
  const { name } = object(object(choice, "tool_choice").function, "tool_choice");
  expect(tools.map((tool) => object(object(tool, "tool").function, "tool").name)).toContain(name);
}

function checkFormat(value: JsonValue, at: string): void {
  const format = object(value, at);
  if (format.type === "json_object") {
    onlyMembers(format, ["type"], at);
    return;
  }
  onlyMembers(format, ["type", "json_schema"], at);
  const schema = object(format.json_schema, at);
  onlyMembers(schema, ["name", "description", "schema", "strict"], at);
  expect(schema.name, at).toMatch(/^[\w-]{1,64}$/);
}

function onlyMembers(value: JsonObject, names: readonly string[], at: string): void {
  for (const [name, member] of Object.entries(value)) {
    expect(names, `${at}.${name} is known`).toContain(name);
    if (name !== "content") expect(member, `${at}.${name}`).not.toBeNull();
  }
}

function object(value: JsonValue | undefined, at: string): JsonObject {
  if (isJsonObject(value)) return value;
  throw new Error(`${at} is no object`);
}

function list(value: JsonValue | undefined, at: string): readonly JsonValue[] {
  if (Array.isArray(value)) return value;
  throw new Error(`${at} is no list`);
}

function nonEmpty(value: JsonValue | undefined, at: string): readonly JsonValue[] {
  expect(value, at).not.toEqual([]);
  return list(value, at);
}

function optional(value: JsonValue | undefined, at: string, check: Check): void {
  if (value !== undefined) check(value, at);
}

function between(least: number, most: number): Check {
  return (value, at) => {
    expect(value, at).toBeGreaterThanOrEqual(least);
    expect(value, at).toBeLessThanOrEqual(most);
  };
}

function atLeast(least: number): Check {
  return between(least, Number.MAX_SAFE_INTEGER);
}

function oneOf(...words: readonly JsonValue[]): Check {
  return (value, at) => expect(words, at).toContain(value);
}
