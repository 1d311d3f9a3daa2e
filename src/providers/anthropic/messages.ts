/** Turns in the order and with the content that Anthropic takes. */

import { mergeTurns } from "../pairing.ts";
import type { Block, TextPart, Turn } from "../prepared.ts";

/** Stands in an assistant's turn for media, which only users' turns may hold. */
const mediaNote = "[Attached to the next message.]";
const continuation =
  "Continue your last message from exactly where it ends. Do not repeat any of it, and write nothing before it.";

/**
 * - An empty text is left out; so is a blank one whose signed neighbour was not kept.
 * - Thinking at a turn's end, which led to nothing, is left out: it is refused there.
 * - Media of the assistant's move to the user's next turn.
 *
 * @param ignored takes the paths of what is left out
 */
export function arrangeTurns(turns: readonly Turn[], ignored: string[]): readonly Turn[] {
  const kept = turns.map(({ role, blocks }) => ({ role, blocks: withoutTail(withoutBlanks(blocks), ignored) }));
  return moveMedia(mergeTurns(kept));
}

/** False when the calls that are being answered were made without thinking, which a budget for it does not go with. */
export function allowsBudget(turns: readonly Turn[]): boolean {
  const [calling, answering] = turns.slice(-2);
  const answered = answering?.role === "user" && answering.blocks[0]?.kind === "toolResult";
  const first = calling?.blocks[0];
  return !answered || (first !== undefined && isReasoning(first));
}

function withoutBlanks(blocks: readonly Block[]): readonly Block[] {
  const signed = blocks.some(isReasoning);
  return blocks.filter((block) => block.kind !== "text" || !isBlank(block, signed));
}

function isBlank({ text }: TextPart, besideReasoning: boolean): boolean {
  return besideReasoning ? text === "" : text.trim() === "";
}

/** Without thinking at the end, and without cache points that have nothing before them. */
function withoutTail(blocks: readonly Block[], ignored: string[]): readonly Block[] {
  const end = blocks.findLastIndex((block) => block.kind !== "cachePoint" && !isReasoning(block)) + 1;
  const left = blocks.slice(end).filter((block) => end === 0 || isReasoning(block));
  ignored.push(...left.map((block) => block.path));
  return blocks.filter((block) => !left.includes(block));
}

function isReasoning({ kind }: Block): boolean {
  return kind === "reasoning" || kind === "redacted";
}

function moveMedia(turns: readonly Turn[]): readonly Turn[] {
  const arranged: Turn[] = [];
  let media: readonly Block[] = [];
  for (const { role, blocks } of turns) {
    if (role !== "assistant") {
      const first = blocks.findIndex((block) => block.kind !== "toolResult");
      const results = first === -1 ? blocks.length : first;
      arranged.push({ role, blocks: [...blocks.slice(0, results), ...media, ...blocks.slice(results)] });
      media = [];
      continue;
    }
    media = blocks.filter(isMedia);
    arranged.push({
      role,
      blocks: blocks.map((block) => (isMedia(block) ? { kind: "text", text: mediaNote, path: block.path } : block)),
    });
  }
  return media.length === 0 ? arranged : [...arranged, { role: "user", blocks: media }];
}

function isMedia({ kind }: Block): boolean {
  return kind === "image" || kind === "document" || kind === "searchResult";
}

/**
 * An assistant's turn at the end is for the model to continue. Where it can, the white space at its end goes, which is
 * refused there; where it cannot, the user asks for it.
 *
 * @param prefill whether the model continues an assistant's turn by itself
 */
export function endTurns(turns: readonly Turn[], prefill: boolean): readonly Turn[] {
  const last = turns.at(-1);
  if (last?.role !== "assistant") return turns;
  const place = last.blocks.findLastIndex((block) => block.kind !== "cachePoint");
  const end = last.blocks[place];
  if (!prefill || end?.kind !== "text" || end.text.trim() === "") {
    const asked: Block = { kind: "text", text: continuation, path: end?.path ?? "messages" };
    return [...turns, { role: "user", blocks: [asked] }];
  }
  const blocks = last.blocks.with(place, { ...end, text: end.text.trimEnd() });
  return [...turns.slice(0, -1), { role: "assistant", blocks }];
}
