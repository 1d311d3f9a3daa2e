import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  endsLater,
  forgive,
  isRunning,
  longestWaitMs,
  nextWait,
  packWait,
  prolong,
  tickOf,
  waitLeft,
} from "../../src/keys/waits.ts";

const growth = { firstMs: 1000, longestMs: 60_000 };
const times = fc.integer({ min: 0, max: 4_000_000_000_000 });
const lengths = fc.integer({ min: 1, max: longestWaitMs });

function fresh(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

describe("a wait in one word", () => {
  it("lasts as long as it should, and at most a tick longer, at any time", () => {
    fc.assert(
      fc.property(times, lengths, fc.nat(7), (now, ms, level) => {
        const left = waitLeft(packWait(now, ms, level), now);
        expect(left).toBeGreaterThanOrEqual(ms);
        expect(left).toBeLessThan(ms + 100);
      }),
    );
  });

  it("is over after its end", () => {
    fc.assert(
      fc.property(times, lengths, fc.nat(1_000_000_000), (now, ms, later) => {
        const word = packWait(now, ms, 0);
        expect(isRunning(word, tickOf(now + ms - 1))).toBe(true);
        expect(waitLeft(word, now + ms + 100 + later)).toBe(0);
      }),
    );
  });

  it("counts as over when the clock was set back further than any wait lasts", () => {
    const now = 1_790_000_000_000;
    const word = packWait(now, 1000, 0);
    expect(waitLeft(word, now - 10 * 60_000)).toBe(601_000);
    expect(waitLeft(word, now - 2 * longestWaitMs)).toBe(0);
  });

  it("is nothing as 0, whatever the time", () => {
    fc.assert(
      fc.property(times, (now) => {
        expect(waitLeft(0, now)).toBe(0);
      }),
    );
  });

  it("knows which of two ends later", () => {
    fc.assert(
      fc.property(times, lengths, lengths, (now, one, other) => {
        const later = Math.ceil((now + one) / 100) > Math.ceil((now + other) / 100);
        expect(endsLater(packWait(now, one, 3), packWait(now, other, 5))).toBe(later);
      }),
    );
    expect(endsLater(packWait(5000, 1, 0), 0)).toBe(true);
    expect(endsLater(0, packWait(5000, 1, 0))).toBe(false);
  });
});

describe("growing", () => {
  it("doubles from wait to wait up to the longest", () => {
    const words = fresh();
    const seen: number[] = [];
    let now = 1_790_000_000_000;
    for (let count = 0; count < 9; count++) {
      prolong(words, 0, now, growth);
      const left = waitLeft(words[0] ?? 0, now);
      seen.push(left);
      now += left;
    }
    expect(seen).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  it("takes failures during a wait for one wave", () => {
    const words = fresh();
    const now = 1_790_000_000_000;
    for (let count = 0; count < 50; count++) prolong(words, 0, now + count, growth);
    expect(waitLeft(words[0] ?? 0, now)).toBe(1000);
  });

  it("begins small again after a success, but not during a wait", () => {
    const words = fresh();
    const now = 1_790_000_000_000;
    prolong(words, 0, now, growth);
    forgive(words, 0, now + 500);
    expect(waitLeft(words[0] ?? 0, now + 500)).toBe(500);
    forgive(words, 0, now + 1000);
    prolong(words, 0, now + 1000, growth);
    expect(waitLeft(words[0] ?? 0, now + 1000)).toBe(1000);
  });

  it("follows what it is told, keeps the later end, and no wait is longer than the longest", () => {
    const now = 1_790_000_000_000;
    const five = nextWait(0, now, growth, 5000);
    expect(waitLeft(five, now)).toBe(5000);
    expect(nextWait(five, now, growth, 3000)).toBe(five);
    expect(waitLeft(nextWait(five, now, growth, 9000), now)).toBe(9000);
    expect(waitLeft(nextWait(five, now, growth, 1e15), now)).toBe(longestWaitMs);
  });
});
