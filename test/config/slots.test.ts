import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assignSlots, newlyOwned } from "../../src/config/slots.ts";

const capacity = 12;
const what = "keys or providers";
const ids = fc.uniqueArray(
  fc.integer({ min: 1, max: 20 }).map((number) => `key-${number}`),
  { maxLength: capacity },
);

describe("slots", () => {
  it("are one per id, within the capacity, through any series of reloads, and stay with who stays", () => {
    fc.assert(
      fc.property(fc.array(ids, { maxLength: 12 }), (reloads) => {
        let previous = new Map<string, number>();
        for (const wanted of reloads) {
          const next = assignSlots(previous, wanted, capacity, what);
          expect(new Set(next.keys())).toEqual(new Set(wanted));
          expect(new Set(next.values()).size).toBe(wanted.length);
          for (const [id, slot] of next) {
            expect(slot).toBeGreaterThanOrEqual(0);
            expect(slot).toBeLessThan(capacity);
            if (previous.has(id)) expect(slot).toBe(previous.get(id));
          }
          previous = next;
        }
      }),
    );
  });

  it("that were just freed are given away only when no other is left", () => {
    fc.assert(
      fc.property(ids, ids, (before, after) => {
        const previous = assignSlots(new Map(), before, capacity, what);
        const next = assignSlots(previous, after, capacity, what);
        const old = new Set(previous.values());
        const reused = newlyOwned(previous, next).filter((slot) => old.has(slot));
        const untouched = capacity - new Set([...old, ...next.values()]).size;
        if (untouched > 0) expect(reused).toEqual([]);
      }),
    );
  });

  it("with a new owner are those that have to be reset", () => {
    const previous = assignSlots(new Map(), ["a", "b", "c"], 4, what);
    const next = assignSlots(previous, ["b", "d", "e"], 4, what);
    expect(new Set(newlyOwned(previous, next))).toEqual(new Set([next.get("d"), next.get("e")]));
    expect(newlyOwned(next, next)).toEqual([]);
  });

  it("take an id that is named twice once", () => {
    expect([...assignSlots(new Map(), ["a", "a"], 1, what)]).toEqual([["a", 0]]);
    expect([...assignSlots(new Map([["a", 9]]), ["a", "a"], 1, what)]).toEqual([["a", 0]]);
  });

  it("ignore a previous slot beyond the capacity", () => {
    expect([...assignSlots(new Map([["a", 9]]), ["a"], 2, what)]).toEqual([["a", 0]]);
  });

  it("are refused when there are too few", () => {
    expect(() => assignSlots(new Map(), ["a", "b", "c"], 2, what)).toThrow("3 keys or providers, but room for 2 only");
    const limits = () => assignSlots(new Map(), ["a", "b", "c"], 2, "limits and budgets");
    expect(limits).toThrow("3 limits and budgets, but room for 2 only");
  });
});
