/** What of a request is kept in the log, and in which form: without secrets, cut to size, sealed where there is a key. */
import type { LogContent, LogEntry } from "../store/log-store.ts";
import type { Sealer } from "../store/secrets.ts";
import type { Redactor } from "./redactor.ts";

export interface Keeping {
  readonly redactor: Redactor;
  /** Content is encrypted with it. */
  readonly sealer: Sealer | undefined;
  /** Of the request and of the answer each. */
  readonly maxContentBytes: number;
}

/** The entry with its content as it may be written to a disk; all else in it is clean. */
export function kept(entry: LogEntry, { redactor, sealer, maxContentBytes }: Keeping): LogEntry {
  const { row, attempts, content } = entry;
  if (content === null) return entry;
  const part = (text: string | null, name: string): string | null => {
    if (text === null) return null;
    const clean = redactor.clean(whole(text, maxContentBytes));
    return sealer === undefined ? clean : sealer.seal(clean, ownerOf(row.id, name));
  };
  const request = part(content.request, "request");
  return { row, attempts, content: { request, answer: part(content.answer, "answer"), sealed: sealer !== undefined } };
}

/** Content as it is shown; what was sealed with another key stays sealed, and is not shown. */
export function openContent(id: string, content: LogContent, sealer: Sealer | undefined): LogContent {
  if (!content.sealed) return content;
  const open = (text: string | null, name: string): string | null =>
    text === null ? null : (sealer?.open(text, ownerOf(id, name)) ?? null);
  const request = open(content.request, "request");
  const answer = open(content.answer, "answer");
  const isOpen = (request !== null || content.request === null) && (answer !== null || content.answer === null);
  return { request, answer, sealed: !isOpen };
}

function ownerOf(id: string, name: string): string {
  return `request log ${id} ${name}`;
}

/** A text that was cut may end within a secret, of which the beginning would not be known as one. */
function whole(text: string, maxBytes: number): string {
  const bytes = Buffer.byteLength(text);
  // A character that did not fit has up to four bytes.
  if (bytes < maxBytes - 4) return text;
  const short = bytes > maxBytes ? text.slice(0, maxBytes) : text;
  let end = short.length;
  while (end > 0 && short.length - end < longestToken && /[A-Za-z0-9+/=._~%-]/.test(short.charAt(end - 1))) end--;
  return `${short.slice(0, end)}…`;
}

/** Session tokens are about as long. */
const longestToken = 4096;
