/** Piscina task: the cache's owner, whose thread dies of a message of one zero byte. */
import { type OwnerTask, runOwnerTask } from "../../src/cache/owner-task.ts";

export default function dyingOwner(task: OwnerTask): Promise<Uint8Array> {
  if (task.message.byteLength === 1 && task.message[0] === 0) process.exit(1);
  return runOwnerTask(task);
}
