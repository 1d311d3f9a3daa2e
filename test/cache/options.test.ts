import { describe, expect, test } from "vitest";
import { readCacheOptions } from "../../src/cache/options.ts";
import { configOf } from "./kit.ts";

const config = configOf({ default_cache_key: "app", ttl: "5m", threshold: 0.8 });
const read = (headers: Record<string, string>) => readCacheOptions(new Map(Object.entries(headers)), config);

describe("the options of a request", () => {
  test("are the configuration's without headers", () => {
    expect(read({})).toEqual({
      kind: "options",
      options: { cacheKey: "app", ttlMs: 300_000, threshold: 0.8, type: "both", noStore: false },
    });
  });

  test("are the headers' where there are some", () => {
    const headers = {
      "x-bf-cache-key": "k",
      "x-bf-cache-ttl": "1h30m",
      "x-bf-cache-threshold": "0.95",
      "x-bf-cache-type": "Direct",
      "x-bf-cache-no-store": "TRUE",
    };
    expect(read(headers)).toEqual({
      kind: "options",
      options: { cacheKey: "k", ttlMs: 5_400_000, threshold: 0.95, type: "direct", noStore: true },
    });
  });

  test.each([
    ["1.7", 1],
    ["-3", 0],
    ["0", 0],
    ["1", 1],
    [".5", 0.5],
  ])("take the threshold %s as %d", (text, threshold) => {
    expect(read({ "x-bf-cache-threshold": text })).toMatchObject({ options: { threshold } });
  });

  test.each([
    ["30", 30_000],
    ["1.5", 1500],
    ["2s", 2000],
    ["1500ms", 1500],
    ["1d", 86_400_000],
    ["1w", 604_800_000],
    ["1M", 2_592_000_000],
    ["1Y", 31_536_000_000],
  ])("take the time to live %s as %d ms", (text, ttlMs) => {
    expect(read({ "x-bf-cache-ttl": text })).toMatchObject({ options: { ttlMs } });
  });
});

describe("a header that cannot be used is refused by its name", () => {
  test.each([
    ["x-bf-cache-key", ""],
    ["x-bf-cache-key", " "],
    ["x-bf-cache-key", "k".repeat(257)],
    ["x-bf-cache-ttl", ""],
    ["x-bf-cache-ttl", "soon"],
    ["x-bf-cache-ttl", "0s"],
    ["x-bf-cache-ttl", "500ms"],
    ["x-bf-cache-ttl", "-5m"],
    ["x-bf-cache-ttl", "5 m"],
    ["x-bf-cache-ttl", "2Y"],
    ["x-bf-cache-ttl", "NaN"],
    ["x-bf-cache-threshold", ""],
    ["x-bf-cache-threshold", "high"],
    ["x-bf-cache-threshold", "NaN"],
    ["x-bf-cache-threshold", "0x1"],
    ["x-bf-cache-threshold", "80%"],
    ["x-bf-cache-type", "exact"],
    ["x-bf-cache-type", ""],
    ["x-bf-cache-no-store", "1"],
    ["x-bf-cache-no-store", ""],
  ])("%s: %j", (header, value) => {
    expect(read({ [header]: value })).toMatchObject({ kind: "refused", header });
  });
});
