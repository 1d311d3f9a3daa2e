/** The tables of the request log, as steps that each ran once on every database, and what stands in them. */
import { type Generated, type Kysely, type Migration, type MigrationProvider, sql } from "kysely";
import type { LogAttempt, LogContent, LogEntry, LogRow } from "./log-store.ts";

export interface LogTables {
  requests: RequestTable & { seq: Generated<number> };
  attempts: AttemptTable & { seq: number; position: number };
  contents: { seq: number; request: string | null; answer: string | null; sealed: number };
}

interface RequestTable {
  id: string;
  request_id: string;
  /** As {@link requestHash}. */
  request_hash: number;
  arrived_at: number;
  duration_ms: number;
  upstream_ms: number;
  first_event_ms: number | null;
  operation: string;
  streams: number;
  asked_model: string | null;
  provider: string | null;
  model: string | null;
  key_id: string | null;
  key_name: string | null;
  virtual_key_id: string | null;
  virtual_key_name: string | null;
  team_id: string | null;
  team_name: string | null;
  customer_id: string | null;
  customer_name: string | null;
  outcome: string;
  status: number;
  error_type: string | null;
  error_class: string | null;
  message: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cache_read_tokens: number | null;
  cache_write_tokens: number | null;
  total_tokens: number | null;
  usage_estimated: number;
  cost_micro_usd: number | null;
  stop_reason: string | null;
  fallback_index: number;
  attempt_count: number;
  /** A JSON array of texts. */
  rules: string;
  cache_kind: string | null;
  cache_reason: string | null;
  cache_similarity: number | null;
  cache_entry_id: string | null;
  limit_name: string | null;
  /** A JSON object of texts. */
  dimensions: string;
  session: string | null;
  trace_id: string | null;
  span_id: string | null;
}

interface AttemptTable {
  provider: string;
  model: string | null;
  key_id: string;
  key_name: string;
  fallback_index: number;
  started_after_ms: number;
  duration_ms: number;
  status: number;
  outcome: string;
  error_type: string | null;
  error_class: string | null;
  choice: string | null;
  span_id: string | null;
}

/** What SQLite calls the type of a column; a trailing `!` for one that is never null. */
type ColumnType = "text" | "text!" | "integer" | "integer!" | "real" | "real!";

const requestColumns: Readonly<Record<keyof RequestTable, ColumnType>> = {
  id: "text!",
  request_id: "text!",
  request_hash: "integer!",
  arrived_at: "integer!",
  duration_ms: "real!",
  upstream_ms: "real!",
  first_event_ms: "real",
  operation: "text!",
  streams: "integer!",
  asked_model: "text",
  provider: "text",
  model: "text",
  key_id: "text",
  key_name: "text",
  virtual_key_id: "text",
  virtual_key_name: "text",
  team_id: "text",
  team_name: "text",
  customer_id: "text",
  customer_name: "text",
  outcome: "text!",
  status: "integer!",
  error_type: "text",
  error_class: "text",
  message: "text",
  input_tokens: "integer",
  output_tokens: "integer",
  cache_read_tokens: "integer",
  cache_write_tokens: "integer",
  total_tokens: "integer",
  usage_estimated: "integer!",
  cost_micro_usd: "integer",
  stop_reason: "text",
  fallback_index: "integer!",
  attempt_count: "integer!",
  rules: "text!",
  cache_kind: "text",
  cache_reason: "text",
  cache_similarity: "real",
  cache_entry_id: "text",
  limit_name: "text",
  dimensions: "text!",
  session: "text",
  trace_id: "text",
  span_id: "text",
};

const attemptColumns: Readonly<Record<keyof AttemptTable, ColumnType>> = {
  provider: "text!",
  model: "text",
  key_id: "text!",
  key_name: "text!",
  fallback_index: "integer!",
  started_after_ms: "real!",
  duration_ms: "real!",
  status: "integer!",
  outcome: "text!",
  error_type: "text",
  error_class: "text",
  choice: "text",
  span_id: "text",
};

const steps: Readonly<Record<string, Migration>> = {
  "0001_requests": {
    up: async (db: Kysely<unknown>) => {
      const columns = (types: Readonly<Record<string, ColumnType>>) =>
        sql.join(
          Object.entries(types).map(([name, type]) => sql`${sql.ref(name)} ${sql.raw(type.replace("!", " not null"))}`),
        );
      // Numbers are not used again, so that a part of a request that was deleted never becomes another's.
      await sql`create table requests (seq integer primary key autoincrement, ${columns(requestColumns)})`.execute(db);
      const attempts = columns(attemptColumns);
      await sql`create table attempts (seq integer not null, position integer not null, ${attempts}, primary key (seq, position)) without rowid`.execute(
        db,
      );
      // Apart, so that looking through many rows does not read what is large in them.
      await sql`create table contents (seq integer primary key, request text, answer text, sealed integer not null)`.execute(
        db,
      );
      await sql`create unique index requests_id on requests (id)`.execute(db);
      // Request ids come in any order, so that every row would write a page of an index of its own: an index of small
      // numbers has a quarter of the pages.
      await sql`create index requests_request_hash on requests (request_hash)`.execute(db);
      await sql`create index requests_arrived_at on requests (arrived_at, id)`.execute(db);
      const key = sql`create index requests_virtual_key on requests (virtual_key_id, arrived_at) where virtual_key_id is not null`;
      await key.execute(db);
      await sql`create index requests_session on requests (session) where session is not null`.execute(db);
    },
  },
};

export const logMigrations: MigrationProvider = { getMigrations: async () => ({ ...steps }) };

/** Statements that take {@link requestValues}, {@link attemptValues} and {@link contentValues}. */
export const inserts = {
  request: insertOf("requests", Object.keys(requestColumns), "on conflict (id) do nothing"),
  attempt: insertOf("attempts", ["seq", "position", ...Object.keys(attemptColumns)]),
  content: insertOf("contents", ["seq", "request", "answer", "sealed"]),
};

/** A number of 32 bits by which a request id is found quickly; others may have the same. FNV-1a over UTF-16 units. */
export function requestHash(requestId: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < requestId.length; index++)
    hash = Math.imul(hash ^ requestId.charCodeAt(index), 0x01000193);
  return hash | 0;
}

function insertOf(table: string, columns: readonly string[], more = ""): string {
  return `insert into ${table} (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")}) ${more}`;
}

export function requestValues({ row }: LogEntry): readonly unknown[] {
  const table: RequestTable = {
    id: row.id,
    request_id: row.requestId,
    request_hash: requestHash(row.requestId),
    arrived_at: row.arrivedAt,
    duration_ms: row.durationMs,
    upstream_ms: row.upstreamMs,
    first_event_ms: row.firstEventMs,
    operation: row.operation,
    streams: row.streams ? 1 : 0,
    asked_model: row.askedModel,
    provider: row.provider,
    model: row.model,
    key_id: row.keyId,
    key_name: row.keyName,
    virtual_key_id: row.virtualKeyId,
    virtual_key_name: row.virtualKeyName,
    team_id: row.teamId,
    team_name: row.teamName,
    customer_id: row.customerId,
    customer_name: row.customerName,
    outcome: row.outcome,
    status: row.status,
    error_type: row.errorType,
    error_class: row.errorClass,
    message: row.message,
    input_tokens: row.inputTokens,
    output_tokens: row.outputTokens,
    cache_read_tokens: row.cacheReadTokens,
    cache_write_tokens: row.cacheWriteTokens,
    total_tokens: row.totalTokens,
    usage_estimated: row.usageEstimated ? 1 : 0,
    cost_micro_usd: row.costMicroUsd,
    stop_reason: row.stopReason,
    fallback_index: row.fallbackIndex,
    attempt_count: row.attemptCount,
    rules: JSON.stringify(row.rules),
    cache_kind: row.cacheKind,
    cache_reason: row.cacheReason,
    cache_similarity: row.cacheSimilarity,
    cache_entry_id: row.cacheEntryId,
    limit_name: row.limit,
    dimensions: JSON.stringify(Object.fromEntries(row.dimensions)),
    session: row.session,
    trace_id: row.traceId,
    span_id: row.spanId,
  };
  return Object.values(table);
}

export function attemptValues(attempt: LogAttempt, seq: number | bigint, position: number): readonly unknown[] {
  const table: AttemptTable = {
    provider: attempt.provider,
    model: attempt.model,
    key_id: attempt.keyId,
    key_name: attempt.keyName,
    fallback_index: attempt.fallbackIndex,
    started_after_ms: attempt.startedAfterMs,
    duration_ms: attempt.durationMs,
    status: attempt.status,
    outcome: attempt.outcome,
    error_type: attempt.errorType,
    error_class: attempt.errorClass,
    choice: attempt.choice,
    span_id: attempt.spanId,
  };
  return [seq, position, ...Object.values(table)];
}

export function contentValues({ request, answer, sealed }: LogContent, seq: number | bigint): readonly unknown[] {
  return [seq, request, answer, sealed ? 1 : 0];
}

export function readRequest(table: RequestTable): LogRow {
  return {
    id: table.id,
    requestId: table.request_id,
    arrivedAt: table.arrived_at,
    durationMs: table.duration_ms,
    upstreamMs: table.upstream_ms,
    firstEventMs: table.first_event_ms,
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
    message: table.message,
    inputTokens: table.input_tokens,
    outputTokens: table.output_tokens,
    cacheReadTokens: table.cache_read_tokens,
    cacheWriteTokens: table.cache_write_tokens,
    totalTokens: table.total_tokens,
    usageEstimated: table.usage_estimated !== 0,
    costMicroUsd: table.cost_micro_usd,
    stopReason: table.stop_reason,
    fallbackIndex: table.fallback_index,
    attemptCount: table.attempt_count,
    rules: readTexts(table.rules),
    cacheKind: table.cache_kind,
    cacheReason: table.cache_reason,
    cacheSimilarity: table.cache_similarity,
    cacheEntryId: table.cache_entry_id,
    limit: table.limit_name,
    dimensions: readDimensions(table.dimensions),
    session: table.session,
    traceId: table.trace_id,
    spanId: table.span_id,
  };
}

export function readAttempt(table: AttemptTable): LogAttempt {
  return {
    provider: table.provider,
    model: table.model,
    keyId: table.key_id,
    keyName: table.key_name,
    fallbackIndex: table.fallback_index,
    startedAfterMs: table.started_after_ms,
    durationMs: table.duration_ms,
    status: table.status,
    outcome: readOutcome(table.outcome),
    errorType: table.error_type,
    errorClass: table.error_class,
    choice: table.choice,
    spanId: table.span_id,
  };
}

function readOutcome(text: string): LogRow["outcome"] {
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
