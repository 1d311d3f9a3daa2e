/**
 * What is known of how a key does: how many attempts are in flight, how many of late went wrong, how fast it is.
 *
 * Outcomes are counted in fixed point and decay: each second, one thread takes away the part that ten seconds' half-life
 * leaves nothing of. It *subtracts* a part of what it had read before it won the second, instead of writing a product, so
 * counts that others add meanwhile stay whole.
 *
 * Speed is told by the *unit time*: milliseconds per output token, where every answer counts as twenty tokens more than
 * it has. The twenty stand for what any answer costs before its first token, so that keys compare whether their answers
 * were long or short, and an answer without tokens (an embedding) has a speed too.
 */
import { inFlightOf, type KeyMemory, keyLine, keyWord } from "./layout.ts";
import { tickOf } from "./waits.ts";

/** What a successful attempt measured. */
export interface Measured {
  /** From sending the request to the end of the answer; NaN where that says nothing of the key's speed. */
  readonly ms: number;
  readonly outputTokens: number;
}

const outcome = 256;
const halfLifeSeconds = 10;
const baseTokens = 20;
/** Successes that every key is taken to have had, so that one failure alone is not a rate of 100 %. */
const assumedSuccesses = 4;
/** A throttled attempt counts as half a failure: the key works, but not for as much as it gets. */
const throttleShare = 0.5;
/** The least weight of a new measurement in the average; it grows as the average gets old. */
const leastShare = 0.15;
const agingSeconds = 120;

const runLimit = 1_000_000;
/** Microseconds: what fits into a word without a sign. */
const maxUnitTime = 0xffff_ffff;

const decayFactors = Float64Array.from({ length: 120 }, (_, seconds) => 2 ** (-seconds / halfLifeSeconds));

export class KeyStats {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #wide: BigInt64Array<SharedArrayBuffer>;

  constructor(memory: KeyMemory) {
    this.#words = memory.words;
    this.#wide = memory.wide;
  }

  inFlight(slot: number): number {
    return inFlightOf(this.#read(slot, keyWord.occupied));
  }

  /** Successful attempts since the slot was given to the key. */
  served(slot: number): number {
    return Number(Atomics.load(this.#wide, (keyLine(slot) + keyWord.served) >> 1));
  }

  /** Successes in a row, or failures in a row as a negative number. */
  run(slot: number): number {
    return this.#read(slot, keyWord.run);
  }

  /** Outcomes of late, decayed; what a circuit goes by before it trusts a rate. */
  recent(slot: number, now: number): { readonly successes: number; readonly failures: number } {
    const factor = this.#decayTo(slot, now) / outcome;
    return {
      successes: Math.max(0, this.#read(slot, keyWord.successes)) * factor,
      failures: Math.max(0, this.#read(slot, keyWord.failures)) * factor,
    };
  }

  /** The part of late attempts that failed by the key's or the upstream's fault, from 0 to 1. */
  errorRate(slot: number, now: number): number {
    return this.#rate(slot, now, 0);
  }

  /** The same, with throttled attempts as half a failure each. */
  troubleRate(slot: number, now: number): number {
    return this.#rate(slot, now, throttleShare);
  }

  /** Milliseconds per unit of work; 0 when unknown. */
  unitTime(slot: number): number {
    return (this.#read(slot, keyWord.unitTime) >>> 0) / 1000;
  }

  /** How much the unit time is still to be believed: 1 when fresh, a half after two minutes without an answer. */
  confidence(slot: number, now: number): number {
    return agingSeconds / (agingSeconds + this.#age(slot, now));
  }

  succeed(slot: number, measured: Measured, now: number): void {
    const line = keyLine(slot);
    Atomics.add(this.#wide, (line + keyWord.served) >> 1, 1n);
    this.#count(line, keyWord.successes, now);
    this.#extendRun(line, 1);
    this.#measure(slot, measured, now);
  }

  fail(slot: number, now: number): void {
    const line = keyLine(slot);
    this.#count(line, keyWord.failures, now);
    this.#extendRun(line, -1);
  }

  /** Counted apart from failures: it says nothing against the upstream, so no circuit opens for it. */
  throttle(slot: number, now: number): void {
    const line = keyLine(slot);
    this.#count(line, keyWord.throttles, now);
    this.#endRunOfSuccesses(line);
  }

  #rate(slot: number, now: number, throttlesCountAs: number): number {
    const factor = this.#decayTo(slot, now) / outcome;
    const failures = Math.max(0, this.#read(slot, keyWord.failures)) * factor;
    const throttles = Math.max(0, this.#read(slot, keyWord.throttles)) * factor * throttlesCountAs;
    const bad = failures + throttles;
    if (bad === 0) return 0;
    return bad / (bad + Math.max(0, this.#read(slot, keyWord.successes)) * factor + assumedSuccesses);
  }

  /** What the stored counts have to be multiplied with, without writing. */
  #decayTo(slot: number, now: number): number {
    const elapsed = (secondOf(now) - this.#read(slot, keyWord.decayedAt)) | 0;
    return decayFactor(elapsed);
  }

  #count(line: number, word: number, now: number): void {
    this.#decay(line, now);
    Atomics.add(this.#words, line + word, outcome);
  }

  #decay(line: number, now: number): void {
    const words = this.#words;
    const second = secondOf(now);
    const seen = Atomics.load(words, line + keyWord.decayedAt);
    const elapsed = (second - seen) | 0;
    // Threads' clocks differ by a few milliseconds; a minute back is a clock that was set.
    if (elapsed === 0 || (elapsed < 0 && elapsed > -60)) return;
    const successes = Atomics.load(words, line + keyWord.successes);
    const failures = Atomics.load(words, line + keyWord.failures);
    const throttles = Atomics.load(words, line + keyWord.throttles);
    if (Atomics.compareExchange(words, line + keyWord.decayedAt, seen, second) !== seen) return;
    const gone = 1 - decayFactor(elapsed);
    Atomics.sub(words, line + keyWord.successes, Math.round(successes * gone));
    Atomics.sub(words, line + keyWord.failures, Math.round(failures * gone));
    Atomics.sub(words, line + keyWord.throttles, Math.round(throttles * gone));
  }

  #extendRun(line: number, sign: 1 | -1): void {
    const index = line + keyWord.run;
    for (;;) {
      const seen = Atomics.load(this.#words, index);
      const next = Math.sign(seen) === -sign ? sign : Math.max(-runLimit, Math.min(runLimit, seen + sign));
      if (next === seen || Atomics.compareExchange(this.#words, index, seen, next) === seen) return;
    }
  }

  #endRunOfSuccesses(line: number): void {
    const index = line + keyWord.run;
    for (;;) {
      const seen = Atomics.load(this.#words, index);
      if (seen <= 0 || Atomics.compareExchange(this.#words, index, seen, 0) === seen) return;
    }
  }

  #measure(slot: number, { ms, outputTokens }: Measured, now: number): void {
    if (!(ms >= 0)) return;
    const sample = Math.min((ms * 1000) / (Math.max(0, outputTokens || 0) + baseTokens), maxUnitTime);
    const share = Math.max(leastShare, 1 - this.confidence(slot, now));
    const index = keyLine(slot) + keyWord.unitTime;
    for (;;) {
      const seen = Atomics.load(this.#words, index);
      const average = seen === 0 ? sample : (seen >>> 0) + (sample - (seen >>> 0)) * share;
      // Rounded up, since 0 is "unknown".
      if (Atomics.compareExchange(this.#words, index, seen, Math.max(1, Math.round(average)) | 0) === seen) break;
    }
    Atomics.store(this.#words, keyLine(slot) + keyWord.unitTimeAt, tickOf(now));
  }

  /** Seconds since the last measurement; 0 when there was none. */
  #age(slot: number, now: number): number {
    const at = this.#read(slot, keyWord.unitTimeAt);
    return at === 0 ? 0 : Math.max(0, (tickOf(now) - at) | 0) / 10;
  }

  #read(slot: number, word: number): number {
    return Atomics.load(this.#words, keyLine(slot) + word);
  }
}

function secondOf(now: number): number {
  return Math.floor(now / 1000) | 0;
}

function decayFactor(elapsedSeconds: number): number {
  return elapsedSeconds <= 0 ? 1 : (decayFactors[elapsedSeconds] ?? 0);
}
