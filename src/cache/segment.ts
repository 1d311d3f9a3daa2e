/**
 * A graph (hnswlib) of a fixed number of vectors. It cannot forget, only hide, and never grows: to grow one graph, and to
 * give one of a hundred thousand vectors back, takes longer than anybody should wait.
 *
 * What hnswlib-node does with wrong input reaches from silence to the end of the process. So it gets plain arrays of finite
 * numbers of one length, fresh labels, never a filter, never a file, and room before each addition.
 */
import type { HierarchicalNSW } from "hnswlib-node";
import hnswlib from "hnswlib-node";

const settings = { m: 16, efConstruction: 100, randomSeed: 100 } as const;
const searchWidth = 32;

export class Segment {
  readonly capacity: number;
  readonly #graph: HierarchicalNSW;
  /** By label: these count up from 0 and are never used twice. Undefined is a hidden one. */
  readonly #ids: (number | undefined)[] = [];
  #shown = 0;
  /** All labels before it are hidden. */
  #first = 0;

  constructor(dimension: number, capacity: number) {
    this.capacity = capacity;
    this.#graph = new hnswlib.HierarchicalNSW("cosine", dimension);
    this.#graph.initIndex({ maxElements: capacity, ...settings });
  }

  get isFull(): boolean {
    return this.#ids.length >= this.capacity;
  }

  get shown(): number {
    return this.#shown;
  }

  get hidden(): number {
    return this.#ids.length - this.#shown;
  }

  /**
   * @param vector of length 1
   * @returns the label
   * @throws Error when it is full
   */
  add(id: number, vector: Float32Array): number {
    if (this.isFull) throw new Error("the segment is full");
    const label = this.#ids.length;
    this.#graph.addPoint(Array.from(vector), label);
    this.#ids.push(id);
    this.#shown++;
    return label;
  }

  /** @param label of one that is shown */
  hide(label: number): void {
    if (this.#ids[label] === undefined) return;
    this.#ids[label] = undefined;
    this.#shown--;
    this.#graph.markDelete(label);
  }

  /** The id of any vector that is shown, with its label. */
  any(): readonly [id: number, label: number] | undefined {
    for (; this.#first < this.#ids.length; this.#first++) {
      const id = this.#ids[this.#first];
      if (id !== undefined) return [id, this.#first];
    }
    return undefined;
  }

  /** Ids of the nearest ones, as far as the graph finds them. @param vector of length 1 */
  search(vector: number[], count: number): number[] {
    const asked = Math.min(count, this.#shown);
    if (asked === 0) return [];
    this.#graph.setEf(Math.max(searchWidth, asked));
    const found: number[] = [];
    for (const label of this.#graph.searchKnn(vector, asked).neighbors) {
      const id = this.#ids[label];
      if (id !== undefined) found.push(id);
    }
    return found;
  }

  /** Gives the memory back, of which the garbage collector knows nothing: a graph for one vector takes its place. */
  free(): void {
    this.#graph.initIndex({ maxElements: 1 });
    this.#ids.length = 0;
    this.#shown = 0;
  }
}
