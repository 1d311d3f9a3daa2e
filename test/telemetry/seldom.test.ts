import { expect, test } from "vitest";
import { seldom } from "../../src/telemetry/seldom.ts";

test("a message is told once in a while, with the number of those that were left out", () => {
  let now = 0;
  const told: [string, number][] = [];
  const tell = seldom(
    (message, others) => told.push([message, others]),
    1000,
    () => now,
  );
  for (const at of [0, 1, 999, 1000, 1001, 5000]) {
    now = at;
    tell(`at ${at}`);
  }
  expect(told).toEqual([
    ["at 0", 0],
    ["at 1000", 2],
    ["at 5000", 1],
  ]);
});
