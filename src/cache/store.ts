/** The entries in memory: bounded in number and bytes, the least recently used one goes first. */
import { type Entry, sizeOf } from "./entry.ts";
import type { Filter } from "./messages.ts";

export interface Slot {
  /** Never given to another entry. */
  readonly id: number;
  readonly entry: Entry;
  readonly bytes: number;
  hits: number;
  /** The file of the journal that holds it. */
  file: number;
}

export interface Limits {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** No entry may have more than this share of all bytes. */
const largestShare = 0.25;
/** So many entries make room at a time; more would hold up everybody else. */
const mostEvicted = 256;

export class EntryStore {
  readonly #onRemove: (slot: Slot) => void;
  /** By {@link Entry.exact}, the least recently used one first. */
  readonly #slots = new Map<string, Slot>();
  readonly #byId = new Map<number, Slot>();
  #limits: Limits;
  #bytes = 0;
  #lastId = 0;
  evicted = 0;
  expired = 0;

  /** @param onRemove is told of every entry that goes, for whatever reason */
  constructor(limits: Limits, onRemove: (slot: Slot) => void) {
    this.#limits = limits;
    this.#onRemove = onRemove;
  }

  get size(): number {
    return this.#slots.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** There is more than may be: {@link shrink} goes on with it. */
  get isOver(): boolean {
    return this.#slots.size > this.#limits.maxEntries || this.#bytes > this.#limits.maxBytes;
  }

  /** The least recently used one first. */
  slots(): Iterable<Slot> {
    return this.#slots.values();
  }

  /** Whether the slot is still there: one that was looked up a while ago may not be. */
  has(slot: Slot): boolean {
    return this.#byId.get(slot.id) === slot;
  }

  /** The entry of an equal request, which counts as used. */
  get(exact: string, now: number): Slot | undefined {
    const slot = this.#slots.get(exact);
    return slot === undefined ? undefined : this.#use(slot, now);
  }

  /** {@link get} without using it; it may be over. */
  peek(exact: string): Slot | undefined {
    return this.#slots.get(exact);
  }

  /** The entry with an id, which counts as used only by {@link get}. */
  byId(id: number): Slot | undefined {
    return this.#byId.get(id);
  }

  /** @returns undefined when the entry is too large to be kept, or over already */
  put(entry: Entry, file: number, now: number): Slot | undefined {
    const bytes = sizeOf(entry);
    const standing = this.#slots.get(entry.exact);
    if (standing !== undefined) this.#remove(standing);
    if (entry.expiresAt <= now || bytes > this.#limits.maxBytes * largestShare) return undefined;
    const slot: Slot = { id: ++this.#lastId, entry, bytes, hits: standing?.hits ?? 0, file };
    this.#slots.set(entry.exact, slot);
    this.#byId.set(slot.id, slot);
    this.#bytes += bytes;
    this.shrink();
    return slot;
  }

  remove(exact: string): boolean {
    const slot = this.#slots.get(exact);
    return slot !== undefined && this.drop(slot);
  }

  /** @returns false when it was not there any more */
  drop(slot: Slot): boolean {
    if (!this.has(slot)) return false;
    this.#remove(slot);
    return true;
  }

  clear(): void {
    for (const slot of this.#slots.values()) this.#remove(slot);
  }

  dropExpired(slot: Slot, now: number): void {
    if (slot.entry.expiresAt <= now && this.has(slot)) this.#expire(slot);
  }

  resize(limits: Limits): void {
    this.#limits = limits;
    this.shrink();
  }

  /** Evicts what is too much, up to {@link mostEvicted}. */
  shrink(): void {
    let left = mostEvicted;
    for (const slot of this.#slots.values()) {
      if (!this.isOver || left-- === 0) return;
      this.evicted++;
      this.#remove(slot);
    }
  }

  #use(slot: Slot, now: number): Slot | undefined {
    if (slot.entry.expiresAt <= now) {
      this.#expire(slot);
      return undefined;
    }
    this.#slots.delete(slot.entry.exact);
    this.#slots.set(slot.entry.exact, slot);
    return slot;
  }

  #expire(slot: Slot): void {
    this.expired++;
    this.#remove(slot);
  }

  #remove(slot: Slot): void {
    this.#slots.delete(slot.entry.exact);
    this.#byId.delete(slot.id);
    this.#bytes -= slot.bytes;
    this.#onRemove(slot);
  }
}

/** The shortest beginning of an id that may stand for it. */
const minIdLength = 16;

/** Whether a filter means the entry. A filter without members means none. */
export function matches(entry: Entry, filter: Filter): boolean {
  if ("all" in filter) return filter.all;
  const { id, cacheKey, virtualKey, provider, model } = filter;
  if ([id, cacheKey, virtualKey, provider, model].every((member) => member === undefined)) return false;
  return (
    (id === undefined || (id.length >= minIdLength && entry.exact.startsWith(id))) &&
    (cacheKey === undefined || entry.cacheKey === cacheKey) &&
    (virtualKey === undefined || entry.virtualKey === virtualKey) &&
    (provider === undefined || entry.provider === provider) &&
    (model === undefined || entry.model === model)
  );
}
