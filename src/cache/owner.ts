/**
 * The one owner of entries and indexes: an index cannot be shared between threads, so all of them ask here. Lives in a
 * worker of its own; a message in, an answer out.
 */
import { join } from "node:path";
import { type Embedder, type EmbeddingSettings, embedsAtOwner, lexicalEmbedder, spaceOf, within } from "./embedder.ts";
import { type Entry, entryFields, isDigest, type Question, readEntry } from "./entry.ts";
import { compare } from "./gate.ts";
import { HitCounts } from "./hit-counts.ts";
import { Journal } from "./journal.ts";
import {
  type Answer,
  type EntryInfo,
  type Filter,
  type Find,
  type List,
  type Message,
  type OwnerStats,
  type Put,
  packAnswer,
  readMessage,
} from "./messages.ts";
import { ModelThread } from "./model-thread.ts";
import { checkedVector } from "./partition-index.ts";
import { PartitionIndexes } from "./partition-indexes.ts";
import { PartitionSums } from "./partition-sums.ts";
import { inTurns } from "./slices.ts";
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
/** How long the folder is read without a pause. Milliseconds. */
const readMs = 2;
/** So many records of the folder are read before anything is answered, the others in turns. */
const readAtOnce = 1000;
/** So many entries wait until the folder has been read; more are not kept. */
const mostEarly = 256;
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
  /** They hold vectors of the embedder in force only. */
  readonly #indexes = new PartitionIndexes();
  readonly #sums = new PartitionSums();
  /** How many living entries each file of the journal has. */
  readonly #living = new Map<number, number>();
  readonly #counts = new HitCounts();
  /** Counts deletions: what was being taken in meanwhile may be one of those that were to go. */
  #epoch = 0;
  #embedder: Embedder | undefined;
  /** Where the embedder is a model on this machine. */
  #model: ModelThread | undefined;
  #problem: string | null = null;
  #loading: Promise<void> | undefined;
  #early = 0;
  #closed = false;
  #shrinking = false;
  #sweeping = false;
  readonly #sweeps: NodeJS.Timeout;

  /** Reads what the folder holds. Until all of it is read, nothing is found. */
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
    this.#sweeps = setInterval(() => void this.#sweep(), sweepMs).unref();
  }

  /** Puts other settings in force; the folder stays. Entries of another embedder remain, for equal requests. */
  configure(settings: OwnerSettings): void {
    const before = JSON.stringify(this.#settings.embedding);
    this.#settings = { ...settings, folder: this.#settings.folder, key: this.#settings.key };
    this.#store.resize(settings);
    this.#shrinkLater();
    if (JSON.stringify(settings.embedding) === before) return;
    this.#embedder = this.#openEmbedder();
    const space = spaceOf(settings.embedding);
    if (space === this.#space) return;
    this.#space = space;
    this.#indexes.clear();
    void inTurns([...this.#store.slots()], (slot) => {
      const vector = slot.entry.question?.vector;
      if (this.#closed || vector === undefined || !this.#store.has(slot)) return;
      if (isUsable(vector, this.#settings.embedding.dimension)) this.#index(slot);
    });
  }

  /** @throws (as a rejection) Error for bytes that are no message */
  async handle(message: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    return packAnswer(await this.answer(readMessage(message)));
  }

  async answer(message: Message): Promise<Answer> {
    if (this.#loading !== undefined) {
      // A later record may say that an entry has gone: who asks now is not kept waiting.
      if (message.op === "find") return { kind: "none" };
      if (message.op === "put") return { kind: "done", count: this.#putLater(message, this.#loading) ? 1 : 0 };
      await this.#loading;
    }
    switch (message.op) {
      case "find":
        return this.#find(message);
      case "put":
        return { kind: "done", count: (await this.#put(message, this.#epoch)) ? 1 : 0 };
      case "touch":
        for (const [exact, times] of message.served) {
          const slot = this.#store.get(exact, this.#now());
          if (slot !== undefined) this.#count(slot, "direct", times);
        }
        return { kind: "done", count: message.served.length };
      case "forget":
        return { kind: "done", count: await this.#forget(message.filter) };
      case "list":
        return this.#list(message);
      case "stats":
        return { kind: "stats", stats: await this.#stats() };
      case "flush":
        await this.#journal?.flush();
        return { kind: "done", count: 0 };
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeps);
    this.#indexes.close();
    await this.#loading;
    await this.#journal?.close();
    await this.#model?.close();
    this.#indexes.close();
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

  async #list({ filter, limit, offset, content }: List): Promise<Answer> {
    const entries: EntryInfo[] = [];
    let total = 0;
    await inTurns(this.#meant(filter), (slot) => {
      const { entry, bytes, hits } = slot;
      if (!matches(entry, filter) || entry.expiresAt <= this.#now() || !this.#store.has(slot)) return;
      total++;
      if (total <= offset || entries.length >= limit) return;
      const { exact: id, answer, question, mayShow, ...shown } = entry;
      const said = { question: question?.text ?? null, answer: Buffer.from(answer).toString("utf8") };
      const isSemantic = question !== undefined;
      entries.push({ id, ...shown, bytes, hits, isSemantic, ...(content && mayShow && { content: said }) });
    });
    return { kind: "entries", entries, total };
  }

  /** What is put while this goes on is newer than the wish to forget. */
  async #forget(filter: Filter): Promise<number> {
    this.#epoch++;
    let count = 0;
    await inTurns(this.#meant(filter), (slot) => {
      if (matches(slot.entry, filter) && this.#store.drop(slot)) count++;
    });
    await this.#journal?.flush();
    return count;
  }

  /** The slots among which those are that a filter means, as they are now: serving them changes their order. */
  #meant(filter: Filter): readonly Slot[] {
    if (!("id" in filter) || !isDigest(filter.id)) return [...this.#store.slots()];
    const slot = this.#store.peek(filter.id);
    return slot === undefined ? [] : [slot];
  }

  #putLater(put: Put, loaded: Promise<void>): boolean {
    if (this.#early >= mostEarly) return false;
    this.#early++;
    const epoch = this.#epoch;
    void loaded
      .then(() => this.#put(put, epoch))
      .catch((error: unknown) => {
        this.#problem = `an entry could not be kept: ${textOf(error)}`;
      });
    return true;
  }

  /** @param epoch of when it was to be put */
  async #put({ entry, embed }: Put, epoch: number): Promise<boolean> {
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
      const embedder = this.#embedder;
      if (embedder === undefined) return undefined;
      const vector = await within(this.#settings.embedding.timeout_ms, undefined, (signal) =>
        embedder.embed(text, signal),
      );
      return { space: embedder.space, vector };
    } catch (error) {
      this.#problem = `a text could not be embedded: ${textOf(error)}`;
      return undefined;
    }
  }

  #openEmbedder(): Embedder | undefined {
    const { embedding } = this.#settings;
    void this.#model?.close();
    this.#model = embedding.provider === "local" ? new ModelThread(embedding) : undefined;
    this.#model?.open();
    return this.#model ?? (embedsAtOwner(embedding) ? lexicalEmbedder(embedding) : undefined);
  }

  /** Takes an entry into store, journal and index; false when it is not kept. */
  #keep(entry: Entry, file: number): boolean {
    const slot = this.#store.put(entry, file, this.#now());
    if (slot === undefined) return false;
    this.#living.set(file, (this.#living.get(file) ?? 0) + 1);
    this.#sums.add(slot);
    if (this.#loading === undefined) this.#journal?.append([1, entryFields(entry)]);
    this.#index(slot);
    this.#shrinkLater();
    return true;
  }

  #index({ id, entry: { partition, question } }: Slot): void {
    if (question?.space !== this.#space) return;
    this.#indexes.add(partition, id, question.vector, this.#settings.embedding.dimension);
  }

  #onRemove(slot: Slot): void {
    this.#living.set(slot.file, (this.#living.get(slot.file) ?? 1) - 1);
    this.#sums.remove(slot);
    const { exact, partition, expiresAt } = slot.entry;
    // An entry that is over stays over, on the disk as well.
    if (this.#loading === undefined && expiresAt > this.#now()) this.#journal?.append([0, exact]);
    this.#indexes.remove(partition, slot.id);
  }

  #load(journal: Journal): void {
    const steps = journal.loading(
      (record, file) => this.#replay(record, file),
      () => this.#store.clear(),
    );
    let done: () => void = () => undefined;
    this.#loading = new Promise((resolve) => {
      done = resolve;
    });
    let read = 0;
    const go = (): void => {
      const until = performance.now() + readMs;
      while (!this.#closed && steps.next().done !== true) {
        if (++read < readAtOnce || performance.now() < until) continue;
        setImmediate(go);
        return;
      }
      this.#loading = undefined;
      done();
    };
    go();
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
  async #rewrite(journal: Journal, file: number): Promise<void> {
    await inTurns([...this.#store.slots()], (slot) => {
      if (slot.file !== file || this.#closed || !this.#store.has(slot)) return;
      slot.file = journal.current;
      this.#living.set(slot.file, (this.#living.get(slot.file) ?? 0) + 1);
      journal.append([1, entryFields(slot.entry)]);
    });
  }

  #shrinkLater(): void {
    if (this.#shrinking || !this.#store.isOver) return;
    this.#shrinking = true;
    setImmediate(() => {
      this.#shrinking = false;
      if (this.#closed) return;
      this.#store.shrink();
      this.#shrinkLater();
    });
  }

  async #sweep(): Promise<void> {
    if (this.#sweeping || this.#loading !== undefined) return;
    this.#sweeping = true;
    await inTurns(this.#store.slots(), (slot) => {
      if (!this.#closed) this.#store.dropExpired(slot, this.#now());
    });
    if (this.#journal !== undefined && !this.#closed) await this.#tidy(this.#journal);
    this.#sweeping = false;
  }

  /** Removes files that nothing lives in any more, and the oldest ones where all of them are too large. */
  async #tidy(journal: Journal): Promise<void> {
    const room = this.#store.bytes * journalRatio + journalSpare;
    for (let file = journal.oldest; file !== undefined && !this.#closed; file = journal.oldest) {
      if ((this.#living.get(file) ?? 0) > 0) {
        if (journal.bytes <= room) return;
        await this.#rewrite(journal, file);
        // Not before what was in it is safely in another one.
        await journal.flush();
        if (this.#closed) return;
      }
      this.#living.delete(file);
      journal.remove(file);
    }
  }

  async #stats(): Promise<OwnerStats> {
    const partitions = await this.#sums.largest(this.#counts);
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
      unsearched: this.#indexes.unsearched,
      partitionCount: this.#sums.count,
      partitions,
    };
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A vector from the disk, which nobody has checked. */
function isUsable(vector: Float32Array, dimension: number): boolean {
  return vector.length === dimension && vector.every(Number.isFinite);
}
