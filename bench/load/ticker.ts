/**
 * Wakes the load generator's loop at fixed times. A timer of the loop is up to a millisecond late, and a loop that spins
 * instead takes a core from the gateway it measures: here a thread of its own sleeps, and is late by some 50 µs.
 */
import { once } from "node:events";
import { isMainThread, parentPort, type Worker } from "node:worker_threads";
import { startTypescript } from "../../test/keys/typescript-worker.ts";
import { Schedule } from "./schedule.ts";

/** Times are milliseconds since the epoch: each thread's `performance.now()` has a beginning of its own. */
interface Ticks {
  readonly begin: number;
  readonly gapMs: number;
  readonly until: number;
}

export class Ticker {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  static async start(): Promise<Ticker> {
    const worker = startTypescript(import.meta.url, undefined);
    await once(worker, "online");
    worker.unref();
    return new Ticker(worker);
  }

  /**
   * Calls whenever a request of that schedule is due; once for several when it is late. One schedule at a time.
   *
   * @param begin of `performance.now()`, as are the others
   */
  tick(begin: number, gapMs: number, until: number, onDue: () => void): void {
    const { timeOrigin } = performance;
    const ticks: Ticks = { begin: begin + timeOrigin, gapMs, until: until + timeOrigin };
    this.#worker.removeAllListeners("message");
    this.#worker.on("message", onDue);
    this.#worker.postMessage(ticks);
  }
}

if (!isMainThread) parentPort?.on("message", keep);

function keep({ begin, gapMs, until }: Ticks): void {
  const schedule = new Schedule(begin, gapMs, until);
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const now = () => performance.timeOrigin + performance.now();
  for (;;) {
    let due = schedule.next();
    if (due === undefined) return;
    for (let rest = due - now(); rest > 0; rest = due - now()) Atomics.wait(cell, 0, 0, rest);
    while (due !== undefined) due = schedule.take(now());
    parentPort?.postMessage(undefined);
  }
}
