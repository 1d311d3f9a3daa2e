/** Threads that run TypeScript, for tests and benchmarks. */
import { Worker } from "node:worker_threads";

/**
 * Starts a thread with a TypeScript file as its entry.
 *
 * @param file URL of the file, `import.meta.url` or made from it
 */
export function startTypescript(file: string, workerData: unknown): Worker {
  // tsx has to be registered within the thread before the file is imported; `--import` comes too late for an entry.
  const entry = `import("tsx/esm/api").then(({ register }) => { register(); return import(${JSON.stringify(file)}); })`;
  return new Worker(entry, { eval: true, execArgv: [], workerData });
}
