/**
 * A table of fixed size in shared memory, from a {@link Tag} to an entry whose wait says how long it is good for.
 *
 * Open addressing in a window: an entry lies in one of the eight places from its tag's own on, and nowhere else. So
 * nothing has to be moved or marked when one goes, and nobody looks at more than eight places. A new entry takes the first
 * place of its window whose wait is over; when all eight are good, the one that would have ended first. What stood there
 * is forgotten early: a cool-down is then learned again from the next refusal, a session finds a new key.
 *
 * The wait is also what a place is owned by. Who exchanges it takes the place over and alone fills it: first the rest of
 * the entry, the tag last. Who prolongs an entry reads its wait, then sees that the tag is still there, then exchanges the
 * wait; a place that was taken over in between has another wait, so that the exchange fails and all begins anew. Two
 * threads that enter the same tag at the same moment may take two places; the one that ends later is found. Only when a
 * window is full of good entries can one be taken over before it is filled; then what it would have said is lost.
 */
import type { Tag } from "./hash.ts";
import { entryWord, type KeyMemory } from "./layout.ts";
import { endsLater, isRunning } from "./waits.ts";

const windowSize = 8;

export interface TableShape {
  /** Index of the first entry's first word. */
  readonly start: number;
  /** A power of two. */
  readonly entries: number;
  /** Words of an entry. */
  readonly stride: number;
  /** No entry is good for longer. */
  readonly longestMs: number;
}

export class TagTable {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #shape: TableShape;

  constructor(memory: KeyMemory, shape: TableShape) {
    this.#words = memory.words;
    this.#shape = shape;
  }

  /** Index of the entry's first word, or -1. The entry may be over: its wait says so. */
  find(tag: Tag): number {
    let found = -1;
    for (let step = 0; step < windowSize; step++) {
      const entry = this.#place(tag, step);
      if (this.#holds(entry, tag) && (found === -1 || endsLater(this.#wait(entry), this.#wait(found)))) found = entry;
    }
    return found;
  }

  isGood(entry: number, tick: number): boolean {
    return isRunning(this.#wait(entry), tick, this.#shape.longestMs);
  }

  /**
   * Sets the wait of a tag's entry, which is made if there is none.
   *
   * @param next the new wait for the one seen, 0 for a new entry; called again when another thread came first
   * @param fill writes the rest of a new entry
   */
  set(tag: Tag, tick: number, next: (seen: number) => number, fill: (entry: number) => void): void {
    for (;;) {
      const found = this.find(tag);
      if (found !== -1) {
        if (this.#exchange(found, tag, next)) return;
        continue;
      }
      const place = this.#placeFor(tag, tick);
      const former = this.#wait(place);
      // Judged by the wait it has now, or not at all.
      if (this.#placeFor(tag, tick) !== place || this.#wait(place) !== former) continue;
      if (Atomics.compareExchange(this.#words, place + entryWord.wait, former, next(0)) !== former) continue;
      fill(place);
      Atomics.store(this.#words, place + entryWord.tag, tag.lo);
      Atomics.store(this.#words, place + entryWord.tag + 1, tag.hi);
      return;
    }
  }

  /** Changes the wait of the entry found for the tag; does nothing when the place is another one's by now. */
  change(entry: number, tag: Tag, next: (seen: number) => number): void {
    while (this.#holds(entry, tag)) if (this.#exchange(entry, tag, next)) return;
  }

  /** Calls with the index of every entry that is good. */
  eachGood(tick: number, visit: (entry: number) => void): void {
    for (let number = 0; number < this.#shape.entries; number++) {
      const entry = this.#shape.start + number * this.#shape.stride;
      if (this.isGood(entry, tick)) visit(entry);
    }
  }

  #exchange(entry: number, tag: Tag, next: (seen: number) => number): boolean {
    const seen = this.#wait(entry);
    if (!this.#holds(entry, tag)) return false;
    const wanted = next(seen);
    return wanted === seen || Atomics.compareExchange(this.#words, entry + entryWord.wait, seen, wanted) === seen;
  }

  #placeFor(tag: Tag, tick: number): number {
    let first = this.#place(tag, 0);
    for (let step = 0; step < windowSize; step++) {
      const entry = this.#place(tag, step);
      if (!this.isGood(entry, tick)) return entry;
      if (endsLater(this.#wait(first), this.#wait(entry))) first = entry;
    }
    return first;
  }

  #holds(entry: number, tag: Tag): boolean {
    return (
      Atomics.load(this.#words, entry + entryWord.tag) === tag.lo &&
      Atomics.load(this.#words, entry + entryWord.tag + 1) === tag.hi
    );
  }

  #place(tag: Tag, step: number): number {
    return this.#shape.start + ((tag.hi + step) & (this.#shape.entries - 1)) * this.#shape.stride;
  }

  #wait(entry: number): number {
    return Atomics.load(this.#words, entry + entryWord.wait);
  }
}
