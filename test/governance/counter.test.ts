import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseDuration } from "../../src/config/governance.ts";
import { Counter, type Held } from "../../src/governance/counter.ts";
import { takeChanged } from "../../src/governance/layout.ts";
import { periodOf } from "../../src/governance/windows.ts";
import { day, freshMemory, minute, oneMinute, start } from "./kit.ts";

function counter(max: number, overdraft = 0, period = oneMinute): Counter {
  return new Counter(freshMemory(), 0, { max, overdraft, period });
}

function taken(held: Held | undefined): Held {
  if (held === undefined) throw new Error("there was no room");
  return held;
}

describe("a counter", () => {
  it("gives room until there is none", () => {
    const one = counter(100);
    expect(one.reserve(60, start)?.amount).toBe(60);
    expect(one.hasRoom(41, start)).toBe(false);
    expect(one.reserve(41, start)).toBeUndefined();
    expect(one.reserve(40, start)?.amount).toBe(40);
    expect(one.isExhausted(start)).toBe(true);
    expect(one.reserve(0, start)).toBeUndefined();
    expect(one.use(start)).toEqual({ used: 100, spent: 0, since: start, until: start + minute });
  });

  it("of which the limit is 0 gives none", () => {
    const one = counter(0, Number.POSITIVE_INFINITY);
    expect(one.reserve(0, start)).toBeUndefined();
    expect(one.reserve(5, start)).toBeUndefined();
  });

  it("charges what was used in the place of what was held", () => {
    const one = counter(100);
    const held = taken(one.reserve(60, start));
    one.settle(held, 10);
    expect(one.use(start)).toMatchObject({ used: 10, spent: 10 });
    one.settle(taken(one.reserve(90, start)), 120);
    expect(one.use(start)).toMatchObject({ used: 130, spent: 130 });
    expect(one.isExhausted(start)).toBe(true);
  });

  it("begins anew after its window, whatever is still held of the old one", () => {
    const one = counter(100);
    const held = taken(one.reserve(100, start));
    expect(one.reserve(1, start + minute - 1)).toBeUndefined();
    expect(taken(one.reserve(30, start + minute)).amount).toBe(30);
    one.settle(held, 100);
    expect(one.use(start + minute)).toMatchObject({ used: 30, spent: 0, since: start + minute });
  });

  it("charges a window that is over to nobody, even when no other has begun", () => {
    const one = counter(100);
    const held = taken(one.reserve(100, start));
    one.settle(held, 100);
    expect(one.use(start + minute)).toEqual({ used: 0, spent: 0, since: undefined, until: start + 2 * minute });
  });

  it("keeps its window when a thread's clock is a little behind", () => {
    const one = counter(100);
    taken(one.reserve(100, start));
    expect(one.reserve(1, start - 500)).toBeUndefined();
  });

  it("does not wait for a clock that was far ahead", () => {
    const one = counter(100);
    taken(one.reserve(100, start + 3650 * day));
    expect(one.reserve(100, start)?.amount).toBe(100);
  });
});

describe("an overdraft", () => {
  it("gives what is left to one request at a time that may come to more", () => {
    const one = counter(100, Number.POSITIVE_INFINITY);
    one.settle(taken(one.reserve(90, start)), 90);
    const held = taken(one.reserve(50, start));
    expect(held).toMatchObject({ amount: 10, overdrawn: true });
    expect(one.use(start).used).toBe(100);
    one.settle(held, 4);
    expect(one.reserve(50, start)).toMatchObject({ amount: 6, overdrawn: true });
  });

  it("is not given twice, though others have made room meanwhile", () => {
    const one = counter(100, Number.POSITIVE_INFINITY);
    const first = taken(one.reserve(90, start));
    const overdrawn = taken(one.reserve(50, start));
    one.settle(first, 10);
    expect(one.reserve(81, start)).toBeUndefined();
    expect(one.reserve(80, start)).toMatchObject({ amount: 80, overdrawn: false });
    one.settle(overdrawn, 50);
    expect(one.use(start).used).toBe(140);
  });

  it("is bounded where a bound is set", () => {
    const one = counter(100, 5);
    one.settle(taken(one.reserve(90, start)), 90);
    expect(one.reserve(16, start)).toBeUndefined();
    expect(one.reserve(15, start)?.amount).toBe(10);
  });

  it("lets through what is larger than the whole limit, in a window of its own", () => {
    const one = counter(100, 5);
    const held = taken(one.reserve(4096, start));
    expect(held.amount).toBe(100);
    expect(one.reserve(1, start)).toBeUndefined();
    one.settle(held, 20);
    expect(one.reserve(4096, start)).toBeUndefined();
    expect(one.reserve(80, start)?.amount).toBe(80);
  });

  it("ends with its window", () => {
    const one = counter(100, Number.POSITIVE_INFINITY);
    const old = taken(one.reserve(500, start));
    const next = taken(one.reserve(500, start + minute));
    expect(next.overdrawn).toBe(true);
    one.settle(old, 400);
    expect(one.reserve(500, start + minute)).toBeUndefined();
    expect(one.use(start + minute).used).toBe(100);
  });
});

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("reserve" as const), amount: fc.integer({ min: 0, max: 60 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("settle" as const),
      which: fc.nat(),
      actual: fc.integer({ min: 0, max: 60 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.oneof(
        fc.integer({ min: -2000, max: minute }),
        fc.integer({ min: 0, max: 40 * 365 * day }),
        // As many windows as numbers there are, and a multiple of them.
        fc.constantFrom(2048 * minute, 2 ** 20 * minute, 1000 * 30 * day),
      ),
    }),
  },
);
const durations = fc.constantFrom("30s", "1m", "1d", "1w", "1M", "1Q", "1Y");

describe("any sequence of uses and times", () => {
  it("A55: is counted in the right window, and never reserves more than the limit", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), durations, fc.boolean(), (steps, written, aligned) => {
        const duration = parseDuration(written);
        if (duration === undefined) throw new Error(`${written} is no duration`);
        const period = periodOf(duration, aligned);
        const one = counter(100, 0, period);
        let now = start;
        let model = { begin: 0, end: 0, used: 0, spent: 0 };
        const open: { held: Held; begin: number }[] = [];
        for (const action of steps) {
          // Back by two seconds at most, and never out of the window: that is what clocks differ by.
          if (action.kind === "wait")
            now = Math.min(Math.max(now + action.ms, model.begin, start), Date.UTC(2200, 0, 1));
          if (action.kind === "reserve") {
            if (now >= model.end) {
              const begin = aligned ? period.startAt(now) : now;
              model = { begin, end: period.endOf(begin), used: 0, spent: 0 };
            }
            const held = one.reserve(action.amount, now);
            const fits = model.used < 100 && model.used + action.amount <= 100;
            expect(held !== undefined).toBe(fits);
            if (held !== undefined) {
              model.used += action.amount;
              open.push({ held, begin: model.begin });
            }
          }
          if (action.kind === "settle" && open.length > 0) {
            const [ended] = open.splice(action.which % open.length, 1);
            if (ended === undefined) continue;
            const actual = Math.min(action.actual, ended.held.amount);
            one.settle(ended.held, actual);
            if (ended.begin === model.begin) {
              model.used += actual - ended.held.amount;
              model.spent += actual;
            }
          }
          const { used, spent } = one.use(now);
          expect({ used, spent }).toEqual(
            now < model.end ? { used: model.used, spent: model.spent } : { used: 0, spent: 0 },
          );
          expect(used).toBeLessThanOrEqual(100);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("A55: takes a thousand idle periods as one", () => {
    const period = periodOf({ count: 1, unit: "d", milliseconds: day }, true);
    const one = counter(100, 0, period);
    taken(one.reserve(100, start));
    const asked: number[] = [];
    const watched = new Counter(freshMemory(), 0, {
      max: 100,
      overdraft: 0,
      period: {
        startAt: (now) => {
          asked.push(now);
          return period.startAt(now);
        },
        endOf: (begin) => period.endOf(begin),
      },
    });
    taken(watched.reserve(100, start));
    asked.length = 0;
    expect(watched.reserve(100, start + 1000 * day)?.amount).toBe(100);
    expect(asked).toHaveLength(1);
    expect(watched.use(start + 1000 * day).since).toBe(period.startAt(start + 1000 * day));
  });
});

describe("what the store remembers", () => {
  it("is put back into the window it belongs to", () => {
    const one = counter(100);
    expect(one.restore(start, 70, start + 1000)).toBe(true);
    expect(one.use(start + 1000)).toMatchObject({ used: 70, spent: 70, since: start });
    expect(one.reserve(31, start + 1000)).toBeUndefined();
    expect(one.reserve(30, start + minute)?.amount).toBe(30);
  });

  it("is added to what has been used in that window since", () => {
    const one = counter(100, 0, periodOf({ count: 1, unit: "d", milliseconds: day }, true));
    taken(one.reserve(20, start));
    const begin = one.use(start).since ?? 0;
    expect(one.restore(begin, 70, start)).toBe(true);
    expect(one.use(start)).toMatchObject({ used: 90, spent: 70 });
  });

  it("is left alone when its window is over, or another has begun", () => {
    const one = counter(100);
    expect(one.restore(start - minute, 70, start)).toBe(false);
    taken(one.reserve(1, start));
    expect(one.restore(start - 1000, 70, start)).toBe(false);
    expect(one.use(start)).toMatchObject({ used: 1, spent: 0 });
  });
});

describe("a counter whose maximum is overridden", () => {
  const override = { mode: "add", amount: 50, until: start + 1000, max: 150 } as const;

  it("has the other maximum until the override ends", () => {
    const one = new Counter(freshMemory(), 0, { max: 100, overdraft: 0, period: oneMinute, override });
    expect(taken(one.reserve(150, start)).amount).toBe(150);
    expect(one.isExhausted(start)).toBe(true);
    const other = new Counter(freshMemory(), 0, { max: 100, overdraft: 0, period: oneMinute, override });
    expect(other.reserve(150, start + 1000)).toBeUndefined();
    expect([other.maxAt(start + 999), other.maxAt(start + 1000)]).toEqual([150, 100]);
  });
});

describe("a counter that forgets what it has spent", () => {
  it("keeps what is reserved, which is settled as if nothing had been, and its window", () => {
    const one = new Counter(freshMemory(), 0, { max: 100, overdraft: 0, period: oneMinute });
    one.settle(taken(one.reserve(40, start)), 30);
    const held = taken(one.reserve(50, start));
    one.forget(start + 1);
    expect(one.use(start + 1)).toMatchObject({ used: 50, spent: 0, since: start });
    one.settle(held, 20);
    expect(one.use(start + 1)).toMatchObject({ used: 20, spent: 20, since: start });
  });

  it("has to be saved, also when it is nothing", () => {
    const memory = freshMemory();
    const one = new Counter(memory, 7, { max: 100, overdraft: 0, period: oneMinute });
    one.forget(start);
    expect(takeChanged(memory)).toEqual([]);
    one.settle(taken(one.reserve(40, start)), 30);
    takeChanged(memory);
    one.forget(start);
    expect(takeChanged(memory)).toEqual([7]);
  });
});
