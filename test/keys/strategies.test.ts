import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Choosable } from "../../src/keys/choose.ts";
import type { Strategy } from "../../src/keys/strategies.ts";
import { attemptOf, key, kit, measured, start } from "./ring-kit.ts";

const fast = { ms: 1000, outputTokens: 80 };
const slow = { ms: 4000, outputTokens: 80 };
const strategies = ["weighted", "adaptive", "least-busy", "latency"] as const;

type Ring = ReturnType<typeof kit>["ring"];

/** How often each key is chosen in a thousand choices without an outcome. */
function shares(ring: Ring, now = start): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let count = 0; count < 1000; count++) {
    const attempt = attemptOf(ring, {}, now, (count + 0.5) / 1000);
    attempt.failure("cancelled", now);
    counts[attempt.key.id] = (counts[attempt.key.id] ?? 0) + 1;
  }
  return counts;
}

function serve(
  ring: Ring,
  id: string,
  times: number,
  outcome: typeof fast | "server" | "throttled",
  now = start,
): void {
  for (let count = 0; count < times; count++) {
    const attempt = attemptOf(ring, { pin: { id } }, now);
    if (typeof outcome === "string") attempt.failure(outcome, now, 1);
    else attempt.success(outcome, now);
  }
}

describe("every strategy", () => {
  it("takes a key that is there, whatever the weights and the random number", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Strategy>(...strategies),
        fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 100 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (strategy, weights, roll) => {
          const keys = weights.map((weight, index) => key(`${index}`, { weight }));
          const chosen: Choosable = attemptOf(kit(keys, strategy).ring, {}, start, roll).key;
          expect(keys).toContain(chosen);
          if (weights.some((weight) => weight > 0)) expect(chosen.weight).toBeGreaterThan(0);
        },
      ),
    );
  });

  it.each(strategies)("%s: gives keys of weight 0 nothing, until no other can serve", (strategy) => {
    const { ring } = kit([key("a", { weight: 0 }), key("b"), key("c", { weight: 0 })], strategy);
    expect(shares(ring)).toEqual({ b: 1000 });
    attemptOf(ring).failure("payment", start);
    expect(Object.keys(shares(ring)).toSorted()).toEqual(["a", "c"]);
  });
});

describe("weighted", () => {
  it("gives what the weights say, however the keys do", () => {
    const { ring } = kit([key("a", { weight: 7 }), key("b", { weight: 2 }), key("c", { weight: 1 })]);
    serve(ring, "a", 50, slow);
    serve(ring, "b", 50, fast);
    serve(ring, "c", 2, "server");
    expect(shares(ring)).toEqual({ a: 700, b: 200, c: 100 });
  });
});

describe("adaptive", () => {
  const keys = ["a", "b", "c", "d"].map((id) => key(id));

  it("gives what the weights say while nothing is known", () => {
    const { ring } = kit([key("a", { weight: 3 }), key("b")], "adaptive");
    expect(shares(ring)).toEqual({ a: 750, b: 250 });
  });

  it("gives a new key its full part beside those that are known", () => {
    const { ring } = kit(keys, "adaptive");
    for (const id of ["a", "b", "c"]) serve(ring, id, 20, fast);
    expect(shares(ring)).toEqual({ a: 250, b: 250, c: 250, d: 250 });
  });

  it("gives a slow key little, and not nothing", () => {
    const { ring } = kit(keys, "adaptive");
    for (const id of ["a", "b", "c"]) serve(ring, id, 20, fast);
    serve(ring, "d", 20, slow);
    const { d = 0, a = 0 } = shares(ring);
    expect(d).toBeGreaterThan(0);
    expect(d).toBeLessThan(20);
    expect(a).toBeGreaterThan(300);
  });

  it("does not take an answer for slow because it is long", () => {
    const { ring } = kit(keys, "adaptive");
    for (const id of ["a", "b", "c"]) serve(ring, id, 20, { ms: 300, outputTokens: 10 });
    serve(ring, "d", 20, { ms: 5200, outputTokens: 500 });
    expect(shares(ring).d).toBe(250);
  });

  it("gives a slow key more again, the longer nothing was heard of it", () => {
    const { ring } = kit(keys, "adaptive");
    for (const id of ["a", "b", "c"]) serve(ring, id, 20, fast);
    serve(ring, "d", 20, slow);
    for (const id of ["a", "b", "c"]) serve(ring, id, 20, fast, start + 600_000);
    expect(shares(ring, start + 600_000).d).toBeGreaterThan(100);
  });

  it("gives a key that fails less, and more again as time passes", () => {
    const { ring } = kit(keys, "adaptive");
    for (const id of ["a", "b", "c", "d"]) serve(ring, id, 20, fast);
    serve(ring, "d", 4, "server");
    const soon = shares(ring, start).d ?? 0;
    const later = shares(ring, start + 20_000).d ?? 0;
    expect(soon).toBeLessThan(150);
    expect(later).toBeGreaterThan(soon + 20);
    expect(shares(ring, start + 120_000).d).toBeGreaterThan(245);
  });

  it("trusts a key again faster when successes come in a row", () => {
    const { ring } = kit(keys, "adaptive");
    for (const id of ["c", "d"]) serve(ring, id, 20, fast);
    for (const id of ["c", "d"]) serve(ring, id, 4, "server");
    serve(ring, "c", 12, fast);
    serve(ring, "d", 1, fast);
    const { c = 0, d = 0 } = shares(ring);
    expect(c).toBeGreaterThan(1.3 * d);
  });

  it("gives a key that was throttled less", () => {
    const { ring } = kit(keys, "adaptive");
    for (const id of ["a", "b", "c", "d"]) serve(ring, id, 20, fast);
    // One wave: all were begun before the first came back.
    const wave = Array.from({ length: 10 }, () => attemptOf(ring, { pin: { id: "d" } }));
    for (const attempt of wave) attempt.failure("throttled", start, 1000);
    const { d = 0 } = shares(ring, start + 2000);
    expect(d).toBeLessThan(180);
    expect(d).toBeGreaterThan(20);
  });

  it("gives a key that is busier than its peers less", () => {
    const { ring } = kit(keys, "adaptive");
    for (let count = 0; count < 12; count++) attemptOf(ring, { pin: { id: "d" } });
    expect(shares(ring).d).toBeLessThan(120);
  });
});

describe("least-busy", () => {
  it("takes the key with the fewest attempts in flight per weight", () => {
    const { ring } = kit([key("a", { weight: 3 }), key("b"), key("c")], "least-busy");
    for (let count = 0; count < 50; count++) attemptOf(ring, {}, start, (count * 0.618) % 1);
    const inFlight = ring.health(start).map((one) => one.inFlight);
    expect(inFlight).toEqual([30, 10, 10]);
  });

  it("takes equals in turn", () => {
    expect(shares(kit([key("a"), key("b")], "least-busy").ring)).toEqual({ a: 500, b: 500 });
  });
});

describe("latency", () => {
  const keys = ["a", "b", "c"].map((id) => key(id));

  it("takes the fastest, and looks at the others now and then", () => {
    const { ring } = kit(keys, "latency");
    serve(ring, "a", 10, slow);
    serve(ring, "b", 10, fast);
    serve(ring, "c", 10, slow);
    const { a = 0, b = 0, c = 0 } = shares(ring);
    expect(b).toBeGreaterThan(950);
    expect(a).toBeGreaterThan(5);
    expect(c).toBeGreaterThan(5);
  });

  it("takes the least busy of those that are equally fast or unknown", () => {
    const { ring } = kit(keys, "latency");
    serve(ring, "a", 10, fast);
    serve(ring, "b", 10, { ms: 1100, outputTokens: 80 });
    for (let count = 0; count < 30; count++) attemptOf(ring, {}, start, 0.1 + (0.9 * count) / 30);
    expect(ring.health(start).map((one) => one.inFlight)).toEqual([10, 10, 10]);
  });

  it("counts what a key's failures cost", () => {
    const { ring } = kit(keys, "latency");
    for (const id of ["a", "b", "c"]) serve(ring, id, 10, fast);
    serve(ring, "a", 4, "server");
    serve(ring, "a", 1, measured);
    serve(ring, "a", 3, "server");
    expect(shares(ring).a).toBeLessThan(30);
  });
});
