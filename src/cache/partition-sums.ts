/** What each partition holds, kept as entries come and go: to count a hundred thousand of them anew would take too long. */
import type { HitCounts } from "./hit-counts.ts";
import type { PartitionStats } from "./messages.ts";
import { inTurns } from "./slices.ts";
import type { Slot } from "./store.ts";

/** So many partitions are told of. */
const mostShown = 100;
/** So many are looked at before those that are too many are left out. */
const mostSorted = 1000;

interface Sum {
  /** One of its entries, for the names. */
  latest: Slot;
  entries: number;
  bytes: number;
}

export class PartitionSums {
  readonly #sums = new Map<string, Sum>();

  get count(): number {
    return this.#sums.size;
  }

  add(slot: Slot): void {
    const sum = this.#sums.get(slot.entry.partition);
    if (sum === undefined) {
      this.#sums.set(slot.entry.partition, { latest: slot, entries: 1, bytes: slot.bytes });
      return;
    }
    sum.latest = slot;
    sum.entries++;
    sum.bytes += slot.bytes;
  }

  remove(slot: Slot): void {
    const sum = this.#sums.get(slot.entry.partition);
    if (sum === undefined) return;
    sum.entries--;
    sum.bytes -= slot.bytes;
    if (sum.entries === 0) this.#sums.delete(slot.entry.partition);
  }

  /** Those with the most entries, the largest first. */
  async largest(counts: HitCounts): Promise<readonly PartitionStats[]> {
    let found: Sum[] = [];
    const cut = () => {
      found = found.sort((a, b) => b.entries - a.entries).slice(0, mostShown);
    };
    await inTurns(this.#sums.values(), (sum) => {
      if (found.push(sum) >= mostSorted) cut();
    });
    cut();
    return found.map(({ latest, entries, bytes }) => {
      const { partition, virtualKey, cacheKey, provider, model } = latest.entry;
      return { partition, virtualKey, cacheKey, provider, model, entries, bytes, ...counts.of(partition) };
    });
  }
}
