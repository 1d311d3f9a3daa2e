/** Admission to several limits at once, and the bill afterwards. */
import type { Held } from "./counter.ts";
import type { Limit, LimitKind } from "./limits.ts";

/** Whole numbers. What a request may come to, or what it came to. */
export interface Amounts {
  readonly tokens: number;
  readonly microUsd: number;
}

/** Why a request is not admitted: the first limit without room for it. Amounts are in the limit's unit. */
export interface LimitRefusal {
  readonly limit: Limit;
  /** Settled and reserved. */
  readonly used: number;
  /** Settled. */
  readonly spent: number;
  /** What there is of it now. */
  readonly max: number;
  readonly remaining: number;
  /** True when it is only what runs now that leaves no room: there may be some before the window ends. */
  readonly isPassing: boolean;
  /** Milliseconds until the window ends; a second when `isPassing`. */
  readonly retryAfterMs: number;
  /** When the window ends, milliseconds since 1970; infinite for `concurrency`. */
  readonly until: number;
}

/** What is refused while others run is worth another try after this time. */
const passingMs = 1000;

interface Entry {
  readonly kind: LimitKind;
  readonly held: Held;
}

/** The room a request holds. Settled or released once; whatever comes later does nothing. */
export class Ticket {
  #entries: readonly Entry[];

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
  }

  /**
   * Charges what the request has used in the place of what was reserved, and lets go of its place among those that run.
   *
   * @returns false when that was done before
   */
  settle(actual: Amounts): boolean {
    const entries = this.#take();
    for (const { kind, held } of entries) held.counter.settle(held, charged(kind, actual));
    return entries.length > 0;
  }

  /** Gives everything back, the request itself included: it has asked nobody. */
  release(): void {
    for (const { held } of this.#take()) held.counter.settle(held, 0);
  }

  /**
   * Settles for a target that has failed, all but what the request holds whichever target serves it.
   *
   * @param limits those of the next target
   * @returns the requests and places among those that run which the next target's ticket takes over
   */
  passOn(actual: Amounts, limits: readonly Limit[]): readonly Entry[] {
    const kept: Entry[] = [];
    for (const entry of this.#take()) {
      const { kind, held } = entry;
      const stays = kind === "requests" || kind === "concurrency";
      if (stays && limits.some(({ counter }) => counter.slot === held.counter.slot)) kept.push(entry);
      else held.counter.settle(held, charged(kind, actual));
    }
    return kept;
  }

  #take(): readonly Entry[] {
    const entries = this.#entries;
    this.#entries = [];
    return entries;
  }
}

/**
 * Takes room in every limit, or in none.
 *
 * @param wanted the most the request may come to
 * @param kept what a former target's ticket has passed on; given back when the request is refused
 */
export function admit(
  limits: readonly Limit[],
  wanted: Amounts,
  now: number,
  kept: readonly Entry[] = [],
): Ticket | LimitRefusal {
  const missing = kept.length === 0 ? limits : limits.filter(({ counter }) => !holds(kept, counter.slot));
  // Looked at before anything is taken, so that those who are refused anyhow do not stand in the way of others.
  const full = missing.find(({ kind, counter }) => !counter.hasRoom(reserved(kind, wanted), now));
  if (full !== undefined) {
    settleRefused(kept);
    return refusalBy(full, wanted, now);
  }
  const entries: Entry[] = [...kept];
  for (const limit of missing) {
    const held = limit.counter.reserve(reserved(limit.kind, wanted), now);
    if (held === undefined) {
      for (const entry of entries.slice(kept.length)) entry.held.counter.settle(entry.held, 0);
      settleRefused(kept);
      return refusalBy(limit, wanted, now);
    }
    entries.push({ kind: limit.kind, held });
  }
  return new Ticket(entries);
}

function holds(entries: readonly Entry[], slot: number): boolean {
  return entries.some(({ held }) => held.counter.slot === slot);
}

/** The request was made, to the target before. */
function settleRefused(kept: readonly Entry[]): void {
  for (const { kind, held } of kept) held.counter.settle(held, charged(kind, { tokens: 0, microUsd: 0 }));
}

function refusalBy(limit: Limit, wanted: Amounts, now: number): LimitRefusal {
  const { used, spent, until } = limit.counter.use(now);
  const max = limit.counter.maxAt(now);
  const isPassing = limit.kind === "concurrency" || limit.counter.couldHaveRoom(reserved(limit.kind, wanted), now);
  return {
    limit,
    used,
    spent,
    max,
    remaining: Math.max(0, max - used),
    isPassing,
    retryAfterMs: isPassing ? Math.min(passingMs, until - now) : until - now,
    until,
  };
}

function reserved(kind: LimitKind, { tokens, microUsd }: Amounts): number {
  switch (kind) {
    case "requests":
    case "concurrency":
      return 1;
    case "tokens":
      return tokens;
    case "budget":
      return microUsd;
  }
}

function charged(kind: LimitKind, actual: Amounts): number {
  return kind === "concurrency" ? 0 : reserved(kind, actual);
}
