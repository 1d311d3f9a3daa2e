/** A cache with an owner in the same thread, and requests for it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SemanticCache } from "../../src/cache/cache.ts";
import type { Embedder } from "../../src/cache/embedder.ts";
import type { Ask } from "../../src/cache/messages.ts";
import { type CacheOptions, readCacheOptions } from "../../src/cache/options.ts";
import { IndexOwner } from "../../src/cache/owner.ts";
import type { RequestFacts } from "../../src/cache/partition.ts";
import { type SemanticCacheConfig, semanticCacheSchema } from "../../src/config/cache.ts";

/** A moment to begin at. */
export const start = Date.UTC(2026, 0, 1);

export function configOf(section: object = {}): SemanticCacheConfig {
  return semanticCacheSchema.parse({ enabled: true, default_cache_key: "app", ...section });
}

export function facts(text: string, other: Partial<RequestFacts> = {}, request: object = {}): RequestFacts {
  return {
    virtualKey: null,
    provider: "bedrock",
    model: "claude",
    operation: "converse",
    request: { messages: [{ role: "user", content: [{ text }] }], ...request },
    ...other,
  };
}

/** The options of a request with these `x-bf-cache-` headers. */
export function optionsOf(config: SemanticCacheConfig, headers: Readonly<Record<string, string>> = {}): CacheOptions {
  const reading = readCacheOptions(
    new Map(Object.entries(headers).map(([name, value]) => [`x-bf-cache-${name}`, value])),
    config,
  );
  if (reading.kind === "refused") throw new Error(`${reading.header}: ${reading.reason}`);
  return reading.options;
}

export function answerOf(text: string, other: object = {}): Readonly<Record<string, unknown>> {
  return {
    output: { message: { role: "assistant", content: [{ text }] } },
    stopReason: "end_turn",
    usage: { inputTokens: 3, outputTokens: 5, totalTokens: 8 },
    metrics: { latencyMs: 7 },
    ...other,
  };
}

export class Clock {
  ms = start;
  readonly now = () => this.ms;
}

export interface Kit {
  readonly config: SemanticCacheConfig;
  readonly clock: Clock;
  readonly owner: IndexOwner;
  readonly ask: Ask;
  readonly problems: string[];
  /** A front end of its own. */
  readonly front: (embedder?: Embedder) => SemanticCache;
  readonly close: () => Promise<void>;
}

export function kit(
  section: object = {},
  folder: string | null = null,
  clock = new Clock(),
  key: Uint8Array | null = null,
): Kit {
  const config = configOf(section);
  const problems: string[] = [];
  const owner = new IndexOwner(
    { embedding: config.embedding, maxEntries: config.max_entries, maxBytes: config.max_bytes, folder, key },
    clock.now,
  );
  const ask: Ask = (message) => owner.handle(message);
  return {
    config,
    clock,
    owner,
    ask,
    problems,
    front: (embedder) =>
      new SemanticCache({ config, ask, embedder, now: clock.now, onProblem: (problem) => problems.push(problem) }),
    close: () => owner.close(),
  };
}

/** Stores an answer to a request that is not there yet, and waits until the owner has it. */
export async function remember(
  cache: SemanticCache,
  request: RequestFacts,
  options: CacheOptions,
  text: string,
): Promise<string> {
  const found = await cache.lookup(request, options);
  if (found.kind !== "miss") throw new Error(`the request is a ${found.kind}`);
  const stored = cache.store(found.ticket, answerOf(text));
  if (stored.kind !== "stored") throw new Error(`the answer was not kept: ${stored.reason}`);
  await cache.idle();
  return stored.id;
}

/** What a request gets: the text of an answer, or the kind of outcome. */
export async function ask(cache: SemanticCache, request: RequestFacts, options: CacheOptions): Promise<string> {
  const found = await cache.lookup(request, options);
  if (found.kind === "miss" || found.kind === "bypass") return found.kind;
  const { output } = found.entry.answer;
  return `${found.kind}: ${textIn(output)}`;
}

function textIn(output: unknown): string {
  return /"text":"([^"]*)"/.exec(JSON.stringify(output))?.[1] ?? "";
}

/** A folder that is gone when the tests are over; the other one removes it. */
export function temporaryFolder(): [string, () => void] {
  const folder = mkdtempSync(join(tmpdir(), "bifrost-cache-"));
  return [folder, () => rmSync(folder, { recursive: true, force: true })];
}
