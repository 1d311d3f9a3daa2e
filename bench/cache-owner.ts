/** Piscina task: the cache's owner as in the gateway, which also tells how long the turns of its loop were. */
import { openSync, readSync } from "node:fs";
import { packed, unpacked } from "../src/cache/entry.ts";
import { type OwnerTask, runOwnerTask } from "../src/cache/owner-task.ts";

/** Milliseconds. */
const resolution = 1;

/** How late timers were: what a message may have had to wait. */
class TurnMeter {
  readonly #schedule = openSync("/proc/thread-self/schedstat", "r");
  readonly #bytes = Buffer.alloc(128);
  #turns: number[] = [];
  #own: number[] = [];
  #at = performance.now();
  #waited = this.#waitedMs();

  constructor() {
    setInterval(() => this.#tick(), resolution).unref();
  }

  read(): Turns {
    const turns = { all: sharesOf(this.#turns), own: sharesOf(this.#own) };
    this.#turns = [];
    this.#own = [];
    return turns;
  }

  #tick(): void {
    const now = performance.now();
    const waited = this.#waitedMs();
    const late = Math.max(0, now - this.#at - resolution);
    this.#turns.push(late);
    this.#own.push(Math.max(0, late - (waited - this.#waited)));
    this.#at = performance.now();
    this.#waited = waited;
  }

  /** How long this thread could have run and had no core. https://docs.kernel.org/scheduler/sched-stats.html */
  #waitedMs(): number {
    const length = readSync(this.#schedule, this.#bytes, 0, this.#bytes.length, 0);
    const [, waited] = this.#bytes.toString("latin1", 0, length).split(" ");
    return Number(waited) / 1e6;
  }
}

const meter = new TurnMeter();

/** A message of no bytes asks for the turns since the last one; see {@link readTurns}. */
export default async function cacheOwner(task: OwnerTask): Promise<Uint8Array> {
  return task.message.byteLength > 0 ? runOwnerTask(task) : packed(meter.read());
}

/** The 99.9th percentile and the longest, in milliseconds; `own` is without waiting for a core. */
export interface Turns {
  readonly all: readonly [often: number, longest: number];
  readonly own: readonly [often: number, longest: number];
}

export function readTurns(bytes: Uint8Array): Turns {
  const value = unpacked(bytes);
  if (!isTurns(value)) throw new Error("these are no turns");
  return value;
}

function isTurns(value: unknown): value is Turns {
  return typeof value === "object" && value !== null && "all" in value && "own" in value;
}

function sharesOf(turns: number[]): [number, number] {
  turns.sort((a, b) => a - b);
  const at = (share: number) => turns[Math.floor(share * (turns.length - 1))] ?? Number.NaN;
  return [at(0.999), at(1)];
}
