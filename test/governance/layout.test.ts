import { describe, expect, it } from "vitest";
import { Counter } from "../../src/governance/counter.ts";
import {
  amountOf,
  amountWord,
  counterLine,
  createGovernanceMemory,
  isOverdrawn,
  isTagged,
  largestAmount,
  markChanged,
  openGovernanceMemory,
  resetCounter,
  tagOf,
  takeChanged,
  windowAfter,
  windowStart,
} from "../../src/governance/layout.ts";
import { freshMemory, oneMinute, start } from "./kit.ts";

describe("the memory of governance", () => {
  it("is opened by what made it, and by nothing else", () => {
    expect(openGovernanceMemory(createGovernanceMemory(1024)).counters).toBe(1024);
    expect(() => openGovernanceMemory(new SharedArrayBuffer(4096))).toThrow("not the memory of governance");
    const other = createGovernanceMemory(512);
    new Int32Array(other)[2] = 1024;
    expect(() => openGovernanceMemory(other)).toThrow("not the memory of governance");
  });

  it.each([0, 500, 513, 2 ** 21, Number.NaN])("is not made for %s counters", (counters) => {
    expect(() => createGovernanceMemory(counters)).toThrow(RangeError);
  });

  it("has a line of 64 bytes for each counter, on a boundary of 64", () => {
    const memory = freshMemory();
    expect((counterLine(memory, 0) * 8) % 64).toBe(0);
    expect(counterLine(memory, 1) - counterLine(memory, 0)).toBe(8);
    expect((counterLine(memory, 511) + 8) * 8).toBe(memory.words.buffer.byteLength);
  });
});

describe("words", () => {
  it("hold the begin of a window and its number", () => {
    const first = windowAfter(0n, start);
    const second = windowAfter(first, start + 1);
    expect(windowStart(second)).toBe(start + 1);
    expect(tagOf(first)).not.toBe(tagOf(second));
    // The last number is followed by the first, and does not run into the time.
    expect(windowStart(windowAfter((BigInt(start) << 20n) | 0xfffffn, start))).toBe(start);
  });

  it("hold amounts up to the largest, and cut off what is beyond", () => {
    const tag = tagOf(windowAfter(4094n, start));
    for (const amount of [0, 1, 1e15, largestAmount]) {
      const word = amountWord(tag, amount, true);
      expect(amountOf(word)).toBe(amount);
      expect(isOverdrawn(word)).toBe(true);
      expect(isTagged(word, tag)).toBe(true);
      expect(BigInt.asIntN(64, word)).toBe(word);
    }
    expect(amountOf(amountWord(tag, -5, false))).toBe(0);
    expect(amountOf(amountWord(tag, Number.MAX_SAFE_INTEGER, false))).toBe(largestAmount);
  });
});

describe("what has changed", () => {
  it("is told once, for any counter", () => {
    const memory = freshMemory();
    for (const slot of [0, 31, 32, 511, 31]) markChanged(memory, slot);
    expect(takeChanged(memory)).toEqual([0, 31, 32, 511]);
    expect(takeChanged(memory)).toEqual([]);
  });
});

describe("a counter that is reset", () => {
  it("has used nothing, has nothing to save, and takes nothing from its former holder", () => {
    const memory = freshMemory();
    const counter = new Counter(memory, 3, { max: 100, overdraft: 0, period: oneMinute });
    const held = counter.reserve(40, start);
    const settled = counter.reserve(10, start);
    if (held === undefined || settled === undefined) throw new Error("there was room");
    counter.settle(settled, 10);
    resetCounter(memory, 3);
    expect(takeChanged(memory)).toEqual([]);
    expect(counter.use(start)).toMatchObject({ used: 0, spent: 0, since: undefined });
    counter.reserve(7, start);
    counter.settle(held, 90);
    expect(counter.use(start)).toMatchObject({ used: 7, spent: 0 });
  });
});
