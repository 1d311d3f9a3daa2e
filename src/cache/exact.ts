/** What a front end has of the cache itself, so that an equal request needs no other thread. */
import { LRUCache } from "lru-cache";
import { type Entry, entryFields, packed, readEntry, unpacked } from "./entry.ts";
import type { Filter } from "./messages.ts";
import { matches } from "./store.ts";

/** Of the whole cache's limits. */
const share = 1 / 8;
const mostBytes = 64 * 1024 * 1024;
/** Beside the bytes of an entry: its key and its place. */
const overhead = 256;

interface Kept {
  /** MessagePack. */
  readonly bytes: Uint8Array;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export class ExactCache {
  #entries: LRUCache<string, Kept>;

  constructor(limits: { readonly max_entries: number; readonly max_bytes: number }) {
    this.#entries = make(limits);
  }

  /** Other limits; what is there goes, and comes back from the owner. */
  resize(limits: { readonly max_entries: number; readonly max_bytes: number }): void {
    this.#entries = make(limits);
  }

  get(exact: string, now: number): Entry | undefined {
    const kept = this.#entries.get(exact);
    if (kept === undefined) return undefined;
    if (kept.expiresAt > now) return readEntry(unpacked(kept.bytes));
    this.#entries.delete(exact);
    return undefined;
  }

  /** @param entry is kept without its question */
  set(entry: Entry): void {
    const bytes = packed(entryFields({ ...entry, question: undefined }));
    this.#entries.set(entry.exact, { bytes, expiresAt: entry.expiresAt });
  }

  forget(filter: Filter): void {
    for (const [exact, { bytes }] of this.#entries.entries()) {
      const entry = readEntry(unpacked(bytes));
      if (entry === undefined || matches(entry, filter)) this.#entries.delete(exact);
    }
  }
}

function make(limits: { readonly max_entries: number; readonly max_bytes: number }): LRUCache<string, Kept> {
  const maxSize = Math.floor(Math.min(limits.max_bytes * share, mostBytes));
  return new LRUCache({
    max: limits.max_entries,
    maxSize,
    sizeCalculation: ({ bytes }) => bytes.byteLength + overhead,
  });
}
