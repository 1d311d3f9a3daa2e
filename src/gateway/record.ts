/** What remains of a request when it is over: its numbers, and a line in the log if it did not go well. */
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Ending } from "./reply.ts";

const maxMessageLength = 500;

/** Called exactly once for each request, however it ended. */
export function record(
  request: ActiveRequest,
  ending: Ending,
  { metrics, log }: { metrics: Metrics; log: Logger },
): void {
  const ms = performance.now() - request.startedAt;
  const provider = request.provider ?? "none";
  const status = ending.outcome === "cancelled" ? "499" : String(ending.status);
  metrics.requestFinished({ operation: request.operation, provider, status, outcome: ending.outcome }, ms / 1000);
  if (request.usage !== undefined) metrics.tokens(provider, request.usage);

  const level = ending.outcome === "success" ? "debug" : ending.status >= 500 ? "warn" : "info";
  if (!log.isLevelEnabled(level)) return;
  const { id, operation, model, key, attempts, usage, trail } = request;
  const message = ending.message?.slice(0, maxMessageLength);
  const line = {
    requestId: id,
    operation,
    model,
    provider: request.provider,
    key,
    attempts,
    trail: trail.length === 0 ? undefined : trail,
    status: ending.status,
    outcome: ending.outcome,
    errorType: ending.errorType,
    message,
    usage,
    usageEstimated: usage === undefined ? undefined : request.usageEstimated,
    costUsd: request.costMicroUsd === undefined ? undefined : request.costMicroUsd / 1e6,
    virtualKey: request.virtualKey,
    rules: request.rules.length === 0 ? undefined : request.rules,
    ms: Math.round(ms),
  };
  log[level](line, "request");
}
