/** The worker's side of the owner: one for the life of the thread, made by the first task. */
import { IndexOwner, type OwnerSettings } from "./owner.ts";

/** What the worker is given with every task, so that one that had to be replaced knows as much as its predecessor. */
export interface OwnerTask {
  readonly message: Uint8Array;
  readonly settings: OwnerSettings;
  /** Another number means other settings. */
  readonly version: number;
}

let owner: IndexOwner | undefined;
let version = 0;

/** @throws (as a rejection) Error for bytes that are no message */
export function runOwnerTask({ message, settings, version: current }: OwnerTask): Promise<Uint8Array> {
  if (owner === undefined) owner = new IndexOwner(settings);
  else if (current !== version) owner.configure(settings);
  version = current;
  return owner.handle(message);
}
