import { describe, expect, it } from "vitest";
import {
  createKeyMemory,
  enter,
  generationOf,
  inFlightOf,
  keyLine,
  keyWord,
  leave,
  openKeyMemory,
  resetKey,
} from "../../src/keys/layout.ts";

function occupied(memory: ReturnType<typeof openKeyMemory>, slot: number): number {
  return Atomics.load(memory.words, keyLine(slot) + keyWord.occupied);
}

describe("the memory", () => {
  it("says itself how much there is room for", () => {
    const buffer = createKeyMemory({ keys: 10, providers: 3, cooling: 16, sessions: 32 });
    expect(openKeyMemory(buffer).capacities).toEqual({ keys: 10, providers: 3, cooling: 16, sessions: 32 });
    expect(buffer.byteLength).toBe(64 + 10 * 64 + 3 * 64 + 16 * 128 + 32 * 16);
  });

  it("has another seed each time", () => {
    expect(openKeyMemory(createKeyMemory()).seed).not.toEqual(openKeyMemory(createKeyMemory()).seed);
  });

  it.each([
    { keys: 0 },
    { keys: 70_000 },
    { keys: Number.NaN },
    { cooling: 4 },
    { cooling: 100 },
    { sessions: 0 },
    { sessions: 12.5 },
  ])("cannot be made with %o", (capacities) => {
    expect(() => createKeyMemory(capacities)).toThrow(RangeError);
  });

  it("is not just any buffer", () => {
    expect(() => openKeyMemory(new SharedArrayBuffer(4096))).toThrow(TypeError);
    const cut = new SharedArrayBuffer(1024);
    new Int32Array(cut).set(new Int32Array(createKeyMemory()).subarray(0, 256));
    expect(() => openKeyMemory(cut)).toThrow(TypeError);
  });
});

describe("a slot", () => {
  const memory = openKeyMemory(createKeyMemory());

  it("counts attempts in flight", () => {
    const generation = enter(memory, 1);
    enter(memory, 1);
    expect(inFlightOf(occupied(memory, 1))).toBe(2);
    expect(leave(memory, 1, generation)).toBe(true);
    expect(inFlightOf(occupied(memory, 1))).toBe(1);
    expect(inFlightOf(occupied(memory, 0))).toBe(0);
    expect(inFlightOf(occupied(memory, 2))).toBe(0);
  });

  it("forgets everything when it is reset, and shuts out what still runs for its former key", () => {
    const former = enter(memory, 3);
    Atomics.store(memory.words, keyLine(3) + keyWord.failures, 7);
    Atomics.store(memory.words, keyLine(4) + keyWord.failures, 7);
    resetKey(memory, 3);
    expect(Atomics.load(memory.words, keyLine(3) + keyWord.failures)).toBe(0);
    expect(Atomics.load(memory.words, keyLine(4) + keyWord.failures)).toBe(7);
    const next = enter(memory, 3);
    expect(next).not.toBe(former);
    expect(leave(memory, 3, former)).toBe(false);
    expect(inFlightOf(occupied(memory, 3))).toBe(1);
    expect(leave(memory, 3, next)).toBe(true);
  });

  it("can be reset more often than generations are counted", () => {
    const before = generationOf(occupied(memory, 5));
    for (let count = 0; count < 4096; count++) resetKey(memory, 5);
    expect(generationOf(occupied(memory, 5))).toBe(before);
    expect(inFlightOf(occupied(memory, 5))).toBe(0);
  });
});
