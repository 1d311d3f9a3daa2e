import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findRule, matchesGlob } from "../../../src/providers/mock/find-rule.ts";

describe("a glob", () => {
  test.each([
    ["*haiku*", "anthropic.claude-3-haiku-20240307-v1:0", true],
    ["*haiku*", "haiku", true],
    ["*haiku", "haiku-2", false],
    ["haiku", "claude-haiku", false],
    ["*", "", true],
    ["", "", true],
    ["", "x", false],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["a*b*c", "a-b-b-c", true],
    ["a*bc*c", "abc", false],
    ["mock.v1?", "mock.v1?", true],
    ["mock.v1?", "mock-v1x", false],
    ["**x**", "axb", true],
  ])("%j on %j: %s", (pattern, name, expected) => {
    expect(matchesGlob(pattern, name)).toBe(expected);
  });

  test("property: it means what the regular expression means", () => {
    const text = fc.stringMatching(/^[ab.]{0,8}$/);
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), text, (parts, name) => {
        const regex = new RegExp(`^${parts.map((part) => part.replaceAll(".", "\\.")).join(".*")}$`);
        expect(matchesGlob(parts.join("*"), name)).toBe(regex.test(name));
      }),
      { numRuns: 500 },
    );
  });
});

describe("finding a rule", () => {
  test("matches ids with and without the provider's name before them", () => {
    const rule = { match: { model: "claude*" } };
    expect(findRule([rule], "mock/claude-3", "", 0)).toBe(rule);
    expect(findRule([rule], "claude-3", "", 0)).toBe(rule);
    expect(findRule([rule], "my-claude-3", "", 0)).toBeUndefined();
    const whole = { match: { model: "mock/*" } };
    expect(findRule([whole], "mock/claude-3", "", 0)).toBe(whole);
  });

  test("needs model and text both, and takes null for no condition", () => {
    const rule = { match: { model: "m", text: "Story" } };
    expect(findRule([rule], "m", "a Story", 0)).toBe(rule);
    expect(findRule([rule], "m", "a story", 0)).toBeUndefined();
    expect(findRule([rule], "n", "a Story", 0)).toBeUndefined();
    for (const open of [{}, { match: null }, { match: {} }, { match: { model: null, text: null } }])
      expect(findRule([open], "n", "", 0)).toBe(open);
  });

  test("gives each rule the chance it asks for, whatever stands before it", () => {
    const never = { probability: 0 };
    const half = { probability: 0.5 };
    const again = { probability: 0.5 };
    const rules = [never, half, again];
    const counts = new Map<unknown, number>();
    const throws = 1000;
    for (let roll = 0; roll < throws; roll++) {
      const found = findRule(rules, "m", "", roll / throws);
      counts.set(found, (counts.get(found) ?? 0) + 1);
    }
    expect([counts.get(never), counts.get(half), counts.get(again), counts.get(undefined)]).toEqual([
      undefined,
      500,
      250,
      250,
    ]);
  });

  test("always finds a rule that is sure", () => {
    const sure = { probability: 1 };
    expect(findRule([{ probability: 0.999 }, sure], "m", "", 0.9999999)).toBe(sure);
  });
});
