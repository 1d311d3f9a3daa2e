/** The translation lane: one attempt at a provider that does not speak Bedrock's API, with one key. */
import type { ConverseRequest, ConverseResponse } from "../bedrock/converse.ts";
import { eventsOf } from "../bedrock/converse-events.ts";
import { BedrockError } from "../bedrock/errors.ts";
import type { Route } from "../bedrock/operations.ts";
import type { ReplyHeaders } from "../http/exchange.ts";
import type { Dialect, Encoded, ProviderAnswer, ProviderFailure, Target } from "../providers/dialect.ts";
import { dialects } from "../providers/dialects.ts";
import { authHeader, dialectNameFor } from "../providers/table.ts";
import { CredentialsError } from "../upstream/credentials.ts";
import { type Sent, type Upstream, type UpstreamAnswer, UpstreamError } from "../upstream/dispatch.ts";
import { type EventReader, JsonLinesReader, SseReader } from "../upstream/sse.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Attempted, Failure, WholeAnswer } from "./attempt.ts";
import {
  type ClientAnswer,
  type ClientFormat,
  type EmbeddingFormat,
  type ImagesFormat,
  type RerankFormat,
  readClientRequest,
  readCountTokens,
  readRerankRequest,
  type TextFormat,
  usageOf,
  writeCountTokens,
} from "./client-format.ts";
import { ConverseSource } from "./event-source.ts";
import { cancelled, failure, inTime, silent, unreachable } from "./failures.ts";
import type { TranslatedKey, TranslatedProvider } from "./providers.ts";
import { redactText } from "./redact.ts";
import { TranslatedStream } from "./translated-stream.ts";

/** What the client asks, read once for all keys of the provider. */
export interface TranslateCall {
  readonly asked: string;
  readonly format: ClientFormat | { readonly kind: "count"; readonly request: ConverseRequest };
  readonly streams: boolean;
  /** The client's own headers for the upstream. */
  readonly headers: readonly (readonly [string, string])[];
  /** Milliseconds a stream may take to begin with content, while somebody else could be asked; undefined: no limit. */
  readonly patienceMs: number | undefined;
}

const maxAnswerBytes = 128 * 1024 * 1024;
const maxErrorBytes = 1024 * 1024;
const userAgent = "bifrost-ts";

/**
 * Reads the client's request for a provider that is not Bedrock.
 *
 * @throws BedrockError ValidationException when the request is wrong, or asks for what only Bedrock has
 */
export function readTranslateCall(
  request: ActiveRequest,
  route: Route,
  asked: string | undefined,
  body: Buffer,
  headers: TranslateCall["headers"],
  provider: string,
): TranslateCall {
  const { name, streams } = route.operation;
  const common = { asked: asked ?? "", streams, headers, patienceMs: undefined };
  switch (name) {
    case "Converse":
    case "ConverseStream":
    case "InvokeModel":
    case "InvokeModelWithResponseStream": {
      const context = { headers: request.exchange.headers, foreign: true, requestId: request.id };
      return { ...common, format: readClientRequest(route, common.asked, body, context) };
    }
    case "CountTokens":
      return { ...common, format: { kind: "count", request: readCountTokens(common.asked, body, true) } };
    case "Rerank":
      return { ...common, format: readRerankRequest(body) };
    case "ApplyGuardrail":
    case "InvokeGuardrailChecks":
    case "StartAsyncInvoke":
    case "GetAsyncInvoke":
    case "ListAsyncInvokes":
    case "ListFoundationModels":
    case "GetFoundationModel":
    case "ListInferenceProfiles":
    case "GetInferenceProfile":
    case "CreateModelInvocationJob":
    case "ListModelInvocationJobs":
    case "GetModelInvocationJob":
    case "StopModelInvocationJob":
    case "PutObject":
    case "GetObject":
    case "HeadObject":
    case "DeleteObject":
    case "ListObjectsV2":
      throw new BedrockError("ValidationException", `The provider ${provider} does not serve ${name}.`);
  }
}

/** @param model the model id at the provider: the key's alias of what was asked, or that itself */
export async function translate(
  request: ActiveRequest,
  call: TranslateCall,
  provider: TranslatedProvider,
  key: TranslatedKey,
  model: string,
  upstream: Upstream,
): Promise<Attempted> {
  const target = targetOf(request, call, provider, key, model);
  const dialect = dialectOf(target);
  const { format } = call;
  let encoded: Encoded;
  try {
    encoded = encode(dialect, target, format);
  } catch (error) {
    if (!(error instanceof BedrockError)) throw error;
    return failure("nobody", error, { elsewhere: true });
  }
  if (format.kind === "count" && dialect.countTokens === undefined) {
    return answerOf(writeCountTokens(encoded.memo.inputTokens), undefined, encoded, estimatedHeader);
  }
  const reach = await authorize(request, key);
  if (reach.kind === "failure") return reach;
  const secrets = () => [...provider.secrets, ...reach.secrets];
  const sentAt = performance.now();
  try {
    const sent = upstream.send(buildRequest(request, encoded, call, provider, key, reach.header), provider.network);
    request.whenOver(() => sent.cancel());
    const answer = await inTime(sent.answer, call.streams ? call.patienceMs : undefined);
    if (answer === undefined) {
      sent.cancel();
      return silent();
    }
    if (answer.status < 200 || answer.status > 299) {
      const body = await answer.collect(maxErrorBytes);
      const { status, headers } = answer;
      return failed(dialect.failure({ status, headers, body, now: Date.now() }, target), format, call, secrets);
    }
    const reading = { dialect, encoded, sent, answer, sentAt, secrets };
    return format.kind === "text" && call.streams
      ? await readStream(call, format, reading)
      : await readWhole(call, format, reading);
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    return request.over ? cancelled(request) : unreachable(error);
  } finally {
    request.upstreamMs += performance.now() - sentAt;
  }
}

function targetOf(
  request: ActiveRequest,
  call: TranslateCall,
  provider: TranslatedProvider,
  key: TranslatedKey,
  model: string,
): Target {
  return {
    provider: provider.name,
    kind: provider.type,
    model,
    ...(call.asked !== model && { baseModel: call.asked }),
    streaming: call.streams,
    seed: request.id,
    ...(key.azure !== undefined && { azure: key.azure }),
    ...(key.vertex !== undefined && { vertex: key.vertex }),
  };
}

function dialectOf(target: Target): Dialect {
  const name = dialectNameFor(target);
  if (name === undefined) throw new Error(`no dialect for ${target.kind}`);
  return dialects[name];
}

function encode(dialect: Dialect, target: Target, format: TranslateCall["format"]): Encoded {
  switch (format.kind) {
    case "text":
      return dialect.encode(format.request, target);
    case "count":
      return (dialect.countTokens ?? dialect).encode(format.request, target);
    case "embedding": {
      if (dialect.embed === undefined) {
        const message = `The provider ${target.provider} makes no embeddings.`;
        throw new BedrockError("ValidationException", message);
      }
      return dialect.embed.encode(embedRequest(format), target);
    }
    case "image":
      return alsoIgnored(format, imagesBy(dialect, target.provider).encode(format.request, target));
    case "rerank":
      return alsoIgnored(format, rerankBy(dialect, target.provider).encode(format.request, target));
  }
}

/** What was left out in reading comes before what the provider has no place for. */
function alsoIgnored({ ignored }: ImagesFormat | RerankFormat, encoded: Encoded): Encoded {
  return { ...encoded, ignored: [...ignored, ...encoded.ignored] };
}

function imagesBy({ image }: Dialect, provider: string): NonNullable<Dialect["image"]> {
  if (image !== undefined) return image;
  throw new BedrockError("ValidationException", `The provider ${provider} makes no images.`);
}

function rerankBy({ rerank }: Dialect, provider: string): NonNullable<Dialect["rerank"]> {
  if (rerank !== undefined) return rerank;
  throw new BedrockError("ValidationException", `The provider ${provider} does not rank documents.`);
}

function embedRequest({ request }: EmbeddingFormat) {
  const { texts, dimensions, purpose, truncate } = request;
  const purposes = ["search_document", "search_query", "classification", "clustering"] as const;
  const known = purposes.find((one) => one === purpose);
  const cut = { NONE: "none", START: "start", END: "end" } as const;
  return {
    texts,
    ...(dimensions !== undefined && { dimensions }),
    ...(known !== undefined && { purpose: known }),
    ...(truncate !== undefined && { truncate: cut[truncate] }),
  };
}

type Reach =
  | {
      readonly kind: "reach";
      readonly header: readonly [string, string] | undefined;
      readonly secrets: readonly string[];
    }
  | Failure;

async function authorize(request: ActiveRequest, key: TranslatedKey): Promise<Reach> {
  if (key.credential === undefined) return { kind: "reach", header: undefined, secrets: [] };
  try {
    const current = key.credential.current();
    const secret = current instanceof Promise ? await request.whileAlive(current) : current;
    if (secret === undefined || request.over) return cancelled(request);
    const value = secret.reveal();
    return { kind: "reach", header: authHeader(key.credential.scheme, value), secrets: [value] };
  } catch (error) {
    if (!(error instanceof CredentialsError)) throw error;
    return failure(
      "other_credential",
      new BedrockError("ServiceUnavailableException", error.message, { cause: error }),
    );
  }
}

function buildRequest(
  active: ActiveRequest,
  { request }: Encoded,
  call: TranslateCall,
  provider: TranslatedProvider,
  key: TranslatedKey,
  auth: readonly [string, string] | undefined,
) {
  const headers = new Map<string, string>([...call.headers, ...provider.extraHeaders, ...request.headers]);
  if (auth !== undefined) headers.set(auth[0], auth[1]);
  headers.set("user-agent", userAgent);
  headers.set("accept-encoding", "identity");
  for (const [name, value] of active.sendTo(key.origin)) headers.set(name, value);
  return {
    method: request.method,
    origin: key.origin,
    path: `${key.pathPrefix}${request.path}`,
    headers: [...headers],
    body: request.body === "" ? undefined : Buffer.from(request.body),
  };
}

/** An answer that has begun, and how to read it. */
interface Reading {
  readonly dialect: Dialect;
  readonly encoded: Encoded;
  readonly sent: Sent;
  readonly answer: UpstreamAnswer;
  readonly sentAt: number;
  readonly secrets: () => readonly string[];
}

async function readWhole(
  call: TranslateCall,
  format: TranslateCall["format"],
  { dialect, encoded, answer, sentAt, secrets }: Reading,
): Promise<Attempted> {
  const { headers } = answer;
  const whole: ProviderAnswer = { headers, body: await answer.collect(maxAnswerBytes) };
  const latencyMs = Math.round(performance.now() - sentAt);
  switch (format.kind) {
    case "embedding": {
      const decoded = embedOf(dialect).decode(whole, encoded.memo);
      if (decoded.kind === "failure") return failed(decoded, format, call, secrets);
      const usage = { inputTokens: decoded.inputTokens, outputTokens: 0 };
      return answerOf(format.answer(decoded.vectors, decoded.inputTokens, latencyMs), usage, encoded);
    }
    case "count": {
      if (dialect.countTokens === undefined) throw new Error("counting needs no upstream here");
      const counted = dialect.countTokens.decode(whole, encoded.memo);
      if (typeof counted !== "number") return failed(counted, format, call, secrets);
      return answerOf(writeCountTokens(counted), undefined, encoded);
    }
    case "image": {
      const decoded = imagesBy(dialect, encoded.memo.target.provider).decode(whole, encoded.memo);
      if (decoded.kind === "failure") return failed(decoded, format, call, secrets);
      const usage = { inputTokens: 0, outputTokens: 0, images: decoded.images.length };
      return answerOf(format.answer(decoded.images, decoded.withheld, latencyMs), usage, encoded);
    }
    case "rerank": {
      const decoded = rerankBy(dialect, encoded.memo.target.provider).decode(whole, encoded.memo);
      if (decoded.kind === "failure") return failed(decoded, format, call, secrets);
      return answerOf(format.answer(decoded.ranked, latencyMs), undefined, encoded);
    }
    case "text": {
      const decoded = dialect.decode(whole, encoded.memo);
      if (decoded.kind === "failure") return failed(decoded, format, call, secrets);
      const response = { ...decoded.response, metrics: { latencyMs } };
      return answerOf(
        format.answer(response),
        usageOf(response.usage),
        encoded,
        decoded.estimated ? estimatedHeader : [],
      );
    }
  }
}

function embedOf(dialect: Dialect): NonNullable<Dialect["embed"]> {
  if (dialect.embed === undefined) throw new Error(`the dialect ${dialect.name} makes no embeddings`);
  return dialect.embed;
}

async function readStream(call: TranslateCall, format: TextFormat, reading: Reading): Promise<Attempted> {
  const { dialect, encoded, sent, answer, sentAt, secrets } = reading;
  const reader = readerFor(answer);
  if (reader === undefined) return readAsStream(call, format, reading);
  const client = format.stream(sentAt);
  const stream = new TranslatedStream({
    answer,
    reader,
    events: dialect.stream(encoded.memo),
    client,
    sentAt,
    cancel: () => sent.cancel(),
    untilContent: call.patienceMs !== undefined,
    clean: (error) => cleaned(error, secrets()),
  });
  const beginning = await inTime(stream.beginning, call.patienceMs);
  if (beginning === undefined) {
    sent.cancel();
    return silent();
  }
  switch (beginning.kind) {
    case "event":
      return { kind: "stream", headers: [...client.headers, ...ignoredHeader(encoded)], source: stream };
    case "failure":
      return failed(beginning.failure, format, call, secrets);
    case "unreachable":
      throw beginning.error;
  }
}

/** The reader for what the upstream streams; undefined when it answered as a whole instead. */
function readerFor({ headers }: UpstreamAnswer): EventReader | undefined {
  const type = String(headers["content-type"] ?? "").toLowerCase();
  if (/^application\/(?:x-ndjson|jsonl|json-lines|stream\+json)/.test(type)) return new JsonLinesReader();
  return type.startsWith("application/json") ? undefined : new SseReader();
}

/** A server that does not stream answers all at once; its answer leaves as a stream all the same. */
async function readAsStream(
  call: TranslateCall,
  format: TextFormat,
  { dialect, encoded, answer, sentAt, secrets }: Reading,
): Promise<Attempted> {
  const whole: ProviderAnswer = { headers: answer.headers, body: await answer.collect(maxAnswerBytes) };
  const decoded = dialect.decode(whole, encoded.memo);
  if (decoded.kind === "failure") return failed(decoded, format, call, secrets);
  const latencyMs = Math.round(performance.now() - sentAt);
  return streamOf({ ...decoded.response, metrics: { latencyMs } }, format, ignoredHeader(encoded));
}

function streamOf(response: ConverseResponse, format: TextFormat, extra: ReplyHeaders): Attempted {
  const client = format.stream(performance.now());
  const source = new ConverseSource(client, { pause: nothing, resume: nothing, cancel: nothing });
  source.push(eventsOf(response));
  return { kind: "stream", headers: [...client.headers, ...extra], source };
}

/** An answer that is complete already, in the form the client asked for. */
export function finishedAnswer(response: ConverseResponse, format: TextFormat, streams: boolean): Attempted {
  if (streams) return streamOf(response, format, []);
  return { kind: "answer", status: 200, ...format.answer(response), usage: usageOf(response.usage) };
}

function nothing(): void {
  // All events are there already: nobody has to be held up.
}

/** What the provider refused or could not do; content its policy forbids is an answer, as on Bedrock. */
function failed(
  { error, retry, elsewhere, filtered, exhausted }: ProviderFailure,
  format: TranslateCall["format"],
  call: TranslateCall,
  secrets: () => readonly string[],
): Attempted {
  if (filtered === true && format.kind === "text") {
    const response: ConverseResponse = {
      metrics: { latencyMs: 0 },
      output: { message: { role: "assistant", content: [] } },
      stopReason: "content_filtered",
      usage: { inputTokens: 0, outputTokens: 0, totalTokens: 0 },
    };
    return finishedAnswer(response, format, call.streams);
  }
  const { retryAfterSeconds } = error;
  return failure(retry, cleaned(error, secrets()), {
    elsewhere,
    ...(exhausted && { cause: "payment" as const }),
    ...(retry === "nobody" && error.type === "ModelTimeoutException" && { cause: "timeout" as const }),
    retryAfterMs: retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000,
  });
}

function cleaned(error: BedrockError, secrets: readonly string[]): BedrockError {
  const message = redactText(error.message, secrets);
  if (message === error.message) return error;
  const { type, status, retryAfterSeconds, members } = error;
  return new BedrockError(type, message, {
    status,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(members !== undefined && { members }),
  });
}

function answerOf(
  { headers, body, stopReason }: ClientAnswer,
  usage: WholeAnswer["usage"],
  encoded: Encoded,
  extra: ReplyHeaders = [],
): WholeAnswer {
  return {
    kind: "answer",
    status: 200,
    headers: [...headers, ...ignoredHeader(encoded), ...extra],
    body,
    usage,
    stopReason,
  };
}

const maxIgnoredLength = 1024;

/** Tells the client which of its fields have no equivalent at this provider. */
function ignoredHeader({ ignored }: Encoded): ReplyHeaders {
  if (ignored.length === 0) return [];
  const paths = ignored.join(", ").replace(/[^\x20-\x7e]/g, "?");
  return [["x-bifrost-ignored", paths.slice(0, maxIgnoredLength)]];
}

/** The provider did not count tokens: the gateway estimated them. */
const estimatedHeader: ReplyHeaders = [["x-bifrost-usage", "estimated"]];
