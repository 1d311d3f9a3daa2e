/** How a client's operation speaks: its body read into Converse, and answers and streams written in its own wire format. */
import type { ConverseEvent, ConverseRequest, ConverseResponse, TokenUsage } from "../bedrock/converse.ts";
import { readConverse } from "../bedrock/converse-reader.ts";
import { BedrockError, refuseField } from "../bedrock/errors.ts";
import { encodeEvent } from "../bedrock/event-stream.ts";
import type {
  EmbeddingRequest,
  Family,
  FamilyContext,
  ImageRequest,
  InvocationMetrics,
  Ranked,
  RerankRequest,
} from "../bedrock/families/family.ts";
import {
  chooseFamily,
  embeddingFamilies,
  familyNamed,
  imageFamilies,
  rerankFamilies,
  textFamilies,
} from "../bedrock/families/index.ts";
import { isJsonObject, type JsonObject } from "../bedrock/json.ts";
import type { Route } from "../bedrock/operations.ts";
import { readMember, readObject, readText, refuseMember } from "../bedrock/reading.ts";
import { readRerank, writeRerank } from "../bedrock/rerank.ts";
import { stopReasonIn } from "../bedrock/stop-reason.ts";
import type { ReplyHeaders, RequestHeaders } from "../http/exchange.ts";
import type { Usage } from "../telemetry/usage.ts";
import { readInvokeHeaders } from "./invoke-headers.ts";

export type ClientFormat = TextFormat | EmbeddingFormat | ImagesFormat | RerankFormat;

/** How an answer is written, without what it answers. */
export type AnswerFormat = TextAnswerFormat | EmbeddingFormat | ImagesFormat | RerankFormat;

/** The same as plain data, which can cross to another thread; {@link formatOf} makes one of it. */
export type AnswerForm =
  | { readonly kind: "converse" }
  | { readonly kind: "text"; readonly family: string; readonly context: FamilyContext }
  | {
      readonly kind: "embedding";
      readonly family: string;
      readonly context: FamilyContext;
      readonly request: EmbeddingRequest;
    }
  | {
      readonly kind: "image";
      readonly family: string;
      readonly request: ImageRequest;
      readonly ignored: readonly string[];
    }
  | {
      readonly kind: "rerank";
      /** Undefined for the operation of that name. */
      readonly family: string | undefined;
      readonly request: RerankRequest;
      readonly ignored: readonly string[];
    };

/** Writes what a model has said as the client's operation wants it. */
export interface TextWriter {
  /** @throws BedrockError ModelErrorException when the family has no form for a block of the answer */
  answer(response: ConverseResponse): ClientAnswer;
  /** @param startedAt when the request went to the model, in the terms of `performance.now()` */
  stream(startedAt: number): StreamFormat;
}

/** How answers of text are written. */
export interface TextAnswerFormat extends TextWriter {
  readonly kind: "text";
  /** Undefined where more is done with the answer than the form says. */
  readonly form: AnswerForm | undefined;
  /** The form where that more is only listening, which is done without for a very large answer. */
  readonly untapped?: AnswerForm | undefined;
}

/** Converse in either form, and InvokeModel in a family that generates. */
export interface TextFormat extends TextAnswerFormat {
  readonly request: ConverseRequest;
}

/** InvokeModel in a family that makes vectors. */
export interface EmbeddingFormat {
  readonly kind: "embedding";
  /** As of text. */
  readonly form: AnswerForm | undefined;
  readonly request: EmbeddingRequest;
  /**
   * @param vectors one for each text of the request
   * @param latencyMs how long the model took
   */
  answer(vectors: readonly (readonly number[])[], inputTokens: number, latencyMs: number): ClientAnswer;
}

/** InvokeModel in a family that makes images. */
export interface ImagesFormat {
  readonly kind: "image";
  readonly form: AnswerForm;
  readonly request: ImageRequest;
  /** Names of what was left out in reading. */
  readonly ignored: readonly string[];
  /**
   * @param images base64
   * @param withheld why there are fewer than were asked for, if the provider said so
   * @param latencyMs how long the model took
   */
  answer(images: readonly string[], withheld: string | undefined, latencyMs: number): ClientAnswer;
}

/** Rerank, and InvokeModel in a family that ranks documents. */
export interface RerankFormat {
  readonly kind: "rerank";
  readonly form: AnswerForm;
  readonly request: RerankRequest;
  /** Names of what was left out in reading. */
  readonly ignored: readonly string[];
  /**
   * @param ranked best first
   * @param latencyMs how long the model took
   * @throws BedrockError ModelErrorException when a result is of no document of the request
   */
  answer(ranked: readonly Ranked[], latencyMs: number): ClientAnswer;
}

/** A whole answer with status 200. */
export interface ClientAnswer {
  readonly headers: ReplyHeaders;
  readonly body: string;
  /** Why the model stopped, in the words of this answer. */
  readonly stopReason?: string | undefined;
}

/** Writes one streamed answer; it keeps state, so each stream needs its own. */
export interface StreamFormat {
  readonly headers: ReplyHeaders;
  /**
   * The frames of one event, none for some events of some families. The frames of `metadata` are the last.
   *
   * @throws BedrockError ModelErrorException when the family has no form for the event
   */
  encode(event: ConverseEvent): readonly Uint8Array[];
  /** Why the model stopped, in the words of what was written so far. */
  stopReason(): string | undefined;
}

export interface ReadContext {
  readonly headers: RequestHeaders;
  /** The model is not Bedrock's, so that its id says nothing about the body's family. */
  readonly foreign: boolean;
  /** Ids in the answer are made from it. */
  readonly requestId: string;
}

const json: ReplyHeaders = [["content-type", "application/json"]];
const eventStream: ReplyHeaders = [["content-type", "application/vnd.amazon.eventstream"]];
const invokeStream: ReplyHeaders = [...eventStream, ["x-amzn-bedrock-content-type", "application/json"]];

/**
 * Reads the body of Converse, ConverseStream, InvokeModel or InvokeModelWithResponseStream.
 *
 * @throws BedrockError ValidationException when the body is no JSON object, or naming the field that is wrong
 */
export function readClientRequest(route: Route, modelId: string, body: Buffer, context: ReadContext): ClientFormat {
  const parsed = parseBody(body);
  const { name, streams } = route.operation;
  if (name === "Converse" || name === "ConverseStream") return converseFormat(readConverse(parsed, streams));
  return invokeFormat(modelId, parsed, streams, context);
}

/**
 * Reads the body of Rerank.
 *
 * @throws BedrockError ValidationException when the body is no JSON object, or naming the field that is wrong
 */
export function readRerankRequest(body: Buffer): RerankFormat {
  return rerankFormat({ kind: "rerank", family: undefined, request: readRerank(parseBody(body)), ignored: [] });
}

/**
 * Reads the body of CountTokens: what is to be counted.
 *
 * @throws BedrockError ValidationException when the body is no JSON object, or naming the field that is wrong
 */
export function readCountTokens(modelId: string, body: Buffer, foreign: boolean): ConverseRequest {
  const { input } = readObject(parseBody(body), "", countFields);
  const [name, member] = readMember(input, "input");
  const path = `input.${name}`;
  if (name === "converse") {
    const fields = readObject(member, path, countConverseFields);
    return within(path, () => readConverse(fields, false));
  }
  if (name !== "invokeModel") throw refuseMember("input", name);
  const bytes = Buffer.from(readText(readObject(member, path, countInvokeFields).body, `${path}.body`), "base64");
  return within(`${path}.body`, () => {
    const invoke = parseBody(bytes);
    const family = chooseFamily(modelId, invoke, foreign);
    if (family.kind === "text") return family.read(invoke);
    throw new BedrockError("ValidationException", "The provided model doesn't support counting tokens.");
  });
}

const countFields = new Set(["input"]);
const countConverseFields = new Set(["messages", "system", "toolConfig", "additionalModelRequestFields"]);
const countInvokeFields = new Set(["body"]);

/** The answer of CountTokens. */
export function writeCountTokens(inputTokens: number): ClientAnswer {
  return { headers: json, body: JSON.stringify({ inputTokens }) };
}

/**
 * Parses a request body.
 *
 * @throws BedrockError ValidationException when it is empty, no JSON, or no object
 */
export function parseBody(body: Buffer): JsonObject {
  if (body.length === 0) throw refuseField("body", "is empty; it must be a JSON object.");
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch (error) {
    const reason = error instanceof Error ? `: ${error.message.slice(0, maxReasonLength)}` : "";
    throw refuseField("body", `is not valid JSON${reason}.`);
  }
  if (isJsonObject(parsed)) return parsed;
  throw refuseField("body", `must be a JSON object, not ${Array.isArray(parsed) ? "a list" : `${typeof parsed}`}.`);
}

const maxReasonLength = 200;

/** The usage of an answer as the gateway counts it. */
export function usageOf(usage: TokenUsage): Usage {
  const { inputTokens, outputTokens, cacheReadInputTokens, cacheWriteInputTokens } = usage;
  return {
    inputTokens,
    outputTokens,
    ...(cacheReadInputTokens !== undefined && { cacheReadInputTokens }),
    ...(cacheWriteInputTokens !== undefined && { cacheWriteInputTokens }),
  };
}

/** How answers of Converse and ConverseStream are written. */
export const converseWriter: TextWriter = {
  answer: (response) => ({ headers: json, body: JSON.stringify(response), stopReason: response.stopReason }),
  stream: () => new ConverseStreamFormat(),
};

function converseFormat(request: ConverseRequest): TextFormat {
  return { request, ...converseAnswers };
}

const converseAnswers: TextAnswerFormat = {
  kind: "text",
  form: { kind: "converse" },
  ...converseWriter,
};

function invokeFormat(modelId: string, body: JsonObject, streams: boolean, context: ReadContext): ClientFormat {
  const { requestId, headers } = context;
  const family = chooseFamily(modelId, body, context.foreign);
  if (family.kind === "text") {
    const request = { ...family.read(body), ...readInvokeHeaders(headers) };
    return { ...textAnswers(family, { modelId, requestId, body: membersOf(body, family.echoes) }), request };
  }
  if (streams) {
    const message = `A model that ${works[family.kind]} does not stream: use InvokeModel.`;
    throw new BedrockError("ValidationException", message);
  }
  const { kind, name } = family;
  switch (kind) {
    case "embedding":
      return embeddingFormat({ kind, family: name, context: { modelId, requestId }, request: family.read(body) });
    case "image": {
      const request = family.read(body);
      return imagesFormat({
        kind,
        family: name,
        request,
        ignored: [...request.ignored, ...headersWithoutEffect(headers)],
      });
    }
    case "rerank":
      return rerankFormat({ kind, family: name, request: family.read(body), ignored: headersWithoutEffect(headers) });
  }
}

const works = { embedding: "makes embeddings", image: "makes images", rerank: "ranks documents" } as const;

function membersOf(body: JsonObject, names: readonly string[] = []): JsonObject {
  return Object.fromEntries(names.flatMap((name) => (Object.hasOwn(body, name) ? [[name, body[name] ?? null]] : [])));
}

/** The format that a form describes. */
export function formatOf(form: AnswerForm): AnswerFormat {
  switch (form.kind) {
    case "converse":
      return converseAnswers;
    case "text":
      return textAnswers(familyNamed(textFamilies, form.family), form.context);
    case "embedding":
      return embeddingFormat(form);
    case "image":
      return imagesFormat(form);
    case "rerank":
      return rerankFormat(form);
  }
}

function textAnswers(family: Family, context: FamilyContext): TextAnswerFormat {
  return {
    kind: "text",
    form: { kind: "text", family: family.name, context },
    answer: (response) => writeInvoke(family, response, context),
    stream: (startedAt) => new InvokeStreamFormat(family, context, startedAt),
  };
}

function embeddingFormat(form: Extract<AnswerForm, { readonly kind: "embedding" }>): EmbeddingFormat {
  const { request, context } = form;
  const family = familyNamed(embeddingFamilies, form.family);
  return {
    kind: "embedding",
    form,
    request,
    answer: (vectors, inputTokens, latencyMs) => ({
      headers: [...json, ["x-amzn-bedrock-input-token-count", String(inputTokens)], latencyHeader(latencyMs)],
      body: JSON.stringify(
        family.write(request.normalize ? vectors.map(unitVector) : vectors, inputTokens, request, context),
      ),
    }),
  };
}

function imagesFormat(form: Extract<AnswerForm, { readonly kind: "image" }>): ImagesFormat {
  const { request, ignored } = form;
  const family = familyNamed(imageFamilies, form.family);
  return {
    kind: "image",
    form,
    request,
    ignored,
    answer: (images, withheld, latencyMs) => ({
      headers: [...json, latencyHeader(latencyMs)],
      body: JSON.stringify(family.write(images, withheld, request)),
    }),
  };
}

function rerankFormat(form: Extract<AnswerForm, { readonly kind: "rerank" }>): RerankFormat {
  const { request, ignored } = form;
  const family = form.family === undefined ? undefined : familyNamed(rerankFamilies, form.family);
  return {
    kind: "rerank",
    form,
    request,
    ignored,
    answer: (ranked, latencyMs) =>
      family === undefined
        ? { headers: json, body: JSON.stringify(writeRerank(ranked, request)) }
        : { headers: [...json, latencyHeader(latencyMs)], body: JSON.stringify(family.write(ranked, request)) },
  };
}

function latencyHeader(latencyMs: number): readonly [name: string, value: string] {
  return ["x-amzn-bedrock-invocation-latency", String(Math.round(latencyMs))];
}

/**
 * What the headers of a request say that only a model of text can be told, by name. A guardrail is not left out: the
 * client counts on it.
 */
function headersWithoutEffect(headers: RequestHeaders): readonly string[] {
  const { guardrailConfig, ...others } = readInvokeHeaders(headers);
  if (guardrailConfig === undefined) return Object.keys(others);
  throw refuseField("guardrailConfig", "guardrails are applied here to models of text alone");
}

/** Providers differ in whether their vectors have length 1; those that do stay as they are. */
function unitVector(vector: readonly number[]): readonly number[] {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  if (length === 0 || Math.abs(length - 1) < roundingError) return vector;
  return vector.map((value) => value / length);
}

const roundingError = 1e-4;

/** Bedrock counts tokens of InvokeModel in headers (seen in recorded traffic, not in the service model). */
function writeInvoke(family: Family, response: ConverseResponse, context: FamilyContext): ClientAnswer {
  const { usage, metrics, performanceConfig, serviceTier } = response;
  const counted: readonly (readonly [string, string | number | undefined])[] = [
    ["input-token-count", usage.inputTokens],
    ["output-token-count", usage.outputTokens],
    ["cache-read-input-token-count", usage.cacheReadInputTokens || undefined],
    ["cache-write-input-token-count", usage.cacheWriteInputTokens || undefined],
    ["invocation-latency", Math.round(metrics.latencyMs)],
    ["performanceconfig-latency", performanceConfig?.latency],
    ["service-tier", serviceTier?.type],
  ];
  const headers = [...json];
  for (const [name, value] of counted) if (value !== undefined) headers.push([`x-amzn-bedrock-${name}`, String(value)]);
  const written = family.write(response, context);
  return { headers, body: JSON.stringify(written), stopReason: stopReasonIn(written) };
}

class ConverseStreamFormat implements StreamFormat {
  readonly headers = eventStream;
  #stopReason: string | undefined;

  encode(event: ConverseEvent): readonly Uint8Array[] {
    if ("messageStop" in event) this.#stopReason = event.messageStop.stopReason;
    return Object.entries(event).map(([name, payload]) => encodeEvent(name, JSON.stringify(payload)));
  }

  stopReason(): string | undefined {
    return this.#stopReason;
  }
}

class InvokeStreamFormat implements StreamFormat {
  readonly headers = invokeStream;
  readonly #stream: ReturnType<Family["stream"]>;
  readonly #startedAt: number;
  #firstByteMs: number | undefined;
  #stopReason: string | undefined;

  constructor(family: Family, context: FamilyContext, startedAt: number) {
    this.#stream = family.stream(context);
    this.#startedAt = startedAt;
  }

  encode(event: ConverseEvent): readonly Uint8Array[] {
    this.#firstByteMs ??= performance.now() - this.#startedAt;
    const objects = this.#stream.push(event);
    if ("contentBlockDelta" in event) return objects.map(encodeChunk);
    if (!("metadata" in event)) return this.#encode(objects);
    const { usage, metrics } = event.metadata;
    return this.#encode([...objects, ...this.#stream.end(this.#metrics(usage, metrics.latencyMs))]);
  }

  stopReason(): string | undefined {
    return this.#stopReason;
  }

  #encode(objects: readonly JsonObject[]): readonly Uint8Array[] {
    for (const object of objects) this.#stopReason = stopReasonIn(object) ?? this.#stopReason;
    return objects.map(encodeChunk);
  }

  #metrics(usage: TokenUsage, latencyMs: number): InvocationMetrics {
    const { inputTokens, outputTokens, cacheReadInputTokens = 0, cacheWriteInputTokens = 0 } = usage;
    return {
      inputTokenCount: inputTokens,
      outputTokenCount: outputTokens,
      invocationLatency: Math.round(latencyMs),
      firstByteLatency: Math.round(Math.min(this.#firstByteMs ?? latencyMs, latencyMs)),
      ...(cacheReadInputTokens > 0 && { cacheReadInputTokenCount: cacheReadInputTokens }),
      ...(cacheWriteInputTokens > 0 && { cacheWriteInputTokenCount: cacheWriteInputTokens }),
    };
  }
}

function encodeChunk(object: JsonObject): Buffer {
  return encodeEvent("chunk", `{"bytes":"${Buffer.from(JSON.stringify(object)).toString("base64")}"}`);
}

/** Puts the place of a body inside another one before the path that a refusal names. */
function within<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof BedrockError && error.type === "ValidationException") {
      throw new BedrockError("ValidationException", `${path}.${error.message}`, { cause: error });
    }
    throw error;
  }
}
