/**
 * Reads what Bedrock answers on InvokeModel into Converse, for the cache. Strict: an answer is read only when its family
 * would write it again with every member it has; its id and the model's name apart.
 */
import type { ContentBlock, ConverseResponse } from "../bedrock/converse.ts";
import { BedrockError } from "../bedrock/errors.ts";
import { type Family, type FamilyContext, metricsKey } from "../bedrock/families/family.ts";
import { isJsonObject, type JsonObject, type JsonValue, tryParse } from "../bedrock/json.ts";
import type { Usage } from "../telemetry/usage.ts";
import { AnswerCollector } from "./answer-collector.ts";
import { assembleMessage, readMessage } from "./anthropic-answers.ts";
import type { AnswerReader } from "./keeper.ts";
import { framesOf, isConverseResponse } from "./kept-answer.ts";

/** How a family's answers are read: its whole one, and its chunks put together into a whole one. */
export interface FamilyReader {
  /** @param usage what is known of it beside the body */
  read(answer: JsonObject, usage: Usage | undefined): ConverseResponse | undefined;
  assemble(chunks: readonly JsonObject[]): JsonObject | undefined;
}

/** @returns undefined for a family whose answers cannot be read here */
export function invokeReader(family: Family, context: FamilyContext): AnswerReader | undefined {
  const reader = readers.get(family.name);
  if (reader === undefined) return undefined;
  const read = (answer: JsonObject, usage: Usage | undefined): ConverseResponse | undefined => {
    const response = reader.read(answer, usage);
    return response !== undefined && isCovered(answer, rewritten(family, response, context)) ? response : undefined;
  };
  return {
    whole: (body, usage) => {
      const answer = tryParse(body);
      return isJsonObject(answer) ? read(answer, usage) : undefined;
    },
    frames: (runs, usage) => {
      const chunks = chunksOf(runs);
      const answer = chunks && reader.assemble(chunks);
      return answer && read(answer, usage);
    },
  };
}

/** An answer with a block that the family has no form for, is none of the family's. */
function rewritten(family: Family, response: ConverseResponse, context: FamilyContext): JsonObject | undefined {
  try {
    return family.write(response, context);
  } catch (error) {
    if (error instanceof BedrockError) return undefined;
    throw error;
  }
}

/** What is made anew for each answer. */
const ownMembers = new Set(["id", "model"]);

/** Whether the other answer says all that this one says. */
function isCovered(answer: JsonObject, other: JsonObject | undefined): boolean {
  if (other === undefined) return false;
  return Object.entries(answer).every(([name, value]) => ownMembers.has(name) || isWithin(value, other[name]));
}

function isWithin(value: JsonValue, other: JsonValue | undefined): boolean {
  if (isArray(value)) {
    return isArray(other) && value.length === other.length && value.every((item, at) => isWithin(item, other[at]));
  }
  if (!isJsonObject(value)) return value === other;
  return isJsonObject(other) && Object.entries(value).every(([name, member]) => isWithin(member, other[name]));
}

function isArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** The objects of `chunk` frames; undefined when there is any other frame. */
function chunksOf(runs: readonly Uint8Array[]): JsonObject[] | undefined {
  const chunks: JsonObject[] = [];
  for (const [type, payload] of framesOf(runs)) {
    const event = type === "chunk" ? tryParse(payload) : undefined;
    const bytes = isJsonObject(event) ? event.bytes : undefined;
    const chunk = typeof bytes === "string" ? tryParse(Buffer.from(bytes, "base64")) : undefined;
    if (!isJsonObject(chunk)) return undefined;
    const { [metricsKey]: _metrics, ...own } = chunk;
    chunks.push(own);
  }
  return chunks;
}

/** Converse's own messages. */
const nova: FamilyReader = {
  read: (answer) => {
    const { output, stopReason, usage } = answer;
    if (!isJsonObject(usage)) return undefined;
    const { cacheReadInputTokenCount: read, cacheWriteInputTokenCount: write } = usage;
    const response = {
      output,
      stopReason,
      usage: {
        inputTokens: usage.inputTokens,
        outputTokens: usage.outputTokens,
        totalTokens: usage.totalTokens ?? sumOf(usage),
        ...(typeof read === "number" && { cacheReadInputTokens: read }),
        ...(typeof write === "number" && { cacheWriteInputTokens: write }),
      },
      metrics: { latencyMs: 0 },
    };
    return isConverseResponse(response) ? response : undefined;
  },
  assemble: (chunks) => {
    const collector = new AnswerCollector();
    for (const chunk of chunks) {
      const [event, ...others] = Object.entries(chunk);
      if (event === undefined) continue;
      if (others.length > 0) return undefined;
      const [name, payload] = event;
      // Nova's own `metrics` and `trace` are empty, and its usage has members under other names than Converse's.
      collector.push(name, payload);
    }
    const answer = collector.answer();
    if (answer === undefined) return undefined;
    const { output: said, stopReason, usage = null, metrics: _metrics, trace, ...others } = answer;
    const output = merged(said);
    const hasMore = Object.keys(others).length > 0 || (isJsonObject(trace) && Object.keys(trace).length > 0);
    return hasMore || output === undefined || stopReason === undefined ? undefined : { output, stopReason, usage };
  },
};

function sumOf(usage: JsonObject): number {
  const names = ["inputTokens", "outputTokens", "cacheReadInputTokenCount", "cacheWriteInputTokenCount"];
  return names.reduce((sum, name) => sum + (countOf(usage[name]) ?? 0), 0);
}

/** Nova may close a block after each piece: what is torn is put together, where that can be done. */
function merged(output: JsonValue | undefined): JsonObject | undefined {
  const message = isJsonObject(output) ? output.message : undefined;
  if (!isJsonObject(message) || !Array.isArray(message.content)) return undefined;
  const content: JsonObject[] = [];
  for (const block of message.content) {
    // Reasoning that was torn has lost its signature.
    if (!isJsonObject(block) || "reasoningContent" in block) return undefined;
    const before = content.at(-1);
    const [text, more] = [before?.text, block.text];
    if (typeof text === "string" && typeof more === "string") content.splice(-1, 1, { text: text + more });
    else content.push(block);
  }
  return { message: { ...message, content } };
}

const anthropic: FamilyReader = { read: readMessage, assemble: assembleMessage };

/** A piece of text, and at its end why it ended and what it took. */
interface Piece {
  readonly text: string;
  readonly stop: string | null;
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
}

interface TextMembers {
  /** The place of the text and its companions. */
  readonly whole: (answer: JsonObject) => JsonObject | undefined;
  readonly piece: (whole: JsonObject, inner: JsonObject) => Piece | undefined;
  /** A chunk's members in the shape of a whole answer; undefined when it has any that are not known. */
  readonly chunk: (chunk: JsonObject) => JsonObject | undefined;
  readonly join: (pieces: readonly Piece[], last: JsonObject) => JsonObject;
  readonly complete: ReadonlyMap<string, ConverseResponse["stopReason"]>;
}

function textReader({ whole, piece, chunk, join, complete }: TextMembers): FamilyReader {
  const pieceOf = (answer: JsonObject) => {
    const inner = whole(answer);
    return inner && piece(answer, inner);
  };
  return {
    read: (answer, usage) => {
      const read = pieceOf(answer);
      const stopReason = read && complete.get(read.stop ?? "");
      if (read === undefined || stopReason === undefined) return undefined;
      const inputTokens = read.inputTokens ?? usage?.inputTokens ?? 0;
      const outputTokens = read.outputTokens ?? usage?.outputTokens ?? 0;
      const content: ContentBlock[] = read.text === "" ? [] : [{ text: read.text }];
      return {
        output: { message: { role: "assistant", content } },
        stopReason,
        usage: { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens },
        metrics: { latencyMs: 0 },
      };
    },
    assemble: (chunks) => {
      const pieces: Piece[] = [];
      let last: JsonObject | undefined;
      for (const one of chunks) {
        const answer = chunk(one);
        const read = answer && pieceOf(answer);
        if (answer === undefined || read === undefined) return undefined;
        pieces.push(read);
        last = answer;
      }
      return last && join(pieces, last);
    },
  };
}

function first(list: JsonValue | undefined): JsonObject | undefined {
  const item: unknown = Array.isArray(list) && list.length === 1 ? list[0] : undefined;
  return isJsonObject(item) ? item : undefined;
}

function countOf(value: JsonValue | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function pieceFrom(
  text: JsonValue | undefined,
  stop: JsonValue | undefined,
  input?: JsonValue,
  output?: JsonValue,
): Piece | undefined {
  if (typeof text !== "string" || (stop !== undefined && stop !== null && typeof stop !== "string")) return undefined;
  return { text, stop: stop ?? null, inputTokens: countOf(input), outputTokens: countOf(output) };
}

function hasOnly(object: JsonObject, names: ReadonlySet<string>): boolean {
  return Object.keys(object).every((name) => names.has(name));
}

function joined(pieces: readonly Piece[]): string {
  return pieces.map(({ text }) => text).join("");
}

const llamaMembers = new Set(["generation", "prompt_token_count", "generation_token_count", "stop_reason"]);

const llama = textReader({
  whole: (answer) => answer,
  piece: ({ generation, stop_reason: stop, prompt_token_count: input, generation_token_count: output }) =>
    pieceFrom(generation, stop, input, output),
  chunk: (chunk) => (hasOnly(chunk, llamaMembers) ? chunk : undefined),
  join: (pieces, last) => ({ ...last, generation: joined(pieces), prompt_token_count: promptOf(pieces, last) }),
  complete: new Map([["stop", "end_turn"]]),
});

/** Llama tells the prompt's tokens in its first chunk. */
function promptOf(pieces: readonly Piece[], last: JsonObject): JsonValue {
  const told = pieces.find(({ inputTokens }) => inputTokens !== undefined);
  return told?.inputTokens ?? last.prompt_token_count ?? null;
}

const titanMembers = new Set([
  "outputText",
  "index",
  "totalOutputTextTokenCount",
  "completionReason",
  "inputTextTokenCount",
]);

const titan = textReader({
  whole: ({ results }) => first(results),
  piece: ({ inputTextTokenCount: input }, { outputText, completionReason, tokenCount: output }) =>
    pieceFrom(outputText, completionReason, input, output),
  chunk: (chunk) => {
    if (!hasOnly(chunk, titanMembers)) return undefined;
    const { outputText = null, completionReason = null, totalOutputTextTokenCount: output = null } = chunk;
    const results = [{ tokenCount: output, outputText, completionReason }];
    return { inputTextTokenCount: chunk.inputTextTokenCount ?? null, results };
  },
  join: (pieces, last) => {
    const told = pieces.find(({ inputTokens }) => inputTokens !== undefined);
    const results = [{ ...first(last.results), outputText: joined(pieces) }];
    return { inputTextTokenCount: told?.inputTokens ?? null, results };
  },
  complete: new Map([
    ["FINISH", "end_turn"],
    ["STOP_CRITERIA_MET", "stop_sequence"],
  ]),
});

const mistralMembers = new Set(["outputs"]);

const mistral = textReader({
  whole: ({ outputs }) => first(outputs),
  piece: (_whole, { text, stop_reason: stop }) => pieceFrom(text, stop),
  chunk: (chunk) => (hasOnly(chunk, mistralMembers) ? chunk : undefined),
  join: (pieces, last) => ({ outputs: [{ ...first(last.outputs), text: joined(pieces) }] }),
  complete: new Map([["stop", "end_turn"]]),
});

const readers: ReadonlyMap<string, FamilyReader> = new Map([
  ["anthropic-messages", anthropic],
  ["nova", nova],
  ["llama", llama],
  ["titan-text", titan],
  ["mistral-prompt", mistral],
]);
