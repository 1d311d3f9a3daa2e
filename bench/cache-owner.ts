/** Piscina task: the cache's owner as in the gateway, which also tells how long it was at one thing. */
import { openSync, readSync } from "node:fs";
import { packed, unpacked } from "../src/cache/entry.ts";
import { type OwnerTask, runOwnerTask } from "../src/cache/owner-task.ts";
import { PartitionIndex } from "../src/cache/partition-index.ts";
import { Segment } from "../src/cache/segment.ts";

/** The longest piece of work: what a message may have to wait for. Milliseconds. */
export interface Longest {
  readonly all: number;
  /** Less what of it the thread had no core for, though it could have run. */
  readonly own: number;
}

/** https://docs.kernel.org/scheduler/sched-stats.html */
const schedule = openSync("/proc/thread-self/schedstat", "r");
const bytes = Buffer.alloc(128);
let longest: Longest = { all: 0, own: 0 };

/** How long this thread could have run and had no core. */
function waitedMs(): number {
  const length = readSync(schedule, bytes, 0, bytes.length, 0);
  return Number(bytes.toString("latin1", 0, length).split(" ")[1]) / 1e6;
}

/** @returns a function that ends the piece of work that begins now */
function begin(): () => void {
  const waited = waitedMs();
  const start = performance.now();
  return () => {
    const took = performance.now() - start;
    const own = took - (waitedMs() - waited);
    longest = { all: Math.max(longest.all, took), own: Math.max(longest.own, own) };
  };
}

/** Times what is done beside the messages. */
function timed(prototype: object, name: string): void {
  const work: unknown = Reflect.get(prototype, name);
  if (typeof work !== "function") throw new Error(`there is no ${name}`);
  Object.defineProperty(prototype, name, {
    value(...args: unknown[]): void {
      const end = begin();
      Reflect.apply(work, this, args);
      end();
    },
  });
}
timed(PartitionIndex.prototype, "build");
timed(Segment.prototype, "free");

/** A message of no bytes asks for the longest since the last one; see {@link readLongest}. */
export default async function cacheOwner(task: OwnerTask): Promise<Uint8Array> {
  if (task.message.byteLength === 0) {
    const told = longest;
    longest = { all: 0, own: 0 };
    return packed(told);
  }
  // Nothing that is measured here waits for anything: one message after the other is read and answered.
  const end = begin();
  try {
    return await runOwnerTask(task);
  } finally {
    end();
  }
}

export function readLongest(answer: Uint8Array): Longest {
  const value = unpacked(answer);
  if (!isLongest(value)) throw new Error("this is no time");
  return value;
}

function isLongest(value: unknown): value is Longest {
  return typeof value === "object" && value !== null && "all" in value && "own" in value;
}
