/**
 * The circuit of a key: closed while it works, open after failures, and half-open for one probe at a time.
 *
 *            five failures in a row, or half of ten late attempts
 *     closed ─────────────────────────────────────────────► open for 2 s, 4 s … 60 s
 *       ▲                                                     │ time is up: one thread takes the probe
 *       └───────── the probe succeeds ───────── probing ◄─────┘
 *                                               │   ▲ └─ no verdict (client left, 400, 429): open, due at once
 *                                  it fails: open, for twice as long
 *
 * All of it is one word, so every change is one exchange, and of all threads that would take the probe exactly one does.
 * A probe is a real request and holds the circuit until it ends or has begun to answer. If its thread dies, another probe
 * may go after a quarter of an hour: longer than requests take, so that two are never under way.
 *
 * An attempt that was begun in spite of an open circuit (a pinned key, a last resort) closes it when it succeeds.
 */
import { type KeyMemory, keyLine, keyWord } from "./layout.ts";
import type { KeyStats } from "./stats.ts";
import { isRunning, levelOf, packWait, tickOf, waitLeft } from "./waits.ts";

const phases = { open: 1, probing: 2 } as const;

const failuresInARow = 5;
const leastOutcomes = 10;
const openRate = 0.5;
const firstOpenMs = 2000;
const longestOpenMs = 60_000;
const probeLeaseMs = 900_000;
/** An end is rounded up by a tick at most: set this far back, a wait is over. */
const overMs = -100;

/** From this error rate on a key counts as degraded, below it as well. */
export const degradedRate = 0.05;

/** `due`: open, and the time for a probe has come. */
export type Phase = "closed" | "open" | "due" | "probing";

export class Circuit {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #stats: KeyStats;

  constructor(memory: KeyMemory, stats: KeyStats) {
    this.#words = memory.words;
    this.#stats = stats;
  }

  phase(slot: number, tick: number): Phase {
    const word = this.#load(slot);
    if (word === 0) return "closed";
    if (!isRunning(word, tick)) return "due";
    return levelOf(word) === phases.probing ? "probing" : "open";
  }

  /** Milliseconds until the next probe; 0 when it is due, and undefined while one is under way. */
  untilProbe(slot: number, now: number): number | undefined {
    const word = this.#load(slot);
    const left = waitLeft(word, now);
    return left > 0 && levelOf(word) === phases.probing ? undefined : left;
  }

  /**
   * Takes the probe that is due.
   *
   * @returns what proves it in {@link failed} and {@link abandon}; 0 when another attempt has it or none is due
   */
  takeProbe(slot: number, now: number): number {
    const seen = this.#load(slot);
    if (seen === 0 || isRunning(seen, tickOf(now))) return 0;
    const probe = packWait(now, probeLeaseMs, phases.probing);
    return this.#exchange(slot, seen, probe) ? probe : 0;
  }

  /** An attempt that began while the circuit was not closed has succeeded, or its answer has begun. */
  close(slot: number): void {
    for (;;) {
      const seen = this.#load(slot);
      if (seen === 0 || this.#exchange(slot, seen, 0)) return;
    }
  }

  /** After a counted success: once the key is well, the next opening is short again. */
  settle(slot: number, now: number): void {
    const index = keyLine(slot) + keyWord.openings;
    if (Atomics.load(this.#words, index) === 0 || this.#load(slot) !== 0) return;
    if (this.#stats.errorRate(slot, now) < degradedRate) Atomics.store(this.#words, index, 0);
  }

  /** After a counted failure. @param probe what {@link takeProbe} gave, or 0 */
  failed(slot: number, probe: number, now: number): void {
    if (probe !== 0) this.#open(slot, probe, now);
    else if (this.#load(slot) === 0 && this.#isBroken(slot, now)) this.#open(slot, 0, now);
  }

  /** The probe ended without showing whether the key works. */
  abandon(slot: number, probe: number, now: number): void {
    if (probe !== 0) this.#exchange(slot, probe, packWait(now, overMs, phases.open));
  }

  #isBroken(slot: number, now: number): boolean {
    if (this.#stats.run(slot) <= -failuresInARow) return true;
    const { successes, failures } = this.#stats.recent(slot, now);
    return successes + failures >= leastOutcomes && failures >= openRate * (successes + failures);
  }

  #open(slot: number, from: number, now: number): void {
    const openings = keyLine(slot) + keyWord.openings;
    const length = Math.min(firstOpenMs * 2 ** Atomics.load(this.#words, openings), longestOpenMs);
    if (this.#exchange(slot, from, packWait(now, length, phases.open))) Atomics.add(this.#words, openings, 1);
  }

  #load(slot: number): number {
    return Atomics.load(this.#words, keyLine(slot) + keyWord.circuit);
  }

  #exchange(slot: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, keyLine(slot) + keyWord.circuit, from, to) === from;
  }
}
