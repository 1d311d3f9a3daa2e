import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { Metrics, type MetricsSnapshot, renderMetrics } from "../../src/telemetry/metrics.ts";

async function page(...threads: readonly Metrics[]): Promise<string> {
  const snapshots = await Promise.all(threads.map((thread) => thread.snapshot()));
  // As they cross from thread to thread.
  return (await renderMetrics(structuredClone<readonly MetricsSnapshot[]>(snapshots))).text;
}

/** The value of one series, by its name and all of its labels. */
function value(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  for (const line of text.split("\n")) {
    const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null || match[1] !== name) continue;
    const found = Object.fromEntries([...(match[2] ?? "").matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, k, v]) => [k, v]));
    if (isDeepStrictEqual(found, labels)) return Number(match[3]);
  }
  return undefined;
}

const labels = { operation: "Converse", provider: "bedrock", status: "200", outcome: "success" } as const;

describe("the page", () => {
  test("is Prometheus text, and names every metric before anything was counted", async () => {
    const { type, text } = await renderMetrics([await new Metrics().snapshot()]);
    expect(type).toMatch(/^text\/plain/);
    for (const name of [
      "bifrost_requests_total",
      "bifrost_upstream_requests_total",
      "bifrost_input_tokens_total",
      "bifrost_output_tokens_total",
      "bifrost_request_duration_seconds",
      "bifrost_overhead_latency_microseconds",
      "bifrost_stream_first_token_latency_seconds",
      "bifrost_requests_in_flight",
    ])
      expect(text).toContain(`# TYPE ${name} `);
  });

  test("sums what all threads have counted, running requests included", async () => {
    const [one, two] = [new Metrics(), new Metrics()];
    one.requestFinished(labels, 0.2);
    two.requestFinished(labels, 7);
    two.requestFinished({ ...labels, status: "499", outcome: "cancelled" }, 1);
    one.inFlight(3);
    two.inFlight(4);
    one.inFlight(2);
    const text = await page(one, two);
    expect(value(text, "bifrost_requests_total", labels)).toBe(2);
    expect(value(text, "bifrost_requests_total", { ...labels, status: "499", outcome: "cancelled" })).toBe(1);
    expect(value(text, "bifrost_request_duration_seconds_count", { operation: "Converse" })).toBe(3);
    expect(value(text, "bifrost_request_duration_seconds_sum", { operation: "Converse" })).toBeCloseTo(8.2);
    expect(value(text, "bifrost_request_duration_seconds_bucket", { operation: "Converse", le: "0.5" })).toBe(1);
    expect(value(text, "bifrost_requests_in_flight")).toBe(6);
  });
});

describe("counting", () => {
  test("attempts goes by provider and status", async () => {
    const metrics = new Metrics();
    for (const status of ["200", "429", "200"]) metrics.attemptFinished("bedrock", status);
    metrics.attemptFinished("lab", "200");
    const text = await page(metrics);
    expect(value(text, "bifrost_upstream_requests_total", { provider: "bedrock", status: "200" })).toBe(2);
    expect(value(text, "bifrost_upstream_requests_total", { provider: "bedrock", status: "429" })).toBe(1);
    expect(value(text, "bifrost_upstream_requests_total", { provider: "lab", status: "200" })).toBe(1);
  });

  test("input tokens includes those of a cache", async () => {
    const metrics = new Metrics();
    metrics.tokens("bedrock", {
      inputTokens: 1,
      outputTokens: 20,
      cacheReadInputTokens: 300,
      cacheWriteInputTokens: 4000,
    });
    metrics.tokens("bedrock", { inputTokens: 5, outputTokens: 1 });
    const text = await page(metrics);
    expect(value(text, "bifrost_input_tokens_total", { provider: "bedrock" })).toBe(4306);
    expect(value(text, "bifrost_output_tokens_total", { provider: "bedrock" })).toBe(21);
  });

  test("latencies goes into buckets of their unit", async () => {
    const metrics = new Metrics();
    metrics.overhead(150);
    metrics.firstByte(0.3);
    const text = await page(metrics);
    expect(value(text, "bifrost_overhead_latency_microseconds_bucket", { le: "100" })).toBe(0);
    expect(value(text, "bifrost_overhead_latency_microseconds_bucket", { le: "200" })).toBe(1);
    expect(value(text, "bifrost_stream_first_token_latency_seconds_bucket", { le: "0.25" })).toBe(0);
    expect(value(text, "bifrost_stream_first_token_latency_seconds_bucket", { le: "0.5" })).toBe(1);
  });

  test("in one thread is apart from counting in another", async () => {
    const [one, two] = [new Metrics(), new Metrics()];
    one.attemptFinished("bedrock", "200");
    expect(
      value(await page(two), "bifrost_upstream_requests_total", { provider: "bedrock", status: "200" }),
    ).toBeUndefined();
  });
});
