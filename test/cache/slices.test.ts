import { expect, test } from "vitest";
import { inTurns } from "../../src/cache/slices.ts";

test("work over many things lets others have their turn, and does each once and in order", async () => {
  const done: number[] = [];
  let others = 0;
  const between = setInterval(() => others++, 0);
  await inTurns(Array(60).keys(), (item) => {
    const until = performance.now() + 0.5;
    while (performance.now() < until);
    done.push(item);
  });
  clearInterval(between);
  expect(done).toEqual([...Array(60).keys()]);
  expect(others).toBeGreaterThan(2);
});

test("what the work throws ends it", async () => {
  const failing = inTurns([1, 2, 3], (item) => {
    if (item === 2) throw new Error("two");
  });
  await expect(failing).rejects.toThrow("two");
});
