/**
 * How many repetitions a provider may cost, over all threads: a tenth of its requests, and ten a second however few
 * requests there are. Without it, a provider in trouble would get most load exactly then, from everybody's retries.
 *
 * A token bucket turned round: the word holds what has been taken and not yet paid back, so that fresh memory is a full
 * bucket. A repetition costs one; each request pays back a tenth, each second ten; more than a hundred is never owed.
 */
import { type KeyMemory, providerLine, providerWord } from "./layout.ts";
import { tickOf } from "./waits.ts";

/** Thousandths of a repetition. */
const repetition = 1000;
const mostOwed = 100 * repetition;
const paidPerRequest = repetition / 10;
/** A tick is a tenth of a second. */
const paidPerTick = repetition;

export class RetryBudget {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #debt: number;
  readonly #paidAt: number;

  /** @param slot the provider's */
  constructor(memory: KeyMemory, slot: number) {
    this.#words = memory.words;
    const line = providerLine(memory, slot);
    this.#debt = line + providerWord.debt;
    this.#paidAt = line + providerWord.paidAt;
  }

  /** A request has come, not counting its repetitions. */
  request(): void {
    this.#pay(paidPerRequest);
  }

  /** Takes one repetition. False when there is none left: the failure goes to the client as it is. */
  take(now: number): boolean {
    this.#payForTime(now);
    for (;;) {
      const seen = Atomics.load(this.#words, this.#debt);
      if (seen + repetition > mostOwed) return false;
      if (Atomics.compareExchange(this.#words, this.#debt, seen, seen + repetition) === seen) return true;
    }
  }

  #payForTime(now: number): void {
    const tick = tickOf(now);
    const seen = Atomics.load(this.#words, this.#paidAt);
    const passed = (tick - seen) | 0;
    // Threads' clocks differ by a few milliseconds; a minute back is a clock that was set.
    if (passed === 0 || (passed < 0 && passed > -600)) return;
    // Who moves the time on pays for it, alone.
    if (Atomics.compareExchange(this.#words, this.#paidAt, seen, tick) !== seen || passed < 0) return;
    this.#pay(Math.min(passed * paidPerTick, mostOwed));
  }

  #pay(amount: number): void {
    for (;;) {
      const seen = Atomics.load(this.#words, this.#debt);
      if (seen === 0 || Atomics.compareExchange(this.#words, this.#debt, seen, Math.max(0, seen - amount)) === seen)
        return;
    }
  }
}
