/** What is left, for the holder of a virtual key. */
import type { Holder, Limit, LimitKind } from "./limits.ts";
import type { BudgetOverride } from "./overrides.ts";

/** JSON, in the names of the management API. Budgets in USD, others as counts. */
export interface QuotaEntry {
  /** Of the limit itself. */
  readonly id: string;
  readonly holder: Holder["kind"];
  readonly holder_id: string;
  readonly kind: LimitKind;
  /** As it is configured. */
  readonly max_limit: number;
  /** Of a budget that has another maximum for a time; null for others. */
  readonly override: OverrideEntry | null;
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

interface OverrideEntry {
  readonly override_mode: "add" | "replace";
  readonly override_amount: number;
  /** ISO 8601; null for an override without an end. */
  readonly valid_until: string | null;
}

export function quotaOf(limit: Limit, now: number): QuotaEntry {
  const { id, holder, kind, max, duration, calendarAligned, counter } = limit;
  const { override } = counter.rule;
  const { used, spent, since, until } = counter.use(now);
  const unit = kind === "budget" ? 1e6 : 1;
  const isRunning = duration !== undefined && (since !== undefined || calendarAligned);
  return {
    id,
    holder: holder.kind,
    holder_id: holder.id,
    kind,
    max_limit: max / unit,
    override: override !== undefined && now < override.until ? entryOf(override) : null,
    current_usage: spent / unit,
    reserved: Math.max(0, used - spent) / unit,
    remaining: Math.max(0, counter.maxAt(now) - used) / unit,
    reset_duration: duration ?? null,
    calendar_aligned: calendarAligned,
    resets_at: isRunning ? new Date(until).toISOString() : null,
  };
}

function entryOf({ mode, amount, until }: BudgetOverride): OverrideEntry {
  return {
    override_mode: mode,
    override_amount: amount / 1e6,
    valid_until: Number.isFinite(until) ? new Date(until).toISOString() : null,
  };
}
