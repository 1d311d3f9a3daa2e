/**
 * What is known of a request when it is over. Metrics, traces, the request log and the log lines are all made from this
 * one value, so that they cannot tell different stories.
 */
import type { Outcome, Usage } from "./usage.ts";

export interface RequestRecord {
  /** What the client saw as `x-amzn-requestid`. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly arrivedAt: number;
  /** From the arrival to the last byte of the answer. Milliseconds, as all durations here. */
  readonly durationMs: number;
  /** Time spent waiting for providers. */
  readonly upstreamMs: number;
  /** From the arrival to where it was asked who sends it and whether it may; undefined when it did not come so far. */
  readonly admissionAfterMs: number | undefined;
  /** From the arrival to the first event of a stream. */
  readonly firstEventMs: number | undefined;
  /** The AWS operation, or `none` where the path named none. */
  readonly operation: string;
  readonly streams: boolean;
  /** The model id as the client sent it. */
  readonly askedModel: string | undefined;
  /** Who answered, or was asked last. */
  readonly provider: string | undefined;
  readonly model: string | undefined;
  readonly key: KeyName | undefined;
  readonly identity: RecordedIdentity | undefined;
  readonly outcome: Outcome;
  /** Of the answer; 499 where the client left. */
  readonly status: number;
  /** The name of the AWS error the client was given. */
  readonly errorType: string | undefined;
  readonly errorClass: ErrorClass | undefined;
  /** Said to the client; never what an upstream said that is not ours to repeat. */
  readonly message: string | undefined;
  readonly usage: Usage | undefined;
  readonly usageEstimated: boolean;
  /** Millionths of a dollar; undefined when nobody knows. */
  readonly costMicroUsd: number | undefined;
  /** As the client received it. */
  readonly stopReason: string | undefined;
  readonly fallbackIndex: number;
  /** In the order they were made. */
  readonly attempts: readonly AttemptRecord[];
  /** Ids of the routing rules that matched, in order. */
  readonly rules: readonly string[];
  readonly cache: CacheRecord | undefined;
  /** In the order they were made; only where the trace is recorded. */
  readonly lookups: readonly LookupRecord[];
  /** The limit that had no room. */
  readonly limit: string | undefined;
  /** `x-bf-env` as `env`, and `x-bf-dim-<name>`. */
  readonly dimensions: ReadonlyMap<string, string>;
  readonly session: string | undefined;
  readonly trace: TraceContext | undefined;
  /** Only where the content of requests is wanted. */
  readonly content: RecordedContent | undefined;
}

export interface KeyName {
  readonly id: string;
  readonly name: string;
}

export interface RecordedIdentity {
  readonly virtualKey: KeyName;
  readonly team: KeyName | undefined;
  readonly customer: KeyName | undefined;
}

/** One request to a provider with one key. */
export interface AttemptRecord {
  readonly provider: string;
  readonly model: string | undefined;
  readonly key: KeyName;
  /**
   * Why with this key: `pinned` by the client, its `session`'s, chosen by a strategy (its name) or the `only` one
   * available, a `probe` whether it works again, the `last_resort`, the same one `again`, or the client's own (`direct`).
   */
  readonly choice: string | undefined;
  /** Which target it was made for: 0 is the first, 1 the first fallback. */
  readonly fallbackIndex: number;
  /** From the request's arrival. */
  readonly startedAfterMs: number;
  /** To its end; a stream's attempt ends with its last byte. */
  readonly durationMs: number;
  /** 499 where the client left. */
  readonly status: number;
  readonly outcome: Outcome;
  readonly errorType: string | undefined;
  readonly errorClass: ErrorClass | undefined;
  /** Scheme, host and port of the upstream; undefined where nothing was sent. */
  readonly origin: string | undefined;
  /** Sixteen hexadecimal digits; the upstream was sent it in `traceparent`. */
  readonly spanId: string | undefined;
}

export interface CacheRecord {
  readonly kind: "direct" | "semantic" | "miss" | "bypass";
  /** Of a bypass or a miss. */
  readonly reason: string | undefined;
  /** Of a semantic hit, 0 to 1. */
  readonly similarity: number | undefined;
  /** Id of the entry that answered. */
  readonly entryId: string | undefined;
}

/** The cache was looked into for a target. */
export interface LookupRecord extends Omit<CacheRecord, "entryId"> {
  /** Which target it was looked for: 0 is the first, 1 the first fallback. */
  readonly fallbackIndex: number;
  /** From the request's arrival. */
  readonly startedAfterMs: number;
  readonly durationMs: number;
}

/** https://www.w3.org/TR/trace-context/ */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** Of the request itself, 16 hexadecimal digits. */
  readonly spanId: string;
  /** Of the client's span, if it sent one. */
  readonly parentSpanId: string | undefined;
  readonly sampled: boolean;
  readonly state: string | undefined;
}

export interface RecordedContent {
  /** The client's body as text, cut to size. */
  readonly request: string | undefined;
  /** The answer's body as text, or what a stream said. */
  readonly answer: string | undefined;
  /** The request log may have it. */
  readonly logged: boolean;
  /** Traces may have it. */
  readonly traced: boolean;
}

/** Whose fault it was. The original's closed set of `error_type`, as far as it applies. */
export type ErrorClass =
  | "caller_model_unknown"
  | "caller_invalid_request"
  | "caller_cancelled"
  | "policy_access_denied"
  | "policy_budget_exceeded"
  | "policy_rate_limited"
  | "provider_auth_failed"
  | "provider_billing"
  | "provider_rate_limited"
  | "provider_overloaded"
  | "provider_server_error"
  | "provider_timeout"
  | "provider_connection_failed"
  | "provider_credentials_exhausted"
  | "bifrost_overloaded"
  | "bifrost_internal";
