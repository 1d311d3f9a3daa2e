import { describe, expect, test } from "vitest";
import { BadVector, checkedVector, PartitionIndex } from "../../src/cache/partition-index.ts";
import { Segment } from "../../src/cache/segment.ts";

const dimension = 24;

/** Numbers that look random and are the same in every run. */
function vectors(count: number, seed = 1): Float32Array[] {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Array.from({ length: count }, () => checkedVector(Array.from({ length: dimension }, next), dimension));
}

function filled(count: number): { index: PartitionIndex; all: Float32Array[] } {
  const index = new PartitionIndex(dimension);
  const all = vectors(count);
  for (const [id, vector] of all.entries()) index.add(id, vector);
  return { index, all };
}

function finish(index: PartitionIndex): void {
  while (index.unfinished) index.build(Number.POSITIVE_INFINITY);
}

function firstOf(index: PartitionIndex, vector: Float32Array | undefined): number | undefined {
  return vector && index.search(vector, 3)[0]?.id;
}

describe("an index", () => {
  test.each([1, 50, 199, 200, 1000])(
    "of %d vectors finds each of them, before and after its graph is built",
    (count) => {
      const { index, all } = filled(count);
      for (const [id, vector] of all.entries()) expect(firstOf(index, vector)).toBe(id);
      finish(index);
      for (const [id, vector] of all.entries()) expect(firstOf(index, vector)).toBe(id);
    },
  );

  test("gives the best first, with cosine similarities", () => {
    const { index, all } = filled(300);
    finish(index);
    const [asked] = all;
    if (asked === undefined) throw new Error("there is no vector");
    const found = index.search(asked, 5);
    expect(found).toHaveLength(5);
    expect(found[0]?.similarity).toBeCloseTo(1, 5);
    const similarities = found.map(({ similarity }) => similarity);
    expect(similarities).toEqual([...similarities].sort((a, b) => b - a));
  });

  test("never finds what was removed, whether the graph had it or not", () => {
    const { index, all } = filled(600);
    index.build(performance.now() - 1);
    for (let id = 0; id < 600; id += 2) index.remove(id);
    for (const vector of all) for (const { id } of index.search(vector, 8)) expect(id % 2).toBe(1);
    finish(index);
    for (const vector of all) for (const { id } of index.search(vector, 8)) expect(id % 2).toBe(1);
    expect(index.size).toBe(300);
  });

  test("keeps finding everything while far more pass through it than it holds", () => {
    const index = new PartitionIndex(dimension);
    const all = vectors(5000);
    for (const [id, vector] of all.entries()) {
      index.add(id, vector);
      if (id >= 400) index.remove(id - 400);
      if (id % 7 === 0) index.build(performance.now() + 1);
    }
    expect(index.size).toBe(400);
    for (let id = 4600; id < 5000; id++) expect(firstOf(index, all[id])).toBe(id);
    expect(index.search(all[0] ?? new Float32Array(dimension), 8).every(({ id }) => id >= 4600)).toBe(true);
  });

  test("finds what is left of a mostly deleted part of it all the while that it moves, and frees that part", () => {
    const freed: Segment[] = [];
    const index = new PartitionIndex(dimension, (segment) => freed.push(segment));
    const all = vectors(3000);
    for (const [id, vector] of all.entries()) index.add(id, vector);
    finish(index);
    for (let id = 0; id < 2048; id++) if (id % 4 !== 0) index.remove(id);
    const asked = [...all.keys()].filter((id) => id % 16 === 0 || (id >= 2048 && id % 10 === 0));
    expect(index.unfinished).toBe(true);
    let steps = 0;
    for (; index.unfinished; steps++) {
      index.build(performance.now() - 1);
      if (steps % 50 === 0) for (const id of asked) expect(firstOf(index, all[id])).toBe(id);
    }
    expect(steps).toBeGreaterThan(500);
    expect(freed.length).toBeGreaterThan(0);
    for (const id of asked) expect(firstOf(index, all[id])).toBe(id);
    for (const segment of freed) {
      expect(segment.shown).toBe(0);
      segment.free();
    }
  });

  test("shows the newest at once, and the others as its graph grows, when many come together", () => {
    const { index, all } = filled(9000);
    for (let id = 8000; id < 9000; id += 50) expect(firstOf(index, all[id])).toBe(id);
    expect(firstOf(index, all[0])).not.toBe(0);
    finish(index);
    for (let id = 0; id < 9000; id += 500) expect(firstOf(index, all[id])).toBe(id);
  });

  test("is empty after clear and can be used again", () => {
    const { index, all } = filled(300);
    finish(index);
    index.clear();
    expect(index.search(all[0] ?? new Float32Array(dimension), 3)).toEqual([]);
    index.add(0, all[1] ?? new Float32Array(dimension));
    expect(firstOf(index, all[1])).toBe(0);
  });
});

describe("a part of an index", () => {
  test("has room for so many and refuses more", () => {
    const segment = new Segment(dimension, 3);
    const all = vectors(4);
    for (const [id, vector] of all.slice(0, 3).entries()) expect(segment.add(id + 10, vector)).toBe(id);
    expect(segment.isFull).toBe(true);
    expect(() => segment.add(13, all[3] ?? new Float32Array(dimension))).toThrow(/full/);
    expect(segment.search(Array.from(all[1] ?? []), 1)).toEqual([11]);
    segment.free();
  });

  test("does not find what it hides, and counts it once", () => {
    const segment = new Segment(dimension, 3);
    const all = vectors(3);
    for (const [id, vector] of all.entries()) segment.add(id, vector);
    segment.hide(0);
    segment.hide(0);
    expect([segment.shown, segment.hidden]).toEqual([2, 1]);
    expect(segment.any()).toEqual([1, 1]);
    expect(segment.search(Array.from(all[0] ?? []), 3)).not.toContain(0);
    segment.hide(1);
    segment.hide(2);
    expect(segment.any()).toBeUndefined();
    expect(segment.search(Array.from(all[0] ?? []), 3)).toEqual([]);
    segment.free();
  });
});

describe("a vector is refused", () => {
  test.each([
    ["of the wrong dimension", Array.from({ length: 23 }, () => 1)],
    ["with NaN", Array.from({ length: dimension }, (_, index) => (index === 3 ? Number.NaN : 1))],
    ["with infinity", Array.from({ length: dimension }, (_, index) => (index === 3 ? Number.POSITIVE_INFINITY : 1))],
    ["with numbers too large to square", Array.from({ length: dimension }, () => 1e300)],
    ["of zeros", Array.from({ length: dimension }, () => 0)],
    ["of nothing", []],
  ])("%s", (_name, vector) => {
    expect(() => checkedVector(vector, dimension)).toThrow(BadVector);
  });

  test("by an index that holds others, or has its id already", () => {
    const index = new PartitionIndex(dimension);
    expect(() => index.add(1, new Float32Array(16))).toThrow(BadVector);
    index.add(
      1,
      checkedVector(
        Array.from({ length: dimension }, () => 1),
        dimension,
      ),
    );
    expect(() => index.add(1, new Float32Array(dimension))).toThrow(/taken/);
  });
});
