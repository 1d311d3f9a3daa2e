/** What stands on the page is what prom-client would have said of the same requests. */
import fc from "fast-check";
import { Counter, Histogram, Registry } from "prom-client";
import { expect, test } from "vitest";
import * as layouts from "../../src/telemetry/metric-layouts.ts";
import { MetricPage } from "../../src/telemetry/metric-page.ts";
import type { Layout } from "../../src/telemetry/metric-table.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import type { RequestRecord } from "../../src/telemetry/request-record.ts";
import { attemptOf, recordOf } from "./kit.ts";

/** The layouts' metrics as prom-client has them. */
class Reference {
  readonly registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #histograms = new Map<string, Histogram>();

  constructor(all: readonly Layout[]) {
    for (const { labels, columns } of all) {
      for (const column of Object.values(columns)) {
        const common = {
          name: column.name,
          help: column.help,
          labelNames: [...labels],
          registers: [this.registry],
        };
        if (column.kind === "counter") this.#counters.set(column.name, new Counter(common));
        else this.#histograms.set(column.name, new Histogram({ ...common, buckets: [...column.buckets] }));
      }
    }
  }

  inc(name: string, labels: Record<string, string>, by: number): void {
    if (by !== 0) this.#counters.get(name)?.inc(labels, by);
  }

  observe(name: string, labels: Record<string, string>, value: number): void {
    this.#histograms.get(name)?.observe(labels, value);
  }

  finished(record: RequestRecord): void {
    const { operation, provider = "none", model = "none", status, outcome, usage, durationMs } = record;
    const dimension = record.dimensions.get("env") ?? "none";
    const key = record.identity?.virtualKey.name ?? "none";
    const base = { operation, provider, model, virtual_key: key, team: "none", customer: "none" };
    const who = { ...base, fallback_index: String(record.fallbackIndex), dim_env: dimension };
    const answered = { operation, provider, status: String(status), outcome };
    this.inc("bifrost_requests_total", answered, 1);
    this.observe("bifrost_request_duration_seconds", answered, durationMs / 1000);
    if (outcome === "success") this.inc("bifrost_success_requests_total", who, 1);
    else {
      const error = { ...who, status_code: String(status), error_type: record.errorClass ?? "_OTHER" };
      this.inc("bifrost_error_requests_total", error, 1);
    }
    if (usage !== undefined) {
      const { cacheReadInputTokens: read = 0 } = usage;
      this.inc("bifrost_input_tokens_total", who, usage.inputTokens + read);
      this.inc("bifrost_output_tokens_total", who, usage.outputTokens);
      this.inc("bifrost_cache_read_input_tokens_total", who, read);
    }
    if (record.costMicroUsd !== undefined) this.inc("bifrost_cost_total", who, record.costMicroUsd / 1e6);
    for (const attempt of record.attempts) {
      const names = { provider: attempt.provider, model: attempt.model ?? "none" };
      const place = { key_name: attempt.key.name, fallback_index: String(attempt.fallbackIndex) };
      this.inc("bifrost_upstream_requests_total", { ...names, ...place, status: String(attempt.status) }, 1);
      const latency = { ...names, is_success: String(attempt.outcome === "success") };
      this.observe("bifrost_upstream_latency_seconds", latency, attempt.durationMs / 1000);
    }
  }
}

const name = fc.oneof(
  fc.constantFrom("a", "b", "anthropic.claude", 'quo"te', "back\\slash"),
  fc.string({ maxLength: 8 }).filter((text) => /^[\x20-\x7e]+$/.test(text)),
);
const milliseconds = fc.oneof(
  fc.constantFrom(0, 5, 25, 100, 1000, 300_000),
  fc.float({ min: 0, max: 1e6, noNaN: true }),
);
const attempt = fc
  .record({ model: name, keyName: name, status: fc.constantFrom(200, 429, 500), durationMs: milliseconds })
  .map(({ keyName, status, ...rest }) =>
    attemptOf({ ...rest, key: { id: keyName, name: keyName }, status, outcome: status === 200 ? "success" : "error" }),
  );
const request = fc
  .record({
    operation: fc.constantFrom("Converse", "InvokeModel"),
    provider: fc.constantFrom("bedrock", "lab"),
    model: name,
    durationMs: milliseconds,
    status: fc.constantFrom(200, 429, 500),
    usage: fc.option(
      fc.record({ inputTokens: fc.nat(1e6), outputTokens: fc.nat(1e6), cacheReadInputTokens: fc.nat(1e6) }),
      { nil: undefined },
    ),
    costMicroUsd: fc.option(fc.nat(1e9), { nil: undefined }),
    fallbackIndex: fc.nat(3),
    attempts: fc.array(attempt, { minLength: 1, maxLength: 3 }),
    env: name,
    key: name,
  })
  .map(({ env, key, ...rest }) =>
    recordOf({
      ...rest,
      outcome: rest.status === 200 ? "success" : "error",
      errorClass: rest.status === 429 ? "provider_rate_limited" : undefined,
      dimensions: new Map([["env", env]]),
      identity: { virtualKey: { id: key, name: key }, team: undefined, customer: undefined },
    }),
  );

const compared = [
  layouts.answers,
  layouts.usageLayout(["dim_env"]),
  layouts.errorsLayout(["dim_env"]),
  layouts.attempts,
  layouts.latencies,
];
/** Those that {@link Reference.finished} counts. */
const names =
  /^bifrost_(?:requests|request_duration|success_requests|error_requests|input|output|cache_read|cost|upstream)_/;

test("counters and histograms of any requests are those of prom-client", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 30 }), async (records) => {
      const metrics = new Metrics();
      metrics.configure(["env"]);
      const reference = new Reference(compared);
      for (const record of records) {
        metrics.finished(record);
        reference.finished(record);
      }
      const own = seriesOf(new MetricPage().render([metrics.snapshot()]).text);
      expect(own).toEqual(seriesOf(await reference.registry.metrics()));
    }),
    { numRuns: 60 },
  );
});

/** Lines in an order of their own; label order does not count. */
function seriesOf(text: string): readonly (readonly [string, number])[] {
  const found: [string, number][] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#") || !names.test(line)) continue;
    const open = line.indexOf("{");
    const close = line.lastIndexOf("}");
    const labels = line.slice(open + 1, close).match(/[a-z_]+="(?:[^"\\]|\\.)*"/g) ?? [];
    found.push([
      `${line.slice(0, open)} ${labels.sort().join()}`,
      Number(Number(line.slice(close + 1)).toPrecision(12)),
    ]);
  }
  return found.sort(([a], [b]) => (a < b ? -1 : 1));
}
