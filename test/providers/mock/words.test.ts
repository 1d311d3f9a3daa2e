import fc from "fast-check";
import { expect, test } from "vitest";
import { fragments, takeWords } from "../../../src/providers/mock/words.ts";

test("a word has the white space behind it, and white space at the start stands alone", () => {
  expect(takeWords(" \n one two,  three\n", 10)).toEqual({
    words: [" \n ", "one ", "two,  ", "three\n"],
    whole: true,
  });
});

test("as many words as asked for are taken", () => {
  expect(takeWords("one two three", 2)).toEqual({ words: ["one ", "two "], whole: false });
  expect(takeWords("one two", 2)).toEqual({ words: ["one ", "two"], whole: true });
  expect(takeWords("one", 0)).toEqual({ words: [], whole: false });
  expect(takeWords("", 0)).toEqual({ words: [], whole: true });
});

test("no word is without bounds, and characters stay whole", () => {
  const { words } = takeWords("🐢".repeat(1000) + " ".repeat(1000), Number.POSITIVE_INFINITY);
  for (const word of words) {
    expect(Array.from(word).length).toBeLessThanOrEqual(128);
    expect(word).not.toMatch(/[\ud800-\udfff]/u);
  }
});

test("property: words joined are the text, fragments joined are the JSON", () => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[a\s]*$/), fc.constant("\ud800 x"));
  fc.assert(
    fc.property(text, fc.nat(20), (whole, most) => {
      expect(takeWords(whole, Number.POSITIVE_INFINITY).words.join("")).toBe(whole);
      const some = takeWords(whole, most);
      expect(whole.startsWith(some.words.join(""))).toBe(true);
      expect(some.whole).toBe(some.words.join("") === whole);
      expect(fragments(whole).join("")).toBe(whole);
    }),
  );
});
