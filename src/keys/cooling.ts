/**
 * Which model of which key is cooling down after 429. Until `Retry-After`, or one second that grows to sixty; other models
 * of the key, and the model at other keys, go on.
 *
 * The model's name stands in the entry, so that any thread can tell it: its last 108 bytes, since the end of an ARN is what
 * tells one from another.
 */
import { Buffer } from "node:buffer";
import type { Tag } from "./hash.ts";
import { coolingEntryWords, entryWord, type KeyMemory, keyLine, keyWord, ownerOf } from "./layout.ts";
import { TagTable } from "./tag-table.ts";
import { type Growth, isGuess, isRunning, longestWaitMs, nextWait, prolong, tickOf, waitLeft } from "./waits.ts";

/** A model at a key, as the table finds it. */
export interface CoolingName {
  readonly slot: number;
  readonly generation: number;
  /** The model id at the key, after aliases; empty for operations without a model. */
  readonly model: string;
  /** Hash of the three. */
  readonly tag: Tag;
}

const growth: Growth = { firstMs: 1000, longestMs: 60_000 };
const nameWords = coolingEntryWords - entryWord.name;
const nameBytes = nameWords * 4;

export class Cooling {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #table: TagTable;

  constructor(memory: KeyMemory) {
    this.#words = memory.words;
    this.#table = new TagTable(memory, {
      start: memory.coolingStart,
      entries: memory.capacities.cooling,
      stride: coolingEntryWords,
      longestMs: longestWaitMs,
    });
  }

  /** Whether the model cools down at the key. Fast path: one read while no model of the key does. */
  isCooling(name: CoolingName, tick: number): boolean {
    if (!isRunning(Atomics.load(this.#words, keyLine(name.slot) + keyWord.throttleWait), tick)) return false;
    const entry = this.#table.find(name.tag);
    return entry !== -1 && this.#table.isGood(entry, tick);
  }

  /** Milliseconds left; 0 when the model does not cool down. */
  left(name: CoolingName, now: number): number {
    const entry = this.#table.find(name.tag);
    return entry === -1 ? 0 : waitLeft(Atomics.load(this.#words, entry + entryWord.wait), now);
  }

  /** Whether the cool-down's length is our own guess. */
  isGuess(name: CoolingName): boolean {
    const entry = this.#table.find(name.tag);
    return entry === -1 || isGuess(Atomics.load(this.#words, entry + entryWord.wait));
  }

  /** After 429. @param retryAfterMs what the upstream asks for; at most an hour is kept */
  cool(name: CoolingName, now: number, retryAfterMs: number | undefined): void {
    let end = 0;
    this.#table.set(
      name.tag,
      tickOf(now),
      (seen) => {
        end = nextWait(seen, now, growth, retryAfterMs);
        return end;
      },
      (entry) => this.#fill(entry, name),
    );
    prolong(this.#words, keyLine(name.slot) + keyWord.throttleWait, now, growth, waitLeft(end, now));
  }

  /** After a success: the next cool-down is short again. A running one stays. */
  forgive(name: CoolingName, now: number): void {
    if (Atomics.load(this.#words, keyLine(name.slot) + keyWord.throttleWait) === 0) return;
    const tick = tickOf(now);
    const entry = this.#table.find(name.tag);
    if (entry !== -1) this.#table.change(entry, name.tag, (seen) => (isRunning(seen, tick) ? seen : 0));
  }

  /** The models that cool down at a key, with the milliseconds left. Looks at the whole table. */
  modelsOf(slot: number, generation: number, now: number): { readonly model: string; readonly remainingMs: number }[] {
    const owner = ownerOf(slot, generation);
    const models = new Map<string, number>();
    this.#table.eachGood(tickOf(now), (entry) => {
      if (Atomics.load(this.#words, entry + entryWord.owner) !== owner) return;
      const model = this.#name(entry);
      const left = waitLeft(Atomics.load(this.#words, entry + entryWord.wait), now);
      models.set(model, Math.max(left, models.get(model) ?? 0));
    });
    return [...models].map(([model, remainingMs]) => ({ model, remainingMs }));
  }

  #fill(entry: number, { slot, generation, model }: CoolingName): void {
    const name = Buffer.alloc(nameBytes);
    const bytes = Buffer.from(model).subarray(-nameBytes);
    bytes.copy(name);
    Atomics.store(this.#words, entry + entryWord.owner, ownerOf(slot, generation));
    Atomics.store(this.#words, entry + entryWord.nameBytes, bytes.length);
    for (let word = 0; word < nameWords; word++)
      Atomics.store(this.#words, entry + entryWord.name + word, name.readInt32LE(word * 4));
  }

  #name(entry: number): string {
    const name = Buffer.alloc(nameBytes);
    for (let word = 0; word < nameWords; word++)
      name.writeInt32LE(Atomics.load(this.#words, entry + entryWord.name + word), word * 4);
    return name.toString("utf8", 0, Atomics.load(this.#words, entry + entryWord.nameBytes));
  }
}
