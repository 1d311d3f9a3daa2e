/** Which metrics there are, by the labels they share. Names are Bifrost's where it has one. */
import type { Column, Layout } from "./metric-table.ts";

function counter(name: string, help: string): Column {
  return { kind: "counter", name, help };
}

function histogram(name: string, help: string, buckets: readonly number[]): Column & { readonly kind: "histogram" } {
  return { kind: "histogram", name, help, buckets };
}

/** Seconds; a model may take minutes. */
const long = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300] as const;
/** Seconds. */
const short = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5] as const;
const microseconds = [50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200] as const;

/** Who asked for what, and who answered. */
const base = ["operation", "provider", "model", "virtual_key", "team", "customer", "fallback_index"] as const;

const manyRows = 10_000;
/** Of histograms, which take a dozen lines a row. */
const fewRows = 2000;

export const answers = {
  table: "answers",
  labels: ["operation", "provider", "status", "outcome"],
  columns: {
    requests: counter("bifrost_requests_total", "Requests answered, by operation, provider, status and outcome."),
    duration: histogram(
      "bifrost_request_duration_seconds",
      "From the request's arrival to the answer's last byte.",
      long,
    ),
  },
  maxRows: fewRows,
} as const;

/** @param dimensions the labels that the configuration adds */
export function usageLayout(dimensions: readonly string[]) {
  return {
    table: "usage",
    labels: [...base, ...dimensions],
    columns: {
      success: counter("bifrost_success_requests_total", "Requests that were answered well."),
      input: counter("bifrost_input_tokens_total", "Input tokens reported by providers, cached ones included."),
      output: counter(
        "bifrost_output_tokens_total",
        "Output tokens reported by providers, or estimated for streams that were cut.",
      ),
      cacheRead: counter("bifrost_cache_read_input_tokens_total", "Input tokens that providers read from their cache."),
      cacheWrite: counter(
        "bifrost_cache_write_input_tokens_total",
        "Input tokens that providers wrote to their cache.",
      ),
      cost: counter("bifrost_cost_total", "What answers cost, in USD, by the price list and its overrides."),
      unpriced: counter(
        "bifrost_unpriced_requests_total",
        "Answers of models whose price is unknown, which budgets are not charged for.",
      ),
    },
    maxRows: manyRows,
  } as const satisfies Layout;
}

/** @param dimensions the labels that the configuration adds */
export function errorsLayout(dimensions: readonly string[]) {
  return {
    table: "errors",
    labels: [...base, "status_code", "error_type", ...dimensions],
    columns: { errors: counter("bifrost_error_requests_total", "Requests that failed or were given up.") },
    maxRows: manyRows,
  } as const satisfies Layout;
}

export const attempts = {
  table: "attempts",
  labels: ["provider", "model", "key_name", "fallback_index", "status"],
  columns: { attempts: counter("bifrost_upstream_requests_total", "Attempts sent to a provider.") },
  maxRows: manyRows,
} as const;

export const latencies = {
  table: "latencies",
  labels: ["provider", "model", "is_success"],
  columns: {
    latency: histogram("bifrost_upstream_latency_seconds", "Duration of attempts, streams to their last byte.", long),
  },
  maxRows: fewRows,
} as const;

export const streams = {
  table: "streams",
  labels: ["provider", "model"],
  columns: {
    first: histogram(
      "bifrost_stream_first_token_latency_seconds",
      "From a streaming request's arrival to its first event.",
      long,
    ),
    between: histogram(
      "bifrost_stream_inter_token_latency_seconds",
      "Time per output token after a stream's first event, averaged over the stream.",
      short,
    ),
  },
  maxRows: fewRows,
} as const;

export const overheads = {
  table: "overheads",
  labels: ["operation", "provider"],
  columns: {
    overhead: histogram(
      "bifrost_overhead_latency_microseconds",
      "Time of whole answers that was not spent waiting for a provider.",
      microseconds,
    ),
    retries: histogram(
      "bifrost_request_retries",
      "Attempts after the first, of requests that reached a provider.",
      [0, 1, 2, 3, 5, 10],
    ),
  },
  maxRows: fewRows,
} as const;

export const rotations = {
  table: "rotations",
  labels: ["provider", "fail_reason"],
  columns: {
    rotations: counter(
      "bifrost_key_rotation_events_total",
      "Changes to another key of the same provider, by what the former one failed with.",
    ),
  },
  maxRows: fewRows,
} as const;

export const cacheHits = {
  table: "cache_hits",
  labels: ["cache_type", "provider", "model", "virtual_key"],
  columns: { hits: counter("bifrost_cache_hits_total", "Requests answered by the semantic cache.") },
  maxRows: manyRows,
} as const;

export const http = {
  table: "http",
  labels: ["path", "method", "status"],
  columns: {
    requests: counter("http_requests_total", "HTTP requests below /bedrock, by path template, method and status."),
    duration: histogram("http_request_duration_seconds", "From a request's arrival to its answer's last byte.", long),
  },
  maxRows: fewRows,
} as const;

export const spans = {
  table: "spans",
  labels: ["result"],
  columns: { spans: counter("bifrost_trace_spans_total", "Spans, by whether they were exported or dropped.") },
  maxRows: fewRows,
} as const;

export const droppedRows = {
  table: "dropped_rows",
  labels: [],
  columns: {
    rows: counter("bifrost_log_rows_dropped_total", "Rows of the request log that could not be kept."),
  },
  maxRows: 1,
} as const;
