/**
 * Reads what Bedrock answers on InvokeModel into Converse, for the cache. Strict: an answer is read only when its family
 * would write it again with every member it has; its id and the model's name apart.
 */
import type { ConverseResponse } from "../bedrock/converse.ts";
import { BedrockError } from "../bedrock/errors.ts";
import { type Family, type FamilyContext, metricsKey } from "../bedrock/families/family.ts";
import { isJsonObject, type JsonObject, type JsonValue, tryParse } from "../bedrock/json.ts";
import type { Usage } from "../telemetry/usage.ts";
import { AnswerCollector } from "./answer-collector.ts";
import { assembleMessage, readMessage } from "./anthropic-answers.ts";
import { mistralChat, openaiChat } from "./invoke-readers/chat.ts";
import { countOf, type FamilyReader } from "./invoke-readers/family-reader.ts";
import {
  anthropicText,
  cohereCommand,
  cohereCommandR,
  deepseek,
  llama,
  mistralPrompt,
  titanText,
} from "./invoke-readers/text.ts";
import type { AnswerReader } from "./keeper.ts";
import { framesOf, isConverseResponse } from "./kept-answer.ts";

/** @returns undefined for a family whose answers cannot be read here */
export function invokeReader(family: Family, context: FamilyContext): AnswerReader | undefined {
  const reader = readers.get(family.name);
  if (reader === undefined) return undefined;
  const read = (answer: JsonObject, usage: Usage | undefined): ConverseResponse | undefined => {
    const response = reader.read(answer, usage);
    const other = response && rewritten(family, response, context);
    return isCovered(answer, other, reader.fresh ?? nothing) ? response : undefined;
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
const nothing: ReadonlySet<string> = new Set();

/** Whether the other answer says all that this one says. What is null says nothing. */
function isCovered(answer: JsonObject, other: JsonObject | undefined, fresh: ReadonlySet<string>): boolean {
  const isWithin = (value: JsonValue, its: JsonValue | undefined): boolean => {
    if (isArray(value)) {
      return isArray(its) && value.length === its.length && value.every((item, at) => isWithin(item, its[at]));
    }
    if (!isJsonObject(value)) return value === (its ?? null);
    return isJsonObject(its) && isWithinAll(value, its);
  };
  const isWithinAll = (value: JsonObject, its: JsonObject): boolean =>
    Object.entries(value).every(([name, member]) => fresh.has(name) || isWithin(member, its[name]));
  if (other === undefined) return false;
  return Object.entries(answer).every(
    ([name, value]) => ownMembers.has(name) || fresh.has(name) || isWithin(value, other[name]),
  );
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

const readers: ReadonlyMap<string, FamilyReader> = new Map([
  ["anthropic-messages", anthropic],
  ["anthropic-text", anthropicText],
  ["nova", nova],
  ["llama", llama],
  ["titan-text", titanText],
  ["mistral-prompt", mistralPrompt],
  ["deepseek", deepseek],
  ["cohere-command", cohereCommand],
  ["cohere-command-r", cohereCommandR],
  ["openai-chat", openaiChat],
  ["ai21-jamba", openaiChat],
  ["mistral-chat", mistralChat],
]);
