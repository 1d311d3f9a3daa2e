/** What the threads of the race tests do: each job as fast as it can, on one memory, begun together. */
import { parentPort, workerData } from "node:worker_threads";
import type { Choosable } from "../../src/keys/choose.ts";
import { hashText } from "../../src/keys/hash.ts";
import { RetryBudget } from "../../src/keys/retry-budget.ts";
import { KeyRing } from "../../src/keys/ring.ts";
import { openKeyState } from "../../src/keys/state.ts";

export type Job = "serve" | "count" | "probe" | "cool" | "retry" | "bind";

export interface HammerData {
  readonly job: Job;
  /** Which of the threads this is, from 0. */
  readonly index: number;
  readonly threads: number;
  readonly buffer: SharedArrayBuffer;
  /** Word 0 counts the threads that are ready; the others are the job's. */
  readonly board: Int32Array<SharedArrayBuffer>;
  readonly keys: readonly Choosable[];
  readonly rounds: number;
  readonly now: number;
}

/** What a thread counted itself. */
export type HammerResult = Readonly<Record<string, number>>;

const { job, index, threads, buffer, board, keys, rounds, now }: HammerData = workerData;
const state = openKeyState(buffer);
const slots = keys.map((_, slot) => slot);
const ring = new KeyRing(state, keys, slots, { provider: "bedrock", strategy: "weighted" });
const measured = { ms: 500, outputTokens: 80 };

const jobs: Readonly<Record<Job, () => HammerResult>> = {
  /** Whole attempts, several in flight at a time, with all outcomes but those that take keys out of service. */
  serve: () => {
    const counts: Record<string, number> = {};
    const open: (() => void)[] = [];
    for (let round = 0; round < rounds; round++) {
      const choice = ring.choose({ model: "m" }, now, Math.random());
      if (choice.kind === "refusal") throw new Error(choice.reason);
      counts[choice.key.id] = (counts[choice.key.id] ?? 0) + 1;
      const isGood = round % 4 !== 0;
      if (isGood) counts.good = (counts.good ?? 0) + 1;
      open.push(() => {
        if (isGood) choice.success(measured, now);
        else choice.failure(round % 8 === 0 ? "cancelled" : "client", now);
        choice.failure("cancelled", now);
      });
      if (open.length > 5) open.shift()?.();
    }
    for (const end of open) end();
    return counts;
  },

  /** A failure of the key of each slot, all threads at once after a silence, so that all of them would do its decay. */
  count: () => {
    for (let round = 0; round < rounds; round++) {
      meet(round);
      for (let count = 0; count < 20; count++) state.stats.fail(round, now);
      state.stats.succeed(round, measured, now);
    }
    return {};
  },

  /** A round per slot, all threads at once: who gets the probe of its open circuit? */
  probe: () => {
    let got = 0;
    for (let round = 0; round < rounds; round++) {
      Atomics.add(board, 1, 1);
      while (Atomics.load(board, 1) < threads * (round + 1));
      if (state.circuit.takeProbe(round, now) === 0) continue;
      got++;
      Atomics.add(board, 2 + round, 1);
    }
    return { got };
  },

  /** The same models throttled by all threads at once, with many values of Retry-After of which one is the longest. */
  cool: () => {
    for (let round = 0; round < rounds; round++) {
      const model = `m${round}`;
      const name = { slot: 0, generation: 0, model, tag: hashText(model, state.memory.seed) };
      meet(round);
      for (let step = 0; step < 30; step++) {
        const isLongest = step === 15 && round % threads === index;
        state.cooling.cool(name, now, isLongest ? 60_000 : 1000 * (1 + ((step * 7 + index) % 50)));
      }
    }
    return {};
  },

  retry: () => {
    const budget = new RetryBudget(state.memory, 0);
    let taken = 0;
    for (let round = 0; round < rounds; round++) {
      if (round % 10 === 0) budget.request();
      if (budget.take(now)) taken++;
    }
    return { taken };
  },

  /** Sessions bound by all threads, each of which sends all to another key. */
  bind: () => {
    const id = keys[index % keys.length]?.id;
    for (let round = 0; round < rounds; round++) {
      const session = { id: `s${round % 50}`, scope: "" };
      const choice = ring.choose({ model: "m", pin: { id }, session }, now, 0);
      if (choice.kind === "attempt") choice.success(measured, now);
    }
    return {};
  },
};

/** Waits until all threads have come to this round. */
function meet(round: number): void {
  Atomics.add(board, 1, 1);
  while (Atomics.load(board, 1) < threads * (round + 1));
}

Atomics.add(board, 0, 1);
while (Atomics.load(board, 0) < threads);
parentPort?.postMessage(jobs[job]());
