import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { MetricPage } from "../../src/telemetry/metric-page.ts";
import { Metrics, type Reading } from "../../src/telemetry/metrics.ts";
import { attemptOf, recordOf } from "./kit.ts";

function page(...threads: readonly Metrics[]): string {
  // As they cross from thread to thread.
  return new MetricPage().render(structuredClone(threads.map((thread) => thread.snapshot()))).text;
}

/** Every series of a metric, by labels. */
function series(text: string, name: string): [Record<string, string>, number][] {
  const found: [Record<string, string>, number][] = [];
  for (const line of text.split("\n")) {
    const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null || match[1] !== name) continue;
    const labels = [...(match[2] ?? "").matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, label, value]) => [label, value]);
    found.push([Object.fromEntries(labels), Number(match[3])]);
  }
  return found;
}

/** The value of one series, by its name and all of its labels. */
function value(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  return series(text, name).find(([found]) => isDeepStrictEqual(found, labels))?.[1];
}

const base = {
  operation: "Converse",
  provider: "bedrock",
  model: "vendor.model",
  virtual_key: "none",
  team: "none",
  customer: "none",
  fallback_index: "0",
};
const answered = { operation: "Converse", provider: "bedrock", status: "200", outcome: "success" };

describe("the page", () => {
  test("is Prometheus text, and names every metric before anything was counted", () => {
    const { type, text } = new MetricPage().render([new Metrics().snapshot()]);
    expect(type).toMatch(/^text\/plain; version=0.0.4/);
    for (const name of [
      "bifrost_requests_total",
      "bifrost_success_requests_total",
      "bifrost_error_requests_total",
      "bifrost_upstream_requests_total",
      "bifrost_upstream_latency_seconds",
      "bifrost_input_tokens_total",
      "bifrost_output_tokens_total",
      "bifrost_cost_total",
      "bifrost_cache_hits_total",
      "bifrost_request_duration_seconds",
      "bifrost_overhead_latency_microseconds",
      "bifrost_stream_first_token_latency_seconds",
      "bifrost_stream_inter_token_latency_seconds",
      "bifrost_key_rotation_events_total",
      "bifrost_request_retries",
      "bifrost_trace_spans_total",
      "bifrost_log_rows_dropped_total",
      "bifrost_active_requests",
      "http_requests_total",
      "http_request_duration_seconds",
    ])
      expect(text).toContain(`# TYPE ${name} `);
    expect(value(text, "bifrost_log_rows_dropped_total")).toBe(0);
  });

  test("sums what all threads have counted, running requests included", () => {
    const [one, two] = [new Metrics(), new Metrics()];
    one.finished(recordOf({ durationMs: 200 }));
    two.finished(recordOf({ durationMs: 7000 }));
    two.finished(recordOf({ durationMs: 1000, outcome: "cancelled", status: 499 }));
    one.active(3);
    two.active(4);
    one.active(2);
    const text = page(one, two);
    expect(value(text, "bifrost_requests_total", answered)).toBe(2);
    expect(value(text, "bifrost_requests_total", { ...answered, status: "499", outcome: "cancelled" })).toBe(1);
    expect(value(text, "bifrost_request_duration_seconds_count", answered)).toBe(2);
    expect(value(text, "bifrost_request_duration_seconds_sum", answered)).toBeCloseTo(7.2);
    expect(value(text, "bifrost_request_duration_seconds_bucket", { ...answered, le: "0.5" })).toBe(1);
    expect(value(text, "bifrost_active_requests")).toBe(6);
  });

  test("makes one of gauges as they say", () => {
    const gauge = (name: string, aggregate: Reading["aggregate"], value: number): Reading => ({
      name,
      help: "Two\nlines.",
      labels: { key: 'a"b\\' },
      value,
      aggregate,
    });
    const text = new MetricPage().render([
      new Metrics().snapshot([gauge("up", "max", 1), gauge("depth", "sum", 2)]),
      new Metrics().snapshot([gauge("up", "max", 0), gauge("depth", "sum", 3)]),
    ]).text;
    expect(text).toContain('# HELP up Two\\nlines.\n# TYPE up gauge\nup{key="a\\"b\\\\"} 1\n');
    expect(text).toContain('depth{key="a\\"b\\\\"} 5\n');
  });

  test("keeps 10,000 models of several threads to 1,000 and other, and never lets a counter fall", () => {
    const threads = [new Metrics(), new Metrics(), new Metrics()];
    const whole = new MetricPage();
    const before = new Map<string, number>();
    for (let round = 0; round < 4; round++) {
      for (let index = 0; index < 10_000; index++) {
        const model = `model-${(index * 7919 + round * 2500) % 10_000}`;
        threads[index % threads.length]?.finished(recordOf({ model, attempts: [attemptOf({ model })] }));
      }
      const { text } = whole.render(threads.map((thread) => thread.snapshot()));
      const models = new Set([...text.matchAll(/model="([^"]*)"/g)].map(([, model]) => model));
      expect(models.size).toBeLessThanOrEqual(1001);
      expect(models).toContain("other");
      expect(text.length).toBeLessThan(16 * 1024 * 1024);
      const total = series(text, "bifrost_success_requests_total").reduce((sum, [, count]) => sum + count, 0);
      expect(total).toBe(10_000 * (round + 1));
      for (const [labels, count] of series(text, "bifrost_success_requests_total")) {
        const key = JSON.stringify(labels);
        expect(count).toBeGreaterThanOrEqual(before.get(key) ?? 0);
        before.set(key, count);
      }
    }
  }, 30_000);

  test("holds both labellings while a thread has not heard of changed dimensions", () => {
    const [one, two] = [new Metrics(), new Metrics()];
    one.configure(["env"]);
    for (const thread of [one, two]) thread.finished(recordOf({ dimensions: new Map([["env", "prod"]]) }));
    const text = page(one, two);
    expect(value(text, "bifrost_success_requests_total", { ...base, dim_env: "prod" })).toBe(1);
    expect(value(text, "bifrost_success_requests_total", base)).toBe(1);
    expect(text.match(/# TYPE bifrost_success_requests_total /g)).toHaveLength(1);
  });
});

describe("a finished request", () => {
  test("is counted under who asked and who answered", () => {
    const metrics = new Metrics();
    const identity = {
      virtualKey: { id: "vk_app", name: "app" },
      team: { id: "t", name: "Search" },
      customer: { id: "acme", name: "Acme" },
    };
    metrics.finished(recordOf({ identity, fallbackIndex: 1 }));
    const labels = { ...base, virtual_key: "app", team: "Search", customer: "Acme", fallback_index: "1" };
    const text = page(metrics);
    expect(value(text, "bifrost_success_requests_total", labels)).toBe(1);
    expect(value(text, "bifrost_input_tokens_total", labels)).toBe(10);
    expect(value(text, "bifrost_output_tokens_total", labels)).toBe(20);
    expect(value(text, "bifrost_cost_total", labels)).toBe(0.00033);
    expect(value(text, "bifrost_unpriced_requests_total", labels)).toBeUndefined();
  });

  test("counts the tokens of a provider's cache as input, and apart", () => {
    const metrics = new Metrics();
    const usage = { inputTokens: 1, outputTokens: 20, cacheReadInputTokens: 300, cacheWriteInputTokens: 4000 };
    metrics.finished(recordOf({ usage, costMicroUsd: undefined }));
    const text = page(metrics);
    expect(value(text, "bifrost_input_tokens_total", base)).toBe(4301);
    expect(value(text, "bifrost_cache_read_input_tokens_total", base)).toBe(300);
    expect(value(text, "bifrost_cache_write_input_tokens_total", base)).toBe(4000);
    expect(value(text, "bifrost_unpriced_requests_total", base)).toBe(1);
  });

  test("that failed is counted by status and by whose fault it was", () => {
    const metrics = new Metrics();
    const failed = { outcome: "error", usage: undefined, costMicroUsd: undefined } as const;
    metrics.finished(recordOf({ ...failed, status: 429, errorClass: "provider_rate_limited" }));
    metrics.finished(recordOf({ ...failed, status: 500, errorClass: undefined }));
    metrics.finished(recordOf({ ...failed, outcome: "cancelled", status: 499 }));
    const text = page(metrics);
    const count = (status_code: string, error_type: string) =>
      value(text, "bifrost_error_requests_total", { ...base, status_code, error_type });
    expect(count("429", "provider_rate_limited")).toBe(1);
    expect(count("500", "_OTHER")).toBe(1);
    expect(count("499", "caller_cancelled")).toBe(1);
    expect(series(text, "bifrost_success_requests_total")).toEqual([]);
  });

  test("that reached no provider has no model: any client could make names up", () => {
    const metrics = new Metrics();
    const refused = { provider: undefined, attempts: [], outcome: "error", status: 404, usage: undefined } as const;
    metrics.finished(recordOf({ ...refused, model: "made-up", costMicroUsd: undefined }));
    const text = page(metrics);
    expect(text).not.toContain("made-up");
    expect(
      value(text, "bifrost_requests_total", { ...answered, provider: "none", status: "404", outcome: "error" }),
    ).toBe(1);
  });

  test("counts each attempt, and each change of the key by what the former one failed with", () => {
    const metrics = new Metrics();
    const failed = { outcome: "error", status: 429, errorClass: "provider_rate_limited", durationMs: 20 } as const;
    const two = { id: "k2", name: "second" };
    metrics.finished(
      recordOf({
        attempts: [
          attemptOf({ ...failed }),
          attemptOf({ ...failed, key: two, status: 500, errorClass: "provider_server_error" }),
          attemptOf({ ...failed, key: two, status: 500, errorClass: "provider_server_error" }),
          attemptOf({ provider: "lab", fallbackIndex: 1, key: { id: "l", name: "l" } }),
        ],
      }),
    );
    const text = page(metrics);
    const attempts = series(text, "bifrost_upstream_requests_total");
    expect(attempts.reduce((sum, [, count]) => sum + count, 0)).toBe(4);
    const second = { provider: "bedrock", model: "vendor.model", key_name: "second", fallback_index: "0" };
    expect(value(text, "bifrost_upstream_requests_total", { ...second, status: "500" })).toBe(2);
    expect(series(text, "bifrost_key_rotation_events_total")).toEqual([
      [{ provider: "bedrock", fail_reason: "provider_rate_limited" }, 1],
    ]);
    const labels = { operation: "Converse", provider: "bedrock" };
    expect(value(text, "bifrost_request_retries_sum", labels)).toBe(3);
    const latency = { provider: "bedrock", model: "vendor.model", is_success: "false" };
    expect(value(text, "bifrost_upstream_latency_seconds_count", latency)).toBe(3);
  });

  test("tells its latencies in their units; a whole answer's overhead, a stream's first event and pace", () => {
    const metrics = new Metrics();
    metrics.finished(recordOf({ durationMs: 100.15, upstreamMs: 100 }));
    metrics.finished(
      recordOf({
        operation: "ConverseStream",
        streams: true,
        durationMs: 1300,
        firstEventMs: 300,
        usage: { inputTokens: 1, outputTokens: 51 },
      }),
    );
    const text = page(metrics);
    const labels = { operation: "Converse", provider: "bedrock" };
    expect(value(text, "bifrost_overhead_latency_microseconds_bucket", { ...labels, le: "100" })).toBe(0);
    expect(value(text, "bifrost_overhead_latency_microseconds_bucket", { ...labels, le: "200" })).toBe(1);
    const stream = { provider: "bedrock", model: "vendor.model" };
    expect(value(text, "bifrost_stream_first_token_latency_seconds_sum", stream)).toBe(0.3);
    expect(value(text, "bifrost_stream_inter_token_latency_seconds_sum", stream)).toBeCloseTo(0.02);
    expect(series(text, "bifrost_overhead_latency_microseconds_count")).toHaveLength(1);
  });

  test("is an HTTP request with its path's template, never the path itself", () => {
    const metrics = new Metrics(new Map([["Converse", { path: "/bedrock/model/{modelId}/converse", method: "POST" }]]));
    metrics.finished(recordOf());
    metrics.finished(recordOf({ operation: "none", status: 404, outcome: "error" }));
    const text = page(metrics);
    const found = { path: "/bedrock/model/{modelId}/converse", method: "POST", status: "200" };
    expect(value(text, "http_requests_total", found)).toBe(1);
    expect(value(text, "http_request_duration_seconds_sum", found)).toBe(0.8125);
    expect(value(text, "http_requests_total", { path: "_OTHER", method: "_OTHER", status: "404" })).toBe(1);
  });

  test("of the semantic cache counts as a hit of its kind", () => {
    const metrics = new Metrics();
    const cache = { reason: undefined, similarity: 0.93, entryId: "e1" };
    metrics.finished(recordOf({ cache: { ...cache, kind: "semantic" }, attempts: [] }));
    metrics.finished(recordOf({ cache: { ...cache, kind: "miss" } }));
    expect(series(page(metrics), "bifrost_cache_hits_total")).toEqual([
      [{ cache_type: "semantic", provider: "bedrock", model: "vendor.model", virtual_key: "none" }, 1],
    ]);
  });

  test("has the dimensions that are declared as labels, and no others", () => {
    const metrics = new Metrics();
    metrics.configure(["env", "cost-center"]);
    const dimensions = new Map([
      ["env", "prod"],
      ["undeclared", "x"],
    ]);
    metrics.finished(recordOf({ dimensions }));
    const text = page(metrics);
    const labels = { ...base, dim_env: "prod", dim_cost_center: "none" };
    expect(value(text, "bifrost_success_requests_total", labels)).toBe(1);
    expect(text).not.toContain("undeclared");
  });
});

test("what is configured again stays counted; other dimensions begin anew", () => {
  const metrics = new Metrics();
  metrics.configure(["env"]);
  metrics.finished(recordOf());
  metrics.configure(["env"]);
  expect(value(page(metrics), "bifrost_success_requests_total", { ...base, dim_env: "none" })).toBe(1);
  metrics.configure([]);
  expect(series(page(metrics), "bifrost_success_requests_total")).toEqual([]);
});

test("spans and rows of the log are counted as told", () => {
  const metrics = new Metrics();
  metrics.spans("exported", 5);
  metrics.spans("dropped", 2);
  metrics.logRowsDropped(7);
  const text = page(metrics);
  expect(value(text, "bifrost_trace_spans_total", { result: "exported" })).toBe(5);
  expect(value(text, "bifrost_trace_spans_total", { result: "dropped" })).toBe(2);
  expect(value(text, "bifrost_log_rows_dropped_total")).toBe(7);
});
