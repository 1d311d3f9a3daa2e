/** The semantic cache in the management API: what it holds and has saved, and how entries are deleted. */
import type { EntryInfo, Filter, List, OwnerStats, PartitionCounts } from "../cache/messages.ts";
import type { Document } from "../store/store.ts";
import { type AdminAnswer, answer, json } from "./answer.ts";
import { AdminFailure, invalid } from "./failure.ts";
import type { Fault } from "./faults.ts";
import { readPage } from "./page.ts";

/** What is done with the cache on behalf of the management API. */
export interface CacheControl {
  stats(): Promise<OwnerStats>;
  list(
    filter: Filter,
    page: Pick<List, "limit" | "offset" | "content">,
  ): Promise<{ readonly entries: readonly EntryInfo[]; readonly total: number }>;
  /**
   * Deletes entries on every front end.
   *
   * @returns how many there were
   */
  forget(filter: Filter): Promise<number>;
  /** The configuration allows to show what was asked and answered. */
  readonly mayShowContent: boolean;
  /** USD that tokens cost; undefined when the price is unknown. */
  costOf(provider: string, model: string, tokens: PartitionCounts["saved"]): number | undefined;
}

export interface CacheRoutes {
  readonly [method: string]: () => Promise<AdminAnswer>;
}

const filterNames = new Map([
  ["cache_key", "cacheKey"],
  ["virtual_key", "virtualKey"],
  ["provider", "provider"],
  ["model", "model"],
] as const);
const allNames: readonly string[] = [...filterNames.keys()];

/**
 * @param path what stands behind `/api/cache/`, decoded
 * @param cache undefined while it is off
 * @returns the methods at the path; undefined when there is no such path
 */
export function cacheRoutes(
  path: readonly string[],
  query: string,
  cache: CacheControl | undefined,
): CacheRoutes | undefined {
  const [first, second, ...more] = path;
  if (more.length > 0) return undefined;
  if (first === undefined) return { GET: async () => json(200, cache ? await overview(cache) : { enabled: false }) };
  const on = (): CacheControl => {
    if (cache === undefined) throw new AdminFailure("not_found", "The cache is off: semantic_cache.enabled is false.");
    return cache;
  };
  if (first === "clear" && second !== undefined) return { DELETE: () => clear(on(), { id: checkedId(second) }) };
  if (first === "clear-by-key" && second !== undefined) return { DELETE: () => clear(on(), { cacheKey: second }) };
  if (first !== "entries") return undefined;
  if (second !== undefined) return { GET: () => one(on(), second, query), DELETE: () => remove(on(), second) };
  return { GET: () => list(on(), query), DELETE: () => clear(on(), readFilter(new URLSearchParams(query), true)) };
}

async function overview(cache: CacheControl): Promise<Document> {
  const { partitions, directHits, semanticHits, misses, saved, ...stats } = await cache.stats();
  return {
    enabled: true,
    entries: stats.entries,
    bytes: stats.bytes,
    max_entries: stats.maxEntries,
    max_bytes: stats.maxBytes,
    ...countsOf({ directHits, semanticHits, misses, saved }),
    evicted: stats.evicted,
    expired: stats.expired,
    bytes_on_disk: stats.journalBytes,
    problem: stats.problem,
    unsearched: stats.unsearched,
    partition_count: stats.partitionCount,
    partitions: partitions.map((partition) => ({
      partition: partition.partition,
      virtual_key: partition.virtualKey,
      cache_key: partition.cacheKey,
      provider: partition.provider,
      model: partition.model,
      entries: partition.entries,
      bytes: partition.bytes,
      ...countsOf(partition),
      saved_usd: cache.costOf(partition.provider, partition.model, partition.saved) ?? null,
    })),
  };
}

function countsOf({ directHits, semanticHits, misses, saved }: PartitionCounts): Document {
  const hits = directHits + semanticHits;
  return {
    direct_hits: directHits,
    semantic_hits: semanticHits,
    misses,
    hit_rate: hits + misses === 0 ? null : hits / (hits + misses),
    saved_input_tokens: saved.input + saved.cacheRead + saved.cacheWrite,
    saved_output_tokens: saved.output,
  };
}

async function list(cache: CacheControl, query: string): Promise<AdminAnswer> {
  const parameters = new URLSearchParams(query);
  const { limit, offset } = readPage(parameters, allNames);
  const { entries, total } = await cache.list(readFilter(parameters, false), { limit, offset, content: false });
  return json(200, { entries: entries.map(show), count: entries.length, total_count: total, limit, offset });
}

async function one(cache: CacheControl, id: string, query: string): Promise<AdminAnswer> {
  const content = readContentWish(new URLSearchParams(query));
  if (content && !cache.mayShowContent)
    throw new AdminFailure("forbidden", "What was asked and answered is not shown: observability.request_log.content.");
  const { entries } = await cache.list({ id: checkedId(id) }, { limit: 1, offset: 0, content });
  const [entry] = entries;
  if (entry === undefined) throw noEntry(id);
  return json(200, show(entry));
}

function readContentWish(parameters: URLSearchParams): boolean {
  const faults: Fault[] = [];
  for (const [name, value] of parameters) {
    if (name !== "content") faults.push({ path: name, message: "is not a known parameter" });
    else if (value !== "true" && value !== "false") faults.push({ path: name, message: "must be true or false" });
  }
  if (faults.length > 0) throw invalid(faults);
  return parameters.get("content") === "true";
}

async function remove(cache: CacheControl, id: string): Promise<AdminAnswer> {
  if ((await cache.forget({ id: checkedId(id) })) === 0) throw noEntry(id);
  return answer(204, "");
}

async function clear(cache: CacheControl, filter: Filter): Promise<AdminAnswer> {
  return json(200, { deleted: await cache.forget(filter) });
}

function show({ content, ...entry }: EntryInfo): Document {
  return {
    id: entry.id,
    partition: entry.partition,
    virtual_key: entry.virtualKey,
    cache_key: entry.cacheKey,
    provider: entry.provider,
    model: entry.model,
    created_at: new Date(entry.storedAt).toISOString(),
    expires_at: new Date(entry.expiresAt).toISOString(),
    bytes: entry.bytes,
    hits: entry.hits,
    input_tokens: entry.tokens.input + entry.tokens.cacheRead + entry.tokens.cacheWrite,
    output_tokens: entry.tokens.output,
    semantic: entry.isSemantic,
    ...(content !== undefined && { question: content.question, answer: JSON.parse(content.answer) }),
  };
}

/** @param isDeletion all entries have to be meant in so many words */
function readFilter(parameters: URLSearchParams, isDeletion: boolean): Filter {
  const faults: Fault[] = [];
  const filter: Record<string, string | null> = {};
  for (const [name, value] of parameters) {
    const [, member] = [...filterNames].find(([known]) => known === name) ?? [];
    // Clients without a virtual key are those of the empty one.
    if (member !== undefined) filter[member] = member === "virtualKey" && value === "" ? null : value;
    else if (isDeletion && !(name === "all" && value === "true"))
      faults.push({ path: name, message: name === "all" ? "must be true" : "is not a known parameter" });
  }
  const isEmpty = Object.keys(filter).length === 0;
  if (isDeletion && isEmpty && faults.length === 0 && !parameters.has("all"))
    faults.push({ path: "", message: `one of ${allNames.join(", ")} is needed, or all=true` });
  if (!isEmpty && parameters.has("all")) faults.push({ path: "all", message: "stands alone" });
  if (faults.length > 0) throw invalid(faults);
  return isEmpty ? { all: true } : filter;
}

/** A few characters might be the beginning of another entry's id. */
function checkedId(id: string): string {
  if (/^[0-9a-f]{16,64}$/.test(id)) return id;
  throw invalid([{ path: "id", message: "must be an entry's id, or 16 or more of its first characters" }]);
}

function noEntry(id: string): AdminFailure {
  return new AdminFailure("not_found", `The cache has no entry ${id}.`);
}
