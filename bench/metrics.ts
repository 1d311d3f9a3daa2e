/**
 * What counting a finished request costs, beside what prom-client's counters would for the same series.
 * `npx tsx bench/metrics.ts`.
 */
import { Counter, Histogram, Registry } from "prom-client";
import * as layouts from "../src/telemetry/metric-layouts.ts";
import { MetricPage } from "../src/telemetry/metric-page.ts";
import type { Layout } from "../src/telemetry/metric-table.ts";
import { Metrics } from "../src/telemetry/metrics.ts";
import { attemptOf, recordOf } from "../test/telemetry/kit.ts";
import { type Case, isStarted, type Part, printParts, rowsOf } from "./measure.ts";

const identity = {
  virtualKey: { id: "vk_app", name: "app" },
  team: { id: "search", name: "Search" },
  customer: { id: "acme", name: "Acme" },
};
const models = Array.from({ length: 20 }, (_, index) => `us.anthropic.claude-${index}-20250514-v1:0`);
const records = models.map((model) => recordOf({ identity, model, attempts: [attemptOf({ model })] }));
export const parts: readonly Part[] = [
  {
    name: "metrics",
    title: "Counting a request",
    text: "A finished request in all its metrics, beside what prom-client's own would take for the same series; and the page.",
    measure: (ms) => rowsOf(casesOf(), ms),
  },
];

const registry = new Registry();
const all: readonly Layout[] = [
  layouts.answers,
  layouts.usageLayout([]),
  layouts.attempts,
  layouts.latencies,
  layouts.overheads,
  layouts.http,
];
const counters: { readonly metric: Counter; readonly labels: readonly string[] }[] = [];
const histograms: { readonly metric: Histogram; readonly labels: readonly string[] }[] = [];
for (const { labels, columns } of all) {
  for (const column of Object.values(columns)) {
    const common = { name: column.name, help: column.help, labelNames: [...labels], registers: [registry] };
    if (column.kind === "counter") counters.push({ metric: new Counter(common), labels });
    else histograms.push({ metric: new Histogram({ ...common, buckets: [...column.buckets] }), labels });
  }
}

function withPromClient(model: string): void {
  const values: Readonly<Record<string, string>> = {
    operation: "Converse",
    provider: "bedrock",
    model,
    virtual_key: "app",
    team: "Search",
    customer: "Acme",
    fallback_index: "0",
    status: "200",
    outcome: "success",
    key_name: "main",
    is_success: "true",
    path: "/bedrock/model/{modelId}/converse",
    method: "POST",
  };
  const pick = (labels: readonly string[]) => Object.fromEntries(labels.map((label) => [label, values[label] ?? ""]));
  for (const { metric, labels } of counters) metric.inc(pick(labels), 1);
  for (const { metric, labels } of histograms) metric.observe(pick(labels), 0.8);
}

const times = 1000;
function each<T>(list: readonly T[], run: (one: T) => void): () => void {
  let next = 0;
  return () => {
    for (let index = 0; index < times; index++) {
      const one = list[next++ % list.length];
      if (one !== undefined) run(one);
    }
  };
}

function casesOf(): Case[] {
  const routes = new Map([["Converse", { path: "/bedrock/model/{modelId}/converse", method: "POST" }]]);
  const metrics = new Metrics(routes);
  const withDimensions = new Metrics(routes);
  withDimensions.configure(["env", "team"]);
  const strangers = Array.from({ length: 20_000 }, (_, index) =>
    recordOf({ identity, model: `made-up-${index}`, attempts: [attemptOf({ model: `made-up-${index}` })] }),
  );
  const crowded = new Metrics(routes);
  for (const record of strangers) crowded.finished(record);
  const page = new MetricPage();
  return [
    { name: "a request of 20 models", run: each(records, (record) => metrics.finished(record)), times },
    { name: "with two dimensions", run: each(records, (record) => withDimensions.finished(record)), times },
    { name: "of a model beyond 1,000", run: each(strangers, (record) => crowded.finished(record)), times },
    { name: "prom-client, 20 models", run: each(models, withPromClient), times, theirs: true },
    { name: "a page of 20 models", run: () => page.render([metrics.snapshot(), withDimensions.snapshot()]) },
    { name: "a page of 1,000 models", run: () => page.render([crowded.snapshot()]) },
  ];
}

if (isStarted(import.meta.url)) await printParts(parts);
