/** Putting a large body together without holding up the event loop. */
import { setImmediate } from "node:timers/promises";

/** What is copied in one go: about a third of a millisecond. */
const turnBytes = 1024 * 1024;

/** @param bytes the length of all chunks together */
export function joinSlowly(chunks: readonly Buffer[], bytes: number): Promise<Buffer> {
  return bytes <= turnBytes ? Promise.resolve(Buffer.concat(chunks, bytes)) : joinInTurns(chunks, bytes);
}

async function joinInTurns(chunks: readonly Buffer[], bytes: number): Promise<Buffer> {
  const whole = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  let turn = 0;
  for (const chunk of chunks) {
    if (turn + chunk.length > turnBytes) {
      await setImmediate();
      turn = 0;
    }
    at += chunk.copy(whole, at);
    turn += chunk.length;
  }
  return whole;
}
