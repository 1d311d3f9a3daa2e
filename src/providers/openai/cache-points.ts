import type { CachePart, Prepared } from "../prepared.ts";

/** Claude takes no more, wherever they stand. */
const most = 4;

/** The cache points that go beyond what Claude takes: the earliest in the messages, whose prefix the later ones hold too. */
export function surplusCachePoints({ system, turns }: Prepared): ReadonlySet<CachePart> {
  const inMessages = turns.flatMap((turn) => turn.blocks).filter((block) => block.kind === "cachePoint");
  const inSystem = system.filter((part) => part.kind === "cachePoint");
  const all = [...inMessages, ...inSystem];
  return new Set(all.slice(0, Math.max(0, all.length - most)));
}
