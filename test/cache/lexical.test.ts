import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { embedLexically } from "../../src/cache/lexical.ts";

const cosine = (a: string, b: string) => {
  const [one, other] = [embedLexically(a, 384), embedLexically(b, 384)];
  return one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
};

describe("the lexical embedder", () => {
  test("gives finite vectors of length 1, of the wanted dimension, the same every time", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 200 }),
        fc.integer({ min: 16, max: 1024 }),
        (text, dimension) => {
          const vector = embedLexically(text, dimension);
          expect(vector).toHaveLength(dimension);
          expect(vector).toEqual(embedLexically(text, dimension));
          const length = Math.hypot(...vector);
          expect(length === 0 || Math.abs(length - 1) < 1e-5).toBe(true);
        },
      ),
    );
  });

  test("gives what it gave in earlier versions", () => {
    const bytes = Buffer.from(embedLexically("What is the capital of France?", 384).buffer);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(
      "685e831f7ffee58f61713db7eb7191e7d75dab3340c7b3a964239efbbb513147",
    );
  });

  test("puts the same words closer than others, in any script", () => {
    expect(cosine("How do I sort a list in Python?", "how can I sort lists in python")).toBeGreaterThan(0.9);
    expect(cosine("How do I sort a list in Python?", "Who wrote Hamlet?")).toBeLessThan(0.3);
    expect(cosine("法国的首都是什么？", "法国的首都是什么")).toBeGreaterThan(0.99);
    expect(cosine("法国的首都是什么？", "今天天气怎么样？")).toBeLessThan(0.5);
  });
});
