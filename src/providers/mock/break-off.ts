/** Where a planned stream breaks off. */
import type { ConverseEvent } from "../../bedrock/converse.ts";
import type { BedrockError } from "../../bedrock/errors.ts";
import type { MockPlan } from "./rule.ts";

export interface MockStream {
  readonly events: readonly ConverseEvent[];
  /** What ends the stream behind its last event; undefined when the events are all there is. */
  readonly failure: BedrockError | undefined;
}

/**
 * The events that are sent of a plan whose error, if it has one, comes after some chunks. A stream with fewer chunks
 * than a rule counts is sent whole. Where a rule asks for both an error and a cut, the earlier one happens, and the
 * error of two at the same place.
 */
export function breakOff(plan: MockPlan): MockStream {
  const { events, error, truncateAfterChunks } = plan;
  const failing = error?.afterChunks == null ? undefined : endOfChunk(events, error.afterChunks);
  const cut = truncateAfterChunks === null ? undefined : endOfChunk(events, truncateAfterChunks);
  if (failing !== undefined && failing <= (cut ?? failing)) {
    return { events: events.slice(0, failing), failure: error?.error };
  }
  return { events: cut === undefined ? events : events.slice(0, cut), failure: undefined };
}

/** The position behind chunk number `count`; behind `messageStart` for 0. */
function endOfChunk(events: readonly ConverseEvent[], count: number): number | undefined {
  if (count === 0) return 1;
  let chunks = 0;
  for (const [index, event] of events.entries()) {
    if (!("contentBlockDelta" in event)) continue;
    chunks++;
    if (chunks === count) return index + 1;
  }
  return undefined;
}
