/** The piscina pool for work that would hold an event loop for more than about a millisecond. */
import { Piscina } from "piscina";
import type { Jobs } from "../gateway/jobs.ts";

/** A job as it goes to a worker, by its name. */
export interface NamedJob {
  readonly name: keyof Jobs;
  readonly job: { readonly body: Uint8Array };
}

export interface TaskFile {
  readonly filename: string;
  readonly execArgv?: string[];
}

export interface WorkerPool {
  /** Tasks that wait for a thread, and threads that are there. */
  load(): { readonly waiting: number; readonly threads: number };
  /**
   * Has a worker do a job.
   *
   * @param named the memory of its body moves there: here it is gone
   * @throws Error (as a rejection) what the job throws, or that its worker died; another worker takes its place
   */
  run(named: NamedJob): Promise<unknown>;
  /** Resolves when what runs is done and the threads have ended. */
  close(): Promise<void>;
}

const nothing: NamedJob = { name: "model", job: { body: new Uint8Array() } };

/** Idle threads are given back after this long, and with them the memory that large bodies took. */
const idleTimeoutMs = 30_000;

/**
 * @param threads the most threads the pool may have; they start with the first work
 * @param onDeath told why a worker died that had nothing to do
 * @param options for tests: the file that does the jobs, and how much its heap may take
 */
export function startWorkerPool(
  threads: number,
  onDeath: (error: unknown) => void,
  { tasks = taskFile("heavy"), heapMib }: { readonly tasks?: TaskFile; readonly heapMib?: number } = {},
): WorkerPool {
  const pool = new Piscina({
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: idleTimeoutMs,
    ...tasks,
    ...(heapMib !== undefined && { resourceLimits: { maxOldGenerationSizeMb: heapMib } }),
  });
  // The library starts a worker in the place of a dead one only when the next job comes, whatever waits already.
  pool.on("workerDestroy", () => {
    if (pool.queueSize > 0) setImmediate(() => void pool.run(nothing).catch(onDeath));
  });
  pool.on("error", onDeath);
  return {
    load: () => ({ waiting: pool.queueSize, threads: pool.threads.length }),
    run: async (named) => {
      const { buffer } = named.job.body;
      return (await pool.run(named, buffer instanceof ArrayBuffer ? { transferList: [buffer] } : {})) as unknown;
    },
    close: () => pool.destroy(),
  };
}

/** Task files stand beside `src/`: as TypeScript in the source tree, compiled in `dist`. */
export function taskFile(name: string): TaskFile {
  const fromSource = import.meta.url.endsWith(".ts");
  const filename = new URL(`../../workers/${name}.${fromSource ? "ts" : "js"}`, import.meta.url).href;
  return fromSource ? { filename, execArgv: ["--import", "tsx"] } : { filename };
}
