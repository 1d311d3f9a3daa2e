/** The tables of the request log. */
import type { Generated } from "kysely";

export interface LogTables {
  /** A view: each row with its profile and its writer. */
  requests: RequestView;
  request_rows: RowTable;
  profiles: ProfileTable & { number: Generated<number> };
  writers: { number: Generated<number>; stem: string };
  contents: ContentTable;
}

/** What is the same for very many requests: one row for each combination. */
export interface ProfileTable {
  /** All its rows arrived then or later. Milliseconds since 1970. */
  used_from: number;
  /** All its rows arrived before. Milliseconds since 1970. */
  used_until: number;
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
  usage_estimated: number;
  stop_reason: string | null;
  fallback_index: number;
  attempt_count: number;
  /** A JSON array of texts. */
  rules: string;
  cache_kind: string | null;
  cache_reason: string | null;
  limit_name: string | null;
  /** Of the attempt, where `attempt_start_ms` tells of one. */
  choice: string | null;
}

/** What is a request's own. */
export interface RowTable {
  /** The writer and the number of its row, as `seqOf`. */
  seq: number;
  profile: number;
  arrived_at: number;
  duration_ms: number;
  upstream_ms: number;
  first_event_ms: number | null;
  request_id: string;
  /** As `requestHash`. */
  request_hash: number;
  message: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cache_read_tokens: number | null;
  cache_write_tokens: number | null;
  cost_micro_usd: number | null;
  cache_similarity: number | null;
  cache_entry_id: string | null;
  /** A JSON object of texts; null for none. */
  dimensions: string | null;
  session: string | null;
  trace_id: string | null;
  span_id: string | null;
  /** Of the only attempt, where all else about it is what stands in the request's own row and profile. */
  attempt_start_ms: number | null;
  attempt_ms: number | null;
  attempt_span_id: string | null;
  /** A JSON array of any other attempts. */
  attempts: string | null;
}

export interface RequestView extends RowTable, Omit<ProfileTable, "used_from" | "used_until"> {
  /** The sum of the four; null where they are. */
  total_tokens: number | null;
  /** Of the writer. */
  stem: string;
}

export interface ContentTable {
  seq: number;
  request: string | null;
  answer: string | null;
  sealed: number;
}

export const profileColumns = [
  "used_from",
  "used_until",
  "operation",
  "streams",
  "asked_model",
  "provider",
  "model",
  "key_id",
  "key_name",
  "virtual_key_id",
  "virtual_key_name",
  "team_id",
  "team_name",
  "customer_id",
  "customer_name",
  "outcome",
  "status",
  "error_type",
  "error_class",
  "usage_estimated",
  "stop_reason",
  "fallback_index",
  "attempt_count",
  "rules",
  "cache_kind",
  "cache_reason",
  "limit_name",
  "choice",
] as const satisfies readonly (keyof ProfileTable)[];

export const rowColumns = [
  "seq",
  "profile",
  "arrived_at",
  "duration_ms",
  "upstream_ms",
  "first_event_ms",
  "request_id",
  "request_hash",
  "message",
  "input_tokens",
  "output_tokens",
  "cache_read_tokens",
  "cache_write_tokens",
  "cost_micro_usd",
  "cache_similarity",
  "cache_entry_id",
  "dimensions",
  "session",
  "trace_id",
  "span_id",
  "attempt_start_ms",
  "attempt_ms",
  "attempt_span_id",
  "attempts",
] as const satisfies readonly (keyof RowTable)[];

/** Values in the order of their columns. */
type Values<Table, Columns extends readonly (keyof Table)[]> = {
  readonly [Index in keyof Columns]: Table[Columns[Index]];
};
export type ProfileValues = Values<ProfileTable, typeof profileColumns>;
export type RowValues = Values<RowTable, typeof rowColumns>;
