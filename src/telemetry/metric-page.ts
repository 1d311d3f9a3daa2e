/**
 * The page for Prometheus, with what all threads have counted as one.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import * as layouts from "./metric-layouts.ts";
import { Bounds, type Column, type Layout, Table, type TableSnapshot } from "./metric-table.ts";
import type { MetricsSnapshot, Reading } from "./metrics.ts";

export interface Page {
  readonly type: string;
  readonly text: string;
}

const pageType = "text/plain; version=0.0.4; charset=utf-8";

const known: ReadonlyMap<string, Layout> = new Map<string, Layout>(
  [
    layouts.answers,
    layouts.usageLayout([]),
    layouts.errorsLayout([]),
    layouts.attempts,
    layouts.latencies,
    layouts.streams,
    layouts.overheads,
    layouts.rotations,
    layouts.cacheHits,
    layouts.http,
    layouts.spans,
    layouts.droppedRows,
  ].map((layout) => [layout.table, layout]),
);

export class MetricPage {
  /** By table and labels: over all threads labels are bounded as they are in one, and the same values stay at each scrape. */
  #bounds = new Map<string, Bounds>();

  render(snapshots: readonly MetricsSnapshot[]): Page {
    const lines: string[] = [];
    const tables = this.#sum(snapshots.flatMap((snapshot) => snapshot.tables));
    for (const { columns, table: name } of known.values()) {
      const same = tables.filter((table) => table.layout.table === name);
      for (const column of Object.keys(columns)) writeColumn(lines, same, column, columns[column]);
    }
    writeReadings(
      lines,
      snapshots.flatMap(({ readings }) => readings),
    );
    return { type: pageType, text: `${lines.join("\n")}\n` };
  }

  /** Threads that have not yet heard of a changed configuration have other labels: then a table is there twice. */
  #sum(snapshots: readonly TableSnapshot[]): Table[] {
    const sums = new Map<string, Table>();
    const bounds = new Map<string, Bounds>();
    for (const snapshot of snapshots) {
      const layout = known.get(snapshot.table);
      if (layout === undefined) continue;
      const key = `${snapshot.table} ${snapshot.labels.join()}`;
      let sum = sums.get(key);
      if (sum === undefined) {
        const own = { ...layout, labels: snapshot.labels };
        const bound = this.#bounds.get(key) ?? new Bounds(own);
        bounds.set(key, bound);
        sum = new Table(own, bound);
        sums.set(key, sum);
      }
      sum.add(snapshot);
    }
    this.#bounds = bounds;
    return [...sums.values()];
  }
}

function writeColumn(lines: string[], tables: readonly Table[], name: string, column: Column | undefined): void {
  if (column === undefined) return;
  lines.push(`# HELP ${column.name} ${escapeHelp(column.help)}`, `# TYPE ${column.name} ${column.kind}`);
  for (const table of tables) {
    const at = table.at[name] ?? 0;
    for (const { values, cells } of table.rows) {
      const labels = table.layout.labels.map((label, index) => `${label}="${escapeValue(values[index] ?? "")}"`).join();
      if (column.kind === "counter") writeCounter(lines, column.name, labels, cells[at] ?? 0);
      else writeHistogram(lines, column, labels, cells, at);
    }
  }
}

/** A series that was never counted into is none, unless it is the only one there can be. */
function writeCounter(lines: string[], name: string, labels: string, value: number): void {
  if (labels === "") lines.push(`${name} ${value}`);
  else if (value !== 0) lines.push(`${name}{${labels}} ${value}`);
}

function writeHistogram(
  lines: string[],
  { name, buckets }: Column & { readonly kind: "histogram" },
  labels: string,
  cells: Float64Array,
  at: number,
): void {
  let count = 0;
  for (let index = 0; index <= buckets.length; index++) count += cells[at + index] ?? 0;
  if (count === 0) return;
  let below = 0;
  for (const [index, bound] of buckets.entries()) {
    below += cells[at + index] ?? 0;
    lines.push(`${name}_bucket{le="${bound}",${labels}} ${below}`);
  }
  lines.push(
    `${name}_bucket{le="+Inf",${labels}} ${count}`,
    `${name}_sum{${labels}} ${cells[at + buckets.length + 1] ?? 0}`,
    `${name}_count{${labels}} ${count}`,
  );
}

function writeReadings(lines: string[], readings: readonly Reading[]): void {
  const families = new Map<string, { readonly first: Reading; readonly series: Map<string, number> }>();
  for (const reading of readings) {
    const { name, labels, value, aggregate } = reading;
    const family = families.get(name) ?? { first: reading, series: new Map<string, number>() };
    families.set(name, family);
    const key = Object.entries(labels)
      .map(([label, text]) => `${label}="${escapeValue(text)}"`)
      .join();
    const before = family.series.get(key);
    if (before === undefined) family.series.set(key, value);
    else family.series.set(key, aggregate === "sum" ? before + value : Math.max(before, value));
  }
  for (const [name, { first, series }] of families) {
    lines.push(`# HELP ${name} ${escapeHelp(first.help)}`, `# TYPE ${name} ${first.type ?? "gauge"}`);
    for (const [labels, value] of series)
      lines.push(labels === "" ? `${name} ${value}` : `${name}{${labels}} ${value}`);
  }
}

function escapeValue(text: string): string {
  return /["\\\n]/.test(text) ? text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n") : text;
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
