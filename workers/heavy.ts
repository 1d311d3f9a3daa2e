/** Piscina tasks: work on large bodies, so that no front end stands still for it. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { move, transferableSymbol, valueSymbol } from "piscina";
import { type Jobs, jobs } from "../src/gateway/jobs.ts";

/**
 * What a job of this size leaves behind is collected behind it, which holds up nobody but this thread: while it waits for
 * the next job, it would not be. Bytes.
 */
const collectedBytes = 4 * 1024 * 1024;

setFlagsFromString("--expose-gc");
const collect: unknown = runInNewContext("gc");

/** @returns what the job gives; memory of its `bytes` moves to the caller */
export default function heavy({ name, job }: { readonly name: keyof Jobs; readonly job: Job }): unknown {
  const { buffer } = job.body;
  const isLarge = buffer.byteLength >= collectedBytes;
  const done = jobs[name](job as never);
  const isMoved = typeof done === "object" && "bytes" in done && done.bytes.length > 0;
  // A body that nothing had to be done to is its own result.
  if (!isMoved || done.bytes.buffer !== buffer) letGo(buffer);
  if (isLarge && typeof collect === "function") collect();
  return isMoved ? move({ [transferableSymbol]: [done.bytes.buffer], [valueSymbol]: done }) : done;
}

/** Moves memory to where nobody holds it, as the callers of this hold the job: the next collection frees it. */
function letGo(buffer: ArrayBuffer): void {
  structuredClone(buffer, { transfer: [buffer] });
}

interface Job {
  readonly body: Uint8Array<ArrayBuffer>;
}
