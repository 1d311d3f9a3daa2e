/**
 * Records on their way from a front end to the request log: arrays in a fixed order, packed as msgpack. Most records have
 * much in common, which is packed once for all those of a batch. Fast path: every request pays for it.
 */
import { Packr } from "msgpackr";
import type { LogAttempt, LogRow } from "../store/log-store.ts";
import type { AttemptRecord, RequestRecord } from "./request-record.ts";

const packr = new Packr({
  useRecords: false,
  // What is missing is nil, not an extension of four bytes.
  encodeUndefinedAsNil: true,
});

/** Undefined before it is packed, null after. */
type Maybe<Value> = Value | null | undefined;

/** What is the same for many records. */
export type PackedProfile = readonly [
  operation: string,
  streams: boolean,
  askedModel: Maybe<string>,
  provider: Maybe<string>,
  model: Maybe<string>,
  keyId: Maybe<string>,
  keyName: Maybe<string>,
  virtualKeyId: Maybe<string>,
  virtualKeyName: Maybe<string>,
  teamId: Maybe<string>,
  teamName: Maybe<string>,
  customerId: Maybe<string>,
  customerName: Maybe<string>,
  outcome: LogRow["outcome"],
  status: number,
  errorType: Maybe<string>,
  errorClass: Maybe<string>,
  usageEstimated: boolean,
  stopReason: Maybe<string>,
  fallbackIndex: number,
  rules: readonly string[],
  cacheKind: Maybe<string>,
  cacheReason: Maybe<string>,
  limit: Maybe<string>,
  /** Of an attempt of which the rest stands in the profile and the record. */
  choice: Maybe<string>,
];

export type PackedRecord = readonly [
  /** Where among the batch's it stands. */
  profile: number,
  requestId: string,
  arrivedAt: number,
  durationMs: number,
  upstreamMs: number,
  firstEventMs: Maybe<number>,
  inputTokens: Maybe<number>,
  outputTokens: Maybe<number>,
  cacheReadTokens: Maybe<number>,
  cacheWriteTokens: Maybe<number>,
  costMicroUsd: Maybe<number>,
  /** Those of one attempt, or all of any others. */
  attemptStartMs: Maybe<number>,
  attemptMs: Maybe<number>,
  attemptSpanId: Maybe<string>,
  attempts: Maybe<readonly PackedAttempt[]>,
  message: Maybe<string>,
  cacheSimilarity: Maybe<number>,
  cacheEntryId: Maybe<string>,
  dimensions: Maybe<readonly (readonly [name: string, value: string])[]>,
  session: Maybe<string>,
  traceId: Maybe<string>,
  spanId: Maybe<string>,
  content: Maybe<readonly [request: Maybe<string>, answer: Maybe<string>]>,
];

export type PackedAttempt = readonly [
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

/** Row ids are the prefix with a number. */
export type PackedBatch = readonly [
  prefix: string,
  first: number,
  profiles: readonly PackedProfile[],
  records: readonly PackedRecord[],
];

/** So many profiles are looked through for a record's own, the last ones. */
const profilesLookedAt = 8;

/** The records of a batch that has not been packed yet. Keeps nothing of the records themselves. */
export class BatchPacker {
  #profiles: PackedProfile[] = [];
  #records: PackedRecord[] = [];

  get rows(): number {
    return this.#records.length;
  }

  add(record: RequestRecord): void {
    const { attempts, usage, cache, dimensions, trace, content } = record;
    const only = onlyAttempt(record);
    this.#records.push([
      this.#profileOf(record, only?.choice),
      record.id,
      Math.round(record.arrivedAt),
      record.durationMs,
      record.upstreamMs,
      record.firstEventMs,
      usage?.inputTokens,
      usage?.outputTokens,
      usage && (usage.cacheReadInputTokens ?? 0),
      usage && (usage.cacheWriteInputTokens ?? 0),
      record.costMicroUsd,
      only?.startedAfterMs,
      only?.durationMs,
      only?.spanId,
      only === undefined && attempts.length > 0 ? attempts.map(packableAttempt) : undefined,
      record.message,
      cache?.similarity,
      cache?.entryId,
      dimensions.size === 0 ? undefined : [...dimensions],
      record.session,
      trace?.traceId,
      trace?.spanId,
      content?.logged === true ? [content.request, content.answer] : undefined,
    ]);
  }

  /**
   * Begins anew.
   *
   * @param prefix of the rows' ids; the process's and thread's own
   * @param first the number of the first row; the others follow
   */
  pack(prefix: string, first: number): Uint8Array {
    const batch: PackedBatch = [prefix, first, this.#profiles, this.#records];
    this.#profiles = [];
    this.#records = [];
    // A copy of its own: what is packed lies in a buffer that the next call writes over.
    return Uint8Array.from(packr.pack(batch));
  }

  #profileOf(record: RequestRecord, choice: string | undefined): number {
    const all = this.#profiles;
    const last = Math.max(0, all.length - profilesLookedAt);
    for (let at = all.length - 1; at >= last; at--) {
      const profile = all[at];
      if (profile !== undefined && isOf(profile, record, choice)) return at;
    }
    return all.push(profileOf(record, choice)) - 1;
  }
}

/** The attempt of which all that its record does not say stands in the profile. */
function onlyAttempt(record: RequestRecord): AttemptRecord | undefined {
  const [only] = record.attempts;
  const isLikeRecord =
    record.attempts.length === 1 &&
    only !== undefined &&
    only.provider === record.provider &&
    only.model === record.model &&
    only.key.id === record.key?.id &&
    only.key.name === record.key.name &&
    only.fallbackIndex === record.fallbackIndex &&
    only.status === record.status &&
    only.outcome === record.outcome &&
    only.errorType === record.errorType &&
    only.errorClass === record.errorClass;
  return isLikeRecord ? only : undefined;
}

function profileOf(record: RequestRecord, choice: string | undefined): PackedProfile {
  const { key, identity, cache } = record;
  return [
    record.operation,
    record.streams,
    record.askedModel,
    record.provider,
    record.model,
    key?.id,
    key?.name,
    identity?.virtualKey.id,
    identity?.virtualKey.name,
    identity?.team?.id,
    identity?.team?.name,
    identity?.customer?.id,
    identity?.customer?.name,
    record.outcome,
    record.status,
    record.errorType,
    record.errorClass,
    isEstimated(record),
    record.stopReason,
    record.fallbackIndex,
    record.rules,
    cache?.kind,
    cache?.reason,
    record.limit,
    choice,
  ];
}

function isOf(profile: PackedProfile, record: RequestRecord, choice: string | undefined): boolean {
  const { key, identity, cache } = record;
  return (
    profile[4] === record.model &&
    profile[7] === identity?.virtualKey.id &&
    profile[5] === key?.id &&
    profile[2] === record.askedModel &&
    profile[14] === record.status &&
    profile[0] === record.operation &&
    profile[18] === record.stopReason &&
    profile[1] === record.streams &&
    profile[3] === record.provider &&
    profile[6] === key?.name &&
    profile[8] === identity?.virtualKey.name &&
    profile[9] === identity?.team?.id &&
    profile[10] === identity?.team?.name &&
    profile[11] === identity?.customer?.id &&
    profile[12] === identity?.customer?.name &&
    profile[13] === record.outcome &&
    profile[15] === record.errorType &&
    profile[16] === record.errorClass &&
    profile[17] === isEstimated(record) &&
    profile[19] === record.fallbackIndex &&
    isSameList(profile[20], record.rules) &&
    profile[21] === cache?.kind &&
    profile[22] === cache?.reason &&
    profile[23] === record.limit &&
    profile[24] === choice
  );
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, at) => text === b[at]);
}

function isEstimated({ usage, usageEstimated }: RequestRecord): boolean {
  return usage !== undefined && usageEstimated;
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
