/** The request log's rows out of what a front end has packed. Fast path: every request pays for its part. */
import { Unpackr } from "msgpackr";
import type { LogAttempt, LogEntry, LogRow } from "../store/log-store.ts";
import type { PackedAttempt, PackedBatch, PackedProfile, PackedRecord } from "./log-pack.ts";
import type { Redactor } from "./redactor.ts";

const unpackr = new Unpackr({ useRecords: false });

/**
 * Rows without secrets, for much in them is a client's word; their content is as it came.
 *
 * @param bytes as `BatchPacker` packs them, of one batch or of several one after the other
 */
export function unpackBatch(bytes: Uint8Array, redactor: Redactor): LogEntry[] {
  const entries: LogEntry[] = [];
  const batches = unpackr.unpackMultiple(bytes) as readonly PackedBatch[];
  for (const [prefix, first, packed, records] of batches) {
    const profiles = packed.map((profile) => profileOf(profile, redactor));
    let number = first;
    for (const record of records) {
      const profile = profiles[record[0]];
      if (profile === undefined) throw new Error("a row of the request log names no profile");
      entries.push(entryOf(`${prefix}${number.toString(36)}`, record, profile, redactor));
      number++;
    }
  }
  return entries;
}

type Profile = ReturnType<typeof profileOf>;

function profileOf(packed: PackedProfile, redactor: Redactor) {
  return {
    operation: packed[0],
    streams: packed[1],
    askedModel: redactor.cleanName(packed[2] ?? null),
    provider: packed[3] ?? null,
    model: redactor.cleanName(packed[4] ?? null),
    keyId: packed[5] ?? null,
    keyName: packed[6] ?? null,
    virtualKeyId: packed[7] ?? null,
    virtualKeyName: packed[8] ?? null,
    teamId: packed[9] ?? null,
    teamName: packed[10] ?? null,
    customerId: packed[11] ?? null,
    customerName: packed[12] ?? null,
    outcome: packed[13],
    status: packed[14],
    errorType: packed[15] ?? null,
    errorClass: packed[16] ?? null,
    usageEstimated: packed[17],
    stopReason: redactor.cleanName(packed[18] ?? null),
    fallbackIndex: packed[19],
    rules: packed[20],
    cacheKind: packed[21] ?? null,
    cacheReason: packed[22] ?? null,
    limit: packed[23] ?? null,
    choice: packed[24] ?? null,
  };
}

function entryOf(id: string, packed: PackedRecord, profile: Profile, redactor: Redactor): LogEntry {
  const attempts = attemptsOf(packed, profile, redactor);
  const [, requestId, arrivedAt, durationMs, upstreamMs, firstEventMs, input, output, read, write, cost] = packed;
  const isCounted = typeof input === "number" && typeof output === "number";
  const dimensions = packed[18];
  const content = packed[22];
  // Field by field: to spread the profile takes longer than all else.
  const row: LogRow = {
    id,
    requestId: redactor.cleanId(requestId),
    arrivedAt,
    durationMs,
    upstreamMs,
    firstEventMs: firstEventMs ?? null,
    operation: profile.operation,
    streams: profile.streams,
    askedModel: profile.askedModel,
    provider: profile.provider,
    model: profile.model,
    keyId: profile.keyId,
    keyName: profile.keyName,
    virtualKeyId: profile.virtualKeyId,
    virtualKeyName: profile.virtualKeyName,
    teamId: profile.teamId,
    teamName: profile.teamName,
    customerId: profile.customerId,
    customerName: profile.customerName,
    outcome: profile.outcome,
    status: profile.status,
    errorType: profile.errorType,
    errorClass: profile.errorClass,
    message: redactor.cleanName(packed[15] ?? null),
    inputTokens: input ?? null,
    outputTokens: output ?? null,
    cacheReadTokens: read ?? null,
    cacheWriteTokens: write ?? null,
    totalTokens: isCounted ? input + output + (read ?? 0) + (write ?? 0) : null,
    usageEstimated: profile.usageEstimated,
    costMicroUsd: cost ?? null,
    stopReason: profile.stopReason,
    fallbackIndex: profile.fallbackIndex,
    attemptCount: attempts.length,
    rules: profile.rules,
    cacheKind: profile.cacheKind,
    cacheReason: profile.cacheReason,
    cacheSimilarity: packed[16] ?? null,
    cacheEntryId: packed[17] ?? null,
    limit: profile.limit,
    dimensions: dimensions ? cleanDimensions(dimensions, redactor) : [],
    session: redactor.cleanName(packed[19] ?? null),
    traceId: packed[20] ?? null,
    spanId: packed[21] ?? null,
  };
  return {
    row,
    attempts,
    content: content ? { request: content[0] ?? null, answer: content[1] ?? null, sealed: false } : null,
  };
}

function cleanDimensions(dimensions: LogRow["dimensions"], redactor: Redactor): LogRow["dimensions"] {
  return dimensions.map(([name, value]) => [redactor.cleanName(name), redactor.cleanName(value)]);
}

function attemptsOf(packed: PackedRecord, profile: Profile, redactor: Redactor): readonly LogAttempt[] {
  const startedAfterMs = packed[11];
  const durationMs = packed[12];
  const attempts = packed[14];
  if (attempts) return attempts.map((attempt) => attemptOf(attempt, redactor));
  const { provider, model, keyId, keyName } = profile;
  if (typeof startedAfterMs !== "number" || typeof durationMs !== "number") return [];
  if (provider === null || keyId === null || keyName === null) return [];
  const only: LogAttempt = {
    provider,
    model,
    keyId,
    keyName,
    fallbackIndex: profile.fallbackIndex,
    startedAfterMs,
    durationMs,
    status: profile.status,
    outcome: profile.outcome,
    errorType: profile.errorType,
    errorClass: profile.errorClass,
    choice: profile.choice,
    spanId: packed[13] ?? null,
  };
  return [only];
}

function attemptOf(packed: PackedAttempt, redactor: Redactor): LogAttempt {
  const [provider, model, keyId, keyName, fallbackIndex, startedAfterMs, durationMs, status, outcome, ...more] = packed;
  const [errorType, errorClass, choice, spanId] = more;
  return {
    provider,
    model: redactor.cleanName(model ?? null),
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
