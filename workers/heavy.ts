/** Piscina tasks: work on large bodies, so that no front end stands still for it. */
import { MessageChannel } from "node:worker_threads";
import { move, transferableSymbol, valueSymbol } from "piscina";
import { type Jobs, jobs } from "../src/gateway/jobs.ts";

/** What is sent here arrives nowhere: memory that moves there is free at once, and not when this thread next collects. */
const { port1: nowhere, port2 } = new MessageChannel();
port2.close();

/** @returns what the job gives; memory of its `bytes` moves to the caller */
export default function heavy({ name, job }: { readonly name: keyof Jobs; readonly job: Job }): unknown {
  const done = jobs[name](job as never);
  const { buffer } = job.body;
  const isMoved = typeof done === "object" && "bytes" in done && done.bytes.length > 0;
  // A body that nothing had to be done to is its own result.
  if (!isMoved || done.bytes.buffer !== buffer) nowhere.postMessage(undefined, [buffer]);
  return isMoved ? move({ [transferableSymbol]: [done.bytes.buffer], [valueSymbol]: done }) : done;
}

interface Job {
  readonly body: Uint8Array<ArrayBuffer>;
}
