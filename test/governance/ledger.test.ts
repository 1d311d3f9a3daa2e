import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { admit, type LimitRefusal, Ticket } from "../../src/governance/ledger.ts";
import type { Limit, LimitKind } from "../../src/governance/limits.ts";
import { freshMemory, limitOf, minute, start } from "./kit.ts";

function limits(...rules: readonly (readonly [kind: LimitKind, max: number])[]): Limit[] {
  const memory = freshMemory();
  return rules.map(([kind, max], slot) => limitOf(memory, slot, kind, max));
}

function admitted(result: Ticket | LimitRefusal): Ticket {
  if (!(result instanceof Ticket)) throw new Error(`refused by ${result.limit.id}`);
  return result;
}

function refusal(result: Ticket | LimitRefusal): LimitRefusal {
  if (result instanceof Ticket) throw new Error("admitted");
  return result;
}

function usedOf(list: readonly Limit[], now = start): number[] {
  return list.map(({ counter }) => counter.use(now).used);
}

function spentOf(list: readonly Limit[], now = start): number[] {
  return list.map(({ counter }) => counter.use(now).spent);
}

const all: readonly (readonly [LimitKind, number])[] = [
  ["concurrency", 2],
  ["requests", 10],
  ["tokens", 1000],
  ["budget", 5000],
];
const wanted = { tokens: 300, microUsd: 700 };

describe("admission", () => {
  it("takes room in every limit by its kind", () => {
    const list = limits(...all);
    admitted(admit(list, wanted, start));
    expect(usedOf(list)).toEqual([1, 1, 300, 700]);
    expect(spentOf(list)).toEqual([0, 0, 0, 0]);
  });

  it.each([
    ["concurrency", 0, [0, 10, 1000, 5000]],
    ["requests", 1, [2, 0, 1000, 5000]],
    ["tokens", 2, [2, 10, 0, 5000]],
    ["budget", 3, [2, 10, 1000, 0]],
  ] as const)("is refused by a limit of %s without room, and takes none elsewhere", (kind, index, maxima) => {
    const list = limits(...all.map(([one], n) => [one, maxima[n] ?? 0] as const));
    const refused = refusal(admit(list, wanted, start));
    expect(refused.limit.kind).toBe(kind);
    expect(refused.limit).toBe(list[index]);
    expect(usedOf(list)).toEqual([0, 0, 0, 0]);
  });

  it("gives back what it has taken when another thread was quicker", () => {
    const list = limits(["requests", 10], ["tokens", 1000], ["tokens", 1000]);
    const [first, second, third] = list;
    if (first === undefined || second === undefined || third === undefined) throw new Error("three limits");
    // Between the look at all limits and the taking, the last one fills up.
    const rival = { ...second, counter: Object.create(second.counter) };
    rival.counter.hasRoom = () => true;
    rival.counter.reserve = (amount: number, now: number) => {
      third.counter.reserve(1000, now);
      return second.counter.reserve(amount, now);
    };
    const refused = refusal(admit([first, rival, third], wanted, start));
    expect(refused.limit).toBe(third);
    expect(usedOf(list)).toEqual([0, 0, 1000]);
  });

  it("says what is left and when there will be more", () => {
    const list = limits(["tokens", 1000]);
    admitted(admit(list, { tokens: 900, microUsd: 0 }, start)).settle({ tokens: 900, microUsd: 0 });
    expect(refusal(admit(list, wanted, start + 1000))).toMatchObject({
      used: 900,
      spent: 900,
      remaining: 100,
      isPassing: false,
      retryAfterMs: minute - 1000,
      until: start + minute,
    });
  });

  it("says that waiting for a moment is enough where only running requests are in the way", () => {
    const list = limits(["tokens", 1000]);
    admitted(admit(list, { tokens: 900, microUsd: 0 }, start));
    expect(refusal(admit(list, wanted, start))).toMatchObject({ spent: 0, isPassing: true, retryAfterMs: 1000 });
    expect(refusal(admit(list, wanted, start + minute - 10))).toMatchObject({ retryAfterMs: 10 });
  });

  it("without any limit is always given", () => {
    expect(admitted(admit([], wanted, start)).settle(wanted)).toBe(false);
  });
});

describe("the bill", () => {
  it("A59: frees the place among those that run, counts the request, charges what was used", () => {
    const list = limits(...all);
    expect(admitted(admit(list, wanted, start)).settle({ tokens: 120, microUsd: 250 })).toBe(true);
    expect(usedOf(list)).toEqual([0, 1, 120, 250]);
    expect(spentOf(list)).toEqual([0, 1, 120, 250]);
  });

  it("A59: of a request that used nothing is nothing at all", () => {
    const list = limits(...all);
    admitted(admit(list, wanted, start)).release();
    expect(usedOf(list)).toEqual([0, 0, 0, 0]);
  });

  it("A54: is made once, whatever is called afterwards and however often", () => {
    const calls = fc.array(fc.oneof(fc.constant("release" as const), fc.integer({ min: 0, max: 900 })), {
      minLength: 1,
    });
    fc.assert(
      fc.property(calls, (sequence) => {
        const list = limits(...all);
        const ticket = admitted(admit(list, wanted, start));
        for (const call of sequence) {
          if (call === "release") ticket.release();
          else ticket.settle({ tokens: call, microUsd: call });
        }
        const [first] = sequence;
        const amount = first === "release" || first === undefined ? 0 : first;
        expect(usedOf(list)).toEqual([0, first === "release" ? 0 : 1, amount, amount]);
      }),
    );
  });

  it("A54: is made in the window of the admission, also when that has been followed by another", () => {
    const list = limits(...all);
    const [concurrency] = list;
    const old = admitted(admit(list, wanted, start));
    admitted(admit(list, wanted, start + minute));
    expect(usedOf(list, start + minute)).toEqual([2, 1, 300, 700]);
    old.settle({ tokens: 300, microUsd: 700 });
    expect(usedOf(list, start + minute)).toEqual([1, 1, 300, 700]);
    expect(concurrency?.counter.use(start + 1000 * minute).used).toBe(1);
  });
});

describe("the next target of a request", () => {
  it("takes over what the request holds at both, and charges the rest", () => {
    const memory = freshMemory();
    const shared = [
      limitOf(memory, 0, "concurrency", 1),
      limitOf(memory, 1, "requests", 1),
      limitOf(memory, 2, "tokens", 1000),
    ];
    const first = limitOf(memory, 3, "requests", 5);
    const second = limitOf(memory, 4, "requests", 5);
    const ticket = admitted(admit([first, ...shared], wanted, start));
    const limitsThere = [second, ...shared];
    const kept = ticket.passOn({ tokens: 20, microUsd: 0 }, limitsThere);
    const next = admitted(admit(limitsThere, { tokens: 400, microUsd: 0 }, start, kept));
    expect(usedOf([...shared, first, second])).toEqual([1, 1, 420, 1, 1]);
    ticket.settle(wanted);
    next.settle({ tokens: 50, microUsd: 0 });
    expect(usedOf([...shared, first, second])).toEqual([0, 1, 70, 1, 1]);
  });

  it("A59: that is refused leaves nothing held", () => {
    const memory = freshMemory();
    const shared = [limitOf(memory, 0, "concurrency", 1), limitOf(memory, 1, "requests", 3)];
    const full = limitOf(memory, 2, "tokens", 0);
    const ticket = admitted(admit(shared, wanted, start));
    const kept = ticket.passOn({ tokens: 0, microUsd: 0 }, [...shared, full]);
    expect(refusal(admit([...shared, full], wanted, start, kept)).limit).toBe(full);
    expect(usedOf(shared)).toEqual([0, 1]);
  });
});
