/** What remains of a request when it is over: its record, its numbers, and a line in the log if it did not go well. */
import { errorClassOfType } from "../telemetry/error-class.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type {
  AttemptRecord,
  ErrorClass,
  KeyName,
  RecordedIdentity,
  RequestRecord,
} from "../telemetry/request-record.ts";
import type { ActiveRequest } from "./active-request.ts";
import { dimensionsOf } from "./governed.ts";
import type { Ending } from "./reply.ts";

const maxMessageLength = 500;
const maxTextLength = 256;
const noLookups: RequestRecord["lookups"] = [];

export interface RecordServices {
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Told of every request that is over. */
  readonly onRecord: (record: RequestRecord) => void;
}

/**
 * Called exactly once for each request, however it ended.
 *
 * @param slowMs from how many milliseconds on a request that went well is worth a line in the log
 */
export function record(
  request: ActiveRequest,
  ending: Ending,
  slowMs: number,
  { metrics, log, onRecord }: RecordServices,
): void {
  const made = recordOf(request, ending);
  metrics.finished(made);
  logLine(made, slowMs, log);
  onRecord(made);
}

function recordOf(request: ActiveRequest, ending: Ending): RequestRecord {
  const now = performance.now();
  const { exchange, startedAt, costMicroUsd, usage } = request;
  const durationMs = now - startedAt;
  const cancelled = ending.outcome === "cancelled";
  const attempts = request.attempts.map((attempt): AttemptRecord => {
    const { provider, model, key, choice, fallbackIndex, origin, spanId } = attempt;
    const ended = attempt.ended ?? {
      at: now,
      status: cancelled ? 499 : ending.status,
      outcome: ending.outcome,
      errorType: ending.errorType,
      errorClass: ownClass(ending),
    };
    return {
      provider,
      model,
      key,
      choice,
      fallbackIndex,
      startedAfterMs: attempt.startedAt - startedAt,
      durationMs: ended.at - attempt.startedAt,
      status: ended.status,
      outcome: ended.outcome,
      errorType: ended.errorType,
      errorClass: ended.errorClass,
      origin,
      spanId,
    };
  });
  return {
    id: request.id,
    arrivedAt: Date.now() - durationMs,
    durationMs,
    upstreamMs: request.upstreamMs,
    admissionAfterMs: request.admissionAfterMs,
    firstEventMs: request.firstEventMs,
    operation: request.operation,
    streams: request.streams,
    askedModel: request.askedModel,
    provider: request.provider,
    model: request.model,
    key: named(request.key),
    identity: identityOf(request),
    outcome: ending.outcome,
    status: cancelled ? 499 : ending.status,
    errorType: ending.errorType,
    errorClass: errorClassOf(request, ending, attempts),
    message: ending.message?.slice(0, maxMessageLength),
    usage,
    usageEstimated: usage !== undefined && request.usageEstimated,
    costMicroUsd,
    stopReason: request.stopReason,
    fallbackIndex: request.fallbackIndex,
    attempts,
    rules: request.rules,
    cache: request.cache,
    lookups: request.lookups ?? noLookups,
    limit: request.limit?.kind,
    dimensions: dimensionsOf(exchange.headers),
    session: exchange.headers.get("x-bf-session-id")?.slice(0, maxTextLength),
    trace: request.trace,
    content: request.content?.record(),
  };
}

function named(key: KeyName | undefined): KeyName | undefined {
  return key && { id: key.id, name: key.name };
}

function identityOf({ identity }: ActiveRequest): RecordedIdentity | undefined {
  if (identity === undefined) return undefined;
  const { team, customer } = identity;
  return { virtualKey: { id: identity.id, name: identity.name }, team: named(team), customer: named(customer) };
}

/** Whose fault it was that the client was given this error: a limit's, the last attempt's at who is named, or our own. */
function errorClassOf(
  { limit, fallbackIndex }: ActiveRequest,
  ending: Ending,
  attempts: readonly AttemptRecord[],
): ErrorClass | undefined {
  if (ending.outcome !== "error") return ownClass(ending);
  if (limit !== undefined) return limit.kind === "budget" ? "policy_budget_exceeded" : "policy_rate_limited";
  const asked = attempts.filter((attempt) => attempt.fallbackIndex === fallbackIndex);
  const last = asked.at(-1);
  if (last === undefined) return ownClass(ending);
  const refused = asked.every(({ errorClass }) => errorClass === "provider_auth_failed");
  if (refused && ending.status === 503) return "provider_credentials_exhausted";
  return last.errorClass ?? ownClass(ending);
}

function ownClass({ outcome, errorType, status }: Ending): ErrorClass | undefined {
  if (outcome === "success") return undefined;
  return outcome === "cancelled" ? "caller_cancelled" : errorClassOfType(errorType, status);
}

/** Names and numbers only; what an upstream said stays out of the log. */
function logLine(made: RequestRecord, slowMs: number, log: Logger): void {
  // How long a stream goes on is the model's business, how long it takes to begin is not.
  const slow = (made.firstEventMs ?? made.durationMs) >= slowMs;
  const level = made.outcome === "success" ? (slow ? "info" : "debug") : made.status >= 500 ? "warn" : "info";
  if (!log.isLevelEnabled(level)) return;
  const { id, operation, model, provider, key, attempts, outcome, usage, costMicroUsd, rules } = made;
  const failed = attempts.filter((attempt) => attempt.outcome !== "success");
  const line = {
    requestId: id,
    operation,
    model,
    provider,
    key: key?.name,
    attempts: attempts.length,
    trail: failed.length === 0 ? undefined : failed.map(trailEntry),
    status: made.status,
    outcome,
    errorType: made.errorType,
    errorClass: made.errorClass,
    message: made.message,
    usage,
    usageEstimated: usage === undefined ? undefined : made.usageEstimated,
    costUsd: costMicroUsd === undefined ? undefined : costMicroUsd / 1e6,
    virtualKey: made.identity?.virtualKey.name,
    rules: rules.length === 0 ? undefined : rules,
    cache: made.cache,
    traceId: made.trace?.sampled === true ? made.trace.traceId : undefined,
    slow: slow || undefined,
    firstEventMs: made.firstEventMs === undefined ? undefined : Math.round(made.firstEventMs),
    ms: Math.round(made.durationMs),
  };
  log[level](line, "request");
}

function trailEntry({ provider, key, model, status, errorType }: AttemptRecord) {
  return { provider, key: key.name, model, status, type: errorType };
}
