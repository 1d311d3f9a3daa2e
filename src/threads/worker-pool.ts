/** The piscina pool for work that would hold an event loop for more than about a millisecond. */
import { Piscina } from "piscina";

export interface WorkerPool {
  /** SHA-256 of a body in hexadecimal. */
  hash(body: Uint8Array): Promise<string>;
  /** Tasks that wait for a thread, and threads that are there. */
  load(): { readonly waiting: number; readonly threads: number };
  close(): Promise<void>;
}

/** Idle threads are given back after this long. */
const idleTimeoutMs = 60_000;

/** @param threads the most threads the pool may have; they start with the first work */
export function startWorkerPool(threads: number): WorkerPool {
  const pool = new Piscina({ minThreads: 0, maxThreads: threads, idleTimeout: idleTimeoutMs, ...taskFile("hash") });
  return {
    hash: async (body) => (await pool.run(body)) as string,
    load: () => ({ waiting: pool.queueSize, threads: pool.threads.length }),
    close: () => pool.destroy(),
  };
}

/** Task files stand beside `src/`: as TypeScript in the source tree, compiled in `dist`. */
export function taskFile(name: string): { filename: string; execArgv?: string[] } {
  const fromSource = import.meta.url.endsWith(".ts");
  const filename = new URL(`../../workers/${name}.${fromSource ? "ts" : "js"}`, import.meta.url).href;
  return fromSource ? { filename, execArgv: ["--import", "tsx"] } : { filename };
}
