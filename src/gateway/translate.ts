/** The translation lane: one attempt at a provider that does not speak Bedrock's API, with one key. */
import type { ConverseResponse } from "../bedrock/converse.ts";
import { eventsOf } from "../bedrock/converse-events.ts";
import { BedrockError } from "../bedrock/errors.ts";
import type { Route } from "../bedrock/operations.ts";
import type { ReplyHeaders } from "../http/exchange.ts";
import type { Dialect, ProviderAnswer, ProviderFailure, Target } from "../providers/dialect.ts";
import { authHeader } from "../providers/table.ts";
import { CredentialsError } from "../upstream/credentials.ts";
import { type Sent, type Upstream, type UpstreamAnswer, UpstreamError } from "../upstream/dispatch.ts";
import { type EventReader, JsonLinesReader, SseReader } from "../upstream/sse.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Attempted, Failure, WholeAnswer } from "./attempt.ts";
import {
  type AnswerForm,
  type AnswerFormat,
  type TextAnswerFormat,
  usageOf,
  writeCountTokens,
} from "./client-format.ts";
import { decodeWhole } from "./decoding.ts";
import { dialectOf, encodeFor, type Prepared, type ReadRequest, readForeignRequest } from "./encoding.ts";
import { ConverseSource } from "./event-source.ts";
import { cancelled, failure, inTime, silent, unreachable } from "./failures.ts";
import { mostKeptBytes } from "./keeper.ts";
import { finishOffThread, largeBytes, type OffThread, prepareOffThread } from "./off-thread.ts";
import type { TranslatedKey, TranslatedProvider } from "./providers.ts";
import { redactText } from "./redact.ts";
import { TranslatedStream } from "./translated-stream.ts";

/** What the client asks of a provider, whichever key is used. */
export interface TranslateCall {
  readonly asked: string;
  readonly streams: boolean;
  /** The client's own headers for the upstream. */
  readonly headers: readonly (readonly [string, string])[];
  /** Milliseconds a stream may take to begin with content, while somebody else could be asked; undefined: no limit. */
  readonly patienceMs: number | undefined;
  /**
   * Encodes the request for a target.
   *
   * @throws BedrockError ValidationException for what the target cannot carry; (as a rejection) also when the request is
   *   wrong, and as `OffThread.run`
   */
  readonly prepare: (target: Target) => Prepared | Promise<Prepared>;
}

/** One whose request has been read already. */
export interface ReadCall extends TranslateCall {
  readonly format: ReadRequest;
}

/** Listens to answers of text as they are written. */
export type Tap = (format: TextAnswerFormat) => TextAnswerFormat;

const maxAnswerBytes = 128 * 1024 * 1024;
/** Of an answer that is read on this thread. Larger ones would hold up everybody else. */
const maxReadHereBytes = 8 * 1024 * 1024;
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
): ReadCall {
  const context = { headers: request.exchange.headers, requestId: request.id };
  const format = readForeignRequest(route, asked ?? "", body, context, provider);
  return callWith({ asked: asked ?? "", streams: route.operation.streams, headers, patienceMs: undefined }, format);
}

/** The call with what was read. */
export function callWith(call: Omit<TranslateCall, "prepare">, format: ReadRequest): ReadCall {
  // By name: what is read before must not take the place of what is given here.
  const { asked, streams, headers, patienceMs } = call;
  return { asked, streams, headers, patienceMs, format, prepare: (target) => prepareInline(target, format) };
}

function prepareInline(target: Target, format: ReadRequest): Prepared {
  const { request, ignored, memo } = encodeFor(target, format);
  return { request, ignored, memo, format, body: request.body === "" ? undefined : Buffer.from(request.body) };
}

/**
 * The call of a large request, which is read and encoded by a worker, for each key anew.
 *
 * @param asked as in {@link readTranslateCall}
 * @param more `tap` is given how answers of text are written, and gives how they are; `guarded` leaves the guardrail out
 */
export function largeTranslateCall(
  request: ActiveRequest,
  route: Route,
  asked: string | undefined,
  body: Buffer,
  headers: TranslateCall["headers"],
  offThread: OffThread,
  { tap, guarded = false }: { readonly tap?: Tap | undefined; readonly guarded?: boolean },
): TranslateCall {
  return {
    asked: asked ?? "",
    streams: route.operation.streams,
    headers,
    patienceMs: undefined,
    prepare: async (target) => {
      const prepared = await prepareOffThread(offThread, request, route, asked ?? "", body, target, guarded);
      const { format } = prepared;
      return tap === undefined || format.kind !== "text" ? prepared : { ...prepared, format: tap(format) };
    },
  };
}

/** @param model the model id at the provider: the key's alias of what was asked, or that itself */
export async function translate(
  request: ActiveRequest,
  call: TranslateCall,
  provider: TranslatedProvider,
  key: TranslatedKey,
  model: string,
  upstream: Upstream,
  offThread?: OffThread,
): Promise<Attempted> {
  const target = targetOf(request, call, provider, key, model);
  const dialect = dialectOf(target);
  let prepared: Prepared;
  try {
    const made = call.prepare(target);
    const awaited = made instanceof Promise ? await request.whileAlive(made) : made;
    if (awaited === undefined) return cancelled(request);
    prepared = awaited;
  } catch (error) {
    if (!(error instanceof BedrockError)) throw error;
    return failure("nobody", error, { elsewhere: true });
  }
  const { format } = prepared;
  if (format.kind === "count" && dialect.countTokens === undefined) {
    return answerOf(writeCountTokens(prepared.memo.inputTokens), undefined, prepared, estimatedHeader);
  }
  const reach = await authorize(request, key);
  if (reach.kind === "failure") return reach;
  const secrets = () => [...provider.secrets, ...reach.secrets];
  const sentAt = performance.now();
  try {
    const sent = upstream.send(buildRequest(request, prepared, call, provider, key, reach.header), provider.network);
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
    const reading = { dialect, prepared, sent, answer, sentAt, secrets, offThread };
    return format.kind === "text" && call.streams
      ? await readStream(call, format, reading)
      : await readWhole(request, call, format, reading);
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
  { request, body }: Prepared,
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
    body,
  };
}

/** An answer that has begun, and how to read it. */
interface Reading {
  readonly dialect: Dialect;
  readonly prepared: Prepared;
  readonly sent: Sent;
  readonly answer: UpstreamAnswer;
  readonly sentAt: number;
  readonly secrets: () => readonly string[];
  readonly offThread: OffThread | undefined;
}

async function readWhole(
  request: ActiveRequest,
  call: TranslateCall,
  format: Prepared["format"],
  { dialect, prepared, answer, sentAt, secrets, offThread }: Reading,
): Promise<Attempted> {
  const { headers } = answer;
  const isReadHere =
    offThread === undefined || format.kind === "count" || formFor(format, maxAnswerBytes) === undefined;
  const whole: ProviderAnswer = { headers, body: await answer.collect(isReadHere ? maxReadHereBytes : maxAnswerBytes) };
  const latencyMs = Math.round(performance.now() - sentAt);
  if (format.kind === "count") {
    if (dialect.countTokens === undefined) throw new Error("counting needs no upstream here");
    const counted = dialect.countTokens.decode(whole, prepared.memo);
    if (typeof counted !== "number") return failed(counted, format, call, secrets);
    return answerOf(writeCountTokens(counted), undefined, prepared);
  }
  const form = formFor(format, whole.body.length);
  if (offThread !== undefined && form !== undefined && whole.body.length >= largeBytes) {
    const finished = await request.whileAlive(finishOffThread(offThread, form, prepared.memo, whole, latencyMs));
    if (finished === undefined) return cancelled(request);
    if (finished.kind === "failure") return failed(finished, format, call, secrets);
    return answerOf(finished.answer, finished.usage, prepared, finished.estimated ? estimatedHeader : []);
  }
  const decoded = decodeWhole(format, prepared.memo, whole, latencyMs);
  if (decoded.kind === "failure") return failed(decoded, format, call, secrets);
  return answerOf(decoded.answer, decoded.usage, prepared, decoded.estimated ? estimatedHeader : []);
}

/** What a worker needs to write an answer of this size; undefined where that is done here. */
function formFor(format: AnswerFormat, bytes: number): AnswerForm | undefined {
  return format.form ?? (format.kind === "text" && bytes > mostKeptBytes ? format.untapped : undefined);
}

async function readStream(call: TranslateCall, format: TextAnswerFormat, reading: Reading): Promise<Attempted> {
  const { dialect, prepared, sent, answer, sentAt, secrets } = reading;
  const reader = readerFor(answer);
  if (reader === undefined) return readAsStream(call, format, reading);
  const client = format.stream(sentAt);
  const stream = new TranslatedStream({
    answer,
    reader,
    events: dialect.stream(prepared.memo),
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
      return { kind: "stream", headers: [...client.headers, ...ignoredHeader(prepared)], source: stream };
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
  format: TextAnswerFormat,
  { dialect, prepared, answer, sentAt, secrets }: Reading,
): Promise<Attempted> {
  const whole: ProviderAnswer = { headers: answer.headers, body: await answer.collect(maxReadHereBytes) };
  const decoded = dialect.decode(whole, prepared.memo);
  if (decoded.kind === "failure") return failed(decoded, format, call, secrets);
  const latencyMs = Math.round(performance.now() - sentAt);
  return streamOf({ ...decoded.response, metrics: { latencyMs } }, format, ignoredHeader(prepared));
}

function streamOf(response: ConverseResponse, format: TextAnswerFormat, extra: ReplyHeaders): Attempted {
  const client = format.stream(performance.now());
  const source = new ConverseSource(client, { pause: nothing, resume: nothing, cancel: nothing });
  source.push(eventsOf(response));
  return { kind: "stream", headers: [...client.headers, ...extra], source };
}

/** An answer that is complete already, in the form the client asked for. */
export function finishedAnswer(response: ConverseResponse, format: TextAnswerFormat, streams: boolean): Attempted {
  if (streams) return streamOf(response, format, []);
  return { kind: "answer", status: 200, ...format.answer(response), usage: usageOf(response.usage) };
}

function nothing(): void {
  // All events are there already: nobody has to be held up.
}

/** What the provider refused or could not do; content its policy forbids is an answer, as on Bedrock. */
function failed(
  { error, retry, elsewhere, filtered, exhausted }: ProviderFailure,
  format: Prepared["format"],
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
  { headers, body, stopReason }: Pick<WholeAnswer, "headers" | "body" | "stopReason">,
  usage: WholeAnswer["usage"],
  prepared: Pick<Prepared, "ignored">,
  extra: ReplyHeaders = [],
): WholeAnswer {
  return {
    kind: "answer",
    status: 200,
    headers: [...headers, ...ignoredHeader(prepared), ...extra],
    body,
    usage,
    stopReason,
  };
}

const maxIgnoredLength = 1024;

/** Tells the client which of its fields have no equivalent at this provider. */
function ignoredHeader({ ignored }: Pick<Prepared, "ignored">): ReplyHeaders {
  if (ignored.length === 0) return [];
  const paths = ignored.join(", ").replace(/[^\x20-\x7e]/g, "?");
  return [["x-bifrost-ignored", paths.slice(0, maxIgnoredLength)]];
}

/** The provider did not count tokens: the gateway estimated them. */
const estimatedHeader: ReplyHeaders = [["x-bifrost-usage", "estimated"]];
