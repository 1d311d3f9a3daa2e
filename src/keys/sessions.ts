/**
 * Which key a client's session goes to. In shared memory, since requests of one session come in over several front ends.
 * When a window of the table is full of running sessions, the one that would end first loses its key.
 */
import { hashText, type Tag } from "./hash.ts";
import { entryWord, type KeyMemory, ownerOf, sessionEntryWords } from "./layout.ts";
import { TagTable } from "./tag-table.ts";
import { packWait, tickOf } from "./waits.ts";

export const defaultSessionMs = 3_600_000;
const longestSessionMs = 7 * 24 * 3_600_000;

export class Sessions {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #seed: Tag;
  readonly #table: TagTable;

  constructor(memory: KeyMemory) {
    this.#words = memory.words;
    this.#seed = memory.seed;
    this.#table = new TagTable(memory, {
      start: memory.sessionsStart,
      entries: memory.capacities.sessions,
      stride: sessionEntryWords,
      longestMs: longestSessionMs,
    });
  }

  /** @param scope what keeps apart equal ids: the virtual key, for instance */
  tagOf(provider: string, scope: string, id: string): Tag {
    return hashText(id, hashText(scope, hashText(provider, this.#seed)));
  }

  /** The owner ({@link ownerOf}) of the session's key, or undefined. */
  find(tag: Tag, now: number): number | undefined {
    const entry = this.#table.find(tag);
    if (entry === -1 || !this.#table.isGood(entry, tickOf(now))) return undefined;
    return Atomics.load(this.#words, entry + entryWord.owner);
  }

  /** Binds the session to a key, or keeps it bound, for `ttlMs` from now on; seven days at most. */
  bind(tag: Tag, slot: number, generation: number, ttlMs: number, now: number): void {
    const owner = ownerOf(slot, generation);
    const wait = packWait(now, Math.min(ttlMs, longestSessionMs), 0);
    const found = this.#table.find(tag);
    // Should the place be another session's by now, that one changes its key: nothing that has to be guarded against.
    if (found !== -1) Atomics.store(this.#words, found + entryWord.owner, owner);
    this.#table.set(
      tag,
      tickOf(now),
      () => wait,
      (entry) => Atomics.store(this.#words, entry + entryWord.owner, owner),
    );
  }

  unbind(tag: Tag, now: number): void {
    const tick = tickOf(now);
    // More than one only when two threads bound the session for the first time at the same moment.
    for (let entry = this.#table.find(tag); entry !== -1; entry = this.#table.find(tag)) {
      if (!this.#table.isGood(entry, tick)) return;
      this.#table.change(entry, tag, () => 0);
    }
  }
}
