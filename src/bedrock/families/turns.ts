/** Messages as Converse wants them: neighbours of one role made one. */
import type { ContentBlock, ConverseRequest, Message, Role, SystemBlock } from "../converse.ts";

export interface Turn {
  readonly role: Role;
  readonly content: readonly ContentBlock[];
}

/** Who said what: the part of a ConverseRequest that comes from a prompt or a list of messages. */
export type Conversation = Pick<ConverseRequest, "system" | "messages">;

/** Makes one message of neighbours with the same role, e.g. of several tool results and the text after them. */
export function mergeTurns(turns: readonly Turn[]): readonly Message[] {
  const messages: { role: Role; content: ContentBlock[] }[] = [];
  for (const { role, content } of turns) {
    const last = messages.at(-1);
    if (last?.role !== role) messages.push({ role, content: [...content] });
    else for (const block of content) last.content.push(block);
  }
  return messages;
}

/** Takes the system's turns at the beginning out of the messages; later ones keep their place, unless they are empty. */
export function splitSystem(all: readonly Turn[]): Conversation {
  const turns = all.filter((turn) => turn.role !== "system" || turn.content.length > 0);
  const found = turns.findIndex((turn) => turn.role !== "system");
  const first = found === -1 ? turns.length : found;
  const system: SystemBlock[] = turns
    .slice(0, first)
    .flatMap((turn) => turn.content.flatMap((block) => ("text" in block ? [{ text: block.text }] : [])));
  const messages = mergeTurns(turns.slice(first));
  return system.length === 0 ? { messages } : { system, messages };
}
