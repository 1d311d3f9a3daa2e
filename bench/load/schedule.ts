/** When requests are due, and what their latencies were: counted from the moment a request was due, not from its sending. */
import { quantile } from "../statistics.ts";

/**
 * Fixed times at which requests are due, whether or not earlier ones have been answered. A server that stalls is thus met
 * by as many late requests as real clients would have sent, instead of by the few a waiting client sends.
 */
export class Schedule {
  readonly #begin: number;
  readonly #gapMs: number;
  readonly #until: number;
  #taken = 0;

  /** All of `performance.now()`. The first is due a gap after `begin`; none is due at `until` or later. */
  constructor(begin: number, gapMs: number, until: number) {
    this.#begin = begin + gapMs;
    this.#gapMs = gapMs;
    this.#until = until;
  }

  /** When the next one is due; undefined when there is none left. */
  next(): number | undefined {
    const dueAt = this.#begin + this.#taken * this.#gapMs;
    return dueAt < this.#until ? dueAt : undefined;
  }

  /** Takes the next one if it is due by now. */
  take(now: number): number | undefined {
    const dueAt = this.next();
    if (dueAt === undefined || dueAt > now) return undefined;
    this.#taken++;
    return dueAt;
  }
}

/** Microseconds. */
export interface Latencies {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** @param millis since each request was due */
export function latenciesOf(millis: readonly number[]): Latencies {
  const sorted = Float64Array.from(millis).sort();
  const at = (q: number) => quantile(sorted, q) * 1000;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: (sorted.at(-1) ?? 0) * 1000 };
}
