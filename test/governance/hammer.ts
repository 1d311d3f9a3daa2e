/** What the threads of the race tests do: admit and settle as fast as they can, on one memory, begun together. */
import { parentPort, workerData } from "node:worker_threads";
import { openGovernanceMemory } from "../../src/governance/layout.ts";
import { admit, Ticket } from "../../src/governance/ledger.ts";
import type { LimitKind } from "../../src/governance/limits.ts";
import { limitOf, start } from "./kit.ts";

export type Job = "spend" | "overdraw" | "run" | "turn";

export interface HammerData {
  readonly job: Job;
  readonly threads: number;
  readonly buffer: SharedArrayBuffer;
  /** Word 0 counts the threads that are ready, word 1 the requests that run now, word 2 the most that ever ran, word 3 is the clock. */
  readonly board: Int32Array<SharedArrayBuffer>;
  /** One limit for each slot from 0. */
  readonly limits: readonly (readonly [kind: LimitKind, max: number])[];
  readonly rounds: number;
}

/** What a thread counted itself. */
export interface HammerResult {
  readonly admitted: number;
  readonly refused: number;
  readonly tokens: number;
  readonly microUsd: number;
}

const { job, threads, buffer, board, limits, rounds }: HammerData = workerData;
const memory = openGovernanceMemory(buffer);
const all = limits.map(([kind, max], slot) => limitOf(memory, slot, kind, max));

/** Several requests at a time, each ended in one of all ways; what they come to is told by `actual`. */
function serve(actual: (reserved: number) => number, nowOf: (round: number) => number): HammerResult {
  const counts = { admitted: 0, refused: 0, tokens: 0, microUsd: 0 };
  const open: (() => void)[] = [];
  for (let round = 0; round < rounds; round++) {
    const reserved = 1 + Math.floor(Math.random() * 100);
    const ticket = admit(all, { tokens: reserved, microUsd: reserved }, nowOf(round));
    if (!(ticket instanceof Ticket)) {
      counts.refused++;
      open.shift()?.();
      continue;
    }
    counts.admitted++;
    const running = Atomics.add(board, 1, 1) + 1;
    for (let seen = Atomics.load(board, 2); seen < running; seen = Atomics.load(board, 2))
      Atomics.compareExchange(board, 2, seen, running);
    open.push(() => {
      Atomics.sub(board, 1, 1);
      if (round % 7 === 0) ticket.release();
      else {
        const used = actual(reserved);
        counts.tokens += used;
        counts.microUsd += used;
        ticket.settle({ tokens: used, microUsd: used });
      }
      // Whoever comes second does nothing.
      ticket.settle({ tokens: 1000, microUsd: 1000 });
      ticket.release();
    });
    if (open.length > 5) open.shift()?.();
  }
  for (const end of open) end();
  return counts;
}

const jobs: Readonly<Record<Job, () => HammerResult>> = {
  spend: () =>
    serve(
      (reserved) => Math.floor(Math.random() * (reserved + 1)),
      () => start,
    ),
  overdraw: () =>
    serve(
      (reserved) => reserved,
      () => start,
    ),
  run: () =>
    serve(
      () => 1,
      () => start,
    ),
  /** A window of a minute every ten thousand rounds of all threads: more than a thread sleeps through. */
  turn: () =>
    serve(
      (reserved) => reserved,
      () => start + Math.floor(Atomics.add(board, 3, 1) / 10_000) * 60_000,
    ),
};

Atomics.add(board, 0, 1);
while (Atomics.load(board, 0) < threads);
parentPort?.postMessage(jobs[job]());
