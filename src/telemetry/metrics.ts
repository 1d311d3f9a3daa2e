/** What one thread counts of finished requests. */
import * as layouts from "./metric-layouts.ts";
import { add, type Layout, observe, separator, Table, type TableSnapshot } from "./metric-table.ts";
import type { AttemptRecord, RequestRecord } from "./request-record.ts";

/** A value that is read when it is asked for. Those of several threads with the same labels become one. */
export interface Reading {
  readonly name: string;
  readonly help: string;
  /** `gauge` by default. */
  readonly type?: "gauge" | "counter";
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly aggregate: "sum" | "max";
}

/** What one thread has counted, in a form that can cross to another thread. */
export interface MetricsSnapshot {
  readonly tables: readonly TableSnapshot[];
  readonly readings: readonly Reading[];
}

/** Where an operation is served. */
export interface HttpRoute {
  /** With the varying parts as `{name}`. */
  readonly path: string;
  readonly method: string;
}

const none = "none";
/** Of operations that are none. */
const noRoute: HttpRoute = { path: "_OTHER", method: "_OTHER" };
/** Fallbacks beyond this count as this one: a client may name any number. */
const maxFallbackIndex = 10;

/** The table of a layout, whatever its columns are called. */
type TableOf<L extends Layout> = Table<Extract<keyof L["columns"], string>>;

export class Metrics {
  readonly #routes: ReadonlyMap<string, HttpRoute>;
  readonly #answers = new Table(layouts.answers);
  readonly #attempts = new Table(layouts.attempts);
  readonly #latencies = new Table(layouts.latencies);
  readonly #streams = new Table(layouts.streams);
  readonly #overheads = new Table(layouts.overheads);
  readonly #rotations = new Table(layouts.rotations);
  readonly #cacheHits = new Table(layouts.cacheHits);
  readonly #http = new Table(layouts.http);
  readonly #spans = new Table(layouts.spans);
  readonly #droppedRows = new Table(layouts.droppedRows);
  #usage: TableOf<ReturnType<typeof layouts.usageLayout>> = new Table(layouts.usageLayout([]));
  #errors: TableOf<ReturnType<typeof layouts.errorsLayout>> = new Table(layouts.errorsLayout([]));
  #dimensions: readonly string[] = [];
  #active = 0;

  /** @param routes by the operation's name */
  constructor(routes: ReadonlyMap<string, HttpRoute> = new Map()) {
    this.#routes = routes;
  }

  /**
   * Says which dimensions of requests are labels. Where they change, what was counted under the former labels begins
   * anew, which Prometheus takes for a restart.
   */
  configure(dimensions: readonly string[]): void {
    if (dimensions.join() === this.#dimensions.join()) return;
    this.#dimensions = dimensions;
    const labels = dimensions.map(dimensionLabel);
    this.#usage = new Table(layouts.usageLayout(labels));
    this.#errors = new Table(layouts.errorsLayout(labels));
  }

  /** Counts a request that is over. Fast path: called once for each. */
  finished(record: RequestRecord): void {
    const { operation, provider = none, outcome, status, durationMs, attempts } = record;
    // Clients name models; only what a provider was asked for is a name worth a series.
    const model = (attempts.length > 0 || outcome === "success" ? record.model : undefined) ?? none;
    const seconds = durationMs / 1000;

    const answers = this.#answers;
    const answered =
      answers.find(`${operation}${separator}${provider}${separator}${status}${separator}${outcome}`) ??
      answers.row([operation, provider, String(status), outcome]);
    add(answered, answers.at.requests, 1);
    observe(answered, answers.at.duration, layouts.answers.columns.duration.buckets, seconds);
    this.#countHttp(operation, status, seconds);
    this.#countBase(record, provider, model);
    this.#countTimes(record, provider, model);
    for (let index = 0; index < attempts.length; index++) this.#countAttempt(attempts, index);
    if (record.cache !== undefined && (record.cache.kind === "direct" || record.cache.kind === "semantic"))
      add(this.#cacheHits.row([record.cache.kind, provider, model, virtualKeyOf(record)]), 0, 1);
  }

  /** Spans that have reached the collector, or that nobody will ever see. */
  spans(result: "exported" | "dropped", count: number): void {
    add(this.#spans.row([result]), 0, count);
  }

  /** Rows of the request log that were not kept. */
  logRowsDropped(count: number): void {
    add(this.#droppedRows.row([]), 0, count);
  }

  /** How many requests and streams are being answered. */
  active(count: number): void {
    this.#active = count;
  }

  /** @param more what else there is to say of this thread */
  snapshot(more: readonly Reading[] = []): MetricsSnapshot {
    const tables = [
      this.#answers,
      this.#usage,
      this.#errors,
      this.#attempts,
      this.#latencies,
      this.#streams,
      this.#overheads,
      this.#rotations,
      this.#cacheHits,
      this.#http,
      this.#spans,
      this.#droppedRows,
    ];
    const active: Reading = {
      name: "bifrost_active_requests",
      help: "Requests and streams that are being answered.",
      labels: {},
      value: this.#active,
      aggregate: "sum",
    };
    return { tables: tables.map((table) => table.snapshot()), readings: [active, ...more] };
  }

  #countHttp(operation: string, status: number, seconds: number): void {
    const { path, method } = this.#routes.get(operation) ?? noRoute;
    const cells =
      this.#http.find(`${path}${separator}${method}${separator}${status}`) ??
      this.#http.row([path, method, String(status)]);
    add(cells, this.#http.at.requests, 1);
    observe(cells, this.#http.at.duration, layouts.http.columns.duration.buckets, seconds);
  }

  #countBase(record: RequestRecord, provider: string, model: string): void {
    const { operation, outcome, usage, costMicroUsd } = record;
    const fallback = Math.min(record.fallbackIndex, maxFallbackIndex);
    const { identity } = record;
    const key = identity?.virtualKey.name ?? none;
    const team = identity?.team?.name ?? none;
    const customer = identity?.customer?.name ?? none;
    const who = `${operation}${separator}${provider}${separator}${model}${separator}${key}${separator}${team}${separator}${customer}${separator}${fallback}`;
    const said = this.#dimensionValues(record);
    if (outcome === "success" || usage !== undefined || costMicroUsd !== undefined) {
      const table = this.#usage;
      const cells =
        table.find(said === undefined ? who : `${who}${separator}${said.join(separator)}`) ??
        table.row([operation, provider, model, key, team, customer, String(fallback), ...(said ?? [])]);
      const { at } = table;
      if (outcome === "success") add(cells, at.success, 1);
      if (usage !== undefined) {
        const { inputTokens, outputTokens, cacheReadInputTokens: read = 0, cacheWriteInputTokens: write = 0 } = usage;
        add(cells, at.input, inputTokens + read + write);
        add(cells, at.output, outputTokens);
        add(cells, at.cacheRead, read);
        add(cells, at.cacheWrite, write);
      }
      if (costMicroUsd !== undefined) add(cells, at.cost, costMicroUsd / 1e6);
      else if (usage !== undefined && outcome !== "error") add(cells, at.unpriced, 1);
    }
    if (outcome !== "success") {
      const labels = [operation, provider, model, key, team, customer, String(fallback)];
      const type = record.errorClass ?? (outcome === "cancelled" ? "caller_cancelled" : "_OTHER");
      add(this.#errors.row([...labels, String(record.status), type, ...(said ?? [])]), 0, 1);
    }
  }

  /** Undefined where none is declared. */
  #dimensionValues({ dimensions }: RequestRecord): readonly string[] | undefined {
    if (this.#dimensions.length === 0) return undefined;
    return this.#dimensions.map((name) => dimensions.get(name) ?? none);
  }

  #countTimes(record: RequestRecord, provider: string, model: string): void {
    const { operation, streams, outcome, attempts, durationMs, firstEventMs, usage } = record;
    const table = this.#overheads;
    const isWhole = !streams && outcome === "success";
    if (attempts.length > 0 || isWhole) {
      const cells = table.find(`${operation}${separator}${provider}`) ?? table.row([operation, provider]);
      const { overhead, retries } = layouts.overheads.columns;
      if (attempts.length > 0) observe(cells, table.at.retries, retries.buckets, attempts.length - 1);
      if (isWhole)
        observe(cells, table.at.overhead, overhead.buckets, Math.max(0, durationMs - record.upstreamMs) * 1000);
    }
    if (firstEventMs === undefined) return;
    const cells = this.#streams.find(`${provider}${separator}${model}`) ?? this.#streams.row([provider, model]);
    const { first, between } = layouts.streams.columns;
    observe(cells, this.#streams.at.first, first.buckets, firstEventMs / 1000);
    if (usage === undefined || usage.outputTokens < 2 || outcome !== "success") return;
    const perToken = (durationMs - firstEventMs) / (usage.outputTokens - 1);
    observe(cells, this.#streams.at.between, between.buckets, perToken / 1000);
  }

  #countAttempt(attempts: readonly AttemptRecord[], index: number): void {
    const attempt = attempts[index];
    if (attempt === undefined) return;
    const { provider, model = none, key, status, outcome, durationMs, errorClass = "_OTHER" } = attempt;
    const fallback = Math.min(attempt.fallbackIndex, maxFallbackIndex);
    const table = this.#attempts;
    const cells =
      table.find(
        `${provider}${separator}${model}${separator}${key.name}${separator}${fallback}${separator}${status}`,
      ) ?? table.row([provider, model, key.name, String(fallback), String(status)]);
    add(cells, 0, 1);
    const isSuccess = outcome === "success";
    const times =
      this.#latencies.find(`${provider}${separator}${model}${separator}${isSuccess}`) ??
      this.#latencies.row([provider, model, String(isSuccess)]);
    observe(times, 0, layouts.latencies.columns.latency.buckets, durationMs / 1000);
    const next = attempts[index + 1];
    if (next === undefined || next.fallbackIndex !== attempt.fallbackIndex || next.key.id === key.id) return;
    add(this.#rotations.row([provider, errorClass]), 0, 1);
  }
}

/** The label of a dimension: `dim_` and its name, with `_` for what labels cannot have. */
export function dimensionLabel(name: string): string {
  return `dim_${name.replaceAll(/[^a-zA-Z0-9_]/g, "_")}`;
}

function virtualKeyOf({ identity }: RequestRecord): string {
  return identity?.virtualKey.name ?? none;
}
