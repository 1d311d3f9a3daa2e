import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hashText, type Tag } from "../../src/keys/hash.ts";
import { createKeyMemory, entryWord, openKeyMemory, sessionEntryWords } from "../../src/keys/layout.ts";
import { TagTable } from "../../src/keys/tag-table.ts";
import { packWait, tickOf } from "../../src/keys/waits.ts";
import { start } from "./ring-kit.ts";

function table(entries: number) {
  const memory = openKeyMemory(createKeyMemory({ sessions: entries }));
  const shape = { start: memory.sessionsStart, entries, stride: sessionEntryWords, longestMs: 3_600_000 };
  const made = new TagTable(memory, shape);
  return {
    made,
    set: (tag: Tag, value: number, ms: number, now: number) =>
      made.set(
        tag,
        tickOf(now),
        () => packWait(now, ms, 0),
        (entry) => Atomics.store(memory.words, entry + entryWord.owner, value),
      ),
    get: (tag: Tag, now: number) => {
      const entry = made.find(tag);
      if (entry === -1 || !made.isGood(entry, tickOf(now))) return undefined;
      return Atomics.load(memory.words, entry + entryWord.owner);
    },
  };
}

const seed = { lo: 12345, hi: 67890 };

describe("hashes", () => {
  it("differ by text and by what stands before it", () => {
    const seen = new Set<string>();
    const texts = Array.from({ length: 20_000 }, (_, index) => `model-${index}`);
    for (const text of ["", "a", "aa", ...texts]) {
      const { lo, hi } = hashText(text, seed);
      expect(lo).not.toBe(0);
      seen.add(`${lo}/${hi}`);
    }
    expect(seen.size).toBe(texts.length + 3);
    expect(hashText("b", hashText("a", seed))).not.toEqual(hashText("", hashText("ab", seed)));
  });

  it("spread over all places", () => {
    const counts = Array.from({ length: 64 }, () => 0);
    for (let index = 0; index < 6400; index++) {
      const place = hashText(`session ${index}`, seed).hi & 63;
      counts[place] = (counts[place] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(50);
    expect(Math.max(...counts)).toBeLessThan(160);
  });
});

describe("the table", () => {
  it("finds the last that was set, and nothing that was not, while its windows have room", () => {
    const operations = fc.array(
      fc.record({ name: fc.nat(7), value: fc.nat(1000), ms: fc.integer({ min: 200, max: 5000 }), pass: fc.nat(1500) }),
    );
    fc.assert(
      fc.property(operations, (steps) => {
        const { set, get } = table(64);
        const model = new Map<number, { end: number; value: number }>();
        let now = start;
        for (const { name, value, ms, pass } of steps) {
          const known = model.get(name);
          // Only an entry that is made anew takes the value.
          const kept = known === undefined ? value : known.value;
          set(hashText(`${name}`, seed), value, ms, now);
          model.set(name, { end: now + ms, value: kept });
          now += pass;
          for (const [one, { end }] of model) {
            const found = get(hashText(`${one}`, seed), now);
            if (now < end) expect(found).toBeDefined();
            if (now > end + 100) expect(found).toBeUndefined();
          }
          expect(get(hashText("never set", seed), now)).toBeUndefined();
        }
      }),
    );
  });

  it("uses places again whose time is over", () => {
    const { set, get } = table(8);
    for (let round = 0; round < 20; round++) {
      const now = start + round * 1000;
      for (let index = 0; index < 8; index++) set({ lo: 1 + index, hi: round }, round * 8 + index, 500, now);
      for (let index = 0; index < 8; index++) expect(get({ lo: 1 + index, hi: round }, now)).toBe(round * 8 + index);
    }
  });

  it("gives up what would have ended first when a window is full", () => {
    const { set, get } = table(8);
    for (let index = 0; index < 8; index++)
      set({ lo: 1 + index, hi: index }, index, 1000 * (1 + ((index + 3) % 8)), start);
    set({ lo: 100, hi: 0 }, 100, 500, start);
    expect(get({ lo: 100, hi: 0 }, start)).toBe(100);
    const lost = [0, 1, 2, 3, 4, 5, 6, 7].filter((index) => get({ lo: 1 + index, hi: index }, start) === undefined);
    expect(lost).toEqual([5]);
  });

  it("leaves a place alone that is another one's by now", () => {
    const { made, set, get } = table(8);
    const tag = { lo: 1, hi: 0 };
    set(tag, 1, 1000, start);
    const entry = made.find(tag);
    set({ lo: 2, hi: 0 }, 2, 1000, start + 5000);
    made.change(entry, tag, () => 0);
    expect(get({ lo: 2, hi: 0 }, start + 5000)).toBe(2);
  });
});
