/** The request log where nothing outlives the process: the newest rows, within bounds. */
import { matches } from "./log-match.ts";
import {
  type CostChange,
  type FoundLog,
  isCacheHit,
  isCostMissing,
  type LogEntry,
  type LogFilter,
  type LogGroup,
  type LogLatency,
  type LogPage,
  type LogQuery,
  type LogRow,
  type LogStore,
  type LogSum,
  type LogValues,
  mostCounted,
  type NamedId,
  newestLookedAt,
  type SumQuery,
  type Sweep,
} from "./log-store.ts";

const defaultBounds = { rows: 10_000, contentBytes: 64 * 1024 * 1024 };

export class MemoryLog implements LogStore {
  readonly #bounds: typeof defaultBounds;
  /** In the order they came. */
  readonly #entries = new Map<string, LogEntry>();
  #contentBytes = 0;

  constructor(bounds = defaultBounds) {
    this.#bounds = bounds;
  }

  async append(entries: readonly LogEntry[]): Promise<void> {
    for (const entry of entries) {
      if (this.#entries.has(entry.row.id)) continue;
      this.#entries.set(entry.row.id, structuredClone(entry));
      this.#contentBytes += sizeOf(entry);
    }
    for (const id of this.#entries.keys()) {
      if (this.#entries.size <= this.#bounds.rows && this.#contentBytes <= this.#bounds.contentBytes) break;
      this.#delete(id);
    }
  }

  async find(id: string): Promise<FoundLog | undefined> {
    const own = this.#entries.get(id);
    const same = own?.row.requestId ?? id;
    const rows = newestFirst(this.#rows().filter(({ requestId }) => requestId === same));
    const [newest] = rows;
    const entry = own ?? (newest && this.#entries.get(newest.id));
    return entry && { entry, others: rows.filter((row) => row.id !== entry.row.id).map((row) => row.id) };
  }

  async list({ filter, sort, descending, limit, offset, after }: LogQuery): Promise<LogPage> {
    const rows = this.#matching(filter);
    const sign = descending ? -1 : 1;
    // Of rows that are alike in it, the one that came first is the smaller.
    const inTurn = descending ? rows.reverse() : rows;
    const sorted = inTurn.sort((a, b) => sign * compare(a[sort], b[sort]));
    const places = new Map(after && [...this.#entries.keys()].map((id, place) => [id, place]));
    // What is gone was one of the first.
    const placeOf = (id: string): number => places.get(id) ?? -1;
    const isBehind = (row: LogRow): boolean =>
      after === undefined || sign * (row.arrivedAt - after.arrivedAt || placeOf(row.id) - placeOf(after.id)) > 0;
    const page = sorted.filter(isBehind).slice(offset, offset + limit);
    return { rows: page, total: Math.min(rows.length, mostCounted) };
  }

  async sum({ filter, bucketMs, group, limit }: SumQuery): Promise<readonly LogSum[]> {
    const sums = this.#apart(filter, bucketMs, group).map(({ rows, ...apart }) => ({ ...apart, ...sumOf(rows) }));
    return inOrder(sums, bucketMs).slice(0, limit);
  }

  async latency({ filter, bucketMs, group, limit }: SumQuery): Promise<readonly LogLatency[]> {
    const latencies = this.#apart(filter, bucketMs, group).map(({ rows, ...apart }) => {
      const sorted = rows.map(({ durationMs }) => durationMs).sort((a, b) => a - b);
      const at = (percent: number): number => sorted[Math.ceil((percent * sorted.length) / 100) - 1] ?? 0;
      return { ...apart, requests: rows.length, p50Ms: at(50), p90Ms: at(90), p95Ms: at(95), p99Ms: at(99) };
    });
    return inOrder(latencies, bucketMs).slice(0, limit);
  }

  async values(filter: LogFilter): Promise<LogValues> {
    return valuesOf(newestFirst(this.#matching(filter)).slice(0, newestLookedAt));
  }

  async remove(ids: readonly string[]): Promise<number> {
    return ids.filter((id) => this.#delete(id)).length;
  }

  async setCosts(changes: readonly CostChange[]): Promise<void> {
    for (const { id, costMicroUsd } of changes) {
      const entry = this.#entries.get(id);
      if (entry !== undefined) this.#entries.set(id, { ...entry, row: { ...entry.row, costMicroUsd } });
    }
  }

  async sweep({ before, mostRows, step }: Sweep): Promise<number> {
    const oldest = newestFirst(this.#rows()).reverse();
    const tooMany = oldest.length - mostRows;
    const going = oldest.filter(({ arrivedAt }, index) => arrivedAt < before || index < tooMany).slice(0, step);
    return this.remove(going.map(({ id }) => id));
  }

  async close(): Promise<void> {}

  #rows(): LogRow[] {
    return [...this.#entries.values()].map(({ row }) => row);
  }

  #matching(filter: LogFilter): LogRow[] {
    return [...this.#entries.values()]
      .filter(({ row, content }) => matches(row, filter, content))
      .map(({ row }) => row);
  }

  #apart(filter: LogFilter, bucketMs: number | undefined, group: LogGroup | undefined) {
    const apart = new Map<string, { bucket: number | null; group: string | null; rows: LogRow[] }>();
    for (const row of this.#matching(filter)) {
      const bucket = bucketMs === undefined ? null : Math.floor(row.arrivedAt / bucketMs) * bucketMs;
      const value = group === undefined ? null : groupOf(row, group);
      const key = JSON.stringify([bucket, value]);
      const rows = apart.get(key)?.rows;
      if (rows === undefined) apart.set(key, { bucket, group: value, rows: [row] });
      else rows.push(row);
    }
    // Nothing is a sum too, where it is the only one.
    if (apart.size === 0 && bucketMs === undefined && group === undefined)
      return [{ bucket: null, group: null, rows: [] }];
    return [...apart.values()];
  }

  #delete(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry !== undefined) this.#contentBytes -= sizeOf(entry);
    return this.#entries.delete(id);
  }
}

function sizeOf({ content }: LogEntry): number {
  return 2 * ((content?.request?.length ?? 0) + (content?.answer?.length ?? 0));
}

/** @param rows in the order they came */
function newestFirst(rows: LogRow[]): LogRow[] {
  return rows.reverse().sort((a, b) => b.arrivedAt - a.arrivedAt);
}

/** As a database sorts: nothing comes first. */
function compare(a: string | number | null, b: string | number | null): number {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  return a < b ? -1 : 1;
}

interface Apart {
  readonly bucket: number | null;
  readonly group: string | null;
  readonly requests: number;
}

function inOrder<Sum extends Apart>(sums: Sum[], bucketMs: number | undefined): Sum[] {
  return sums.sort(
    (a, b) =>
      (bucketMs === undefined ? 0 : compare(a.bucket, b.bucket)) ||
      b.requests - a.requests ||
      compare(a.group, b.group),
  );
}

function groupOf(row: LogRow, group: LogGroup): string | null {
  if (typeof group === "string") return row[group];
  return row.dimensions.find(([name]) => name === group.dimension)?.[1] ?? null;
}

function sumOf(rows: readonly LogRow[]): Omit<LogSum, "bucket" | "group"> {
  const total = (value: (row: LogRow) => number | null): number =>
    rows.reduce((sum, row) => sum + (value(row) ?? 0), 0);
  const count = (is: (row: LogRow) => boolean): number => rows.filter(is).length;
  return {
    requests: rows.length,
    success: count(({ outcome }) => outcome === "success"),
    error: count(({ outcome }) => outcome === "error"),
    cancelled: count(({ outcome }) => outcome === "cancelled"),
    inputTokens: total(({ inputTokens }) => inputTokens),
    outputTokens: total(({ outputTokens }) => outputTokens),
    cacheReadTokens: total(({ cacheReadTokens }) => cacheReadTokens),
    cacheWriteTokens: total(({ cacheWriteTokens }) => cacheWriteTokens),
    totalTokens: total(({ totalTokens }) => totalTokens),
    costMicroUsd: total(({ costMicroUsd }) => costMicroUsd),
    missingCost: count(isCostMissing),
    cacheHits: count(isCacheHit),
    averageMs: rows.length === 0 ? 0 : total(({ durationMs }) => durationMs) / rows.length,
    maxMs: rows.reduce((most, { durationMs }) => Math.max(most, durationMs), 0),
  };
}

/** The distinct values of rows, each list sorted. */
export function valuesOf(rows: readonly LogRow[]): LogValues {
  const distinct = (value: (row: LogRow) => string | null): string[] => sorted(rows.map(value));
  const named = (id: (row: LogRow) => string | null, name: (row: LogRow) => string | null): NamedId[] => {
    const names = new Map<string, string>();
    for (const row of rows) {
      const own = id(row);
      // The newest name is the first one met.
      if (own !== null && !names.has(own)) names.set(own, name(row) ?? own);
    }
    return [...names].map(([own, text]) => ({ id: own, name: text })).sort((a, b) => compare(a.id, b.id));
  };
  return {
    fields: {
      provider: distinct(({ provider }) => provider),
      model: distinct(({ model }) => model),
      askedModel: distinct(({ askedModel }) => askedModel),
      outcome: distinct(({ outcome }) => outcome),
      operation: distinct(({ operation }) => operation),
      keyId: distinct(({ keyId }) => keyId),
      virtualKeyId: distinct(({ virtualKeyId }) => virtualKeyId),
      teamId: distinct(({ teamId }) => teamId),
      customerId: distinct(({ customerId }) => customerId),
      stopReason: distinct(({ stopReason }) => stopReason),
      cacheKind: distinct(({ cacheKind }) => cacheKind),
      errorType: distinct(({ errorType }) => errorType),
      errorClass: distinct(({ errorClass }) => errorClass),
    },
    keys: named(
      ({ keyId }) => keyId,
      ({ keyName }) => keyName,
    ),
    virtualKeys: named(
      ({ virtualKeyId }) => virtualKeyId,
      ({ virtualKeyName }) => virtualKeyName,
    ),
    teams: named(
      ({ teamId }) => teamId,
      ({ teamName }) => teamName,
    ),
    customers: named(
      ({ customerId }) => customerId,
      ({ customerName }) => customerName,
    ),
    rules: sorted(rows.flatMap((row) => row.rules)),
    dimensions: sorted(rows.flatMap((row) => row.dimensions.map(([name]) => name))),
  };
}

function sorted(values: readonly (string | null)[]): string[] {
  return [...new Set(values)].filter((value) => value !== null).sort();
}
