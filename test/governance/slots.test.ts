import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assignCounters, newlyAssigned } from "../../src/governance/slots.ts";

const capacity = 12;
const ids = fc.uniqueArray(
  fc.integer({ min: 1, max: 20 }).map((number) => `limit-${number}`),
  { maxLength: capacity },
);

describe("the counters of limits", () => {
  it("are one per id, within the capacity, through any series of reloads, and stay with who stays", () => {
    fc.assert(
      fc.property(fc.array(ids, { maxLength: 12 }), (reloads) => {
        let previous = new Map<string, number>();
        for (const wanted of reloads) {
          const next = assignCounters(previous, wanted, capacity);
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
        const previous = assignCounters(new Map(), before, capacity);
        const next = assignCounters(previous, after, capacity);
        const old = new Set(previous.values());
        const reused = newlyAssigned(previous, next).filter((slot) => old.has(slot));
        const untouched = capacity - new Set([...old, ...next.values()]).size;
        if (untouched > 0) expect(reused).toEqual([]);
      }),
    );
  });

  it("with a new owner are those that have to be reset", () => {
    const previous = assignCounters(new Map(), ["a", "b", "c"], 4);
    const next = assignCounters(previous, ["b", "d", "e"], 4);
    expect(new Set(newlyAssigned(previous, next))).toEqual(new Set([next.get("d"), next.get("e")]));
    expect(newlyAssigned(next, next)).toEqual([]);
  });

  it("take an id that is named twice once, and ignore a slot beyond the capacity", () => {
    expect([...assignCounters(new Map([["a", 9]]), ["a", "a"], 1)]).toEqual([["a", 0]]);
  });

  it("are refused when there are too few", () => {
    expect(() => assignCounters(new Map(), ["a", "b", "c"], 2)).toThrow("3 limits and budgets, but room for 2 only");
  });
});
