/** The request log's rows as answers show them. */
import type { FoundLog, LogAttempt, LogLatency, LogRow, LogSum, LogValues } from "../store/log-store.ts";
import type { Document } from "../store/store.ts";
import { trailOf } from "./logs-trail.ts";

export function showRow(row: LogRow): Document {
  return {
    id: row.id,
    request_id: row.requestId,
    timestamp: timeText(row.arrivedAt),
    operation: row.operation,
    stream: row.streams,
    outcome: row.outcome,
    status: row.status,
    asked_model: row.askedModel,
    provider: row.provider,
    model: row.model,
    key: named(row.keyId, row.keyName),
    virtual_key: named(row.virtualKeyId, row.virtualKeyName),
    team: named(row.teamId, row.teamName),
    customer: named(row.customerId, row.customerName),
    input_tokens: row.inputTokens,
    output_tokens: row.outputTokens,
    cache_read_tokens: row.cacheReadTokens,
    cache_write_tokens: row.cacheWriteTokens,
    total_tokens: row.totalTokens,
    usage_estimated: row.usageEstimated,
    cost: usd(row.costMicroUsd),
    stop_reason: row.stopReason,
    latency: rounded(row.durationMs),
    upstream_latency: rounded(row.upstreamMs),
    first_event_latency: rounded(row.firstEventMs),
    error_type: row.errorType,
    error_class: row.errorClass,
    message: row.message,
    limit: row.limit,
    attempt_count: row.attemptCount,
    fallback_index: row.fallbackIndex,
    routing_rules: row.rules,
    cache:
      row.cacheKind === null
        ? null
        : {
            kind: row.cacheKind,
            reason: row.cacheReason,
            similarity: row.cacheSimilarity,
            entry_id: row.cacheEntryId,
          },
    metadata: Object.fromEntries(row.dimensions),
    session_id: row.session,
    trace_id: row.traceId,
    span_id: row.spanId,
  };
}

/** Everything that is kept of a request. */
export function showFound({ entry: { row, attempts, content }, others }: FoundLog): Document {
  return {
    ...showRow(row),
    attempts: attempts.map(showAttempt),
    trail: trailOf(row, attempts),
    content,
    same_request_id: others,
  };
}

function showAttempt(attempt: LogAttempt): Document {
  return {
    provider: attempt.provider,
    model: attempt.model,
    key: named(attempt.keyId, attempt.keyName),
    choice: attempt.choice,
    fallback_index: attempt.fallbackIndex,
    started_after: rounded(attempt.startedAfterMs),
    latency: rounded(attempt.durationMs),
    outcome: attempt.outcome,
    status: attempt.status,
    error_type: attempt.errorType,
    error_class: attempt.errorClass,
    span_id: attempt.spanId,
  };
}

export function showCounts(sum: LogSum): Document {
  const { requests, success, error, cancelled } = sum;
  return { requests, success, error, cancelled };
}

export function showTokens(sum: LogSum): Document {
  return {
    input_tokens: sum.inputTokens,
    output_tokens: sum.outputTokens,
    cache_read_tokens: sum.cacheReadTokens,
    cache_write_tokens: sum.cacheWriteTokens,
    total_tokens: sum.totalTokens,
  };
}

export function showCost(sum: LogSum): Document {
  return { cost: usd(sum.costMicroUsd), missing_cost: sum.missingCost };
}

export function showSum(sum: LogSum): Document {
  return {
    ...showCounts(sum),
    ...showTokens(sum),
    ...showCost(sum),
    cache_hits: sum.cacheHits,
    average_latency: rounded(sum.averageMs),
    max_latency: rounded(sum.maxMs),
  };
}

export function showLatency({ p50Ms, p90Ms, p95Ms, p99Ms }: LogLatency): Document {
  return {
    latency_p50: rounded(p50Ms),
    latency_p90: rounded(p90Ms),
    latency_p95: rounded(p95Ms),
    latency_p99: rounded(p99Ms),
  };
}

/** By the names of the filters that take them. */
export function showValues({ fields, ...named }: LogValues): Document {
  return {
    providers: fields.provider,
    models: fields.model,
    aliases: fields.askedModel,
    status: fields.outcome,
    objects: fields.operation,
    selected_keys: named.keys,
    virtual_keys: named.virtualKeys,
    teams: named.teams,
    customers: named.customers,
    stop_reasons: fields.stopReason,
    cache_hit_types: fields.cacheKind,
    error_types: fields.errorType,
    error_classes: fields.errorClass,
    routing_rule_ids: named.rules,
    metadata: named.dimensions,
  };
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

/** USD. */
export function usd<Micro extends number | null>(micro: Micro): number | Extract<Micro, null>;
export function usd(micro: number | null): number | null {
  return micro === null ? null : micro / 1e6;
}

function named(id: string | null, name: string | null): Document | null {
  return id === null ? null : { id, name };
}

/** Milliseconds to a thousandth. */
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1000) / 1000;
}
