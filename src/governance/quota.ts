/** What is left, for the holder of a virtual key. */
import type { Holder, Limit, LimitKind } from "./limits.ts";

/** JSON, in the names of the management API. Budgets in USD, others as counts. */
export interface QuotaEntry {
  readonly holder: Holder["kind"];
  readonly holder_id: string;
  readonly kind: LimitKind;
  readonly max_limit: number;
  /** Settled. */
  readonly current_usage: number;
  /** Held by requests that run. */
  readonly reserved: number;
  readonly remaining: number;
  readonly reset_duration: string | null;
  readonly calendar_aligned: boolean;
  /** ISO 8601; null when no window is running, so that the next request begins one. */
  readonly resets_at: string | null;
}

export function quotaOf(limit: Limit, now: number): QuotaEntry {
  const { holder, kind, max, duration, calendarAligned, counter } = limit;
  const { used, spent, since, until } = counter.use(now);
  const unit = kind === "budget" ? 1e6 : 1;
  const isRunning = duration !== undefined && (since !== undefined || calendarAligned);
  return {
    holder: holder.kind,
    holder_id: holder.id,
    kind,
    max_limit: max / unit,
    current_usage: spent / unit,
    reserved: Math.max(0, used - spent) / unit,
    remaining: Math.max(0, max - used) / unit,
    reset_duration: duration ?? null,
    calendar_aligned: calendarAligned,
    resets_at: isRunning ? new Date(until).toISOString() : null,
  };
}
