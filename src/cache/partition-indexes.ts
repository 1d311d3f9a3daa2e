/** The indexes of all partitions. Their graphs are built, and what is over is freed, a little at a time. */
import { PartitionIndex } from "./partition-index.ts";
import type { Segment } from "./segment.ts";

/** How long graphs are built without a pause, and how long the pause is. Milliseconds. */
const buildMs = 2;
const pauseMs = 2;

export class PartitionIndexes {
  readonly #indexes = new Map<string, PartitionIndex>();
  /** Those of them whose segments have to be built or emptied. */
  readonly #unfinished = new Set<PartitionIndex>();
  /** Segments that are to be freed. */
  readonly #buried: Segment[] = [];
  #building: NodeJS.Timeout | undefined;

  get(partition: string): PartitionIndex | undefined {
    return this.#indexes.get(partition);
  }

  /** Vectors that no search finds yet. */
  get unsearched(): number {
    return [...this.#unfinished].reduce((sum, index) => sum + index.unsearched, 0);
  }

  /** @param dimension of all vectors; the same until all are cleared */
  add(partition: string, id: number, vector: Float32Array, dimension: number): void {
    let index = this.#indexes.get(partition);
    if (index === undefined) {
      index = new PartitionIndex(dimension, (segment) => this.#bury(segment));
      this.#indexes.set(partition, index);
    }
    if (index.has(id)) return;
    index.add(id, vector);
    this.#finishLater(index);
  }

  remove(partition: string, id: number): void {
    const index = this.#indexes.get(partition);
    if (index === undefined) return;
    index.remove(id);
    this.#finishLater(index);
    if (index.size > 0) return;
    index.clear();
    this.#unfinished.delete(index);
    this.#indexes.delete(partition);
  }

  clear(): void {
    for (const index of this.#indexes.values()) index.clear();
    this.#indexes.clear();
    this.#unfinished.clear();
  }

  /** Frees everything now. */
  close(): void {
    this.clear();
    clearTimeout(this.#building);
    for (const segment of this.#buried.splice(0)) segment.free();
  }

  #bury(segment: Segment): void {
    this.#buried.push(segment);
    this.#buildLater();
  }

  #finishLater(index: PartitionIndex): void {
    if (!index.unfinished) return;
    this.#unfinished.add(index);
    this.#buildLater();
  }

  #buildLater(): void {
    this.#building ??= setTimeout(() => {
      this.#building = undefined;
      if (this.#build()) this.#buildLater();
    }, pauseMs).unref();
  }

  /** @returns whether there is more to do */
  #build(): boolean {
    const segment = this.#buried.pop();
    if (segment !== undefined) {
      // Takes as long as a turn of building.
      segment.free();
      return true;
    }
    const until = performance.now() + buildMs;
    for (const index of this.#unfinished) {
      index.build(until);
      // What is not finished goes behind the others.
      this.#unfinished.delete(index);
      if (index.unfinished) this.#unfinished.add(index);
      if (performance.now() >= until) break;
    }
    return this.#unfinished.size > 0 || this.#buried.length > 0;
  }
}
