/** A whole Converse answer as the events of a stream, for clients that asked for one where the model gave it at once. */
import type { BlockDelta, BlockStart, ContentBlock, ConverseEvent, ConverseResponse } from "./converse.ts";

/** @returns the events from `messageStart` to `metadata`. Blocks that no stream can carry are not in answers. */
export function eventsOf(response: ConverseResponse): readonly ConverseEvent[] {
  const events: ConverseEvent[] = [{ messageStart: { role: "assistant" } }];
  for (const [contentBlockIndex, block] of response.output.message.content.entries()) {
    const { start, deltas } = partsOf(block);
    if (start !== undefined) events.push({ contentBlockStart: { contentBlockIndex, start } });
    for (const delta of deltas) events.push({ contentBlockDelta: { contentBlockIndex, delta } });
    events.push({ contentBlockStop: { contentBlockIndex } });
  }
  const { stopReason, additionalModelResponseFields: fields, usage, metrics } = response;
  const { trace, performanceConfig, serviceTier } = response;
  events.push(
    { messageStop: { stopReason, ...(fields !== undefined && { additionalModelResponseFields: fields }) } },
    {
      metadata: {
        usage,
        metrics,
        ...(trace !== undefined && { trace }),
        ...(performanceConfig !== undefined && { performanceConfig }),
        ...(serviceTier !== undefined && { serviceTier }),
      },
    },
  );
  return events;
}

interface Parts {
  readonly start?: BlockStart;
  readonly deltas: readonly BlockDelta[];
}

function partsOf(block: ContentBlock): Parts {
  if ("text" in block) return { deltas: [{ text: block.text }] };
  if ("toolUse" in block) {
    const { input, ...start } = block.toolUse;
    return { start: { toolUse: start }, deltas: [{ toolUse: { input: JSON.stringify(input) } }] };
  }
  if ("toolResult" in block) {
    const { content, ...start } = block.toolResult;
    const deltas = content.flatMap((one) => ("text" in one || "json" in one ? [one] : []));
    return { start: { toolResult: start }, deltas: [{ toolResult: deltas }] };
  }
  if ("reasoningContent" in block) {
    const reasoning = block.reasoningContent;
    if ("redactedContent" in reasoning) return { deltas: [{ reasoningContent: reasoning }] };
    const { text, signature } = reasoning.reasoningText;
    const deltas: BlockDelta[] = text === "" ? [] : [{ reasoningContent: { text } }];
    if (signature !== undefined) deltas.push({ reasoningContent: { signature } });
    return { deltas };
  }
  if ("citationsContent" in block) {
    const { content = [], citations = [] } = block.citationsContent;
    return { deltas: [...content.map(({ text }) => ({ text })), ...citations.map((citation) => ({ citation }))] };
  }
  if ("image" in block) {
    const { format, source } = block.image;
    return { start: { image: { format } }, deltas: [{ image: { source } }] };
  }
  return { deltas: [] };
}
