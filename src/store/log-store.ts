/** What the request log keeps, behind one interface: SQLite, memory, later PostgreSQL. */

export type LogOutcome = "success" | "error" | "cancelled";

/** A finished request. What is not known of it is null. Durations are milliseconds. */
export interface LogRow {
  /** The row's own, chosen by the gateway; sorts by nothing. */
  readonly id: string;
  /** As the client saw it. A client may choose it, and choose it again. */
  readonly requestId: string;
  /** Milliseconds since 1970. */
  readonly arrivedAt: number;
  readonly durationMs: number;
  readonly upstreamMs: number;
  readonly firstEventMs: number | null;
  readonly operation: string;
  readonly streams: boolean;
  readonly askedModel: string | null;
  readonly provider: string | null;
  readonly model: string | null;
  readonly keyId: string | null;
  readonly keyName: string | null;
  readonly virtualKeyId: string | null;
  readonly virtualKeyName: string | null;
  readonly teamId: string | null;
  readonly teamName: string | null;
  readonly customerId: string | null;
  readonly customerName: string | null;
  readonly outcome: LogOutcome;
  readonly status: number;
  readonly errorType: string | null;
  readonly errorClass: string | null;
  readonly message: string | null;
  /** Without those that a cache read or wrote. Null when nobody told. */
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly cacheReadTokens: number | null;
  readonly cacheWriteTokens: number | null;
  /** The sum of the four. */
  readonly totalTokens: number | null;
  readonly usageEstimated: boolean;
  /** Millionths of a dollar. */
  readonly costMicroUsd: number | null;
  readonly stopReason: string | null;
  readonly fallbackIndex: number;
  readonly attemptCount: number;
  /** Ids of the routing rules that matched, in order. */
  readonly rules: readonly string[];
  readonly cacheKind: string | null;
  readonly cacheReason: string | null;
  readonly cacheSimilarity: number | null;
  readonly cacheEntryId: string | null;
  readonly limit: string | null;
  readonly dimensions: readonly (readonly [name: string, value: string])[];
  readonly session: string | null;
  readonly traceId: string | null;
  readonly spanId: string | null;
}

/** One request to a provider with one key. Milliseconds are from the request's arrival, and of its own length. */
export interface LogAttempt {
  readonly provider: string;
  readonly model: string | null;
  readonly keyId: string;
  readonly keyName: string;
  readonly fallbackIndex: number;
  readonly startedAfterMs: number;
  readonly durationMs: number;
  readonly status: number;
  readonly outcome: LogOutcome;
  readonly errorType: string | null;
  readonly errorClass: string | null;
  /** Why with this key. */
  readonly choice: string | null;
  readonly spanId: string | null;
}

/** Cut to size, and without secrets. */
export interface LogContent {
  readonly request: string | null;
  readonly answer: string | null;
  /** Encrypted. */
  readonly sealed: boolean;
}

/** Everything about one request. */
export interface LogEntry {
  readonly row: LogRow;
  /** In the order they were made. */
  readonly attempts: readonly LogAttempt[];
  readonly content: LogContent | null;
}

/** An entry, and the other rows of the same request id, the newest first. */
export interface FoundLog {
  readonly entry: LogEntry;
  readonly others: readonly string[];
}

/** Fields that rows are chosen by: one of the given values. */
export const choosable = [
  "provider",
  "model",
  "askedModel",
  "outcome",
  "operation",
  "keyId",
  "virtualKeyId",
  "teamId",
  "customerId",
  "stopReason",
  "cacheKind",
  "errorType",
  "errorClass",
  "requestId",
  "session",
] as const;
export type ChoosableField = (typeof choosable)[number];

/** What rows are chosen and sorted by that is a number. */
export const measured = ["durationMs", "totalTokens", "costMicroUsd"] as const;
export type MeasuredField = (typeof measured)[number];

/** All that is given must be true of a row. */
export interface LogFilter {
  readonly fields?: { readonly [Field in ChoosableField]?: readonly string[] };
  /** One of these routing rules matched. */
  readonly rules?: readonly string[];
  /** `from` is within, `to` is not. Milliseconds since 1970. */
  readonly from?: number;
  readonly to?: number;
  /** Both ends are within. A row without the number is not. */
  readonly ranges?: { readonly [Field in MeasuredField]?: { readonly min?: number; readonly max?: number } };
  /** Tokens were used, and nobody knows what they cost. */
  readonly missingCost?: boolean;
  readonly dimensions?: readonly (readonly [name: string, value: string])[];
  /** A part of what was asked or answered; sealed content is not looked into. */
  readonly content?: string;
}

export type LogSort = "arrivedAt" | MeasuredField;

export interface LogQuery {
  readonly filter: LogFilter;
  readonly sort: LogSort;
  readonly descending: boolean;
  readonly limit: number;
  readonly offset: number;
  /** Only rows behind this one, in the order of time; for going through all. Rows of one time have an order too. */
  readonly after?: { readonly arrivedAt: number; readonly id: string };
}

export interface LogPage {
  readonly rows: readonly LogRow[];
  /** How many rows the filter finds; not counted beyond {@link mostCounted}. */
  readonly total: number;
}

export const mostCounted = 100_000;

/** By what sums are kept apart: a field, or the value of a dimension. */
export const groupable = [
  "provider",
  "model",
  "askedModel",
  "operation",
  "keyName",
  "virtualKeyId",
  "teamId",
  "customerId",
  "stopReason",
  "errorType",
  "errorClass",
] as const;
export type LogGroup = (typeof groupable)[number] | { readonly dimension: string };

export interface SumQuery {
  readonly filter: LogFilter;
  /** Apart by time: buckets of this length, in milliseconds. */
  readonly bucketMs?: number;
  readonly group?: LogGroup;
  /** The most sums; those of most requests first where they are not apart by time. */
  readonly limit: number;
}

export interface LogSum {
  /** Start of the bucket, milliseconds since 1970. */
  readonly bucket: number | null;
  readonly group: string | null;
  readonly requests: number;
  readonly success: number;
  readonly error: number;
  readonly cancelled: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly totalTokens: number;
  readonly costMicroUsd: number;
  /** Requests that used tokens and whose cost nobody knows. */
  readonly missingCost: number;
  readonly cacheHits: number;
  readonly averageMs: number;
  readonly maxMs: number;
}

/** How long requests took. */
export interface LogLatency {
  readonly bucket: number | null;
  readonly group: string | null;
  readonly requests: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** What there is to choose from. */
export interface LogValues {
  readonly fields: { readonly [Field in Exclude<ChoosableField, "requestId" | "session">]: readonly string[] };
  readonly keys: readonly NamedId[];
  readonly virtualKeys: readonly NamedId[];
  readonly teams: readonly NamedId[];
  readonly customers: readonly NamedId[];
  readonly rules: readonly string[];
  readonly dimensions: readonly string[];
}

export interface NamedId {
  readonly id: string;
  readonly name: string;
}

export interface CostChange {
  readonly id: string;
  /** Null: nobody knows. */
  readonly costMicroUsd: number | null;
}

export interface Sweep {
  /** Rows that arrived before go. Milliseconds since 1970. */
  readonly before: number;
  /** The oldest beyond this number go. */
  readonly mostRows: number;
  /** No more than this many go at once. */
  readonly step: number;
}

/** Reading the log, and correcting it. Every function rejects with a StoreError. */
export interface LogReader {
  /** By the row's id, else the newest by the request's id. */
  find(id: string): Promise<FoundLog | undefined>;
  list(query: LogQuery): Promise<LogPage>;
  sum(query: SumQuery): Promise<readonly LogSum[]>;
  latency(query: SumQuery): Promise<readonly LogLatency[]>;
  /** What the newest rows have, of those that the filter finds. */
  values(filter: LogFilter): Promise<LogValues>;
  /** @returns how many there were */
  remove(ids: readonly string[]): Promise<number>;
  /** Rows that are gone are left out. */
  setCosts(changes: readonly CostChange[]): Promise<void>;
}

export interface LogStore extends LogReader {
  /** Keeps all or none. A row whose id is there already stays as it is, so that a batch may be written twice. */
  append(entries: readonly LogEntry[]): Promise<void>;
  /** @returns how many rows went */
  sweep(sweep: Sweep): Promise<number>;
  close(): Promise<void>;
}

/** Rows that {@link LogReader.values} looks at. */
export const newestLookedAt = 10_000;

/** Whether tokens were used and nobody knows what they cost. Failures are not charged. */
export function isCostMissing({ costMicroUsd, totalTokens, outcome }: LogRow): boolean {
  return costMicroUsd === null && totalTokens !== null && outcome !== "error";
}

export function isCacheHit({ cacheKind }: Pick<LogRow, "cacheKind">): boolean {
  return cacheKind === "direct" || cacheKind === "semantic";
}
