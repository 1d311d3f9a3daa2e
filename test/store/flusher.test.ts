import { describe, expect, onTestFinished, test, vi } from "vitest";
import { CounterFlusher } from "../../src/store/flusher.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { type Counter, StoreError } from "../../src/store/store.ts";
import { counter } from "./databases.ts";

function kit(start = 0) {
  vi.useFakeTimers({ now: start });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const memory = new MemoryStore();
  const changed: Counter[] = [];
  const errors: unknown[] = [];
  const saved: (readonly Counter[])[] = [];
  const state: { fault: StoreError | undefined; gate: Promise<void> | undefined } = {
    fault: undefined,
    gate: undefined,
  };
  const flusher = new CounterFlusher({
    store: {
      saveCounters: async (batch) => {
        saved.push(batch);
        await state.gate;
        if (state.fault !== undefined) throw state.fault;
        await memory.saveCounters(batch);
      },
      dropCounters: (until) => memory.dropCounters(until),
    },
    collect: () => changed.splice(0),
    onError: (error) => errors.push(error),
  });
  return { memory, changed, errors, saved, state, flusher };
}

describe("counters on their way to the store", () => {
  test("are there within a second", async () => {
    const { memory, changed } = kit();
    changed.push(counter("a", { value: 5 }));
    await vi.advanceTimersByTimeAsync(500);
    expect(await memory.loadCounters(0)).toEqual([counter("a", { value: 5 })]);
    changed.push(counter("a", { value: 6, at: 2 }));
    await vi.advanceTimersByTimeAsync(500);
    expect(await memory.loadCounters(0)).toEqual([counter("a", { value: 6, at: 2 })]);
  });

  test("are not sent when nothing has changed", async () => {
    const { saved, changed } = kit();
    changed.push(counter("a"));
    await vi.advanceTimersByTimeAsync(5000);
    expect(saved).toHaveLength(1);
  });

  test("that could not be saved are saved later, the newest of each", async () => {
    const { memory, changed, errors, saved, state } = kit();
    state.fault = new StoreError("unavailable", "away");
    for (let at = 1; at <= 20; at++) {
      changed.push(counter("a", { value: at, at }));
      await vi.advanceTimersByTimeAsync(400);
    }
    expect(errors.length).toBeGreaterThan(10);
    expect(saved.at(-1)).toEqual([counter("a", { value: 20, at: 20 })]);
    state.fault = undefined;
    await vi.advanceTimersByTimeAsync(400);
    expect(await memory.loadCounters(0)).toEqual([counter("a", { value: 20, at: 20 })]);
    const tries = saved.length;
    await vi.advanceTimersByTimeAsync(2000);
    expect(saved).toHaveLength(tries);
  });

  test("that nobody needs any more are not waited with", async () => {
    const { changed, saved, state } = kit();
    state.fault = new StoreError("unavailable", "away");
    changed.push(counter("a", { until: 1000 }));
    await vi.advanceTimersByTimeAsync(2000);
    const tries = saved.length;
    await vi.advanceTimersByTimeAsync(2000);
    expect(saved).toHaveLength(tries);
  });

  test("wait for a slow save instead of overtaking it", async () => {
    const { memory, changed, saved, state, flusher } = kit();
    let open = (): void => {};
    state.gate = new Promise((resolve) => {
      open = resolve;
    });
    changed.push(counter("a", { value: 1, at: 1 }));
    await vi.advanceTimersByTimeAsync(400);
    changed.push(counter("a", { value: 2, at: 2 }));
    await vi.advanceTimersByTimeAsync(5000);
    expect(saved).toHaveLength(1);
    open();
    await flusher.stop();
    expect(await memory.loadCounters(0)).toEqual([counter("a", { value: 2, at: 2 })]);
  });

  test("are saved a last time when it stops, and no more after", async () => {
    const { memory, changed, saved, flusher } = kit();
    changed.push(counter("a"));
    await flusher.stop();
    expect(await memory.loadCounters(0)).toHaveLength(1);
    changed.push(counter("b"));
    await vi.advanceTimersByTimeAsync(5000);
    expect(saved).toHaveLength(1);
  });

  test("of windows that are over are dropped from the store", async () => {
    const { memory, changed } = kit();
    changed.push(counter("a", { until: 30_000 }), counter("b", { until: 90_000 }));
    await vi.advanceTimersByTimeAsync(61_000);
    expect((await memory.loadCounters(0)).map(({ id }) => id)).toEqual(["b"]);
  });

  test("a fault while they are collected does not end the saving", async () => {
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const memory = new MemoryStore();
    const errors: unknown[] = [];
    let round = 0;
    const collect = (): readonly Counter[] => {
      if (round++ === 0) throw new Error("broken");
      return [counter("a")];
    };
    new CounterFlusher({ store: memory, collect, onError: (error) => errors.push(error) });
    await vi.advanceTimersByTimeAsync(1000);
    expect(errors).toHaveLength(1);
    expect(await memory.loadCounters(0)).toHaveLength(1);
  });
});
