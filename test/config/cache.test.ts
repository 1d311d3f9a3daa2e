import { describe, expect, test } from "vitest";
import { readTtl, semanticCacheSchema } from "../../src/config/cache.ts";

describe("the section semantic_cache", () => {
  test("is off with nothing in it, and has the documented defaults when it is enabled", () => {
    expect(semanticCacheSchema.parse({}).enabled).toBe(false);
    expect(semanticCacheSchema.parse({ enabled: true })).toEqual({
      enabled: true,
      default_cache_key: "",
      ttl: "5m",
      threshold: 0.8,
      conversation_history_threshold: 3,
      exclude_system_prompt: false,
      cache_by_model: true,
      cache_by_provider: true,
      embedding: { provider: "lexical", embedding_model: null, dimension: 384, model_path: null, timeout_ms: 300 },
      max_entries: 100_000,
      max_bytes: 268_435_456,
      coalesce: false,
      store_tool_calls: false,
    });
  });

  test("takes seconds as a time to live", () => {
    expect(semanticCacheSchema.parse({ ttl: 300 }).ttl).toBe(300);
    expect(readTtl(300)).toBe(300_000);
  });

  test.each([
    ["ttl", { ttl: "never" }],
    ["ttl", { ttl: 0 }],
    ["threshold", { threshold: 1.1 }],
    ["threshold", { threshold: "0.8" }],
    ["conversation_history_threshold", { conversation_history_threshold: -1 }],
    ["max_entries", { max_entries: 0 }],
    ["max_bytes", { max_bytes: 10 }],
    ["embedding.dimension", { embedding: { dimension: 1 } }],
    ["embedding.timeout_ms", { embedding: { timeout_ms: 0 } }],
    ["embedding.model_path", { embedding: { provider: "local" } }],
    ["embedding.embedding_model", { embedding: { provider: "openai" } }],
    ["", { unknown: 1 }],
  ])("is refused at %j in %j", (path, section) => {
    const { error } = semanticCacheSchema.safeParse(section);
    expect(error?.issues.map((issue) => issue.path.join("."))).toEqual([path]);
  });
});
