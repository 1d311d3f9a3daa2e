/** Rows of the request log as values of its tables, and back. Fast path: each request pays for {@link rowValues}. */
import { requestHash } from "./log-ids.ts";
import type { LogAttempt, LogContent, LogEntry, LogRow } from "./log-store.ts";
import {
  type ContentTable,
  type ProfileValues,
  profileColumns,
  type RequestView,
  type RowValues,
  rowColumns,
} from "./log-tables.ts";

/** Rows of one statement, where there are so many: it costs less than one for each. */
export const rowsAtOnce = 8;

/** Statements that take {@link rowValues}, {@link profileValues} and {@link contentValues}. */
export const inserts = {
  // Nothing happens to a row that is there.
  row: insertOf("or ignore into request_rows", rowColumns),
  rows: insertOf("or ignore into request_rows", rowColumns, rowsAtOnce),
  profile: insertOf("into profiles", profileColumns),
  content: insertOf("or ignore into contents", ["seq", "request", "answer", "sealed"]),
};

function insertOf(table: string, columns: readonly string[], rows = 1): string {
  const one = `(${columns.map(() => "?").join(", ")})`;
  return `insert ${table} (${columns.join(", ")}) values ${Array.from({ length: rows }, () => one).join(", ")}`;
}

export function rowValues({ row, attempts }: LogEntry, seq: number, profile: number): RowValues {
  const only = onlyAttempt(row, attempts);
  return [
    seq,
    profile,
    row.arrivedAt,
    row.durationMs,
    row.upstreamMs,
    row.firstEventMs,
    row.requestId,
    requestHash(row.requestId),
    row.message,
    row.inputTokens,
    row.outputTokens,
    row.cacheReadTokens,
    row.cacheWriteTokens,
    row.costMicroUsd,
    row.cacheSimilarity,
    row.cacheEntryId,
    row.dimensions.length === 0 ? null : JSON.stringify(Object.fromEntries(row.dimensions)),
    row.session,
    row.traceId,
    row.spanId,
    only === undefined ? null : only.startedAfterMs,
    only === undefined ? null : only.durationMs,
    only === undefined ? null : only.spanId,
    only === undefined && attempts.length > 0 ? JSON.stringify(attempts) : null,
  ];
}

/** The attempt that needs no place of its own: what is said of the request is said of it. */
export function onlyAttempt(row: LogRow, attempts: readonly LogAttempt[]): LogAttempt | undefined {
  const [only] = attempts;
  const isLikeRow =
    attempts.length === 1 &&
    only !== undefined &&
    only.provider === row.provider &&
    only.model === row.model &&
    only.keyId === row.keyId &&
    only.keyName === row.keyName &&
    only.fallbackIndex === row.fallbackIndex &&
    only.status === row.status &&
    only.outcome === row.outcome &&
    only.errorType === row.errorType &&
    only.errorClass === row.errorClass;
  return isLikeRow ? only : undefined;
}

export function profileValues(row: LogRow, choice: string | null, from: number, until: number): ProfileValues {
  return [
    from,
    until,
    row.operation,
    row.streams ? 1 : 0,
    row.askedModel,
    row.provider,
    row.model,
    row.keyId,
    row.keyName,
    row.virtualKeyId,
    row.virtualKeyName,
    row.teamId,
    row.teamName,
    row.customerId,
    row.customerName,
    row.outcome,
    row.status,
    row.errorType,
    row.errorClass,
    row.usageEstimated ? 1 : 0,
    row.stopReason,
    row.fallbackIndex,
    row.attemptCount,
    textsOf(row.rules),
    row.cacheKind,
    row.cacheReason,
    row.limit,
    choice,
  ];
}

/** As they stand in `rules`. */
export function textsOf(texts: readonly string[]): string {
  return texts.length === 0 ? "[]" : JSON.stringify(texts);
}

export function contentValues({ request, answer, sealed }: LogContent, seq: number): readonly unknown[] {
  return [seq, request, answer, sealed ? 1 : 0];
}

export function readContent({ request, answer, sealed }: ContentTable): LogContent {
  return { request, answer, sealed: sealed !== 0 };
}

/** What of a view's row is its request's, but for its id. */
export type RequestColumns = Omit<
  RequestView,
  | "seq"
  | "profile"
  | "request_hash"
  | "choice"
  | "attempt_start_ms"
  | "attempt_ms"
  | "attempt_span_id"
  | "attempts"
  | "stem"
>;

export function readRow(id: string, table: RequestColumns): LogRow {
  return {
    id,
    requestId: table.request_id,
    arrivedAt: table.arrived_at,
    durationMs: table.duration_ms,
    upstreamMs: table.upstream_ms,
    firstEventMs: table.first_event_ms,
    message: table.message,
    inputTokens: table.input_tokens,
    outputTokens: table.output_tokens,
    cacheReadTokens: table.cache_read_tokens,
    cacheWriteTokens: table.cache_write_tokens,
    costMicroUsd: table.cost_micro_usd,
    cacheSimilarity: table.cache_similarity,
    cacheEntryId: table.cache_entry_id,
    dimensions: table.dimensions === null ? [] : readDimensions(table.dimensions),
    session: table.session,
    traceId: table.trace_id,
    spanId: table.span_id,
    operation: table.operation,
    streams: table.streams !== 0,
    askedModel: table.asked_model,
    provider: table.provider,
    model: table.model,
    keyId: table.key_id,
    keyName: table.key_name,
    virtualKeyId: table.virtual_key_id,
    virtualKeyName: table.virtual_key_name,
    teamId: table.team_id,
    teamName: table.team_name,
    customerId: table.customer_id,
    customerName: table.customer_name,
    outcome: readOutcome(table.outcome),
    status: table.status,
    errorType: table.error_type,
    errorClass: table.error_class,
    usageEstimated: table.usage_estimated !== 0,
    stopReason: table.stop_reason,
    fallbackIndex: table.fallback_index,
    attemptCount: table.attempt_count,
    rules: readTexts(table.rules),
    cacheKind: table.cache_kind,
    cacheReason: table.cache_reason,
    limit: table.limit_name,
    totalTokens: table.total_tokens,
  };
}

export function readAttempts(table: RequestView): readonly LogAttempt[] {
  // As it was written above.
  if (table.attempts !== null) return JSON.parse(table.attempts) as LogAttempt[];
  if (table.attempt_start_ms === null || table.attempt_ms === null) return [];
  if (table.provider === null || table.key_id === null || table.key_name === null) return [];
  return [
    {
      provider: table.provider,
      model: table.model,
      keyId: table.key_id,
      keyName: table.key_name,
      fallbackIndex: table.fallback_index,
      startedAfterMs: table.attempt_start_ms,
      durationMs: table.attempt_ms,
      status: table.status,
      outcome: readOutcome(table.outcome),
      errorType: table.error_type,
      errorClass: table.error_class,
      choice: table.choice,
      spanId: table.attempt_span_id,
    },
  ];
}

export function readOutcome(text: string): LogRow["outcome"] {
  return text === "success" || text === "cancelled" ? text : "error";
}

function readTexts(json: string): readonly string[] {
  const value: unknown = JSON.parse(json);
  return Array.isArray(value) ? value.map(String) : [];
}

function readDimensions(json: string): LogRow["dimensions"] {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).map(([name, text]) => [name, String(text)]);
}
