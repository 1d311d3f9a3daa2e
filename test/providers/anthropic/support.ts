/** What the tests of Anthropic's dialect share. */
import { expect } from "vitest";
import type { ConverseRequest } from "../../../src/bedrock/converse.ts";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { textOf } from "../../../src/providers/answer.ts";
import { anthropic } from "../../../src/providers/anthropic/anthropic.ts";
import type {
  Answer,
  DialectStream,
  Encoded,
  Memo,
  ProviderFailure,
  StreamStep,
  Target,
} from "../../../src/providers/dialect.ts";
import { memoOf, targetOf } from "../fixtures.ts";
import { type ServedBody, serve } from "./server.ts";

export const sonnet45 = "claude-sonnet-4-5-20250929";
export const sonnet46 = "claude-sonnet-4-6";
export const opus5 = "claude-opus-5";
export const opus55 = "claude-opus-5-5";
export const haiku3 = "claude-3-haiku-20240307";

export function claude(model: string = sonnet45, changes: Partial<Target> = {}): Target {
  return targetOf({ provider: "anthropic", kind: "anthropic", model, ...changes });
}

export function onVertex(model = "claude-sonnet-4-5@20250929", changes: Partial<Target> = {}): Target {
  return claude(model, { kind: "vertex", vertex: { project: "p-1", region: "europe-west1" }, ...changes });
}

export interface Sent extends Encoded {
  readonly body: ServedBody;
}

/** Encodes, and has the server check the body. */
export function send(request: ConverseRequest, target: Target = claude(), own: readonly string[] = []): Sent {
  const encoded = anthropic.encode(request, target);
  return { ...encoded, body: serve(encoded.request.body, target.kind === "vertex" ? "vertex" : "direct", own) };
}

/** The message of the refusal; fails when the request is taken. */
export function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (!(error instanceof BedrockError)) throw error;
    expect(error.type).toBe("ValidationException");
    return error.message;
  }
  throw new Error("the request was taken");
}

export function claudeMemo(changes: Partial<Memo> = {}): Memo {
  return memoOf({ target: claude(), ...changes });
}

export function bytesOf(body: JsonValue | string): Uint8Array {
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}

/** Decodes a complete answer. */
export function decode(body: JsonValue | string, memo: Memo = claudeMemo()): Answer | ProviderFailure {
  return anthropic.decode({ headers: {}, body: bytesOf(body) }, memo);
}

/** Decodes an answer that must not be a failure. */
export function decoded(body: JsonValue | string, memo: Memo = claudeMemo()): Answer {
  const answer = decode(body, memo);
  if (answer.kind === "failure") throw answer.error;
  return answer;
}

export function failed(answer: Answer | ProviderFailure | number): ProviderFailure {
  if (typeof answer === "number" || answer.kind === "answer") throw new Error("the answer was taken");
  return answer;
}

/** A complete message around its content. */
export function message(content: readonly JsonValue[], changes: JsonObject = {}): JsonObject {
  return {
    id: "msg_01XFDUDYJgAACzvnptvVoYEL",
    type: "message",
    role: "assistant",
    model: sonnet45,
    content,
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 12, output_tokens: 6 },
    ...changes,
  };
}

export interface Streamed {
  readonly stream: DialectStream;
  readonly steps: readonly StreamStep[];
  readonly events: StreamStep["events"];
  readonly failure: ProviderFailure | undefined;
  readonly done: boolean;
}

/** Pushes events until one of them ends the answer; where none does, the stream is ended. */
export function streamed(events: readonly (JsonObject | string)[], memo: Memo = claudeMemo()): Streamed {
  const stream = anthropic.stream(memo);
  const steps: StreamStep[] = [];
  for (const event of events) {
    const data = typeof event === "string" ? event : JSON.stringify(event);
    const step = stream.push({ event: typeof event === "string" ? "" : textOf(event.type), data });
    steps.push(step);
    if (step.done || step.failure !== undefined) break;
  }
  const last = steps.at(-1);
  if (last?.done !== true && last?.failure === undefined) steps.push(stream.end());
  return {
    stream,
    steps,
    events: steps.flatMap((step) => step.events),
    failure: steps.at(-1)?.failure,
    done: steps.at(-1)?.done === true,
  };
}

export const messageStart: JsonObject = {
  type: "message_start",
  message: message([], { stop_reason: null, usage: { input_tokens: 12, output_tokens: 1 } }),
};

export function textBlock(index: number, ...pieces: readonly string[]): readonly JsonObject[] {
  return [
    { type: "content_block_start", index, content_block: { type: "text", text: "" } },
    ...pieces.map((text) => ({ type: "content_block_delta", index, delta: { type: "text_delta", text } })),
    { type: "content_block_stop", index },
  ];
}

export function toolBlock(index: number, id: string, ...pieces: readonly string[]): readonly JsonObject[] {
  return [
    { type: "content_block_start", index, content_block: { type: "tool_use", id, name: "weather", input: {} } },
    ...pieces.map((partial_json) => ({
      type: "content_block_delta",
      index,
      delta: { type: "input_json_delta", partial_json },
    })),
    { type: "content_block_stop", index },
  ];
}

export function messageEnd(stop_reason: string, usage: JsonObject = { output_tokens: 6 }): readonly JsonObject[] {
  return [{ type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage }, { type: "message_stop" }];
}
