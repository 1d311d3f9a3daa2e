/** A filter of the request log's, and what sums are kept apart by, in SQL. */
import { type Expression, type ExpressionBuilder, type RawBuilder, type SqlBool, sql } from "kysely";
import { requestHash } from "./log-ids.ts";
import {
  type ChoosableField,
  choosable,
  type LogFilter,
  type LogGroup,
  type LogSort,
  type MeasuredField,
  measured,
} from "./log-store.ts";
import type { LogTables, RequestView } from "./log-tables.ts";

export const columnOf = {
  arrivedAt: "arrived_at",
  durationMs: "duration_ms",
  totalTokens: "total_tokens",
  costMicroUsd: "cost_micro_usd",
  provider: "provider",
  model: "model",
  askedModel: "asked_model",
  outcome: "outcome",
  operation: "operation",
  keyId: "key_id",
  keyName: "key_name",
  virtualKeyId: "virtual_key_id",
  teamId: "team_id",
  customerId: "customer_id",
  stopReason: "stop_reason",
  cacheKind: "cache_kind",
  errorType: "error_type",
  errorClass: "error_class",
  session: "session",
} as const satisfies Record<
  LogSort | Exclude<ChoosableField, "requestId"> | MeasuredField | Extract<LogGroup, string>,
  keyof RequestView
>;

export function conditionsOf(eb: ExpressionBuilder<LogTables, "requests">, filter: LogFilter): Expression<SqlBool> {
  const { fields, from, to, ranges, dimensions, missingCost, content } = filter;
  const conditions: Expression<SqlBool>[] = [];
  const profile = profileConditions(filter);
  if (profile.length > 0) {
    const chosen = sql`profiles where ${sql.join(profile, sql` and `)}`;
    // A short list of numbers, by which rows are chosen without looking at each one's profile.
    conditions.push(sql<SqlBool>`profile in (select number from ${chosen})`);
    const since = sql`(select min(used_from) from ${chosen})`;
    const until = sql`(select max(used_until) from ${chosen})`;
    // One bound at each end, for an index goes by one.
    conditions.push(sql<SqlBool>`arrived_at >= ${from === undefined ? since : sql`max(${from}, ${since})`}`);
    conditions.push(sql<SqlBool>`arrived_at < ${to === undefined ? until : sql`min(${to}, ${until})`}`);
  } else {
    if (from !== undefined) conditions.push(eb("arrived_at", ">=", from));
    if (to !== undefined) conditions.push(eb("arrived_at", "<", to));
  }
  if (fields?.session !== undefined) conditions.push(eb("session", "in", fields.session));
  if (fields?.requestId !== undefined) {
    const rows = fields.requestId.map(withRequestId);
    conditions.push(sql<SqlBool>`seq in (${sql.join(rows, sql` union all `)})`);
  }
  for (const field of measured) {
    const { min, max } = ranges?.[field] ?? {};
    if (min !== undefined) conditions.push(eb(columnOf[field], ">=", min));
    if (max !== undefined) conditions.push(eb(columnOf[field], "<=", max));
  }
  if (missingCost === true) conditions.push(isMissingCost);
  for (const [name, value] of dimensions ?? []) conditions.push(sql<SqlBool>`${dimension(name)} = ${value}`);
  if (content !== undefined) {
    const has = (column: string) => sql`instr(lower(${sql.ref(column)}), lower(${content}))`;
    const texts = sql`${has("contents.request")} or ${has("contents.answer")}`;
    conditions.push(
      sql<SqlBool>`exists (select 1 from contents where contents.seq = requests.seq and sealed = 0 and (${texts}))`,
    );
  }
  return eb.and(conditions);
}

/** The filter for what is behind a time: as a bound of its own it would be one more, and an index goes by one. */
export function upTo(filter: LogFilter, arrivedAt: number, descending: boolean): LogFilter {
  if (!descending) return { ...filter, from: Math.max(filter.from ?? arrivedAt, arrivedAt) };
  return { ...filter, to: Math.min(filter.to ?? arrivedAt + 1, arrivedAt + 1) };
}

function profileConditions({ fields, rules }: LogFilter): RawBuilder<unknown>[] {
  const conditions: RawBuilder<unknown>[] = [];
  for (const field of choosable) {
    const wanted = fields?.[field];
    if (wanted === undefined || field === "requestId" || field === "session") continue;
    conditions.push(sql`${sql.ref(columnOf[field])} in (${sql.join(wanted)})`);
  }
  if (rules !== undefined)
    conditions.push(sql`exists (select 1 from json_each(rules) where value in (${sql.join(rules)}))`);
  return conditions;
}

/**
 * The rows of a request id, as a subquery. Their index is in parts, as the tables' steps say: it goes from part to part.
 */
export function withRequestId(requestId: string): RawBuilder<unknown> {
  const next = (more: RawBuilder<unknown>) =>
    sql`select seq >> 11 as part from request_rows ${more} order by seq >> 11 limit 1`;
  return sql`select found.seq from (
    with recursive parts(part) as (
      select part from (${next(sql``)})
      union all
      select (${next(sql`where seq >> 11 > parts.part`)}) from parts where parts.part is not null
    )
    select own.seq from parts cross join request_rows own
    where own.seq >> 11 = parts.part and own.request_hash = ${requestHash(requestId)} and own.request_id = ${requestId}
  ) found`;
}

export const isMissingCost = sql<SqlBool>`(cost_micro_usd is null and total_tokens is not null and outcome <> 'error')`;

/** The value of a dimension; null where the request has none. */
function dimension(name: string): RawBuilder<string | null> {
  return sql<string | null>`json_extract(dimensions, ${`$.${JSON.stringify(name)}`})`;
}

export function apartBy(bucketMs: number | undefined, group: LogGroup | undefined) {
  const length = sql.lit(bucketMs ?? 1);
  const bucket = sql<number | null>`arrived_at / ${length} * ${length}`;
  const value = typeof group === "object" ? dimension(group.dimension) : sql<string | null>`${columnOrNull(group)}`;
  return { bucket: bucketMs === undefined ? sql<number | null>`null` : bucket, value };
}

function columnOrNull(group: Extract<LogGroup, string> | undefined): RawBuilder<unknown> {
  return group === undefined ? sql`null` : sql.ref(columnOf[group]);
}

const total = (column: keyof RequestView) => sql<number>`coalesce(sum(${sql.ref(column)}), 0)`;
const count = (condition: string) => sql<number>`count(case when ${sql.raw(condition)} then 1 end)`;

export const sums = [
  sql<number>`count(*)`.as("requests"),
  count("outcome = 'success'").as("success"),
  count("outcome = 'error'").as("error"),
  count("outcome = 'cancelled'").as("cancelled"),
  total("input_tokens").as("inputTokens"),
  total("output_tokens").as("outputTokens"),
  total("cache_read_tokens").as("cacheReadTokens"),
  total("cache_write_tokens").as("cacheWriteTokens"),
  total("total_tokens").as("totalTokens"),
  total("cost_micro_usd").as("costMicroUsd"),
  sql<number>`count(case when ${isMissingCost} then 1 end)`.as("missingCost"),
  count("cache_kind in ('direct', 'semantic')").as("cacheHits"),
  sql<number>`coalesce(avg(duration_ms), 0)`.as("averageMs"),
  sql<number>`coalesce(max(duration_ms), 0)`.as("maxMs"),
] as const;
