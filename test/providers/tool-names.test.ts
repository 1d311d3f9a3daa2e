import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { commonNames, geminiNames, sendableName, ToolNames } from "../../src/providers/tool-names.ts";

describe.each(Object.entries({ commonNames, geminiNames }))("%s", (_name, rule) => {
  test("F12 F13 whatever the name, it is sent as one that fits, and the same each time", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 120 }), (name) => {
        const sent = sendableName(name, rule);
        expect(sent).toMatch(rule.fits);
        expect(sent.length).toBeLessThanOrEqual(rule.maxLength);
        expect(sendableName(sent, rule)).toBe(sent);
      }),
    );
  });

  test("F12 long names that differ only at the end stay different", () => {
    const long = "mcp__server__".repeat(8);
    expect(sendableName(`${long}a`, rule)).not.toBe(sendableName(`${long}b`, rule));
  });
});

test("a replaced name still tells what it was", () => {
  expect(sendableName("github.com/issues:list", commonNames)).toMatch(/^github_com_issues_list_\w{8}$/);
});

test("Gemini's names begin with a letter", () => {
  expect(sendableName("1st", geminiNames)).toMatch(/^_1st_/);
});

test("only what was changed is remembered", () => {
  const names = new ToolNames(commonNames);
  names.send("fine");
  const sent = names.send("a.b");
  expect([...names.changed]).toEqual([[sent, "a.b"]]);
});
