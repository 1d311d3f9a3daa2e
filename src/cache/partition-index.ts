/**
 * Nearest neighbours among the vectors of one partition.
 *
 *     add ──► fresh (scanned) ──► backlog (waits) ──► graph (hnswlib)
 *
 * Small partitions are scanned, which is exact. A larger one has a graph, into which vectors move in small steps, so that
 * no search waits for a graph to be built. Searching looks at the graph and at what is fresh. Only when vectors come faster
 * than the graph grows, or all at once after a restart, some wait unseen: a scan of all of them would keep everybody
 * waiting. The graph cannot forget, only hide: when more is hidden than shown, it is thrown away and built again.
 *
 * What hnswlib-node does with wrong input reaches from silence to the end of the process. So it gets plain arrays of finite
 * numbers of one length, fresh labels, never a filter, never a file, and room before each addition. The vectors here are
 * the truth; the graph can always be made again from them.
 */
import type { HierarchicalNSW } from "hnswlib-node";
import hnswlib from "hnswlib-node";

/** From this many vectors on, a graph answers faster than a scan. `npx tsx bench/cache-speed.ts` prints both. */
const graphFrom = 200;
const graphSettings = { m: 16, efConstruction: 100, randomSeed: 100 } as const;
const searchWidth = 64;
/** As many as a scan of a few milliseconds has time for. */
const mostFresh = 4000;
/** Hidden vectors make searching slower; below this many it is not worth building the graph again. */
const minHidden = 200;

/** A found vector and its cosine similarity, -1 to 1. */
export interface Neighbour {
  readonly id: number;
  readonly similarity: number;
}

/** A vector that no index takes. */
export class BadVector extends Error {
  override readonly name = "BadVector";
}

/**
 * @returns a copy of length 1
 * @throws BadVector for a wrong dimension, for numbers that are not finite, and for zeros only
 */
export function checkedVector(vector: ArrayLike<number>, dimension: number): Float32Array {
  if (vector.length !== dimension) {
    throw new BadVector(`the vector has ${vector.length} numbers where ${dimension} are expected`);
  }
  const copy = new Float32Array(vector);
  let sum = 0;
  for (const value of copy) sum += value * value;
  if (!Number.isFinite(sum) || sum === 0) throw new BadVector("the vector has no direction");
  const scale = 1 / Math.sqrt(sum);
  for (let index = 0; index < copy.length; index++) copy[index] = (copy[index] ?? 0) * scale;
  return copy;
}

export class PartitionIndex {
  readonly #dimension: number;
  /** Every vector, by id. */
  readonly #vectors = new Map<number, Float32Array>();
  /** Ids that the graph does not have yet, the newest ones. */
  readonly #fresh = new Set<number>();
  /** Older ones. */
  readonly #backlog = new Set<number>();
  #graph: HierarchicalNSW | undefined;
  #capacity = 0;
  /** The graph's labels count up from 0 and are never used twice; undefined is a hidden one. */
  #idOfLabel: (number | undefined)[] = [];
  #labelOfId = new Map<number, number>();

  constructor(dimension: number) {
    this.#dimension = dimension;
  }

  get size(): number {
    return this.#vectors.size;
  }

  /** True when {@link build} has work to do. */
  get unfinished(): boolean {
    return this.#waiting > 0 && (this.#graph !== undefined || this.#vectors.size >= graphFrom);
  }

  get #waiting(): number {
    return this.#fresh.size + this.#backlog.size;
  }

  /**
   * @param vector from {@link checkedVector}, of this dimension
   * @throws Error when the id is taken
   */
  add(id: number, vector: Float32Array): void {
    if (this.#vectors.has(id)) throw new Error(`the id ${id} is taken`);
    if (vector.length !== this.#dimension) throw new BadVector(`the index holds vectors of ${this.#dimension} numbers`);
    this.#vectors.set(id, vector);
    this.#wait(id);
  }

  #wait(id: number): void {
    this.#fresh.add(id);
    if (this.#fresh.size <= mostFresh) return;
    for (const oldest of this.#fresh) {
      this.#fresh.delete(oldest);
      this.#backlog.add(oldest);
      return;
    }
  }

  remove(id: number): void {
    if (!this.#vectors.delete(id) || this.#fresh.delete(id) || this.#backlog.delete(id)) return;
    const label = this.#labelOfId.get(id);
    if (label === undefined) return;
    this.#labelOfId.delete(id);
    this.#idOfLabel[label] = undefined;
    this.#graph?.markDelete(label);
    const hidden = this.#idOfLabel.length - this.#labelOfId.size;
    if (hidden > Math.max(minHidden, this.#labelOfId.size)) this.#startOver();
  }

  /**
   * The most similar vectors, the best first.
   *
   * @param vector from {@link checkedVector}, of this dimension
   */
  search(vector: Float32Array, count: number): Neighbour[] {
    const found: Neighbour[] = [];
    const look = (id: number) => {
      const other = this.#vectors.get(id);
      if (other !== undefined) keepBest(found, count, id, dot(vector, other));
    };
    for (const id of this.#fresh) look(id);
    const asked = Math.min(count, this.#labelOfId.size);
    if (this.#graph === undefined || asked === 0) return found;
    this.#graph.setEf(Math.max(searchWidth, asked));
    for (const label of this.#graph.searchKnn(Array.from(vector), asked).neighbors) {
      const id = this.#idOfLabel[label];
      if (id !== undefined) look(id);
    }
    return found;
  }

  /**
   * Moves vectors into the graph, the oldest first, until the time is over.
   *
   * @param until on the clock of `performance.now()`
   */
  build(until: number): void {
    if (!this.unfinished) return;
    const graph = this.#graphWithRoom(this.#idOfLabel.length + this.#waiting);
    for (const queue of [this.#backlog, this.#fresh]) {
      for (const id of queue) {
        queue.delete(id);
        this.#move(id, graph);
        if (performance.now() >= until) return;
      }
    }
  }

  #move(id: number, graph: HierarchicalNSW): void {
    const vector = this.#vectors.get(id);
    if (vector === undefined) return;
    const label = this.#idOfLabel.length;
    graph.addPoint(Array.from(vector), label);
    this.#idOfLabel.push(id);
    this.#labelOfId.set(id, label);
  }

  /** Gives the graph's memory back. The index is empty afterwards. */
  clear(): void {
    this.#dropGraph();
    this.#vectors.clear();
    this.#fresh.clear();
    this.#backlog.clear();
  }

  #graphWithRoom(needed: number): HierarchicalNSW {
    const graph = this.#graph ?? new hnswlib.HierarchicalNSW("cosine", this.#dimension);
    if (this.#graph !== undefined && needed <= this.#capacity) return graph;
    this.#capacity = Math.ceil(needed * 1.5);
    if (this.#graph === undefined) graph.initIndex({ maxElements: this.#capacity, ...graphSettings });
    else graph.resizeIndex(this.#capacity);
    this.#graph = graph;
    return graph;
  }

  /** Its memory is unknown to the garbage collector, which may take its time; a graph for one vector takes its place. */
  #dropGraph(): void {
    this.#graph?.initIndex({ maxElements: 1 });
    this.#graph = undefined;
    this.#idOfLabel = [];
    this.#labelOfId = new Map();
  }

  #startOver(): void {
    this.#dropGraph();
    for (const id of this.#vectors.keys()) this.#wait(id);
  }
}

function keepBest(found: Neighbour[], count: number, id: number, similarity: number): void {
  if (found.length === count && similarity <= (found.at(-1)?.similarity ?? -1)) return;
  let place = found.length;
  while (place > 0 && (found[place - 1]?.similarity ?? 0) < similarity) place--;
  found.splice(place, 0, { id, similarity });
  if (found.length > count) found.pop();
}

/** Four sums at a time are half again as fast as one. */
function dot(a: Float32Array, b: Float32Array): number {
  let one = 0;
  let two = 0;
  let three = 0;
  let four = 0;
  let index = 0;
  for (; index + 3 < a.length; index += 4) {
    one += (a[index] ?? 0) * (b[index] ?? 0);
    two += (a[index + 1] ?? 0) * (b[index + 1] ?? 0);
    three += (a[index + 2] ?? 0) * (b[index + 2] ?? 0);
    four += (a[index + 3] ?? 0) * (b[index + 3] ?? 0);
  }
  for (; index < a.length; index++) one += (a[index] ?? 0) * (b[index] ?? 0);
  return one + two + three + four;
}
