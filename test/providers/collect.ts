/** Reads stream events the way an SDK's user would, and insists on the order Bedrock promises. */
import { expect } from "vitest";
import type { BlockDelta, BlockStart, ConverseEvent, StopReason, TokenUsage } from "../../src/bedrock/converse.ts";

export interface Collected {
  readonly blocks: readonly CollectedBlock[];
  /** Undefined when the stream has not ended. */
  readonly stopReason: StopReason | undefined;
  readonly usage: TokenUsage | undefined;
  readonly additional: unknown;
}

export interface CollectedBlock {
  readonly start?: BlockStart;
  readonly text?: string;
  readonly reasoning?: string;
  readonly signature?: string;
  readonly redacted?: string;
  /** The joined fragments of a call's input. */
  readonly input?: string;
  readonly citations?: number;
  readonly image?: string;
}

/**
 * Puts a stream's blocks together. Fails when an index is not dense, blocks overlap, a block is not closed exactly once,
 * deltas of different kinds share a block, or something stands behind the end.
 */
export function collect(events: readonly ConverseEvent[]): Collected {
  const blocks: CollectedBlock[] = [];
  let open: { index: number; block: Mutable } | undefined;
  let stopReason: StopReason | undefined;
  let usage: TokenUsage | undefined;
  let additional: unknown;
  for (const [position, event] of events.entries()) {
    expect("messageStart" in event, "messageStart is the first event and no other").toBe(position === 0);
    expect(usage, "nothing follows metadata").toBeUndefined();
    if ("contentBlockStart" in event) {
      expect(open, "a block starts while another is open").toBeUndefined();
      expect(event.contentBlockStart.contentBlockIndex).toBe(blocks.length);
      open = { index: blocks.length, block: { start: event.contentBlockStart.start } };
    }
    if ("contentBlockDelta" in event) {
      const { contentBlockIndex, delta } = event.contentBlockDelta;
      open ??= { index: blocks.length, block: {} };
      expect(contentBlockIndex).toBe(open.index);
      expect(open.block.signature, "a signature is the last delta of its block").toBeUndefined();
      add(open.block, delta);
    }
    if ("contentBlockStop" in event) {
      expect(event.contentBlockStop.contentBlockIndex).toBe(open?.index);
      if (open !== undefined) blocks.push(open.block);
      open = undefined;
    }
    if ("messageStop" in event) {
      expect(open, "the message stops while a block is open").toBeUndefined();
      expect(stopReason, "the message stops twice").toBeUndefined();
      stopReason = event.messageStop.stopReason;
      additional = event.messageStop.additionalModelResponseFields;
    }
    if ("metadata" in event) {
      expect(stopReason, "metadata stands before messageStop").toBeDefined();
      usage = event.metadata.usage;
    }
  }
  return { blocks, stopReason, usage, additional };
}

type Mutable = { -readonly [name in keyof CollectedBlock]: CollectedBlock[name] };

function add(block: Mutable, delta: BlockDelta): void {
  if ("text" in delta) {
    expect(delta.text, "an empty text delta").not.toBe("");
    expect(block.start ?? block.reasoning ?? block.redacted, "text in a block of another kind").toBeUndefined();
    block.text = (block.text ?? "") + delta.text;
  }
  if ("toolUse" in delta) {
    expect(block.start, "input without a call").toHaveProperty("toolUse");
    block.input = (block.input ?? "") + delta.toolUse.input;
  }
  if ("reasoningContent" in delta) {
    expect(block.start ?? block.text, "reasoning in a block of another kind").toBeUndefined();
    const part = delta.reasoningContent;
    if ("text" in part) block.reasoning = (block.reasoning ?? "") + part.text;
    if ("signature" in part) block.signature = part.signature;
    if ("redactedContent" in part) block.redacted = part.redactedContent;
  }
  if ("citation" in delta) block.citations = (block.citations ?? 0) + 1;
  if ("image" in delta && delta.image.source !== undefined && "bytes" in delta.image.source) {
    block.image = delta.image.source.bytes;
  }
}
