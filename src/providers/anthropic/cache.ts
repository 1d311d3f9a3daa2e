/** Cache points: blocks of their own in Converse, a member of the block before them at Anthropic's. */
import type { JsonObject } from "../../bedrock/json.ts";
import type { CachePart } from "../prepared.ts";

/** A block as it is sent, and the cache point behind it. */
export interface Marked {
  readonly json: JsonObject;
  readonly cachePoint?: CachePart;
}

/** Blocks that cannot be marked: what stands before them is marked instead. */
const unmarkable = new Set(["thinking", "redacted_thinking"]);

/**
 * Writes blocks, each cache point onto the block before it.
 *
 * @param ignored takes the paths of cache points with nothing to mark, and of those that another one replaces
 */
export function markBlocks<Block extends { readonly kind: string }>(
  blocks: readonly (Block | CachePart)[],
  write: (block: Block) => JsonObject,
  ignored: string[],
): readonly Marked[] {
  const marked: Marked[] = [];
  for (const block of blocks) {
    if (!isCachePart(block)) {
      marked.push({ json: write(block) });
      continue;
    }
    const place = marked.findLastIndex(({ json }) => !(typeof json.type === "string" && unmarkable.has(json.type)));
    const before = marked[place];
    if (before === undefined) {
      ignored.push(block.path);
      continue;
    }
    if (before.cachePoint !== undefined) ignored.push(before.cachePoint.path);
    marked[place] = { json: before.json, cachePoint: block };
  }
  return marked;
}

/**
 * Which cache points are sent when there are more than the API takes: those at the end of the conversation, which cover
 * the others' text as well, then those of tools and system.
 *
 * @param head of tools and system
 * @param ignored takes the paths of the others
 */
export function keepCachePoints(
  head: readonly Marked[],
  messages: readonly Marked[],
  most: number,
  ignored: string[],
): ReadonlySet<CachePart> {
  const ofHead = pointsOf(head);
  const ofMessages = pointsOf(messages);
  const excess = Math.max(0, ofHead.length + ofMessages.length - most);
  const dropped = [...ofMessages, ...ofHead].slice(0, excess);
  ignored.push(...dropped.map((point) => point.path));
  return new Set([...ofHead, ...ofMessages].filter((point) => !dropped.includes(point)));
}

/** A block with its cache point, if that is kept. */
export function withCacheControl({ json, cachePoint }: Marked, kept: ReadonlySet<CachePart>): JsonObject {
  if (cachePoint === undefined || !kept.has(cachePoint)) return json;
  const { ttl } = cachePoint;
  return { ...json, cache_control: { type: "ephemeral", ...(ttl !== undefined && { ttl }) } };
}

function pointsOf(marked: readonly Marked[]): readonly CachePart[] {
  return marked.flatMap(({ cachePoint }) => (cachePoint === undefined ? [] : [cachePoint]));
}

function isCachePart<Block extends { readonly kind: string }>(block: Block | CachePart): block is CachePart {
  return block.kind === "cachePoint";
}
