import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compare, sameQuestion } from "../../src/cache/gate.ts";
import { analyse } from "../../src/cache/tokens.ts";

const pairs: readonly { kind: string; a: string; b: string }[] = JSON.parse(
  readFileSync(new URL("../../bench/cache-pairs.json", import.meta.url), "utf8"),
);

function reasons(asked: string, stored: string): readonly string[] {
  const verdict = sameQuestion(asked, stored);
  return verdict.same ? [] : verdict.reasons;
}

describe("the gate", () => {
  test.each(pairs.filter(({ kind }) => kind !== "paraphrase"))("keeps apart: $a | $b", ({ a, b }) => {
    expect(sameQuestion(a, b).same).toBe(false);
    expect(sameQuestion(b, a).same).toBe(false);
  });

  test("lets most paraphrases pass", () => {
    const paraphrases = pairs.filter(({ kind }) => kind === "paraphrase");
    const passed = paraphrases.filter(({ a, b }) => sameQuestion(a, b).same).length;
    expect(passed / paraphrases.length).toBeGreaterThan(0.7);
  });

  test("lets a text pass to itself, and gives the same verdict both ways", () => {
    const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 60 }), fc.constantFrom(...pairs.map(({ a }) => a)));
    fc.assert(
      fc.property(text, (one) => {
        expect(compare(analyse(one), analyse(one)).same).toBe(true);
      }),
    );
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(sameQuestion(a, b).same).toBe(sameQuestion(b, a).same);
      }),
    );
  });

  test.each([
    ["Give me 5 tips for sleep", "Give me 6 tips for sleep", "number"],
    ["What happened on May 1, 2020?", "What happened on May 2, 2020?", "date"],
    ["Is it safe?", "Is it not safe?", "negation"],
    ["What does Amazon sell?", "What does Google sell?", "name"],
    ["How long is 5 km?", "How long is 5 miles?", "unit"],
    ["Should I eat before a run?", "Should I eat after a run?", "direction"],
    ["What does `a()` do?", "What does `b()` do?", "code"],
    ['Who said "no"?', 'Who said "yes"?', "quote"],
    ["When did Rome fall?", "Why did Rome fall?", "question"],
    ["Will it snow in Rome?", "Did it snow in Rome?", "tense"],
    ["Can I drink it?", "Must I drink it?", "modal"],
    ["Where do I live?", "Where do you live?", "person"],
    ["Does the dog see the cat?", "Does the cat see the dog?", "order"],
    ["Write a letter to the king", "Write a letter from the king", "role"],
  ])("names why %j is not %j: %s", (a, b, reason) => {
    expect(reasons(a, b)).toContain(reason);
  });

  test.each([
    ["What is the capital of France?", "hi, could you tell me the capital of France please?"],
    ["How do I sort a list in Python?", "In Python, how can I sort lists"],
    ["What happened on July 20, 1969?", "What happened on 1969-07-20?"],
    ["How much is 10 km in miles?", "How much is 10 kilometres in miles, please?"],
    ["What is the difference between TCP and UDP?", "What's the difference between UDP and TCP?"],
    ["What's the weather in Rome?", "What is the weather in Rome"],
  ])("lets %j pass for %j", (a, b) => {
    expect(reasons(a, b)).toEqual([]);
  });

  test("reads hostile text in time that grows with its length", () => {
    const hostile = [
      "'a".repeat(4000),
      "“".repeat(8000),
      "-.".repeat(4000),
      "https://.".repeat(900),
      ",!".repeat(4000),
    ];
    hostile.push("1 ".repeat(4000), "`".repeat(8000), " ".repeat(8000), "not ".repeat(2000), "ö\u0308".repeat(4000));
    for (const text of hostile) expect(sameQuestion(text, `${text}x`).same).toBe(false);
  });

  test("asks long texts to have everything in the same order", () => {
    const words = Array.from({ length: 800 }, (_, index) => `word${index}`);
    const swapped = [words[1], words[0], ...words.slice(2)];
    expect(sameQuestion(words.join(" "), words.join("  ")).same).toBe(true);
    expect(reasons(words.join(" "), swapped.join(" "))).toEqual(["order"]);
  });
});
