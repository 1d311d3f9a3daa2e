/** Piscina task of the one worker that owns the cache's entries and indexes. */
import { type OwnerTask, runOwnerTask } from "../src/cache/owner-task.ts";

/** @returns the owner's answer to a message, as MessagePack */
export default function vectorIndex(task: OwnerTask): Promise<Uint8Array> {
  return runOwnerTask(task);
}
