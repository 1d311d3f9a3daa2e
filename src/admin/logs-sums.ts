/** Sums over the request log: statistics, histograms, rankings. */
import type { LogFilter, LogGroup, LogLatency, LogReader, LogSum, SumQuery } from "../store/log-store.ts";
import type { Document } from "../store/store.ts";
import { AdminFailure } from "./failure.ts";
import { readFilter } from "./logs-filter.ts";
import { showCost, showCounts, showLatency, showSum, showTokens, timeText } from "./logs-show.ts";
import type { QueryReader } from "./query.ts";

/** A question about the log. */
export interface LogCall {
  readonly query: QueryReader;
  readonly reader: LogReader;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** How far back sums look where no time is given. Milliseconds. */
const defaultPeriodMs = 86_400_000;

const mostGroups = 1000;
const mostBuckets = 2000;
const mostSums = 20_000;

export async function stats({ query, reader, now }: LogCall): Promise<Document> {
  const filter = readFilter(query, now, defaultPeriodMs);
  const compares = query.flag("compare_to_previous");
  const { from = 0, to = now } = filter;
  if (compares && filter.from === undefined) query.fault("compare_to_previous", "needs a start_time or a period");
  query.end();
  const of = async (chosen: LogFilter): Promise<Document> => {
    const [[sum], [latency]] = await Promise.all([
      reader.sum({ filter: chosen, limit: 1 }),
      reader.latency({ filter: chosen, limit: 1 }),
    ]);
    if (sum === undefined || latency === undefined) throw new Error("the log has no sum");
    const share = (part: number): number | null => (sum.requests === 0 ? null : part / sum.requests);
    return {
      ...spanOf(chosen, now),
      ...showSum(sum),
      ...showLatency(latency),
      success_rate: share(sum.success),
      cache_hit_rate: share(sum.cacheHits),
    };
  };
  const own = await of(filter);
  return compares ? { ...own, previous: await of({ ...filter, from: 2 * from - to, to: from }) } : own;
}

const rankedBy: Readonly<Record<string, Extract<LogGroup, string>>> = {
  models: "model",
  providers: "provider",
  aliases: "askedModel",
  objects: "operation",
  keys: "keyName",
  virtual_keys: "virtualKeyId",
  teams: "teamId",
  customers: "customerId",
  stop_reasons: "stopReason",
  error_types: "errorType",
  error_classes: "errorClass",
};

const rankings = {
  requests: (sum: LogSum) => sum.requests,
  tokens: (sum: LogSum) => sum.totalTokens,
  cost: (sum: LogSum) => sum.costMicroUsd,
  errors: (sum: LogSum) => sum.error,
  latency: (sum: LogSum) => sum.averageMs,
};

export async function ranking({ query, reader, now }: LogCall): Promise<Document> {
  const filter = readFilter(query, now, defaultPeriodMs);
  const by = query.text("by") ?? "models";
  const group = readGroup(query, by);
  const sort = query.choice("sort_by", ["requests", "tokens", "cost", "errors", "latency"], "requests");
  const limit = query.integer("limit", 20, 1, mostGroups);
  query.end();
  const sums = [...(await reader.sum({ filter, group, limit: mostGroups }))];
  const ranked = sums.filter(({ group: name }) => name !== null).sort((a, b) => rankings[sort](b) - rankings[sort](a));
  const shown = ranked.slice(0, limit).map((sum) => ({ name: sum.group, ...showSum(sum) }));
  return { by, sort_by: sort, ...spanOf(filter, now), rankings: shown };
}

function readGroup(query: QueryReader, by: string): LogGroup {
  if (by.startsWith("metadata_") && by.length > "metadata_".length)
    return { dimension: by.slice("metadata_".length).toLowerCase() };
  const group = Object.hasOwn(rankedBy, by) ? rankedBy[by] : undefined;
  if (group === undefined) query.fault("by", `must be one of ${Object.keys(rankedBy).join(", ")}, metadata_<name>`);
  return group ?? "model";
}

type Measure = "requests" | "tokens" | "cost" | "models" | "latency" | "throughput";

/**
 * What happened when. Times at which nothing happened are left out.
 *
 * @param path behind `/api/logs/histogram`
 */
export async function histogram({ query, reader, now }: LogCall, path: readonly string[]): Promise<Document> {
  const { measure, by } = readPath(path);
  const filter = readFilter(query, now, defaultPeriodMs);
  const group = groupOf(query, measure, by);
  const { from = 0, to = now } = filter;
  const bucketMs = query.duration("bucket_size") ?? niceBucket(to - from);
  if ((to - from) / bucketMs > mostBuckets)
    query.fault("bucket_size", `must not divide the time into more than ${mostBuckets} buckets`);
  query.end();
  const sums: SumQuery = { filter, bucketMs, limit: mostSums, ...(group && { group }) };
  const shown = (
    measure === "latency"
      ? (await reader.latency(sums)).map((one) => ({ of: one, shown: { requests: one.requests, ...showLatency(one) } }))
      : (await reader.sum(sums)).map((one) => ({ of: one, shown: showMeasure(measure, one, bucketMs) }))
  ).map(({ of, shown: values }) => ({ ...apart(of, measure === "models" ? "model" : by), ...values }));
  return { ...spanOf(filter, now), bucket_size_seconds: bucketMs / 1000, buckets: shown };
}

function readPath(path: readonly string[]): { readonly measure: Measure; readonly by: string | undefined } {
  const [first, ...rest] = path;
  const measures: readonly Measure[] = ["tokens", "cost", "models", "latency", "throughput"];
  const measure = measures.find((one) => one === first);
  const [by, ...more] = measure === undefined ? path : rest;
  if (more.length === 0) {
    if (by === undefined) return { measure: measure ?? "requests", by: undefined };
    if (by === "by-provider") return { measure: measure ?? "requests", by: "provider" };
    if (by === "by-dimension") return { measure: measure ?? "requests", by: "dimension" };
  }
  throw new AdminFailure("not_found", "There is no such histogram of the request log.");
}

function groupOf(query: QueryReader, measure: Measure, by: string | undefined): LogGroup | undefined {
  if (by === "provider") return "provider";
  if (by === undefined) return measure === "models" ? "model" : undefined;
  const dimension = query.text("dimension");
  if (dimension === undefined) query.fault("dimension", "must name a dimension");
  return { dimension: dimension?.toLowerCase() ?? "" };
}

function showMeasure(measure: Exclude<Measure, "latency">, sum: LogSum, bucketMs: number): Document {
  const seconds = bucketMs / 1000;
  switch (measure) {
    case "requests":
      return showCounts(sum);
    case "tokens":
      return showTokens(sum);
    case "cost":
      return showCost(sum);
    case "models":
      return { ...showCounts(sum), total_tokens: sum.totalTokens, ...showCost(sum) };
    case "throughput":
      return {
        requests_per_second: sum.requests / seconds,
        tokens_per_second: sum.totalTokens / seconds,
        output_tokens_per_second: sum.outputTokens / seconds,
      };
  }
}

function apart({ bucket, group }: LogSum | LogLatency, by: string | undefined): Document {
  return { timestamp: timeText(bucket ?? 0), ...(by !== undefined && { [by]: group }) };
}

function spanOf({ from, to }: LogFilter, now: number): Document {
  return { start_time: from === undefined ? null : timeText(from), end_time: timeText(to ?? now) };
}

/** About sixty of them. Milliseconds. */
function niceBucket(spanMs: number): number {
  const nice = [1, 5, 10, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800].map((s) => s * 1000);
  return nice.find((ms) => spanMs / ms <= 60) ?? 30 * defaultPeriodMs;
}
