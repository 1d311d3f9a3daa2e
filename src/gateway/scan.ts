/** Looking through a body, however large, without holding up the event loop. */
import { setImmediate } from "node:timers/promises";

/** What is looked through in one go: a quarter of a millisecond for a picture, a few milliseconds for the worst of texts. */
const turnBytes = 2 * 1024 * 1024;

/** Whether any of the texts stands in the body. At once for a small one. */
export function holdsAny(body: Buffer, texts: readonly Buffer[]): boolean | Promise<boolean> {
  return body.length <= turnBytes ? holdsNow(body, texts) : holdsInTurns(body, texts);
}

function holdsNow(body: Buffer, texts: readonly Buffer[]): boolean {
  return texts.some((text) => body.includes(text));
}

async function holdsInTurns(body: Buffer, texts: readonly Buffer[]): Promise<boolean> {
  // A text may begin in one part and end in the next.
  const overlap = Math.max(...texts.map(({ length }) => length)) - 1;
  for (let from = 0; from < body.length; from += turnBytes) {
    if (from > 0) await setImmediate();
    if (holdsNow(body.subarray(from, from + turnBytes + overlap), texts)) return true;
  }
  return false;
}
