/** What the tests of Gemini's dialect share. */
import type { ConverseRequest, ConverseResponse } from "../../../src/bedrock/converse.ts";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import type { Encoded, Memo, ProviderFailure, StreamStep, Target } from "../../../src/providers/dialect.ts";
import { gemini } from "../../../src/providers/gemini/gemini.ts";
import { isFailure } from "../../../src/providers/nonsense.ts";
import { type Collected, collect } from "../collect.ts";
import { memoOf, targetOf } from "../fixtures.ts";
import { checkRequest } from "./check-request.ts";

export function geminiTarget(model = "gemini-3-flash-preview", changes: Partial<Target> = {}): Target {
  return targetOf({ kind: "gemini", model, ...changes });
}

export function vertexTarget(model = "gemini-3-flash-preview", changes: Partial<Target> = {}): Target {
  return targetOf({ kind: "vertex", model, vertex: { project: "my-project", region: "us-central1" }, ...changes });
}

/** Encodes, insists that Google would take it, and gives the body. */
export function encoded(request: ConverseRequest, target = geminiTarget()): Encoded & { readonly json: JsonObject } {
  const result = gemini.encode(request, target);
  const json: JsonObject = JSON.parse(result.request.body);
  const name = target.baseModel ?? target.model;
  checkRequest(json, { vertex: target.kind === "vertex", signsCalls: /gemini-3/.test(name) });
  return { ...result, json };
}

export function bodyOf(request: ConverseRequest, target = geminiTarget()): JsonObject {
  return encoded(request, target).json;
}

export function geminiMemo(changes: Partial<Memo> = {}): Memo {
  return memoOf({ target: geminiTarget(), ...changes });
}

/** An answer of one candidate. */
export function answerOf(
  parts: readonly JsonObject[],
  {
    finishReason = "STOP",
    candidate = {},
    ...body
  }: { finishReason?: string; candidate?: JsonObject } & JsonObject = {},
): JsonObject {
  return {
    candidates: [{ content: { parts, role: "model" }, finishReason, index: 0, ...candidate }],
    usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 5, totalTokenCount: 15 },
    ...body,
  };
}

type Whole = Omit<ConverseResponse, "metrics">;

export function decodeWhole(
  body: JsonValue,
  memo = geminiMemo(),
): { response: Whole; estimated: boolean } | ProviderFailure {
  return gemini.decode({ headers: {}, body: Buffer.from(JSON.stringify(body)) }, memo);
}

export function decoded(body: JsonValue, memo = geminiMemo()): Whole {
  const read = decodeWhole(body, memo);
  if (isFailure(read)) throw read.error;
  return read.response;
}

export function failed(body: JsonValue, memo = geminiMemo()): ProviderFailure {
  const read = decodeWhole(body, memo);
  if (!isFailure(read)) throw new Error("taken for an answer");
  return read;
}

/** Streams the chunks and ends. */
export function streamed(
  chunks: readonly JsonValue[],
  memo = geminiMemo(),
): { steps: readonly StreamStep[]; estimated: boolean } {
  const stream = gemini.stream(memo);
  const steps: StreamStep[] = [];
  for (const chunk of chunks) {
    const step = stream.push({ event: "", data: JSON.stringify(chunk) });
    steps.push(step);
    if (step.failure !== undefined || step.done) return { steps, estimated: stream.usage().estimated };
  }
  steps.push(stream.end());
  return { steps, estimated: stream.usage().estimated };
}

export function collected(chunks: readonly JsonValue[], memo = geminiMemo()): Collected {
  const { steps } = streamed(chunks, memo);
  const failure = steps.at(-1)?.failure;
  if (failure !== undefined) throw failure.error;
  return collect(steps.flatMap((step) => step.events));
}

export function streamFailure(chunks: readonly JsonValue[], memo = geminiMemo()): ProviderFailure {
  const failure = streamed(chunks, memo).steps.at(-1)?.failure;
  if (failure === undefined) throw new Error("taken for an answer");
  return failure;
}

/** Stream blocks as a complete answer has them. */
export function asContent({ blocks }: Collected): Whole["output"]["message"]["content"] {
  return blocks.map((block) => {
    if (block.start !== undefined && "toolUse" in block.start) {
      return { toolUse: { ...block.start.toolUse, input: JSON.parse(block.input ?? "") } };
    }
    if (block.start !== undefined && "image" in block.start) {
      return { image: { format: block.start.image.format, source: { bytes: block.image ?? "" } } };
    }
    if (block.text !== undefined) return { text: block.text };
    const { reasoning: text = "", signature } = block;
    return { reasoningContent: { reasoningText: { text, ...(signature !== undefined && { signature }) } } };
  });
}
