/** Jobs on large bodies, done on the spot. What goes to a worker and back is cloned, as between threads. */
import { jobs } from "../../src/gateway/jobs.ts";
import type { OffThread } from "../../src/gateway/off-thread.ts";

export interface CountingOffThread extends OffThread {
  /** Names of the jobs that were done. */
  readonly done: string[];
}

export function inlineOffThread(): CountingOffThread {
  const done: string[] = [];
  return {
    done,
    run: async (name, body, rest) => {
      done.push(name);
      const job: unknown = structuredClone({ ...rest, body: Uint8Array.from(body) });
      return structuredClone(jobs[name](job as never)) as never;
    },
  };
}
