import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Choosable, isFit, pickByWeight, resolveAlias } from "../../src/keys/choose.ts";

function key(name: string, changes: Partial<Choosable> = {}): Choosable {
  return {
    id: `${name}-id`,
    name,
    enabled: true,
    weight: 1,
    models: ["*"],
    blacklisted_models: [],
    aliases: {},
    ...changes,
  };
}

/** How often each key is picked when rolls are spread evenly over [0, 1). */
function shares(keys: readonly Choosable[], rolls: number): Record<string, number> {
  const counts: Record<string, number> = Object.fromEntries(keys.map(({ name }) => [name, 0]));
  for (let roll = 0; roll < rolls; roll++) {
    const picked = pickByWeight(keys, (roll + 0.5) / rolls);
    if (picked !== undefined) counts[picked.name] = (counts[picked.name] ?? 0) + 1;
  }
  return counts;
}

describe("picking by weight", () => {
  test("A45 gives 70/20/10 over 10,000 rolls", () => {
    const keys = [key("a", { weight: 70 }), key("b", { weight: 20 }), key("c", { weight: 10 })];
    expect(shares(keys, 10_000)).toEqual({ a: 7000, b: 2000, c: 1000 });
  });

  test("A45 gives 70/20/10 within two points over 10,000 random rolls", () => {
    const keys = [key("a", { weight: 0.7 }), key("b", { weight: 0.2 }), key("c", { weight: 0.1 })];
    const counts = { a: 0, b: 0, c: 0 };
    for (let roll = 0; roll < 10_000; roll++) {
      const name = pickByWeight(keys, Math.random())?.name;
      if (name === "a" || name === "b" || name === "c") counts[name]++;
    }
    expect(Math.abs(counts.a - 7000)).toBeLessThan(200);
    expect(Math.abs(counts.b - 2000)).toBeLessThan(200);
    expect(Math.abs(counts.c - 1000)).toBeLessThan(200);
  });

  test("takes a key of weight zero only when no other is left", () => {
    const none = key("none", { weight: 0 });
    expect(shares([none, key("some", { weight: 0.001 }), none], 1000)).toEqual({ none: 0, some: 1000 });
    expect(pickByWeight([none], 0.5)).toBe(none);
    expect(shares([key("x", { weight: 0 }), key("y", { weight: 0 })], 1000)).toEqual({ x: 500, y: 500 });
  });

  test("of nothing is nothing", () => {
    expect(pickByWeight([], 0.5)).toBeUndefined();
  });

  test("always picks one of the keys, and never one of weight zero beside others", () => {
    const weights = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 8 });
    const roll = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(weights, roll, (list, at) => {
        const keys = list.map((weight, index) => key(String(index), { weight }));
        const picked = pickByWeight(keys, at);
        expect(keys).toContain(picked);
        if (list.some((weight) => weight > 0)) expect(picked?.weight).toBeGreaterThan(0);
      }),
    );
  });
});

describe("fitness", () => {
  test("is for the models a key lists, whatever their case", () => {
    const one = key("k", { models: ["Anthropic.Claude"] });
    expect(isFit(one, "anthropic.claude")).toBe(true);
    expect(isFit(one, "ANTHROPIC.CLAUDE")).toBe(true);
    expect(isFit(one, "anthropic.claude-2")).toBe(false);
  });

  test("is for everything with *, and for nothing with an empty list", () => {
    expect(isFit(key("k"), "anything")).toBe(true);
    expect(isFit(key("k", { models: [] }), "anything")).toBe(false);
  });

  test("ends where the key is blacklisted, even for what it lists or calls by another name", () => {
    const changes = { models: ["m"], blacklisted_models: ["M"], aliases: { m: "other" } };
    expect(isFit(key("k", changes), "m")).toBe(false);
    expect(isFit(key("k", { blacklisted_models: ["*"] }), "m")).toBe(false);
  });

  test("includes the key's own names for models", () => {
    expect(isFit(key("k", { models: [], aliases: { Claude: "anthropic.claude" } }), "claude")).toBe(true);
    expect(isFit(key("k", { models: [], aliases: { Claude: "anthropic.claude" } }), "anthropic.claude")).toBe(false);
  });

  test("is lost by a key that is switched off, and needs no model where there is none", () => {
    expect(isFit(key("k", { enabled: false }), "m")).toBe(false);
    expect(isFit(key("k", { enabled: false }), undefined)).toBe(false);
    expect(isFit(key("k", { models: [] }), undefined)).toBe(true);
  });

  test("is not given by what every object has", () => {
    for (const name of ["constructor", "tostring", "__proto__"]) {
      expect(isFit(key("k", { models: [] }), name)).toBe(false);
      expect(resolveAlias(key("k"), name)).toBe(name);
    }
  });
});

describe("an alias", () => {
  test("is found without regard to case; other ids stay as they were written", () => {
    const one = key("k", { aliases: { Claude: "us.anthropic.Claude-v1:0" } });
    expect(resolveAlias(one, "cLAUDE")).toBe("us.anthropic.Claude-v1:0");
    expect(resolveAlias(one, "Claude-2")).toBe("Claude-2");
  });
});
