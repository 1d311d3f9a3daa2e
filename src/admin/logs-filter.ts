/** Which rows of the request log a client wants. The names are the original's. */
import type { ChoosableField, LogFilter, LogSort, MeasuredField } from "../store/log-store.ts";
import type { QueryReader } from "./query.ts";

/** Several values, separated by commas: one of them. */
const lists: Readonly<Record<string, ChoosableField>> = {
  providers: "provider",
  models: "model",
  aliases: "askedModel",
  status: "outcome",
  objects: "operation",
  selected_key_ids: "keyId",
  virtual_key_ids: "virtualKeyId",
  team_ids: "teamId",
  customer_ids: "customerId",
  stop_reasons: "stopReason",
  cache_hit_types: "cacheKind",
  error_types: "errorType",
  error_classes: "errorClass",
};

/** Other names for one value. */
const singles: Readonly<Record<string, ChoosableField>> = {
  provider: "provider",
  model: "model",
  outcome: "outcome",
  virtual_key: "virtualKeyId",
  request_id: "requestId",
  session_id: "session",
};

const ranges: Readonly<Record<string, { readonly field: MeasuredField; readonly factor: number }>> = {
  latency: { field: "durationMs", factor: 1 },
  tokens: { field: "totalTokens", factor: 1 },
  // USD, of which the log knows the millionths.
  cost: { field: "costMicroUsd", factor: 1e6 },
};

export const sorts = {
  timestamp: "arrivedAt",
  latency: "durationMs",
  tokens: "totalTokens",
  cost: "costMicroUsd",
} as const satisfies Record<string, LogSort>;

const outcomes = ["success", "error", "cancelled"];
const cacheKinds = ["direct", "semantic", "miss", "bypass"];

export const filterParameters = {
  ...Object.fromEntries(Object.keys(lists).map((name) => [name, "One of these, separated by commas."])),
  ...Object.fromEntries(Object.keys(singles).map((name) => [name, "Exactly this."])),
  routing_rule_ids: "One of these rules matched.",
  start_time: "From this time on; ISO 8601 or milliseconds since 1970.",
  end_time: "Before this time.",
  period: "Instead of the two: the last 30s, 5m, 1h or 7d.",
  min_latency: "Milliseconds.",
  max_latency: "Milliseconds.",
  min_tokens: "Of all kinds.",
  max_tokens: "Of all kinds.",
  min_cost: "USD.",
  max_cost: "USD.",
  missing_cost_only: "true: tokens were used and the price was not known.",
  content_search: "A part of what was asked or answered.",
};

/** What a watcher may filter by: not by time, nor by content, which the feed does not carry. */
export function readRowFilter(query: QueryReader): LogFilter {
  const fields: { [Field in ChoosableField]?: readonly string[] } = {};
  for (const [name, field] of Object.entries(lists)) {
    const values = query.list(name);
    if (values !== undefined) fields[field] = values;
  }
  for (const [name, field] of Object.entries(singles)) {
    const value = query.text(name);
    if (value !== undefined) fields[field] = [value];
  }
  const known = (field: ChoosableField, name: string, choices: readonly string[]): void => {
    if (fields[field]?.every((value) => choices.includes(value)) === false)
      query.fault(name, `must be of ${choices.join(", ")}`);
  };
  known("outcome", "status", outcomes);
  known("cacheKind", "cache_hit_types", cacheKinds);
  const rules = query.list("routing_rule_ids");
  const missingCost = query.flag("missing_cost_only");
  const dimensions = query.prefixed("metadata_");
  return {
    fields,
    ranges: readRanges(query),
    missingCost,
    dimensions,
    ...(rules && { rules }),
  };
}

/**
 * @param now milliseconds since 1970
 * @param fallbackMs how far back to look where no time is given; undefined: as far as there are rows
 */
export function readFilter(query: QueryReader, now: number, fallbackMs?: number): LogFilter {
  const from = query.time("start_time");
  const to = query.time("end_time");
  const period = query.duration("period");
  const content = query.text("content_search");
  if (period !== undefined && (from !== undefined || to !== undefined))
    query.fault("period", "cannot stand beside start_time and end_time");
  const back = period ?? (from === undefined && to === undefined ? fallbackMs : undefined);
  const start = back === undefined ? from : now - back;
  return {
    ...readRowFilter(query),
    ...(start !== undefined && { from: start }),
    ...(to !== undefined && { to }),
    ...(content !== undefined && { content }),
  };
}

function readRanges(query: QueryReader): NonNullable<LogFilter["ranges"]> {
  const read: { [Field in MeasuredField]?: { min?: number; max?: number } } = {};
  for (const [name, { field, factor }] of Object.entries(ranges)) {
    const min = query.number(`min_${name}`);
    const max = query.number(`max_${name}`);
    if (min === undefined && max === undefined) continue;
    read[field] = { ...(min !== undefined && { min: min * factor }), ...(max !== undefined && { max: max * factor }) };
  }
  return read;
}
