/** Hits, misses and what they saved, of each partition and of all, since the start. */
import { LRUCache } from "lru-cache";
import type { Tokens } from "./entry.ts";
import type { PartitionCounts } from "./messages.ts";

/** Partitions beyond this are forgotten, those first that have been asked least recently. */
const mostPartitions = 10_000;

const none: PartitionCounts = {
  directHits: 0,
  semanticHits: 0,
  misses: 0,
  saved: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
};

export class HitCounts {
  readonly #partitions = new LRUCache<string, PartitionCounts>({ max: mostPartitions });
  #all = none;

  get all(): PartitionCounts {
    return this.#all;
  }

  of(partition: string): PartitionCounts {
    return this.#partitions.get(partition) ?? none;
  }

  /** @param tokens that one hit saves */
  hit(partition: string, kind: "direct" | "semantic", times: number, tokens: Tokens): void {
    this.#add(partition, (counts) => ({
      ...counts,
      directHits: counts.directHits + (kind === "direct" ? times : 0),
      semanticHits: counts.semanticHits + (kind === "semantic" ? times : 0),
      saved: {
        input: counts.saved.input + times * tokens.input,
        output: counts.saved.output + times * tokens.output,
        cacheRead: counts.saved.cacheRead + times * tokens.cacheRead,
        cacheWrite: counts.saved.cacheWrite + times * tokens.cacheWrite,
      },
    }));
  }

  miss(partition: string): void {
    this.#add(partition, (counts) => ({ ...counts, misses: counts.misses + 1 }));
  }

  #add(partition: string, change: (counts: PartitionCounts) => PartitionCounts): void {
    this.#all = change(this.#all);
    this.#partitions.set(partition, change(this.of(partition)));
  }
}
