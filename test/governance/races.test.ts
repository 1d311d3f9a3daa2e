import { describe, expect, it } from "vitest";
import { createGovernanceMemory, openGovernanceMemory } from "../../src/governance/layout.ts";
import { startTypescript } from "../keys/typescript-worker.ts";
import type { HammerData, HammerResult, Job } from "./hammer.ts";
import { limitOf, minute, start } from "./kit.ts";

const threads = 3;

/** Runs a job in several threads on one memory. */
async function race(job: Job, limits: HammerData["limits"], rounds: number) {
  const buffer = createGovernanceMemory(512);
  const board = new Int32Array(new SharedArrayBuffer(16));
  const results = await Promise.all(
    Array.from({ length: threads }, () => {
      const data: HammerData = { job, threads, buffer, board, limits, rounds };
      const worker = startTypescript(new URL("./hammer.ts", import.meta.url).href, data);
      return new Promise<HammerResult>((resolve, reject) => {
        worker.once("error", (error) => {
          // The others wait for this one.
          Atomics.add(board, 0, threads);
          reject(error);
        });
        worker.once("message", (result: HammerResult) => worker.once("exit", () => resolve(result)));
      });
    }),
  );
  const memory = openGovernanceMemory(buffer);
  const counters = limits.map(([kind, max], slot) => limitOf(memory, slot, kind, max).counter);
  const sum = (what: keyof HammerResult) => results.reduce((total, result) => total + result[what], 0);
  return { counters, sum, running: Atomics.load(board, 1), most: Atomics.load(board, 2) };
}

describe("threads on one memory", { timeout: 30_000 }, () => {
  it("spend exactly what each of them has charged, and never more than the budget and one request", async () => {
    const budget = 200_000;
    const { counters, sum } = await race("spend", [["budget", budget]], 10_000);
    const [counter] = counters;
    const { used, spent } = counter?.use(start) ?? { used: -1, spent: -1 };
    expect(spent).toBe(sum("microUsd"));
    expect(used).toBe(spent);
    expect(spent).toBeLessThanOrEqual(budget + 100);
    expect(sum("refused")).toBeGreaterThan(0);
    // And the budget can be used up: at its end one request at a time may take what is left.
    expect(spent).toBeGreaterThanOrEqual(budget);
  });

  it("never exceed a budget by more than one request, when every request comes to all it may", async () => {
    const budget = 50_000;
    const { counters, sum } = await race("overdraw", [["budget", budget]], 10_000);
    expect(counters[0]?.use(start).spent).toBe(sum("microUsd"));
    expect(sum("microUsd")).toBeGreaterThanOrEqual(budget);
    expect(sum("microUsd")).toBeLessThanOrEqual(budget + 99);
  });

  it("A57: admit no more than 1.05 times a limit of tokens", async () => {
    const limit = 50_000;
    const { counters, sum } = await race("overdraw", [["tokens", limit]], 10_000);
    expect(counters[0]?.use(start).spent).toBe(sum("tokens"));
    expect(sum("tokens")).toBeLessThanOrEqual(1.05 * limit);
    expect(sum("tokens")).toBeGreaterThan(0.95 * limit);
  });

  it("A59: never run more requests than allowed, and none in the end", async () => {
    const { counters, sum, running, most } = await race("run", [["concurrency", 7]], 10_000);
    expect(most).toBeLessThanOrEqual(7);
    expect(sum("admitted")).toBeGreaterThan(0);
    expect(sum("refused")).toBeGreaterThan(0);
    expect(running).toBe(0);
    expect(counters[0]?.use(start).used).toBe(0);
  });

  it("keep every one of several limits, and hold nothing in the end", async () => {
    const limits: HammerData["limits"] = [
      ["concurrency", 12],
      ["requests", 5000],
      ["tokens", 300_000],
      ["budget", 100_000],
    ];
    const { counters, sum } = await race("spend", limits, 10_000);
    const uses = counters.map((counter) => counter.use(start));
    expect(uses.map(({ used }) => used)).toEqual(uses.map(({ spent }) => spent));
    expect(uses[0]?.used).toBe(0);
    expect(uses[1]?.spent).toBeLessThanOrEqual(5000);
    expect(uses[2]?.spent).toBe(sum("tokens"));
    expect(uses[3]?.spent).toBe(sum("microUsd"));
    expect(uses[3]?.spent).toBeLessThanOrEqual(100_100);
  });

  it("go from window to window together, without a request that is held for ever", async () => {
    const rounds = 10_000;
    const { counters, sum } = await race(
      "turn",
      [
        ["tokens", 20_000],
        ["concurrency", 100],
      ],
      rounds,
    );
    const last = start + ((rounds * threads) / 10_000 - 1) * minute;
    const { used, spent } = counters[0]?.use(last) ?? { used: -1, spent: -1 };
    expect(used).toBe(spent);
    expect(spent).toBeLessThanOrEqual(21_000);
    // Three windows, each with as much as fits.
    expect(sum("tokens")).toBeLessThanOrEqual(3 * 21_000);
    expect(counters[1]?.use(last).used).toBe(0);
  });
});
