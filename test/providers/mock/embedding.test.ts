import fc from "fast-check";
import { expect, test } from "vitest";
import { embed } from "../../../src/providers/mock/embedding.ts";

test("property: a vector has the length 1 and is the same for the same text", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 512 }), (text, dimensions) => {
      const vector = embed(text, dimensions);
      expect(vector).toHaveLength(dimensions);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 10);
      expect(embed(text, dimensions)).toEqual(vector);
    }),
  );
});

test("other texts have vectors that point elsewhere", () => {
  const [one, other] = [embed("a story", 1024), embed("a storm", 1024)];
  const cosine = one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
  expect(Math.abs(cosine)).toBeLessThan(0.2);
});
