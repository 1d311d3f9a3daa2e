/** What one request asks of the cache: the headers `x-bf-cache-*` over the configuration. */
import { readTtl, type SemanticCacheConfig } from "../config/cache.ts";

/** Which hits a request takes: both, in this order, or one kind. */
export type HitType = "both" | "direct" | "semantic";

export interface CacheOptions {
  /** Empty: the request is not cached. */
  readonly cacheKey: string;
  readonly ttlMs: number;
  /** The least similarity of a semantic hit, 0 to 1. */
  readonly threshold: number;
  readonly type: HitType;
  /** The answer is not kept; what is there may still be served. */
  readonly noStore: boolean;
}

export type OptionsReading =
  | { readonly kind: "options"; readonly options: CacheOptions }
  /** A header's value cannot be used. */
  | { readonly kind: "refused"; readonly header: string; readonly reason: string };

interface Headers {
  get(name: string): string | undefined;
}

const maxKeyLength = 256;

/**
 * Reads the options. A threshold beyond 0 or 1 is taken as that bound, as the original does.
 *
 * @param headers names in lower case
 */
export function readCacheOptions(headers: Headers, config: SemanticCacheConfig): OptionsReading {
  const cacheKey = headers.get("x-bf-cache-key") ?? config.default_cache_key;
  if (headers.get("x-bf-cache-key")?.trim() === "" || cacheKey.length > maxKeyLength) {
    return refused("x-bf-cache-key", `must have 1 to ${maxKeyLength} characters`);
  }
  const ttl = headers.get("x-bf-cache-ttl");
  const ttlMs = readTtl(ttl ?? config.ttl);
  if (ttlMs === undefined) {
    return refused("x-bf-cache-ttl", "must be seconds, or a duration such as 5m or 1h30m, from 1 second to 1 year");
  }
  const threshold = readNumber(headers.get("x-bf-cache-threshold"), config.threshold);
  if (threshold === undefined) return refused("x-bf-cache-threshold", "must be a number from 0 to 1");
  const type = headers.get("x-bf-cache-type")?.trim().toLowerCase() ?? "both";
  if (type !== "both" && type !== "direct" && type !== "semantic") {
    return refused("x-bf-cache-type", "must be direct or semantic; without it both are looked for");
  }
  const noStore = headers.get("x-bf-cache-no-store")?.trim().toLowerCase() ?? "false";
  if (noStore !== "true" && noStore !== "false") return refused("x-bf-cache-no-store", "must be true or false");
  return { kind: "options", options: { cacheKey, ttlMs, threshold, type, noStore: noStore === "true" } };
}

function refused(header: string, reason: string): OptionsReading {
  return { kind: "refused", header, reason };
}

function readNumber(text: string | undefined, fallback: number): number | undefined {
  if (text === undefined) return fallback;
  const trimmed = text.trim();
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(trimmed)) return undefined;
  return Math.min(1, Math.max(0, Number(trimmed)));
}
