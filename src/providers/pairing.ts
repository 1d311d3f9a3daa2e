/**
 * Calls and results put in order. Aborted runs and shortened histories leave calls without results and results without
 * calls, and every provider refuses those in its own way; so here each call gets exactly one result, in the user's turn
 * that follows, before anything else and in the order of the calls.
 */
import { refuseField } from "../bedrock/errors.ts";
import type { Block, ResultPart, TextPart, ToolResultPart, ToolUsePart, Turn } from "./prepared.ts";
import { searchResultText } from "./results.ts";
import { type IdRule, sendableId } from "./tool-ids.ts";

/** Stands for a result nobody has. Neutral: a model that reads of a cancellation draws conclusions from it. */
export const missingResult = "The result of this tool call is not available; do not assume that it ran.";

/** Puts neighbouring turns of the same role together, and leaves out turns without blocks. */
export function mergeTurns(turns: readonly Turn[]): readonly Turn[] {
  const merged: { role: Turn["role"]; blocks: Block[] }[] = [];
  for (const { role, blocks } of turns) {
    if (blocks.length === 0) continue;
    const last = merged.at(-1);
    if (last?.role === role) last.blocks.push(...blocks);
    else merged.push({ role, blocks: [...blocks] });
  }
  return merged;
}

/**
 * Pairs calls with results and gives both the ids the target takes. A system turn between the two moves behind the
 * results.
 *
 * - A call without a result gets {@link missingResult}.
 * - A result without a call becomes text where it stood.
 * - A second result for the same call is left out, its path is added to `ignored`.
 * - A call whose result stands in the same assistant turn was run by the provider: both become text.
 *
 * @param turns merged: no two neighbours of the same role
 * @throws BedrockError ValidationException for a call outside an assistant's turn
 */
export function pairTools(turns: readonly Turn[], rule: IdRule, ignored: string[]): readonly Turn[] {
  const ids = new CallIds(rule);
  const paired: Turn[] = [];
  let index = 0;
  for (let turn = turns[index]; turn !== undefined; turn = turns[index]) {
    index++;
    if (turn.role !== "assistant") {
      paired.push({ role: turn.role, blocks: turn.blocks.flatMap(orphanToText) });
      continue;
    }
    const { blocks, calls } = readCalls(turn.blocks, ids);
    paired.push({ role: "assistant", blocks });
    if (calls.length === 0) continue;

    // Merged turns have at most one system turn in a row.
    const between = turns[index]?.role === "system" ? turns[index] : undefined;
    const answering = turns[between === undefined ? index : index + 1];
    if (answering?.role !== "user") {
      paired.push({ role: "user", blocks: calls.map((call) => resultFor(call, undefined)) });
      continue;
    }
    index += between === undefined ? 1 : 2;
    const { results, rest } = takeResults(answering.blocks, calls, ignored);
    if (between === undefined) paired.push({ role: "user", blocks: [...results, ...rest] });
    else paired.push({ role: "user", blocks: results }, between, { role: "user", blocks: rest });
  }
  return paired;
}

/** A call, and what the client called it. */
interface Call {
  readonly sent: ToolUsePart;
  readonly clientId: string;
}

/** Gives a call's id for sending. An id that comes up again in the conversation gets another one. */
class CallIds {
  readonly #rule: IdRule;
  readonly #uses = new Map<string, number>();

  constructor(rule: IdRule) {
    this.#rule = rule;
  }

  next(clientId: string): string {
    const use = this.#uses.get(clientId) ?? 0;
    this.#uses.set(clientId, use + 1);
    if (use === 0) return sendableId(clientId, this.#rule);
    // A line break is in no legal id, so this one never fits and is always digested.
    return sendableId(`${clientId}\n${use}`, this.#rule);
  }
}

function readCalls(blocks: readonly Block[], ids: CallIds): { blocks: readonly Block[]; calls: readonly Call[] } {
  const ranAlready = new Set<string>();
  for (const block of blocks) if (block.kind === "toolResult") ranAlready.add(block.id);
  const calls: Call[] = [];
  const read = blocks.flatMap((block): readonly Block[] => {
    if (block.kind !== "toolUse") return resultToText(block);
    if (ranAlready.has(block.id)) return [text(`[${block.name} ${JSON.stringify(block.input)}]`, block.path)];
    const sent = { ...block, id: ids.next(block.id) };
    calls.push({ sent, clientId: block.id });
    return [sent];
  });
  return { blocks: read, calls };
}

function takeResults(
  blocks: readonly Block[],
  calls: readonly Call[],
  ignored: string[],
): { results: readonly Block[]; rest: readonly Block[] } {
  const called = new Set(calls.map((call) => call.clientId));
  const waiting = new Map<string, ToolResultPart[]>();
  const rest: Block[] = [];
  for (const block of blocks) {
    if (block.kind !== "toolResult" || !called.has(block.id)) {
      rest.push(...orphanToText(block));
      continue;
    }
    const known = waiting.get(block.id);
    if (known === undefined) waiting.set(block.id, [block]);
    else known.push(block);
  }
  const results = calls.map((call) => resultFor(call, waiting.get(call.clientId)?.shift()));
  for (const surplus of waiting.values()) ignored.push(...surplus.map((result) => result.path));
  return { results, rest };
}

function resultFor({ sent }: Call, found: ToolResultPart | undefined): ToolResultPart {
  const { id, name } = sent;
  if (found !== undefined) return { ...found, id, name };
  const path = sent.path;
  return { kind: "toolResult", id, name, failed: true, content: [text(missingResult, path)], path };
}

function orphanToText(block: Block): readonly Block[] {
  if (block.kind === "toolUse") throw refuseField(block.path, "stands only in messages of the assistant");
  return resultToText(block);
}

/** A result as text and media; any other block as it is. */
function resultToText(block: Block): readonly Block[] {
  if (block.kind !== "toolResult") return [block];
  return [
    text(block.failed ? "Result of a tool call, an error:" : "Result of a tool call:", block.path),
    ...block.content.map(freeResultPart),
  ];
}

function freeResultPart(part: ResultPart): Block {
  if (part.kind === "json") return text(JSON.stringify(part.json), part.path);
  return part.kind === "searchResult" ? text(searchResultText(part), part.path) : part;
}

function text(content: string, path: string): TextPart {
  return { kind: "text", text: content, path };
}
