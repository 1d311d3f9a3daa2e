/**
 * When a limit begins anew. Either way it is a matter of arithmetic on two times, however long nothing was used.
 *
 * - *Rolling*: a window begins with the first use and lasts for its duration; the next begins with the first use after
 *   that. A month is 30 days, a quarter 90, a year 365.
 * - *Calendar*: windows begin with the day, the week (Monday), the month, the quarter, the year, in UTC, so no clock is
 *   ever put forward or back. Several at a time (`2w`, `6M`) count from 1970, or from the year 0 for months and longer.
 *   Seconds, minutes and hours begin with their multiples.
 */
import type { Duration } from "../config/governance.ts";

/** Times are milliseconds since 1970. */
export interface Period {
  /** The begin of the window that `now` is in, where none has begun yet. */
  startAt(now: number): number;
  /** The end of the window that began at `start`; it is no longer part of it. */
  endOf(start: number): number;
}

/** Threads' clocks differ by a few milliseconds; what is further back than this, and than a window, is a clock that was set. */
const backwardsMs = 60_000;

export function periodOf({ count, unit, milliseconds }: Duration, calendarAligned: boolean): Period {
  if (!calendarAligned) return { startAt: (now) => Math.floor(now), endOf: (start) => start + milliseconds };
  switch (unit) {
    case "M":
      return months(count);
    case "Q":
      return months(3 * count);
    case "Y":
      return months(12 * count);
    case "w":
      return multiples(milliseconds, firstMonday);
    case "s":
    case "m":
    case "h":
    case "d":
      return multiples(milliseconds, 0);
  }
}

/** One window without an end. */
export const forever: Period = { startAt: () => 1, endOf: () => Number.POSITIVE_INFINITY };

/** When a window is running: from `earliest` until before `end`. */
export interface Span {
  readonly earliest: number;
  readonly end: number;
}

/** When the window is running that began at `start`. */
export function spanOf(period: Period, start: number): Span {
  const end = period.endOf(start);
  return { earliest: start - Math.max(backwardsMs, end - start), end };
}

export function isWithin({ earliest, end }: Span, now: number): boolean {
  return now < end && now >= earliest;
}

/** 1970-01-05. */
const firstMonday = 4 * 86_400_000;

function multiples(length: number, first: number): Period {
  return {
    startAt: (now) => first + Math.floor((now - first) / length) * length,
    endOf: (start) => start + length,
  };
}

function months(count: number): Period {
  const after = (time: number, windows: number): number => {
    const date = new Date(time);
    const month = date.getUTCFullYear() * 12 + date.getUTCMonth();
    return Date.UTC(0, (Math.floor(month / count) + windows) * count - monthsTo1900);
  };
  return { startAt: (now) => after(now, 0), endOf: (start) => after(start, 1) };
}

/** `Date.UTC` takes the year 0 for 1900. */
const monthsTo1900 = 1900 * 12;
