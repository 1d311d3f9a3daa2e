/**
 * Nearest neighbours among the vectors of one partition.
 *
 *     add ──► fresh (scanned) ──► backlog (waits) ──► segments (graphs of a fixed size)
 *                                                       │ more hidden than shown
 *                                                       └──► the next segment
 *
 * Small partitions are scanned, which is exact. A larger one has graphs, into which vectors move in small steps, so that
 * no search waits for a graph to be built. Searching looks at all graphs and at what is fresh. Only when vectors come faster
 * than the graphs grow, or all at once after a restart, some wait unseen: a scan of all of them would keep everybody
 * waiting. What is shown of a graph that is mostly hidden moves into another one, and can be found all the while.
 *
 * The vectors here are the truth; the graphs can always be made again from them.
 */
import { Segment } from "./segment.ts";

/** From this many vectors on, a graph answers faster than a scan. `npx tsx bench/cache-speed.ts` prints both. */
const graphFrom = 200;
/** A segment has room for three times as many vectors as all before it, within these. Larger ones take long to free. */
const leastCapacity = 512;
const mostCapacity = 16_384;
/** As many as a scan of a millisecond has time for. */
const mostFresh = 2048;
/** Hidden vectors make searching slower; below this many it is not worth emptying the segment. */
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
  readonly #bury: (segment: Segment) => void;
  /** Every vector, by id. */
  readonly #vectors = new Map<number, Float32Array>();
  /** Ids that no segment has yet, the newest ones. */
  readonly #fresh = new Set<number>();
  /** Older ones. */
  readonly #backlog = new Set<number>();
  /** By number; they count up and are never used twice. Vectors go into the last one. */
  readonly #segments = new Map<number, Segment>();
  #open: [number: number, segment: Segment] | undefined;
  #lastSegment = 0;
  /** Segments that are being emptied. */
  readonly #emptying = new Set<number>();
  /** Where each id is: the segment's number times {@link mostCapacity}, and its label. */
  readonly #places = new Map<number, number>();

  /** @param bury takes a segment that is not needed any more, to free it when there is time; by default that is now */
  constructor(dimension: number, bury: (segment: Segment) => void = (segment) => segment.free()) {
    this.#dimension = dimension;
    this.#bury = bury;
  }

  get size(): number {
    return this.#vectors.size;
  }

  /** True when {@link build} has work to do. */
  get unfinished(): boolean {
    if (this.#emptying.size > 0) return true;
    const waiting = this.#fresh.size + this.#backlog.size;
    return waiting > 0 && (this.#segments.size > 0 || this.#vectors.size >= graphFrom);
  }

  /** How many vectors no search sees yet. */
  get unsearched(): number {
    return this.#backlog.size;
  }

  has(id: number): boolean {
    return this.#vectors.has(id);
  }

  /**
   * @param vector from {@link checkedVector}, of this dimension
   * @throws Error when the id is taken
   */
  add(id: number, vector: Float32Array): void {
    if (this.#vectors.has(id)) throw new Error(`the id ${id} is taken`);
    if (vector.length !== this.#dimension) throw new BadVector(`the index holds vectors of ${this.#dimension} numbers`);
    this.#vectors.set(id, vector);
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
    const place = this.#places.get(id);
    if (place === undefined) return;
    this.#places.delete(id);
    const number = Math.floor(place / mostCapacity);
    const segment = this.#segments.get(number);
    if (segment === undefined) return;
    segment.hide(place % mostCapacity);
    if (segment.hidden > Math.max(minHidden, segment.shown)) this.#empty(number, segment);
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
    if (this.#segments.size === 0) return found;
    const numbers = Array.from(vector);
    for (const segment of this.#segments.values()) for (const id of segment.search(numbers, count)) look(id);
    return found;
  }

  /**
   * Moves vectors into segments, the oldest first, until the time is over.
   *
   * @param until on the clock of `performance.now()`
   */
  build(until: number): void {
    if (!this.unfinished) return;
    for (const queue of [this.#backlog, this.#fresh]) {
      for (const id of queue) {
        queue.delete(id);
        this.#move(id);
        if (performance.now() >= until) return;
      }
    }
    for (const number of this.#emptying) {
      const segment = this.#segments.get(number);
      for (let next = segment?.any(); segment && next !== undefined; next = segment.any()) {
        const [id, label] = next;
        segment.hide(label);
        this.#move(id);
        if (performance.now() >= until) return;
      }
      this.#drop(number);
    }
  }

  /** The index is empty afterwards. */
  clear(): void {
    for (const number of this.#segments.keys()) this.#drop(number);
    this.#vectors.clear();
    this.#places.clear();
    this.#fresh.clear();
    this.#backlog.clear();
  }

  #move(id: number): void {
    const vector = this.#vectors.get(id);
    if (vector === undefined) return;
    const [number, segment] = this.#withRoom();
    this.#places.set(id, number * mostCapacity + segment.add(id, vector));
  }

  #withRoom(): [number: number, segment: Segment] {
    if (this.#open !== undefined && !this.#open[1].isFull) return this.#open;
    const capacity = Math.min(mostCapacity, Math.max(leastCapacity, 3 * this.#places.size));
    const number = ++this.#lastSegment;
    const segment = new Segment(this.#dimension, capacity);
    this.#segments.set(number, segment);
    this.#open = [number, segment];
    return this.#open;
  }

  #empty(number: number, segment: Segment): void {
    if (this.#open?.[0] === number) this.#open = undefined;
    if (segment.shown === 0) this.#drop(number);
    else this.#emptying.add(number);
  }

  #drop(number: number): void {
    const segment = this.#segments.get(number);
    if (this.#open?.[0] === number) this.#open = undefined;
    this.#segments.delete(number);
    this.#emptying.delete(number);
    if (segment !== undefined) this.#bury(segment);
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
