import { describe, expect, it } from "vitest";
import { createKeyMemory, openKeyMemory, resetProvider } from "../../src/keys/layout.ts";
import { RetryBudget } from "../../src/keys/retry-budget.ts";
import { start } from "./ring-kit.ts";

const memory = openKeyMemory(createKeyMemory());

function takeAll(budget: RetryBudget, now: number): number {
  let taken = 0;
  while (budget.take(now)) taken++;
  return taken;
}

describe("the retry budget", () => {
  it("begins with a hundred, and ends there", () => {
    const budget = new RetryBudget(memory, 0);
    expect(takeAll(budget, start)).toBe(100);
    expect(budget.take(start)).toBe(false);
  });

  it("gets ten a second, and never more than a hundred", () => {
    const budget = new RetryBudget(memory, 1);
    takeAll(budget, start);
    expect(takeAll(budget, start + 1000)).toBe(10);
    expect(takeAll(budget, start + 1050)).toBeLessThanOrEqual(1);
    expect(takeAll(budget, start + 24 * 3_600_000)).toBe(100);
  });

  it("gets a tenth of the requests", () => {
    const budget = new RetryBudget(memory, 2);
    takeAll(budget, start);
    for (let count = 0; count < 255; count++) budget.request();
    expect(takeAll(budget, start)).toBe(25);
  });

  it("does not save up what requests pay beyond the full bucket", () => {
    const budget = new RetryBudget(memory, 3);
    for (let count = 0; count < 10_000; count++) budget.request();
    expect(takeAll(budget, start)).toBe(100);
  });

  it("is one for all rings of a provider, and another for another provider", () => {
    takeAll(new RetryBudget(memory, 4), start);
    expect(new RetryBudget(memory, 4).take(start)).toBe(false);
    expect(new RetryBudget(memory, 5).take(start)).toBe(true);
  });

  it("goes on after the clock was set back", () => {
    const budget = new RetryBudget(memory, 6);
    takeAll(budget, start);
    const back = start - 3_600_000;
    expect(takeAll(budget, back)).toBe(0);
    expect(takeAll(budget, back + 1000)).toBe(10);
  });

  it("is full again for the next owner of the slot", () => {
    const budget = new RetryBudget(memory, 7);
    takeAll(budget, start);
    resetProvider(memory, 7);
    expect(takeAll(budget, start)).toBe(100);
  });
});
