/**
 * The one owner of entries and indexes: an index cannot be shared between threads, so all of them ask here. Lives in a
 * worker of its own; a message in, an answer out.
 */
import { join } from "node:path";
import { type Embedder, type EmbeddingSettings, embedsAtOwner, lexicalEmbedder, spaceOf, within } from "./embedder.ts";
import { type Entry, entryFields, type Question, readEntry } from "./entry.ts";
import { compare } from "./gate.ts";
import { HitCounts } from "./hit-counts.ts";
import { Journal } from "./journal.ts";
import { loadLocalEmbedder } from "./local-embedder.ts";
import {
  type Answer,
  type EntryInfo,
  type Find,
  type List,
  type Message,
  type OwnerStats,
  type PartitionStats,
  type Put,
  packAnswer,
  readMessage,
} from "./messages.ts";
import { checkedVector, PartitionIndex } from "./partition-index.ts";
import { EntryStore, type Limits, matches, type Slot } from "./store.ts";
import { analyse } from "./tokens.ts";

export interface OwnerSettings extends Limits {
  readonly embedding: EmbeddingSettings;
  /** Where entries are saved; null: nowhere. */
  readonly folder: string | null;
  /** 32 bytes that what is saved is encrypted with; null saves it in the clear. */
  readonly key: Uint8Array | null;
}

/** So many neighbours are shown to the gate. */
const candidates = 8;
/** How long graphs are built without a pause, and how long the pause is. Milliseconds. */
const buildMs = 4;
const pauseMs = 4;
/** How often entries that are over are looked for. Milliseconds. */
const sweepMs = 10_000;
/** The disk may hold this many times what is alive, and so much beside. */
const journalRatio = 2;
const journalSpare = 16 * 1024 * 1024;
/** Rounding to 32 bits makes 1 a little less. */
const tolerance = 1e-5;

export class IndexOwner {
  #settings: OwnerSettings;
  #space: string;
  readonly #now: () => number;
  readonly #store: EntryStore;
  readonly #journal: Journal | undefined;
  /** By partition. They hold vectors of the embedder in force only. */
  readonly #indexes = new Map<string, PartitionIndex>();
  /** How many living entries each file of the journal has. */
  readonly #living = new Map<number, number>();
  readonly #counts = new HitCounts();
  /** Counts deletions: what was being taken in meanwhile may be one of those that were to go. */
  #epoch = 0;
  #embedder: Promise<Embedder> | undefined;
  #problem: string | null = null;
  #loading = false;
  #building: NodeJS.Timeout | undefined;
  readonly #sweeping: NodeJS.Timeout;

  /** Reads what the folder holds. */
  constructor(settings: OwnerSettings, now: () => number = Date.now) {
    this.#settings = settings;
    this.#space = spaceOf(settings.embedding);
    this.#now = now;
    this.#store = new EntryStore(settings, (slot) => this.#onRemove(slot));
    this.#embedder = this.#openEmbedder();
    if (settings.folder !== null) {
      const onProblem = (message: string) => {
        this.#problem = message;
      };
      this.#journal = new Journal(join(settings.folder, "cache"), onProblem, settings.key);
      this.#load(this.#journal);
    }
    this.#sweeping = setInterval(() => void this.#sweep(), sweepMs).unref();
  }

  /** Puts other settings in force; the folder stays. Entries of another embedder remain, for equal requests. */
  configure(settings: OwnerSettings): void {
    const before = JSON.stringify(this.#settings.embedding);
    this.#settings = { ...settings, folder: this.#settings.folder, key: this.#settings.key };
    this.#store.resize(settings);
    if (JSON.stringify(settings.embedding) === before) return;
    this.#embedder = this.#openEmbedder();
    const space = spaceOf(settings.embedding);
    if (space === this.#space) return;
    this.#space = space;
    this.#dropIndexes();
    for (const slot of this.#store.slots()) this.#index(slot);
  }

  /** @throws (as a rejection) Error for bytes that are no message */
  async handle(message: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    return packAnswer(await this.answer(readMessage(message)));
  }

  async answer(message: Message): Promise<Answer> {
    switch (message.op) {
      case "find":
        return this.#find(message);
      case "put":
        return { kind: "done", count: (await this.#put(message)) ? 1 : 0 };
      case "touch":
        for (const [exact, times] of message.served) {
          const slot = this.#store.get(exact, this.#now());
          if (slot !== undefined) this.#count(slot, "direct", times);
        }
        return { kind: "done", count: message.served.length };
      case "forget": {
        this.#epoch++;
        const count = this.#store.forget(message.filter);
        await this.#journal?.flush();
        return { kind: "done", count };
      }
      case "list":
        return this.#list(message);
      case "stats":
        return { kind: "stats", stats: this.#stats() };
      case "flush":
        await this.#journal?.flush();
        return { kind: "done", count: 0 };
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeping);
    clearTimeout(this.#building);
    await this.#journal?.close();
    this.#dropIndexes();
  }

  #dropIndexes(): void {
    for (const index of this.#indexes.values()) index.clear();
    this.#indexes.clear();
  }

  async #find(find: Find): Promise<Answer> {
    if (find.direct) {
      const slot = this.#store.get(find.exact, this.#now());
      if (slot !== undefined) return this.#found(slot, "direct", 1);
    }
    const near = find.semantic === undefined ? undefined : await this.#findNear(find.partition, find.semantic);
    if (near !== undefined) return near;
    if (find.isLast) this.#counts.miss(find.partition);
    return { kind: "none" };
  }

  async #findNear(
    partition: string,
    { text, threshold, given }: NonNullable<Find["semantic"]>,
  ): Promise<Answer | undefined> {
    const asked = given ?? (await this.#embed(text));
    if (asked === undefined) return undefined;
    const index = this.#indexes.get(partition);
    if (index === undefined || asked.space !== this.#space) return undefined;
    const vector = checkedVector(asked.vector, this.#settings.embedding.dimension);
    const reading = analyse(text);
    for (const { id, similarity } of index.search(vector, candidates)) {
      if (similarity + tolerance < threshold) return undefined;
      const slot = this.#store.byId(id);
      const question = slot?.entry.question;
      // The partition is asked again where the answer is handed out: nothing above may ever let it cross.
      if (slot === undefined || question === undefined || slot.entry.partition !== partition) continue;
      if (text !== question.text && !compare(reading, analyse(question.text)).same) continue;
      const living = this.#store.get(slot.entry.exact, this.#now());
      if (living !== undefined) return this.#found(living, "semantic", Math.min(1, similarity));
    }
    return undefined;
  }

  #found(slot: Slot, hit: "direct" | "semantic", similarity: number): Answer {
    this.#count(slot, hit, 1);
    return { kind: "found", hit, similarity, entry: slot.entry };
  }

  #count(slot: Slot, hit: "direct" | "semantic", times: number): void {
    slot.hits += times;
    this.#counts.hit(slot.entry.partition, hit, times, slot.entry.tokens);
  }

  #list({ filter, limit, offset, content }: List): Answer {
    const entries: EntryInfo[] = [];
    let total = 0;
    for (const { entry, bytes, hits } of this.#store.slots()) {
      if (!matches(entry, filter) || entry.expiresAt <= this.#now()) continue;
      total++;
      if (total <= offset || entries.length >= limit) continue;
      const { exact: id, answer, question, mayShow, ...shown } = entry;
      const said = { question: question?.text ?? null, answer: Buffer.from(answer).toString("utf8") };
      const isSemantic = question !== undefined;
      entries.push({ id, ...shown, bytes, hits, isSemantic, ...(content && mayShow && { content: said }) });
    }
    return { kind: "entries", entries, total };
  }

  async #put({ entry, embed }: Put): Promise<boolean> {
    const epoch = this.#epoch;
    const question = embed === undefined ? this.#checked(entry.question) : await this.#question(embed);
    if (epoch !== this.#epoch) return false;
    const whole = { ...entry, question };
    return this.#keep(whole, this.#journal?.current ?? 0);
  }

  /** @throws BadVector */
  #checked(question: Question | undefined): Question | undefined {
    if (question === undefined || question.space !== this.#space) return undefined;
    return { ...question, vector: checkedVector(question.vector, this.#settings.embedding.dimension) };
  }

  async #question(text: string): Promise<Question | undefined> {
    const made = await this.#embed(text);
    return made === undefined ? undefined : { text, ...made };
  }

  /** Undefined when there is no vector for the text: the cache then goes without. */
  async #embed(text: string): Promise<{ space: string; vector: Float32Array } | undefined> {
    try {
      const embedder = await this.#embedder;
      if (embedder === undefined) return undefined;
      const vector = await within(this.#settings.embedding.timeout_ms, undefined, (signal) =>
        embedder.embed(text, signal),
      );
      return { space: embedder.space, vector };
    } catch (error) {
      this.#problem = `a text could not be embedded: ${error instanceof Error ? error.message : String(error)}`;
      return undefined;
    }
  }

  #openEmbedder(): Promise<Embedder> | undefined {
    const { embedding } = this.#settings;
    if (!embedsAtOwner(embedding)) return undefined;
    const embedder =
      embedding.provider === "local" ? loadLocalEmbedder(embedding) : Promise.resolve(lexicalEmbedder(embedding));
    // Whoever embeds is told; until then nobody waits for it.
    embedder.catch(() => undefined);
    return embedder;
  }

  /** Takes an entry into store, journal and index; false when it is not kept. */
  #keep(entry: Entry, file: number): boolean {
    const slot = this.#store.put(entry, file, this.#now());
    if (slot === undefined) return false;
    this.#living.set(file, (this.#living.get(file) ?? 0) + 1);
    if (!this.#loading) this.#journal?.append([1, entryFields(entry)]);
    this.#index(slot);
    return true;
  }

  #index({ id, entry: { partition, question } }: Slot): void {
    if (question === undefined || question.space !== this.#space) return;
    let index = this.#indexes.get(partition);
    if (index === undefined) {
      index = new PartitionIndex(this.#settings.embedding.dimension);
      this.#indexes.set(partition, index);
    }
    index.add(id, question.vector);
    if (index.unfinished) this.#buildLater();
  }

  #onRemove(slot: Slot): void {
    this.#living.set(slot.file, (this.#living.get(slot.file) ?? 1) - 1);
    const { exact, partition, expiresAt } = slot.entry;
    // An entry that is over stays over, on the disk as well.
    if (!this.#loading && expiresAt > this.#now()) this.#journal?.append([0, exact]);
    const index = this.#indexes.get(partition);
    if (index === undefined) return;
    index.remove(slot.id);
    if (index.size === 0) {
      index.clear();
      this.#indexes.delete(partition);
    }
  }

  #load(journal: Journal): void {
    this.#loading = true;
    journal.load(
      (record, file) => this.#replay(record, file),
      () => this.#store.forget({ all: true }),
    );
    this.#loading = false;
  }

  /** @returns false for a record that makes no sense */
  #replay(record: unknown, file: number): boolean {
    if (!Array.isArray(record) || record.length !== 2) return false;
    const [kind, value]: readonly unknown[] = record;
    if (kind === 0 && typeof value === "string") {
      this.#store.remove(value);
      return true;
    }
    const entry = kind === 1 ? readEntry(value) : undefined;
    if (entry === undefined) return false;
    const { question } = entry;
    if (question?.space === this.#space && !isUsable(question.vector, this.#settings.embedding.dimension)) return false;
    this.#keep(entry, file);
    return true;
  }

  /** Appends the entries of a file again, so that it is not needed any more. */
  #rewrite(journal: Journal, file: number): void {
    this.#living.delete(file);
    for (const slot of this.#store.slots()) {
      if (slot.file !== file) continue;
      slot.file = journal.current;
      this.#living.set(slot.file, (this.#living.get(slot.file) ?? 0) + 1);
      journal.append([1, entryFields(slot.entry)]);
    }
  }

  #buildLater(): void {
    this.#building ??= setTimeout(() => {
      this.#building = undefined;
      const until = performance.now() + buildMs;
      let more = false;
      for (const index of this.#indexes.values()) {
        if (!index.unfinished) continue;
        if (performance.now() < until) index.build(until);
        more ||= index.unfinished;
      }
      if (more) this.#buildLater();
    }, pauseMs).unref();
  }

  async #sweep(): Promise<void> {
    this.#store.dropExpired(this.#now());
    const journal = this.#journal;
    if (journal === undefined) return;
    const room = this.#store.bytes * journalRatio + journalSpare;
    for (let file = journal.oldest; file !== undefined; file = journal.oldest) {
      if ((this.#living.get(file) ?? 0) > 0) {
        if (journal.bytes <= room) return;
        this.#rewrite(journal, file);
        // Not before what was in it is safely in another one.
        await journal.flush();
      }
      this.#living.delete(file);
      journal.remove(file);
    }
  }

  #stats(): OwnerStats {
    const partitions = new Map<string, PartitionStats>();
    for (const { entry, bytes } of this.#store.slots()) {
      const { partition, virtualKey, cacheKey, provider, model } = entry;
      const sum = partitions.get(partition);
      partitions.set(partition, {
        partition,
        virtualKey,
        cacheKey,
        provider,
        model,
        entries: (sum?.entries ?? 0) + 1,
        bytes: (sum?.bytes ?? 0) + bytes,
        ...this.#counts.of(partition),
      });
    }
    const { directHits, semanticHits, misses, saved } = this.#counts.all;
    return {
      entries: this.#store.size,
      bytes: this.#store.bytes,
      maxEntries: this.#settings.maxEntries,
      maxBytes: this.#settings.maxBytes,
      directHits,
      semanticHits,
      misses,
      saved,
      evicted: this.#store.evicted,
      expired: this.#store.expired,
      journalBytes: this.#journal?.bytes ?? 0,
      problem: this.#problem,
      partitionCount: partitions.size,
      partitions: [...partitions.values()].sort((a, b) => b.entries - a.entries).slice(0, 100),
    };
  }
}

/** A vector from the disk, which nobody has checked. */
function isUsable(vector: Float32Array, dimension: number): boolean {
  return vector.length === dimension && vector.every(Number.isFinite);
}
