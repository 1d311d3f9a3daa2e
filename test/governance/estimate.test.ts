import { describe, expect, it } from "vitest";
import { defaultOutputTokens, estimateInputTokens, reservedOutputTokens } from "../../src/governance/estimate.ts";

function body(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

describe("the estimate of a prompt", () => {
  it("is a token for every four bytes, rounded up", () => {
    expect([0, 1, 4, 5].map((length) => estimateInputTokens(new Uint8Array(length)))).toEqual([0, 1, 1, 2]);
    const text = body({ text: "a few words ".repeat(5000) });
    expect(estimateInputTokens(text)).toBe(Math.ceil(text.length / 4));
  });

  it("counts little for pictures and documents", () => {
    const picture = Buffer.alloc(3_000_000, "picture").toString("base64");
    const whole = body({ text: "what is this? ".repeat(100), image: { bytes: picture } });
    const tokens = estimateInputTokens(whole);
    expect(tokens).toBeLessThan(25_000);
    expect(tokens).toBeGreaterThan(10_000);
  });

  it("counts all of a text without spaces, and of one that is no ASCII", () => {
    const chinese = body({ text: "会".repeat(20_000) });
    expect(estimateInputTokens(chinese)).toBe(Math.ceil(chinese.length / 4));
    const lines = Buffer.from("[1,2,3],".repeat(10_000));
    expect(estimateInputTokens(lines)).toBe(20_000);
  });

  it("looks at its own part of a larger buffer", () => {
    const large = new Uint8Array(100_000).fill(0x41);
    expect(estimateInputTokens(large.subarray(10, 50))).toBe(10);
  });
});

describe("the tokens of an answer", () => {
  it("are what the request says, else the ceiling, else 4,096", () => {
    expect(reservedOutputTokens(100)).toBe(100);
    expect(reservedOutputTokens(0)).toBe(0);
    expect(reservedOutputTokens(undefined, 500)).toBe(500);
    expect(reservedOutputTokens(undefined)).toBe(defaultOutputTokens);
    for (const nonsense of [Number.NaN, -1, Number.POSITIVE_INFINITY])
      expect(reservedOutputTokens(nonsense, 7)).toBe(7);
  });
});
