/** Starts the owner's thread. A worker that dies is replaced by piscina, and reads from the disk what there was. */
import { Piscina } from "piscina";
import type { SemanticCacheConfig } from "../config/cache.ts";
import { within } from "./embedder.ts";
import { type Answer, type Ask, type Filter, type List, type OwnerStats, packMessage, readAnswer } from "./messages.ts";
import type { OwnerTask } from "./owner-task.ts";

export interface OwnerThread {
  /** For front ends: forwards what they send, as it is. */
  readonly ask: Ask;
  configure(config: SemanticCacheConfig): void;
  stats(): Promise<OwnerStats>;
  /**
   * Deletes entries; front ends have to be told afterwards, see `SemanticCache.forget`.
   *
   * @returns how many there were
   */
  forget(filter: Filter): Promise<number>;
  /** Entries, the least recently used first, and how many there are. */
  list(filter: Filter, page: ListPage): Promise<Listed>;
  /** Saves what is not saved yet, and ends the thread. */
  close(): Promise<void>;
}

export type ListPage = Pick<List, "limit" | "offset" | "content">;
export type Listed = Omit<Extract<Answer, { readonly kind: "entries" }>, "kind">;

export interface OwnerStart {
  /** The task file, and how it is loaded: `workers/vector-index`. */
  readonly filename: string;
  readonly execArgv?: string[];
  readonly config: SemanticCacheConfig;
  /** BIFROST_DATA_DIR; null keeps entries in memory only. */
  readonly folder: string | null;
  /** 32 bytes that what is saved is encrypted with; null saves it in the clear. */
  readonly key?: Uint8Array | null;
  readonly onProblem: (message: string) => void;
}

/** So many messages may be with the worker at a time: most are over at once, but a local model takes its time. */
const tasksAtATime = 64;
/**
 * Nearly everything that the thread makes is to stay, and is moved when the young are collected: little at a time, so that
 * nobody waits for it. Mebibytes.
 */
const youngMib = 4;
/** The longest that saving may hold up the end of the process. Milliseconds. */
const closeMs = 2000;

export function startOwner({ filename, execArgv, config, folder, key = null, onProblem }: OwnerStart): OwnerThread {
  const pool = new Piscina({
    filename,
    ...(execArgv === undefined ? {} : { execArgv }),
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: tasksAtATime,
    // Between tasks the default stops the thread, and with it the timers that save entries and build graphs.
    atomics: "disabled",
    resourceLimits: { maxYoungGenerationSizeMb: youngMib },
  });
  // What happens between two tasks; a failed task is its sender's.
  pool.on("error", (error) => onProblem(`the cache's thread failed: ${String(error)}`));
  let settings = settingsOf(config, folder, key);
  let version = 1;
  const ask: Ask = async (message) => {
    const task: OwnerTask = { message, settings, version };
    return (await pool.run(task)) as Uint8Array;
  };
  const thread: OwnerThread = {
    ask,
    configure: (next) => {
      settings = settingsOf(next, folder, key);
      version++;
    },
    stats: async () => {
      const answer = readAnswer(await ask(packMessage({ op: "stats" })));
      if (answer.kind !== "stats") throw new Error("the owner of the cache answered something else");
      return answer.stats;
    },
    forget: async (filter) => {
      const answer = readAnswer(await ask(packMessage({ op: "forget", filter })));
      if (answer.kind !== "done") throw new Error("the owner of the cache answered something else");
      return answer.count;
    },
    list: async (filter, page) => {
      const answer = readAnswer(await ask(packMessage({ op: "list", filter, ...page })));
      if (answer.kind !== "entries") throw new Error("the owner of the cache answered something else");
      return answer;
    },
    close: async () => {
      try {
        await within(closeMs, undefined, () => ask(packMessage({ op: "flush" })));
      } catch (error) {
        onProblem(`the cache was not saved: ${String(error)}`);
      }
      await pool.destroy();
    },
  };
  // The thread reads its files now rather than with the first request.
  thread.stats().catch((error: unknown) => onProblem(`the cache's thread does not answer: ${String(error)}`));
  return thread;
}

function settingsOf(config: SemanticCacheConfig, folder: string | null, key: Uint8Array | null): OwnerTask["settings"] {
  const { embedding, max_entries, max_bytes } = config;
  return { embedding, maxEntries: max_entries, maxBytes: max_bytes, folder, key };
}
