import { describe, expect, it } from "vitest";
import { keyLine, keyWord } from "../../src/keys/layout.ts";
import type { HammerData, HammerResult, Job } from "./hammer.ts";
import { type Kit, key, kit, start } from "./ring-kit.ts";
import { startTypescript } from "./typescript-worker.ts";

const threads = 3;

/** Runs a job in several threads on one memory and answers what each counted. */
async function race(job: Job, { buffer }: Kit, keys: HammerData["keys"], rounds: number) {
  const board = new Int32Array(new SharedArrayBuffer(4 * (2 + rounds)));
  const results = await Promise.all(
    Array.from({ length: threads }, (_, index) => {
      const data: HammerData = { job, index, threads, buffer, board, keys, rounds, now: start };
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
  return { results, board };
}

function sum(results: readonly HammerResult[], name: string): number {
  return results.reduce((total, result) => total + (result[name] ?? 0), 0);
}

describe("threads on one memory", { timeout: 30_000 }, () => {
  it("leave nothing in flight, lose no count and keep to the weights", async () => {
    const keys = [key("a", { weight: 70 }), key("b", { weight: 20 }), key("c", { weight: 10 })];
    const made = kit(keys);
    const rounds = 10_000;
    const { results } = await race("serve", made, keys, rounds);
    const health = made.ring.health(start);
    expect(health.map(({ inFlight }) => inFlight)).toEqual([0, 0, 0]);
    expect(health.reduce((total, { served }) => total + served, 0)).toBe(sum(results, "good"));
    const shares = keys.map(({ id }) => sum(results, id) / (threads * rounds));
    for (const [index, share] of [0.7, 0.2, 0.1].entries()) {
      expect(Math.abs((shares[index] ?? 0) - share)).toBeLessThan(0.02);
      expect(Math.abs((health[index]?.share ?? 0) - share)).toBeLessThan(0.02);
    }
  });

  it("lose no outcome, and decay once, when each of them would do it", async () => {
    const rounds = 150;
    const made = kit([]);
    const { stats, memory } = made.state;
    // Ten seconds before, so that half of it has to remain.
    for (let slot = 0; slot < rounds; slot++) {
      for (let count = 0; count < 100; count++) stats.fail(slot, start - 10_000);
    }
    await race("count", made, [], rounds);
    for (let slot = 0; slot < rounds; slot++) {
      expect(Atomics.load(memory.words, keyLine(slot) + keyWord.failures)).toBe((50 + threads * 20) * 256);
      expect(Atomics.load(memory.words, keyLine(slot) + keyWord.successes)).toBe(threads * 256);
      expect(stats.served(slot)).toBe(threads);
    }
  });

  it("send exactly one probe to each open circuit", async () => {
    const rounds = 150;
    const made = kit([]);
    const { stats, circuit } = made.state;
    for (let slot = 0; slot < rounds; slot++) {
      for (let count = 0; count < 5; count++) {
        stats.fail(slot, start - 5000);
        circuit.failed(slot, 0, start - 5000);
      }
    }
    const { results, board } = await race("probe", made, [], rounds);
    expect([...board.subarray(2)]).toEqual(Array.from({ length: rounds }, () => 1));
    expect(sum(results, "got")).toBe(rounds);
  });

  it("keep the longest of the cool-downs they were told", async () => {
    const keys = [key("a")];
    const made = kit(keys, "weighted", { cooling: 4096 });
    await race("cool", made, keys, 100);
    const models = made.ring.health(start)[0]?.coolingModels ?? [];
    expect(new Map(models.map(({ model, remainingMs }) => [model, remainingMs]))).toEqual(
      new Map(Array.from({ length: 100 }, (_, index) => [`m${index}`, 60_050])),
    );
  });

  it("share one retry budget to the last repetition", async () => {
    const made = kit([]);
    const rounds = 10_000;
    const { results } = await race("retry", made, [], rounds);
    const requests = (threads * rounds) / 10;
    // What requests paid while the bucket was still full is lost, as it should be; every other payment is taken once.
    const paid = 100 + requests / 10;
    expect(sum(results, "taken")).toBeLessThanOrEqual(paid);
    expect(sum(results, "taken")).toBeGreaterThan(paid - 5);
  });

  it("agree on one key for each session", async () => {
    const keys = ["a", "b", "c"].map((id) => key(id));
    const made = kit(keys);
    await race("bind", made, keys, 3000);
    for (let index = 0; index < 50; index++) {
      const session = { id: `s${index}`, scope: "" };
      const chosen = [0, 0.4, 0.8].map((roll) => {
        const choice = made.ring.choose({ model: "m", session }, start, roll);
        if (choice.kind === "refusal") return choice.reason;
        choice.failure("cancelled", start);
        return choice.key.id;
      });
      expect(new Set(chosen).size).toBe(1);
    }
  });
});
