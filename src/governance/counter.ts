/** One limit's counter in the shared memory: what its window has used, and room taken in it before it is used. */
import {
  amountOf,
  amountWord,
  clearAmounts,
  counterLine,
  counterWord,
  type GovernanceMemory,
  isOverdrawn,
  isTagged,
  markChanged,
  tagOf,
  windowAfter,
  windowStart,
} from "./layout.ts";
import type { BudgetOverride } from "./overrides.ts";
import { isWithin, type Period, type Span, spanOf } from "./windows.ts";

/** What a counter may hold, and when it begins anew. */
export interface CounterRule {
  readonly max: number;
  /**
   * By how much one reservation at a time may be larger than what is left. It takes what is left, and its request may
   * come to more: that is the one request by which a limit can be exceeded.
   */
  readonly overdraft: number;
  readonly period: Period;
  /** Another maximum, for a time. */
  readonly override?: CounterOverride | undefined;
}

export interface CounterOverride extends BudgetOverride {
  readonly max: number;
}

/** Room taken in a counter, until it is settled. */
export interface Held {
  readonly counter: Counter;
  /** The word of the window it was taken in. */
  readonly window: bigint;
  readonly amount: number;
  readonly overdrawn: boolean;
}

export interface CounterUse {
  /** Settled and reserved. */
  readonly used: number;
  /** Settled. */
  readonly spent: number;
  /** The begin of the window; undefined when none is running. */
  readonly since: number | undefined;
  /** When the window ends, or would end if it began now. */
  readonly until: number;
}

export class Counter {
  readonly slot: number;
  readonly rule: CounterRule;
  readonly #memory: GovernanceMemory;
  readonly #words: BigInt64Array<SharedArrayBuffer>;
  readonly #line: number;
  readonly #window: number;
  readonly #used: number;
  readonly #spent: number;
  /** Of the window looked at last: to find its end may take a calendar. */
  #start = -1;
  #span: Span = { earliest: 0, end: 0 };

  constructor(memory: GovernanceMemory, slot: number, rule: CounterRule) {
    this.slot = slot;
    this.rule = rule;
    this.#memory = memory;
    this.#words = memory.words;
    const line = counterLine(memory, slot);
    this.#line = line;
    this.#window = line + counterWord.window;
    this.#used = line + counterWord.used;
    this.#spent = line + counterWord.spent;
  }

  /** Whether {@link reserve} would find room, without taking any. */
  hasRoom(amount: number, now: number): boolean {
    const { used, overdrawn } = this.#look(now);
    return this.#fit(used, overdrawn, amount, now) !== undefined;
  }

  /** What it may hold at a time. */
  maxAt(now: number): number {
    const { max, override } = this.rule;
    return override !== undefined && now < override.until ? override.max : max;
  }

  /** Whether there would be room if all that is only reserved came to nothing. */
  couldHaveRoom(amount: number, now: number): boolean {
    return this.#fit(this.#look(now).spent, false, amount, now) !== undefined;
  }

  /** Whether nothing at all is left. */
  isExhausted(now: number): boolean {
    return this.#look(now).used >= this.maxAt(now);
  }

  /** Takes room in the window of `now`; undefined when there is not enough. */
  reserve(amount: number, now: number): Held | undefined {
    for (;;) {
      const window = this.#windowOf(now);
      const tag = tagOf(window);
      const seen = Atomics.load(this.#words, this.#used);
      const isOurs = isTagged(seen, tag);
      // Amounts of another window are old ones, unless it is the window that is old.
      if (!isOurs && Atomics.load(this.#words, this.#window) !== window) continue;
      const used = isOurs ? amountOf(seen) : 0;
      const overdrawn = isOurs && isOverdrawn(seen);
      const taken = this.#fit(used, overdrawn, amount, now);
      if (taken === undefined) return undefined;
      const overdraws = taken < amount;
      const next = amountWord(tag, used + taken, overdrawn || overdraws);
      if (Atomics.compareExchange(this.#words, this.#used, seen, next) === seen)
        return { counter: this, window, amount: taken, overdrawn: overdraws };
    }
  }

  /**
   * Puts what was really used in the place of what was held. In a window that is over nothing is done: its room is gone
   * with it, and what was taken in it does not burden the next.
   */
  settle(held: Held, actual: number): void {
    const tag = tagOf(held.window);
    for (;;) {
      if (Atomics.load(this.#words, this.#window) !== held.window) return;
      if (actual === held.amount && !held.overdrawn) break;
      const seen = Atomics.load(this.#words, this.#used);
      if (!isTagged(seen, tag)) continue;
      const left = amountOf(seen) - held.amount + actual;
      const next = amountWord(tag, left, isOverdrawn(seen) && !held.overdrawn);
      if (Atomics.compareExchange(this.#words, this.#used, seen, next) === seen) break;
    }
    this.#spend(held.window, actual);
  }

  use(now: number): CounterUse {
    const { used, spent, start } = this.#look(now);
    const { period } = this.rule;
    return { used, spent, since: start, until: period.endOf(start ?? period.startAt(now)) };
  }

  /**
   * Adds what was spent in a window that the store remembers. Only where that window is still running, and no other has
   * begun here.
   */
  restore(start: number, spent: number, now: number): boolean {
    if (!this.#isWithin(start, now)) return false;
    for (;;) {
      const seen = Atomics.load(this.#words, this.#window);
      const current = windowStart(seen);
      if (current === start) return this.#add(seen, spent);
      if (current !== 0) return false;
      const next = windowAfter(seen, start);
      if (Atomics.compareExchange(this.#words, this.#window, seen, next) === seen)
        clearAmounts(this.#words, this.#line, next);
    }
  }

  /** Forgets what the running window has spent. What is reserved stays, and is settled as if nothing had been. */
  forget(now: number): void {
    const window = Atomics.load(this.#words, this.#window);
    const start = windowStart(window);
    if (start === 0 || !this.#isWithin(start, now)) return;
    const tag = tagOf(window);
    const spent = this.#exchange(this.#spent, tag, () => 0);
    if (spent > 0) this.#exchange(this.#used, tag, (used) => used - spent);
    markChanged(this.#memory, this.slot);
  }

  /** Puts another amount in the place of a window's, and answers the one before; 0 where there is none of that window. */
  #exchange(index: number, tag: number, change: (amount: number) => number): number {
    for (;;) {
      const seen = Atomics.load(this.#words, index);
      if (!isTagged(seen, tag)) return 0;
      const amount = amountOf(seen);
      const next = amountWord(tag, change(amount), isOverdrawn(seen));
      if (Atomics.compareExchange(this.#words, index, seen, next) === seen) return amount;
    }
  }

  #add(window: bigint, spent: number): boolean {
    const tag = tagOf(window);
    for (;;) {
      const seen = Atomics.load(this.#words, this.#used);
      if (Atomics.load(this.#words, this.#window) !== window) return false;
      const used = isTagged(seen, tag) ? amountOf(seen) : 0;
      const next = amountWord(tag, used + spent, isTagged(seen, tag) && isOverdrawn(seen));
      if (Atomics.compareExchange(this.#words, this.#used, seen, next) === seen) break;
    }
    this.#spend(window, spent);
    return true;
  }

  #spend(window: bigint, amount: number): void {
    if (amount <= 0) return;
    const tag = tagOf(window);
    for (;;) {
      const seen = Atomics.load(this.#words, this.#spent);
      const isOurs = isTagged(seen, tag);
      if (!isOurs && Atomics.load(this.#words, this.#window) !== window) return;
      const next = amountWord(tag, (isOurs ? amountOf(seen) : 0) + amount, false);
      if (Atomics.compareExchange(this.#words, this.#spent, seen, next) === seen) break;
    }
    markChanged(this.#memory, this.slot);
  }

  /** How much of an amount is taken; undefined when it does not fit. */
  #fit(used: number, overdrawn: boolean, amount: number, now: number): number | undefined {
    const { overdraft } = this.rule;
    const left = this.maxAt(now) - used;
    if (left <= 0) return undefined;
    if (amount <= left) return amount;
    if (overdrawn || overdraft === 0) return undefined;
    // What is larger than the whole limit has to be let through at some time, so it gets a window that nobody else uses.
    return amount - left <= overdraft || used === 0 ? left : undefined;
  }

  /** True while the window that began at `start` lasts. */
  #isWithin(start: number, now: number): boolean {
    if (start !== this.#start) {
      this.#span = spanOf(this.rule.period, start);
      this.#start = start;
    }
    return isWithin(this.#span, now);
  }

  /** The window of `now`, begun if there is none. */
  #windowOf(now: number): bigint {
    const { period } = this.rule;
    for (;;) {
      const seen = Atomics.load(this.#words, this.#window);
      const start = windowStart(seen);
      if (start !== 0 && this.#isWithin(start, now)) return seen;
      // 0 stands for "never used".
      const next = windowAfter(seen, Math.max(1, period.startAt(now)));
      if (Atomics.compareExchange(this.#words, this.#window, seen, next) !== seen) continue;
      clearAmounts(this.#words, this.#line, next);
      return next;
    }
  }

  /** What the window of `now` has used, without beginning one. */
  #look(now: number): { used: number; spent: number; overdrawn: boolean; start: number | undefined } {
    for (;;) {
      const window = Atomics.load(this.#words, this.#window);
      const start = windowStart(window);
      if (start === 0 || !this.#isWithin(start, now)) return { used: 0, spent: 0, overdrawn: false, start: undefined };
      const used = Atomics.load(this.#words, this.#used);
      const spent = Atomics.load(this.#words, this.#spent);
      if (Atomics.load(this.#words, this.#window) !== window) continue;
      const tag = tagOf(window);
      return {
        used: isTagged(used, tag) ? amountOf(used) : 0,
        spent: isTagged(spent, tag) ? amountOf(spent) : 0,
        overdrawn: isTagged(used, tag) && isOverdrawn(used),
        start,
      };
    }
  }
}
