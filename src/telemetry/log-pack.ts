/**
 * Records on their way from a front end to the request log: arrays in a fixed order, packed as msgpack. Fast path: every
 * request pays for {@link packable}, and for its part of {@link packBatch}.
 */
import { Packr } from "msgpackr";
import type { LogAttempt, LogEntry, LogRow } from "../store/log-store.ts";
import type { AttemptRecord, RequestRecord } from "./request-record.ts";
import type { Usage } from "./usage.ts";

const packr = new Packr({
  useRecords: false,
  // What is missing is nil, not an extension of four bytes.
  encodeUndefinedAsNil: true,
});

/** Undefined before it is packed, null after. */
type Maybe<Value> = Value | null | undefined;

type PackedAttempt = readonly [
  provider: string,
  model: Maybe<string>,
  keyId: string,
  keyName: string,
  fallbackIndex: number,
  startedAfterMs: number,
  durationMs: number,
  status: number,
  outcome: LogAttempt["outcome"],
  errorType: Maybe<string>,
  errorClass: Maybe<string>,
  choice: Maybe<string>,
  spanId: Maybe<string>,
];

/** A record as an array. */
export type PackableRecord = readonly [
  requestId: string,
  arrivedAt: number,
  durationMs: number,
  upstreamMs: number,
  firstEventMs: Maybe<number>,
  operation: string,
  streams: boolean,
  askedModel: Maybe<string>,
  provider: Maybe<string>,
  model: Maybe<string>,
  keyId: Maybe<string>,
  keyName: Maybe<string>,
  owners: Maybe<readonly Maybe<string>[]>,
  outcome: LogRow["outcome"],
  status: number,
  errorType: Maybe<string>,
  errorClass: Maybe<string>,
  message: Maybe<string>,
  usage: Maybe<readonly [input: number, output: number, read: number, write: number, estimated: boolean]>,
  costMicroUsd: Maybe<number>,
  stopReason: Maybe<string>,
  fallbackIndex: number,
  rules: Maybe<readonly string[]>,
  cache: Maybe<readonly [kind: string, reason: Maybe<string>, similarity: Maybe<number>, entryId: Maybe<string>]>,
  limit: Maybe<string>,
  dimensions: Maybe<readonly (readonly [name: string, value: string])[]>,
  session: Maybe<string>,
  trace: Maybe<readonly [traceId: string, spanId: string]>,
  content: Maybe<readonly [request: Maybe<string>, answer: Maybe<string>]>,
  attempts: readonly PackedAttempt[],
];

/** Keeps nothing of the record itself. */
export function packable(record: RequestRecord): PackableRecord {
  const { key, identity, usage, rules, cache, dimensions, trace, content } = record;
  return [
    record.id,
    Math.round(record.arrivedAt),
    record.durationMs,
    record.upstreamMs,
    record.firstEventMs,
    record.operation,
    record.streams,
    record.askedModel,
    record.provider,
    record.model,
    key?.id,
    key?.name,
    identity && ownersOf(identity),
    record.outcome,
    record.status,
    record.errorType,
    record.errorClass,
    record.message,
    usage && countsOf(usage, record.usageEstimated),
    record.costMicroUsd,
    record.stopReason,
    record.fallbackIndex,
    rules.length === 0 ? undefined : rules,
    cache && [cache.kind, cache.reason, cache.similarity, cache.entryId],
    record.limit,
    dimensions.size === 0 ? undefined : [...dimensions],
    record.session,
    trace && [trace.traceId, trace.spanId],
    content?.logged === true ? [content.request, content.answer] : undefined,
    record.attempts.map(packableAttempt),
  ];
}

function ownersOf({ virtualKey, team, customer }: NonNullable<RequestRecord["identity"]>) {
  return [virtualKey.id, virtualKey.name, team?.id, team?.name, customer?.id, customer?.name];
}

function countsOf(usage: Usage, estimated: boolean): PackableRecord[18] {
  const { inputTokens, outputTokens, cacheReadInputTokens = 0, cacheWriteInputTokens = 0 } = usage;
  return [inputTokens, outputTokens, cacheReadInputTokens, cacheWriteInputTokens, estimated];
}

function packableAttempt(attempt: AttemptRecord): PackedAttempt {
  return [
    attempt.provider,
    attempt.model,
    attempt.key.id,
    attempt.key.name,
    attempt.fallbackIndex,
    attempt.startedAfterMs,
    attempt.durationMs,
    attempt.status,
    attempt.outcome,
    attempt.errorType,
    attempt.errorClass,
    attempt.choice,
    attempt.spanId,
  ];
}

/** Row ids are the prefix with a number. */
type PackedBatch = readonly [prefix: string, first: number, rows: readonly PackableRecord[]];

/**
 * @param prefix of the rows' ids; the process's and thread's own
 * @param first the number of the first row; the others follow
 */
export function packBatch(prefix: string, first: number, rows: readonly PackableRecord[]): Uint8Array {
  const batch: PackedBatch = [prefix, first, rows];
  // A copy of its own: what is packed lies in a buffer that the next call writes over.
  return Uint8Array.from(packr.pack(batch));
}

/** @param bytes of {@link packBatch}, of one or of several one after the other */
export function unpackBatch(bytes: Uint8Array): LogEntry[] {
  const batches = packr.unpackMultiple(bytes) as readonly PackedBatch[];
  return batches.flatMap(([prefix, first, rows]) =>
    rows.map((row, index) => entryOf(`${prefix}${(first + index).toString(36)}`, row)),
  );
}

function entryOf(id: string, packed: PackableRecord): LogEntry {
  const [requestId, arrivedAt, durationMs, upstreamMs, firstEventMs, operation, streams, askedModel, ...one] = packed;
  const [provider, model, keyId, keyName, owners, outcome, status, errorType, errorClass, message, ...two] = one;
  const [usage, cost, stopReason, fallbackIndex, rules, cache, limit, dimensions, session, trace, ...three] = two;
  const [content, attempts] = three;
  const [input, output, read, write, estimated] = usage ?? [];
  const row: LogRow = {
    id,
    requestId,
    arrivedAt,
    durationMs,
    upstreamMs,
    firstEventMs: firstEventMs ?? null,
    operation,
    streams,
    askedModel: askedModel ?? null,
    provider: provider ?? null,
    model: model ?? null,
    keyId: keyId ?? null,
    keyName: keyName ?? null,
    virtualKeyId: owners?.[0] ?? null,
    virtualKeyName: owners?.[1] ?? null,
    teamId: owners?.[2] ?? null,
    teamName: owners?.[3] ?? null,
    customerId: owners?.[4] ?? null,
    customerName: owners?.[5] ?? null,
    outcome,
    status,
    errorType: errorType ?? null,
    errorClass: errorClass ?? null,
    message: message ?? null,
    inputTokens: input ?? null,
    outputTokens: output ?? null,
    cacheReadTokens: read ?? null,
    cacheWriteTokens: write ?? null,
    totalTokens: usage ? usage[0] + usage[1] + usage[2] + usage[3] : null,
    usageEstimated: estimated ?? false,
    costMicroUsd: cost ?? null,
    stopReason: stopReason ?? null,
    fallbackIndex,
    attemptCount: attempts.length,
    rules: rules ?? [],
    cacheKind: cache?.[0] ?? null,
    cacheReason: cache?.[1] ?? null,
    cacheSimilarity: cache?.[2] ?? null,
    cacheEntryId: cache?.[3] ?? null,
    limit: limit ?? null,
    dimensions: dimensions ?? [],
    session: session ?? null,
    traceId: trace?.[0] ?? null,
    spanId: trace?.[1] ?? null,
  };
  return { row, attempts: attempts.map(attemptOf), content: content ? contentOf(content) : null };
}

function contentOf([request, answer]: NonNullable<PackableRecord[28]>): LogEntry["content"] {
  return { request: request ?? null, answer: answer ?? null, sealed: false };
}

function attemptOf(packed: PackedAttempt): LogAttempt {
  const [provider, model, keyId, keyName, fallbackIndex, startedAfterMs, durationMs, status, outcome, ...more] = packed;
  const [errorType, errorClass, choice, spanId] = more;
  return {
    provider,
    model: model ?? null,
    keyId,
    keyName,
    fallbackIndex,
    startedAfterMs,
    durationMs,
    status,
    outcome,
    errorType: errorType ?? null,
    errorClass: errorClass ?? null,
    choice: choice ?? null,
    spanId: spanId ?? null,
  };
}
