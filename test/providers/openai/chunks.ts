/** Pieces of a streamed answer, as the servers send them. */
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import type { Memo, StreamItem } from "../../../src/providers/dialect.ts";
import { openai } from "../../../src/providers/openai/openai.ts";
import { drain, item, type Read, readStream, readWhole } from "../both-ways.ts";
import { memoOf, targetOf } from "../fixtures.ts";

const head = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m" };

export function delta(value: JsonObject, more: JsonObject = {}): StreamItem {
  return item({ ...head, choices: [{ index: 0, delta: value, finish_reason: null }], ...more });
}

export function finish(reason: string, choice: JsonObject = {}, more: JsonObject = {}): StreamItem {
  return item({ ...head, choices: [{ index: 0, delta: {}, finish_reason: reason, ...choice }], ...more });
}

export const start = delta({ role: "assistant", content: "" });
export const done = item("[DONE]");

export function usageChunk(usage: JsonObject): StreamItem {
  return item({ ...head, choices: [], usage });
}

/** A piece of a call. */
export function callDelta(call: JsonObject): StreamItem {
  return delta({ tool_calls: [call] });
}

/** A whole answer. */
export function completion(message: JsonObject, reason: JsonValue = "stop", more: JsonObject = {}): JsonObject {
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    choices: [{ index: 0, message, finish_reason: reason }],
    ...more,
  };
}

export function memoFor(kind: string, changes: Partial<Memo> = {}): Memo {
  return memoOf({ target: targetOf({ kind }), ...changes });
}

export function whole(body: JsonObject, memo: Memo = memoFor("openai")): Read {
  return readWhole(openai, body, memo);
}

export function streamed(items: readonly StreamItem[], memo: Memo = memoFor("openai")): Read {
  return readStream(openai, items, memo);
}

export function run(items: readonly StreamItem[], memo: Memo = memoFor("openai")): ReturnType<typeof drain> {
  return drain(openai.stream(memo), items);
}
