/**
 * The cache as a front end uses it. Beside the road, never on it: looking up takes `embedding.timeout_ms` at the most, and
 * whatever fails on the way is a miss.
 */
import type { SemanticCacheConfig } from "../config/cache.ts";
import { type NotKept, whyNotKept } from "./answer.ts";
import { Breaker } from "./breaker.ts";
import { NotCanonical } from "./canonical.ts";
import { type Embedder, embedsAtOwner, TimeCap, within } from "./embedder.ts";
import type { Entry, Labels, Question, Tokens } from "./entry.ts";
import { ExactCache } from "./exact.ts";
import { type Answer, type Ask, type Filter, type Find, type Message, packMessage, readAnswer } from "./messages.ts";
import type { CacheOptions } from "./options.ts";
import { type Place, placeOf, type RequestFacts } from "./partition.ts";

export interface CacheParts {
  readonly config: SemanticCacheConfig;
  readonly ask: Ask;
  /** For an embedding provider that is asked from the front end: neither lexical nor local. */
  readonly embedder?: Embedder | undefined;
  /** What went wrong; the requests themselves go on. Repeats are left to the receiver. */
  readonly onProblem?: (message: string) => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Why the cache has no part in a request. */
export type BypassReason = "disabled" | "no_cache_key" | "conversation" | "unsafe_number" | "too_deep";

/** An answer that was given before. */
export interface CachedAnswer {
  /** For the management API: `DELETE /api/cache/…`. */
  readonly id: string;
  /** The Converse response, a value of the caller's own. */
  readonly answer: Readonly<Record<string, unknown>>;
  readonly provider: string;
  readonly model: string;
  /** Milliseconds since 1970. */
  readonly storedAt: number;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export type Lookup =
  /** @property similarity 1 for a direct hit */
  | { readonly kind: "direct" | "semantic"; readonly entry: CachedAnswer; readonly similarity: number }
  /** The ticket goes to {@link SemanticCache.store} with the answer, or to {@link SemanticCache.release} without one. */
  | { readonly kind: "miss"; readonly ticket: Ticket }
  | { readonly kind: "bypass"; readonly reason: BypassReason };

/** A request that was not found. Opaque to the road. */
export interface Ticket {
  readonly place: Place;
  readonly labels: Labels;
  readonly options: CacheOptions;
  /** Where the front end embeds: what it made of the text. */
  readonly question: Question | undefined;
}

export type Stored =
  | { readonly kind: "stored"; readonly id: string }
  | { readonly kind: "skipped"; readonly reason: SkipReason };
export type SkipReason = NotKept | "no_store" | "disabled";

/** Longer texts are found by equal requests only. UTF-16 code units. */
const longestText = 8192;
/** An answer that is larger is not kept. Bytes, as a share of all. */
const largestShare = 1 / 8;
/** Messages that the owner has not answered; beyond it is not asked. */
const mostWaiting = 512;
const mostWaitingBytes = 64 * 1024 * 1024;
/** How often hits of this front end's own are told to the owner. Milliseconds. */
const touchMs = 1000;
/** The longest that a request waits for the answer to an identical one. Milliseconds. */
const coalesceMs = 60_000;

export class SemanticCache {
  #config: SemanticCacheConfig;
  #embedder: Embedder | undefined;
  readonly #ask: Ask;
  readonly #onProblem: (message: string) => void;
  readonly #now: () => number;
  readonly #local: ExactCache;
  readonly #owner = new Breaker(3, 2000);
  readonly #embedding = new Breaker(3, 2000);
  #waiting = 0;
  #waitingBytes = 0;
  /** Counts deletions: what was asked for before one must not be kept after it. */
  #epoch = 0;
  #served = new Map<string, number>();
  #touching: NodeJS.Timeout | undefined;
  /** Requests being answered, by what they are equal in, for those that wait for them. */
  readonly #running = new Map<string, Running>();
  readonly #puts = new Set<Promise<void>>();

  constructor({ config, ask, embedder, onProblem = () => undefined, now = Date.now }: CacheParts) {
    this.#config = config;
    this.#embedder = embedder;
    this.#ask = ask;
    this.#onProblem = onProblem;
    this.#now = now;
    this.#local = new ExactCache(config);
  }

  /** Puts another configuration in force. */
  configure(config: SemanticCacheConfig, embedder: Embedder | undefined): void {
    const { max_entries, max_bytes } = this.#config;
    if (config.max_entries !== max_entries || config.max_bytes !== max_bytes || !config.enabled)
      this.#local.resize(config);
    this.#config = config;
    this.#embedder = embedder;
  }

  /**
   * Looks for an answer that may be served to this request. Never fails and never takes longer than the time cap, save
   * where `coalesce` waits for an identical request.
   *
   * @param signal ends the waiting when the client has left; the outcome is then a miss
   */
  async lookup(facts: RequestFacts, options: CacheOptions, signal?: AbortSignal): Promise<Lookup> {
    if (!this.#config.enabled) return { kind: "bypass", reason: "disabled" };
    if (options.cacheKey === "") return { kind: "bypass", reason: "no_cache_key" };
    const { messages } = facts.request;
    if (Array.isArray(messages) && messages.length > this.#config.conversation_history_threshold) {
      return { kind: "bypass", reason: "conversation" };
    }
    let place: Place;
    try {
      place = placeOf(facts, options.cacheKey, this.#config);
    } catch (error) {
      if (error instanceof NotCanonical) return { kind: "bypass", reason: error.reason };
      throw error;
    }
    return this.#own(place, options) ?? (await this.#lookFurther(facts, place, options, signal));
  }

  /**
   * Keeps the answer to a request that was not found, when it may be served again; see {@link whyNotKept}. Other threads
   * find it within half a second.
   *
   * @param answer a successful Converse response: JSON values only
   */
  store(ticket: Ticket, answer: Readonly<Record<string, unknown>>): Stored {
    try {
      return this.#store(ticket, answer);
    } finally {
      this.release(ticket);
    }
  }

  /** There will be no answer for the ticket: those who wait for it look after themselves. */
  release(ticket: Ticket): void {
    const running = this.#running.get(ticket.place.exact);
    if (running?.ticket !== ticket) return;
    this.#running.delete(ticket.place.exact);
    running.end();
  }

  /** Forgets entries of this front end's own. The owner has to be told first. */
  forget(filter: Filter): void {
    this.#epoch++;
    this.#local.forget(filter);
  }

  /** Resolves when everything that was stored is with the owner, or lost. */
  async idle(): Promise<void> {
    this.#touch();
    await Promise.all(this.#puts);
  }

  /** An answer that this front end has itself. */
  #own({ exact }: Place, { type }: CacheOptions): Lookup | undefined {
    const entry = type === "semantic" ? undefined : this.#local.get(exact, this.#now());
    if (entry === undefined) return undefined;
    this.#served.set(exact, (this.#served.get(exact) ?? 0) + 1);
    this.#touching ??= setTimeout(() => this.#touch(), touchMs).unref();
    return { kind: "direct", entry: cachedAnswer(entry), similarity: 1 };
  }

  async #lookFurther(
    facts: RequestFacts,
    place: Place,
    options: CacheOptions,
    signal: AbortSignal | undefined,
  ): Promise<Lookup> {
    const running = this.#config.coalesce && options.type !== "semantic" ? this.#running.get(place.exact) : undefined;
    if (running !== undefined && running.until > this.#now()) {
      const found = await this.#waitFor(running.done, place, options, signal);
      if (found !== undefined) return found;
    }
    const { virtualKey, provider, model, mayShow = false } = facts;
    const labels = { virtualKey, cacheKey: options.cacheKey, provider, model, mayShow };
    const search = new Search(place, options);
    // Those who come while this one is being looked for wait for it as well.
    const ticket: Ticket = {
      place,
      labels,
      options,
      get question() {
        return search.question;
      },
    };
    if (this.#config.coalesce && !options.noStore) this.#begin(ticket);
    const epoch = this.#epoch;
    try {
      const found = await within(this.#config.embedding.timeout_ms, signal, (over) => this.#search(search, over));
      if (found !== undefined) {
        if (epoch === this.#epoch) this.#local.set(found.entry);
        this.release(ticket);
        return { kind: found.hit, entry: cachedAnswer(found.entry), similarity: found.similarity };
      }
    } catch (error) {
      // Late, failed, or left: the request goes on as if there were no cache.
      if (signal?.aborted !== true) this.#onProblem(`looking up an answer: ${textOf(error)}`);
    }
    return { kind: "miss", ticket };
  }

  async #search(search: Search, signal: AbortSignal): Promise<Found | undefined> {
    const { place, options } = search;
    const direct = options.type !== "semantic";
    const { text } = place;
    const near = options.type !== "direct" && text !== undefined && text.length <= longestText;
    const { threshold } = options;
    const find = (asked: Pick<Find, "direct" | "semantic">, isLast = true) =>
      this.#find({ op: "find", partition: place.partition, exact: place.exact, isLast, ...asked }, signal);
    if (!near) return direct ? find({ direct, semantic: undefined }) : undefined;
    if (embedsAtOwner(this.#config.embedding)) return find({ direct, semantic: { text, threshold } });
    const equal = direct ? await find({ direct, semantic: undefined }, false) : undefined;
    if (equal !== undefined) return equal;
    search.question = await this.#embed(text, signal);
    if (search.question === undefined) return undefined;
    const { space, vector } = search.question;
    return find({ direct: false, semantic: { text, threshold, given: { space, vector } } });
  }

  async #embed(text: string, signal: AbortSignal): Promise<Question | undefined> {
    const embedder = this.#embedder;
    if (embedder === undefined || !this.#embedding.allows(this.#now())) return undefined;
    try {
      const vector = await unlessAborted(embedder.embed(text, signal), signal);
      this.#embedding.worked();
      return { text, space: embedder.space, vector };
    } catch (error) {
      if (!hasLeft(signal)) this.#embedding.failed(this.#now());
      throw error;
    }
  }

  async #find(find: Find, signal: AbortSignal): Promise<Found | undefined> {
    if (!this.#owner.allows(this.#now())) return undefined;
    try {
      const answer = await unlessAborted(this.#send(find), signal);
      this.#owner.worked();
      return answer.kind === "found" && answer.entry.expiresAt > this.#now() ? answer : undefined;
    } catch (error) {
      if (!hasLeft(signal)) this.#owner.failed(this.#now());
      throw error;
    }
  }

  #store({ place, labels, options, question }: Ticket, answer: Readonly<Record<string, unknown>>): Stored {
    if (!this.#config.enabled) return { kind: "skipped", reason: "disabled" };
    if (options.noStore) return { kind: "skipped", reason: "no_store" };
    const reason = whyNotKept(answer, this.#config.store_tool_calls);
    if (reason !== undefined) return { kind: "skipped", reason };
    const bytes = Buffer.from(JSON.stringify(answer));
    if (bytes.byteLength > this.#config.max_bytes * largestShare) return { kind: "skipped", reason: "too_large" };
    const now = this.#now();
    const { exact, partition, text } = place;
    const entry: Entry = {
      exact,
      partition,
      answer: bytes,
      tokens: tokensOf(answer.usage),
      storedAt: now,
      expiresAt: now + options.ttlMs,
      ...labels,
      question,
    };
    this.#local.set(entry);
    const atOwner = embedsAtOwner(this.#config.embedding) && text !== undefined && text.length <= longestText;
    this.#tell({ op: "put", entry, embed: atOwner ? text : undefined });
    return { kind: "stored", id: exact };
  }

  #begin(ticket: Ticket): void {
    const until = this.#now() + coalesceMs;
    if ((this.#running.get(ticket.place.exact)?.until ?? 0) > this.#now()) return;
    let end: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#running.set(ticket.place.exact, { ticket, until, done, end });
  }

  async #waitFor(
    done: Promise<void>,
    place: Place,
    options: CacheOptions,
    signal: AbortSignal | undefined,
  ): Promise<Lookup | undefined> {
    try {
      await within(coalesceMs, signal, () => done);
    } catch {
      // It takes too long, or the client has left: no longer a reason to wait.
      return undefined;
    }
    return this.#own(place, options);
  }

  #touch(): void {
    clearTimeout(this.#touching);
    this.#touching = undefined;
    if (this.#served.size === 0) return;
    const served = [...this.#served];
    this.#served = new Map();
    this.#tell({ op: "touch", served });
  }

  /** Sends what needs no answer. */
  #tell(message: Message): void {
    if (!this.#owner.allows(this.#now())) return;
    const sent = this.#send(message).then(
      () => this.#owner.worked(),
      (error: unknown) => {
        this.#owner.failed(this.#now());
        this.#onProblem(`telling the owner of the cache: ${textOf(error)}`);
      },
    );
    this.#puts.add(sent);
    void sent.finally(() => this.#puts.delete(sent));
  }

  /** Bounds what waits for an owner that does not answer: its queue would grow without end. */
  async #send(message: Message): Promise<Answer> {
    const bytes = packMessage(message);
    const size = bytes.byteLength;
    if (this.#waiting >= mostWaiting || this.#waitingBytes + size > mostWaitingBytes) {
      throw new Error("the owner of the cache is behind");
    }
    this.#waiting++;
    this.#waitingBytes += size;
    try {
      return readAnswer(await this.#ask(bytes));
    } finally {
      this.#waiting--;
      this.#waitingBytes -= size;
    }
  }
}

/** A request that others may wait for. */
interface Running {
  readonly ticket: Ticket;
  /** Milliseconds since 1970; nobody waits for one that began too long ago. */
  readonly until: number;
  readonly done: Promise<void>;
  readonly end: () => void;
}

type Found = Extract<Answer, { kind: "found" }>;

/** What a lookup has found out so far. */
class Search {
  readonly place: Place;
  readonly options: CacheOptions;
  question: Question | undefined;

  constructor(place: Place, options: CacheOptions) {
    this.place = place;
    this.options = options;
  }
}

/** The waiting was ended for another reason than that it took too long. */
function hasLeft(signal: AbortSignal): boolean {
  return signal.aborted && !(signal.reason instanceof TimeCap);
}

/** Fails with the signal, so that whoever waited knows that it did in vain. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function cachedAnswer(entry: Entry): CachedAnswer {
  const { exact, provider, model, storedAt, expiresAt } = entry;
  const answer: Readonly<Record<string, unknown>> = JSON.parse(decoder.decode(entry.answer));
  return { id: exact, answer, provider, model, storedAt, expiresAt };
}

/** What a Converse response says of its usage; what it does not say is nothing. */
function tokensOf(usage: unknown): Tokens {
  const counts = new Map<string, unknown>(Object.entries(typeof usage === "object" && usage !== null ? usage : {}));
  const count = (name: string): number => {
    const value = counts.get(name);
    return typeof value === "number" ? value : 0;
  };
  return {
    input: count("inputTokens"),
    output: count("outputTokens"),
    cacheRead: count("cacheReadInputTokens"),
    cacheWrite: count("cacheWriteInputTokens"),
  };
}

const decoder = new TextDecoder();

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
