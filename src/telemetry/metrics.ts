/** Prometheus metrics behind names of our own, so that the library can be changed in one place. */
import {
  AggregatorRegistry,
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from "prom-client";

/** What one thread has counted, in a form that can cross to another thread. */
export type MetricsSnapshot = readonly MetricObjectWithValues<MetricValue<string>>[];

export type Outcome = "success" | "error" | "cancelled";

/** Tokens as Bedrock counts them: `inputTokens` leaves out what was read from or written to a cache. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadInputTokens?: number;
  readonly cacheWriteInputTokens?: number;
}

/** The labels of a finished request. Names, never free text: the number of series stays bounded. */
export interface RequestLabels {
  readonly operation: string;
  readonly provider: string;
  readonly status: string;
  readonly outcome: Outcome;
}

/** The metrics of one thread. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = new Counter({
    name: "bifrost_requests_total",
    help: "Requests answered, by operation, provider, status and outcome.",
    labelNames: ["operation", "provider", "status", "outcome"],
    registers: [this.#registry],
  });
  readonly #upstreamRequests = new Counter({
    name: "bifrost_upstream_requests_total",
    help: "Attempts sent to a provider.",
    labelNames: ["provider", "status"],
    registers: [this.#registry],
  });
  readonly #inputTokens = new Counter({
    name: "bifrost_input_tokens_total",
    help: "Input tokens reported by providers, cached ones included.",
    labelNames: ["provider"],
    registers: [this.#registry],
  });
  readonly #outputTokens = new Counter({
    name: "bifrost_output_tokens_total",
    help: "Output tokens reported by providers, or estimated for streams that were cut.",
    labelNames: ["provider"],
    registers: [this.#registry],
  });
  readonly #cost = new Counter({
    name: "bifrost_cost_total",
    help: "What answers cost, in USD, by the price list and its overrides.",
    labelNames: ["provider"],
    registers: [this.#registry],
  });
  readonly #unpriced = new Counter({
    name: "bifrost_unpriced_requests_total",
    help: "Answers of models whose price is unknown, which budgets are not charged for.",
    labelNames: ["provider"],
    registers: [this.#registry],
  });
  readonly #duration = new Histogram({
    name: "bifrost_request_duration_seconds",
    help: "From the request's arrival to the answer's last byte.",
    labelNames: ["operation"],
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
    registers: [this.#registry],
  });
  readonly #overhead = new Histogram({
    name: "bifrost_overhead_latency_microseconds",
    help: "Time of whole answers that was not spent waiting for a provider.",
    buckets: [50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200],
    registers: [this.#registry],
  });
  readonly #firstByte = new Histogram({
    name: "bifrost_stream_first_token_latency_seconds",
    help: "From a streaming request's arrival to its first event.",
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [this.#registry],
  });
  readonly #inFlight = new Gauge({
    name: "bifrost_requests_in_flight",
    help: "Requests and streams that are being answered.",
    registers: [this.#registry],
  });

  requestFinished(labels: RequestLabels, seconds: number): void {
    this.#requests.inc({ ...labels }, 1);
    this.#duration.observe({ operation: labels.operation }, seconds);
  }

  attemptFinished(provider: string, status: string): void {
    this.#upstreamRequests.inc({ provider, status }, 1);
  }

  tokens(provider: string, usage: Usage): void {
    const input = usage.inputTokens + (usage.cacheReadInputTokens ?? 0) + (usage.cacheWriteInputTokens ?? 0);
    this.#inputTokens.inc({ provider }, input);
    this.#outputTokens.inc({ provider }, usage.outputTokens);
  }

  cost(provider: string, usd: number): void {
    this.#cost.inc({ provider }, usd);
  }

  unpriced(provider: string): void {
    this.#unpriced.inc({ provider }, 1);
  }

  overhead(microseconds: number): void {
    this.#overhead.observe(microseconds);
  }

  firstByte(seconds: number): void {
    this.#firstByte.observe(seconds);
  }

  inFlight(count: number): void {
    this.#inFlight.set(count);
  }

  async snapshot(): Promise<MetricsSnapshot> {
    return this.#registry.getMetricsAsJSON();
  }
}

/** The page for Prometheus, with the snapshots of all threads summed. */
export async function renderMetrics(snapshots: readonly MetricsSnapshot[]): Promise<{ type: string; text: string }> {
  const sum = AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot]));
  return { type: sum.contentType, text: await sum.metrics() };
}
