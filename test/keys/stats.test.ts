import { describe, expect, it } from "vitest";
import { createKeyMemory, openKeyMemory } from "../../src/keys/layout.ts";
import { KeyStats } from "../../src/keys/stats.ts";
import { start } from "./ring-kit.ts";

function fresh(): KeyStats {
  return new KeyStats(openKeyMemory(createKeyMemory()));
}

const ok = { ms: 1000, outputTokens: 80 };

describe("the error rate", () => {
  it("is 0 for a key nobody knows", () => {
    expect(fresh().errorRate(0, start)).toBe(0);
  });

  it("does not condemn a key for one failure, and does for many", () => {
    const stats = fresh();
    stats.fail(0, start);
    expect(stats.errorRate(0, start)).toBeCloseTo(1 / 5);
    for (let count = 0; count < 95; count++) stats.fail(0, start);
    expect(stats.errorRate(0, start)).toBeCloseTo(0.96);
  });

  it("comes near the true rate with many attempts", () => {
    const stats = fresh();
    for (let count = 0; count < 2000; count++) {
      if (count % 10 === 0) stats.fail(0, start + count * 10);
      else stats.succeed(0, ok, start + count * 10);
    }
    expect(stats.errorRate(0, start + 20_000)).toBeCloseTo(0.1, 1);
  });

  it("fades with ten seconds' half-life, whether somebody writes meanwhile or not", () => {
    const stats = fresh();
    for (const slot of [0, 1]) for (let count = 0; count < 100; count++) stats.fail(slot, start);
    for (let second = 1; second <= 10; second++) stats.throttle(1, start + second * 1000);
    for (const slot of [0, 1]) {
      const { failures } = stats.recent(slot, start + 10_000);
      expect(failures).toBeGreaterThan(48);
      expect(failures).toBeLessThan(52);
    }
    expect(stats.recent(0, start + 200_000).failures).toBe(0);
  });

  it("keeps to one key", () => {
    const stats = fresh();
    stats.fail(1, start);
    expect(stats.errorRate(0, start)).toBe(0);
    expect(stats.errorRate(2, start)).toBe(0);
  });

  it("goes on after the clock was set back", () => {
    const stats = fresh();
    stats.fail(0, start);
    const back = start - 24 * 3_600_000;
    stats.fail(0, back);
    expect(stats.recent(0, back).failures).toBeCloseTo(2, 1);
    expect(stats.recent(0, back + 10_000).failures).toBeCloseTo(1, 1);
  });

  it("leaves out throttled attempts, which are trouble of half the weight", () => {
    const stats = fresh();
    for (let count = 0; count < 8; count++) stats.throttle(0, start);
    expect(stats.errorRate(0, start)).toBe(0);
    expect(stats.troubleRate(0, start)).toBeCloseTo(0.5);
  });
});

describe("the unit time", () => {
  it("is the same for short and long answers of the same speed", () => {
    const stats = fresh();
    stats.succeed(0, { ms: 300, outputTokens: 10 }, start);
    stats.succeed(1, { ms: 5200, outputTokens: 500 }, start);
    expect(stats.unitTime(0)).toBeCloseTo(10);
    expect(stats.unitTime(1)).toBeCloseTo(10);
  });

  it("follows a change within a few answers and not with the first", () => {
    const stats = fresh();
    for (let count = 0; count < 5; count++) stats.succeed(0, ok, start);
    stats.succeed(0, { ms: 10_000, outputTokens: 80 }, start);
    expect(stats.unitTime(0)).toBeCloseTo(23.5);
    for (let count = 0; count < 20; count++) stats.succeed(0, { ms: 10_000, outputTokens: 80 }, start);
    expect(stats.unitTime(0)).toBeGreaterThan(90);
  });

  it("believes a new answer more, the older the last one is", () => {
    const stats = fresh();
    stats.succeed(0, ok, start);
    expect(stats.confidence(0, start + 120_000)).toBeCloseTo(0.5);
    stats.succeed(0, { ms: 3000, outputTokens: 80 }, start + 120_000);
    expect(stats.unitTime(0)).toBeCloseTo(20);
  });

  it.each([Number.NaN, -1, Number.NEGATIVE_INFINITY])("does not take %d for a duration", (ms) => {
    const stats = fresh();
    stats.succeed(0, { ms, outputTokens: 5 }, start);
    expect(stats.unitTime(0)).toBe(0);
    expect(stats.served(0)).toBe(1);
  });

  it("survives absurd figures", () => {
    const stats = fresh();
    stats.succeed(0, { ms: 1e300, outputTokens: 0 }, start);
    expect(stats.unitTime(0)).toBeCloseTo(4_294_967.295);
    stats.succeed(1, { ms: 0, outputTokens: Number.NaN }, start);
    expect(stats.unitTime(1)).toBeCloseTo(0.001);
  });
});

describe("the run", () => {
  it("counts successes or failures in a row", () => {
    const stats = fresh();
    for (let count = 0; count < 3; count++) stats.succeed(0, ok, start);
    expect(stats.run(0)).toBe(3);
    stats.fail(0, start);
    stats.fail(0, start);
    expect(stats.run(0)).toBe(-2);
    stats.succeed(0, ok, start);
    expect(stats.run(0)).toBe(1);
  });

  it("of successes is ended by 429, one of failures is not", () => {
    const stats = fresh();
    stats.succeed(0, ok, start);
    stats.throttle(0, start);
    expect(stats.run(0)).toBe(0);
    stats.fail(0, start);
    stats.throttle(0, start);
    expect(stats.run(0)).toBe(-1);
  });
});
