/**
 * The cache on the road: whether a request may be answered from it, and with what. A request takes part when it names a
 * cache key; for all others this costs nothing.
 */

import type { ConverseEvent, ConverseResponse } from "../bedrock/converse.ts";
import { eventsOf } from "../bedrock/converse-events.ts";
import { refuseField } from "../bedrock/errors.ts";
import type { Route } from "../bedrock/operations.ts";
import type { BypassReason, Lookup, SemanticCache } from "../cache/cache.ts";
import { type CacheOptions, readCacheOptions } from "../cache/options.ts";
import type { SemanticCacheConfig } from "../config/cache.ts";
import type { CacheRecord } from "../telemetry/request-record.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Attempted, FrameSource } from "./attempt.ts";
import type { TextWriter } from "./client-format.ts";
import { cancelled } from "./failures.ts";
import { Keeper } from "./keeper.ts";
import { isConverseResponse } from "./kept-answer.ts";
import { pacedSource } from "./paced-source.ts";
import { type Asker, readQuestion } from "./question.ts";
import type { Target } from "./target.ts";

/** The cache, while it is on. */
export interface Recall {
  readonly cache: SemanticCache;
  readonly config: SemanticCacheConfig;
  readonly onProblem: (message: string) => void;
}

export type Recalled =
  | { readonly kind: "answered"; readonly attempted: Attempted }
  | { readonly kind: "missed"; readonly keeper: Keeper };

/** Larger bodies are not looked for: to parse and to hash them would hold up everybody else on the thread. Bytes. */
const mostBodyBytes = 4 * 1024 * 1024;

const generating: ReadonlySet<string> = new Set([
  "Converse",
  "ConverseStream",
  "InvokeModel",
  "InvokeModelWithResponseStream",
]);

/**
 * What the request asks of the cache.
 *
 * @returns undefined when the cache has no part in it
 * @throws BedrockError ValidationException for a header that cannot be used
 */
export function readRecallOptions(
  request: ActiveRequest,
  route: Route,
  body: Buffer,
  { config }: Recall,
): CacheOptions | undefined {
  if (!generating.has(route.operation.name)) return bypass(request, otherOperation);
  if (config.default_cache_key === "" && !request.exchange.headers.has("x-bf-cache-key"))
    return bypass(request, noCacheKey);
  const reading = readCacheOptions(request.exchange.headers, config);
  if (reading.kind === "refused") throw refuseField(reading.header, `${reading.reason}.`);
  if (body.length > mostBodyBytes) return bypass(request, bypassed("too_large"));
  return reading.options;
}

/**
 * Looks for an answer to the request at a target.
 *
 * @returns undefined when the cache has no part in it
 */
export function recall(...asked: Parameters<typeof lookFor>): Promise<Recalled | undefined> {
  return asked[0].traced ? timed(asked) : lookFor(...asked);
}

async function timed(asked: Parameters<typeof lookFor>): Promise<Recalled | undefined> {
  const [request] = asked;
  const startedAfterMs = performance.now() - request.startedAt;
  const recalled = await lookFor(...asked);
  const { kind, reason, similarity } = request.cache ?? notAsked;
  const durationMs = performance.now() - request.startedAt - startedAfterMs;
  request.lookups ??= [];
  request.lookups.push({
    kind,
    reason,
    similarity,
    fallbackIndex: request.fallbackIndex,
    startedAfterMs,
    durationMs,
  });
  return recalled;
}

async function lookFor(
  request: ActiveRequest,
  route: Route,
  target: Target,
  asker: Asker,
  options: CacheOptions,
  { cache, onProblem }: Recall,
): Promise<Recalled | undefined> {
  const question = readQuestion(request, route, target, asker);
  if (typeof question === "string") return bypass(request, bypassed(question));
  const leaving = new AbortController();
  request.whenOver(() => leaving.abort());
  const found = await cache.lookup(question.facts, options, leaving.signal);
  request.whenOver(undefined);
  switch (found.kind) {
    case "bypass":
      return bypass(request, bypassed(found.reason));
    case "miss": {
      request.cache = { kind: "miss", reason: undefined, similarity: undefined, entryId: undefined };
      const keeper = new Keeper({ cache, ticket: found.ticket, reader: question.reader, onProblem });
      // Whose answer is not to be kept needs nobody to listen, and nobody waits for it.
      if (!request.over) return options.noStore ? undefined : { kind: "missed", keeper };
      keeper.drop();
      return { kind: "answered", attempted: cancelled(request) };
    }
    case "direct":
    case "semantic":
      if (request.over) return { kind: "answered", attempted: cancelled(request) };
      return answerFrom(request, found, question.writer, route.operation.streams);
  }
}

/** Why the cache has no part in a request, in the log. */
type Reason = BypassReason | "not_asked" | "operation" | "too_large" | "unreadable" | "family";

function bypassed(reason: Reason): CacheRecord {
  return { kind: "bypass", reason, similarity: undefined, entryId: undefined };
}

/** Before anything is known of a request, while the cache is on. */
export const notAsked = bypassed("not_asked");
const otherOperation = bypassed("operation");
const noCacheKey = bypassed("no_cache_key");

function bypass(request: ActiveRequest, record: CacheRecord): undefined {
  request.cache = record;
}

type Hit = Extract<Lookup, { readonly entry: unknown }>;

function answerFrom(
  request: ActiveRequest,
  { kind, entry, similarity }: Hit,
  writer: TextWriter,
  streams: boolean,
): Recalled {
  if (!isConverseResponse(entry.answer)) throw new Error(`the entry ${entry.id} of the cache is no answer`);
  request.cache = { kind, reason: undefined, similarity, entryId: entry.id };
  request.provider = entry.provider;
  request.model = entry.model;
  const latencyMs = Math.round(performance.now() - request.startedAt);
  const response = { ...entry.answer, metrics: { ...entry.answer.metrics, latencyMs } };
  if (streams) return { kind: "answered", attempted: streamOf(response, writer) };
  const { headers, body, stopReason } = writer.answer(response);
  // Nobody has used these tokens now: none are counted.
  const attempted = {
    kind: "answer",
    status: 200,
    headers: [...headers, cachedHeader],
    body,
    usage: undefined,
    stopReason,
  } as const;
  return { kind: "answered", attempted };
}

/** The usage in the answer is that of the answer as it was made; it was not used again. */
const cachedHeader = ["x-bifrost-usage", "cached"] as const;

/** The pause before each piece of a stream. Milliseconds. */
const pauseMs = 5;
/** A piece has this many UTF-16 code units, or more where an answer would have too many pieces. */
const pieceLength = 80;
const mostPieces = 100;

function streamOf(response: ConverseResponse, writer: TextWriter): Attempted {
  const stream = writer.stream(performance.now());
  const source = pacedSource({ events: inPieces(eventsOf(response)), failure: undefined }, pauseMs, stream);
  return { kind: "stream", headers: [...stream.headers, cachedHeader], source: uncounted(source) };
}

/** Texts in pieces, as a model would have said them. */
function inPieces(events: readonly ConverseEvent[]): readonly ConverseEvent[] {
  let length = 0;
  for (const event of events) length += "contentBlockDelta" in event ? textOf(event).length : 0;
  const size = Math.max(pieceLength, Math.ceil(length / mostPieces));
  return events.flatMap((event) => {
    if (!("contentBlockDelta" in event) || textOf(event).length <= size) return [event];
    const { contentBlockIndex } = event.contentBlockDelta;
    return piecesOf(textOf(event), size).map((text) => ({ contentBlockDelta: { contentBlockIndex, delta: { text } } }));
  });
}

function textOf({ contentBlockDelta: { delta } }: Extract<ConverseEvent, { contentBlockDelta: unknown }>): string {
  return "text" in delta ? delta.text : "";
}

/** Never between the halves of a surrogate pair. */
function piecesOf(text: string, size: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    let end = Math.min(text.length, at + size);
    if (isHighSurrogate(text.charCodeAt(end - 1)) && end < text.length) end++;
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

/** The tokens were used when the answer was made. */
function uncounted(source: FrameSource): FrameSource {
  return {
    start: (sink) => source.start(sink),
    resume: () => source.resume(),
    cancel: () => source.cancel(),
    exception: () => source.exception(),
    stopReason: () => source.stopReason(),
    usage: () => ({ usage: undefined, estimated: false }),
  };
}
