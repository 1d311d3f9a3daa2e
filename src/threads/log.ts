/** The supervisor's side of the request log's threads. Nothing that fails here keeps a request from being served. */
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type {
  CostChange,
  FoundLog,
  LogFilter,
  LogLatency,
  LogPage,
  LogQuery,
  LogReader,
  LogSum,
  LogValues,
  SumQuery,
} from "../store/log-store.ts";
import type { StoreSettings } from "../store/open.ts";
import { StoreError } from "../store/store.ts";
import type { BatchFate } from "../telemetry/request-log.ts";
import { Peer } from "./peer.ts";
import type { StoreThread } from "./store.ts";
import type { StoreResult } from "./store-result.ts";

type Answer<Value> = Promise<StoreResult<Value>>;

/** What holds for rows, by the configuration in force. */
export interface LogRules {
  /** In clear text; taken out of what is kept. */
  readonly secrets: readonly string[];
  readonly maxContentBytes: number;
  readonly retentionDays: number;
  readonly maxRows: number;
}

/** One thread writes rows and deletes old ones, another one reads: a question about millions of rows delays no row. */
type LogRole = "write" | "read";

export interface LogThreadStart {
  readonly role: LogRole;
  readonly store: StoreSettings;
  /** Content is encrypted with it. */
  readonly encryptionKey: string | undefined;
  readonly rules: LogRules;
}

/** What the log's threads do when the supervisor asks. */
export interface LogOffers {
  readonly configure: (rules: LogRules) => void;
  /** As `BatchPacker` packs them. */
  readonly append: (batch: Uint8Array) => Answer<void>;
  readonly find: (id: string) => Answer<FoundLog | undefined>;
  readonly list: (query: LogQuery) => Answer<LogPage>;
  readonly sum: (query: SumQuery) => Answer<readonly LogSum[]>;
  readonly latency: (query: SumQuery) => Answer<readonly LogLatency[]>;
  readonly values: (filter: LogFilter) => Answer<LogValues>;
  readonly remove: (ids: readonly string[]) => Answer<number>;
  readonly setCosts: (changes: readonly CostChange[]) => Answer<void>;
  readonly close: (nothing: undefined) => Answer<void>;
}

export interface LogClientOptions {
  /** Starts a thread, and starts it again when it has died. */
  readonly start: (role: LogRole, rules: LogRules) => StoreThread;
  /** The thread that writes reads too: what it has, it has in its memory. */
  readonly readsWhereItWrites: boolean;
  readonly rules: LogRules;
  /** Told when rows cannot be written, with the reason, and when they can be again (undefined). */
  readonly onHealth: (problem: StoreError | undefined) => void;
  /** The longest a call may take. Milliseconds. */
  readonly timeoutMs?: number;
  /** How long a thread that died is left dead. Milliseconds. */
  readonly restartMs?: number;
}

/** Starts one of the request log's threads. */
export function startLogThread(start: LogThreadStart): StoreThread {
  const name = `request-log-${start.role}`;
  return new Worker(new URL("./log-thread.js", import.meta.url), { workerData: start, name });
}

/** Calls reject with a StoreError; one that takes too long with the fault `unavailable`. */
export class LogClient implements LogReader {
  readonly #options: Required<LogClientOptions>;
  readonly #writer: LogThread;
  /** There once somebody has asked. */
  #reader: LogThread | undefined;
  #rules: LogRules;
  #closed = false;
  #problem: StoreError | undefined;

  constructor(options: LogClientOptions) {
    this.#options = { timeoutMs: 15_000, restartMs: 500, ...options };
    this.#rules = options.rules;
    this.#writer = this.#thread("write");
  }

  configure(rules: LogRules): void {
    this.#rules = rules;
    this.#writer.configure(rules);
  }

  /** Writes a batch. Never rejects. */
  async append(batch: Uint8Array): Promise<BatchFate> {
    try {
      await this.#writer.call((line) => line.call("append", batch));
      this.#report(undefined);
      return "stored";
    } catch (error) {
      const problem = error instanceof StoreError ? error : new StoreError("failed", String(error));
      this.#report(problem);
      // A fault of the batch itself would come back with it for ever.
      return problem.fault === "failed" ? "never" : "later";
    }
  }

  find(id: string): Promise<FoundLog | undefined> {
    return this.#read((line) => line.call("find", id));
  }

  list(query: LogQuery): Promise<LogPage> {
    return this.#read((line) => line.call("list", query));
  }

  sum(query: SumQuery): Promise<readonly LogSum[]> {
    return this.#read((line) => line.call("sum", query));
  }

  latency(query: SumQuery): Promise<readonly LogLatency[]> {
    return this.#read((line) => line.call("latency", query));
  }

  values(filter: LogFilter): Promise<LogValues> {
    return this.#read((line) => line.call("values", filter));
  }

  remove(ids: readonly string[]): Promise<number> {
    return this.#writer.call((line) => line.call("remove", ids));
  }

  setCosts(changes: readonly CostChange[]): Promise<void> {
    return this.#writer.call((line) => line.call("setCosts", changes));
  }

  /** Ends the threads, whether or not they still answer. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#writer.close(), this.#reader?.close()]);
  }

  async #read<Value>(send: (line: Line) => Answer<Value>): Promise<Value> {
    if (this.#closed) throw closed();
    this.#reader ??= this.#options.readsWhereItWrites ? this.#writer : this.#thread("read");
    return this.#reader.call(send);
  }

  #thread(role: LogRole): LogThread {
    const { start, timeoutMs, restartMs } = this.#options;
    return new LogThread(() => start(role, this.#rules), timeoutMs, restartMs);
  }

  #report(problem: StoreError | undefined): void {
    if (this.#problem?.message === problem?.message) return;
    this.#problem = problem;
    this.#options.onHealth(problem);
  }
}

/** The longest wait for a thread to end; one that is stuck in a system call does not. Milliseconds. */
const terminateMs = 1000;

type Line = Peer<object, LogOffers>;

class LogThread {
  readonly #begin: () => StoreThread;
  readonly #timeoutMs: number;
  readonly #restartMs: number;
  #thread: StoreThread;
  #line: Line;
  #closed = false;

  constructor(begin: () => StoreThread, timeoutMs: number, restartMs: number) {
    this.#begin = begin;
    this.#timeoutMs = timeoutMs;
    this.#restartMs = restartMs;
    [this.#thread, this.#line] = this.#start();
  }

  configure(rules: LogRules): void {
    // A thread that is gone begins with them.
    this.#line.call("configure", rules).catch(() => undefined);
  }

  async call<Value>(send: (line: Line) => Answer<Value>): Promise<Value> {
    if (this.#closed) throw closed();
    const limit = this.#timeoutMs;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      const error = new StoreError("unavailable", `the request log did not answer within ${limit} ms`);
      timer = setTimeout(() => reject(error), limit);
    });
    try {
      const result = await Promise.race([send(this.#line), timeout]);
      if (result.ok) return result.value;
      throw new StoreError(result.fault, result.message, result.cause);
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const closing = this.call((line) => line.call("close", undefined));
    this.#closed = true;
    await Promise.race([closing.catch(() => undefined), delay(terminateMs, undefined, { ref: false })]);
    await Promise.race([this.#thread.terminate(), delay(terminateMs, undefined, { ref: false })]);
  }

  #start(): [StoreThread, Line] {
    const thread = this.#begin();
    const line: Line = new Peer(thread, {});
    let reason = "the request log's thread has ended";
    thread.once("error", (error) => {
      reason = `the request log's thread failed: ${error.message}`;
    });
    thread.once("exit", () => {
      line.hangUp(new StoreError("unavailable", reason));
      if (this.#closed) return;
      const restarting = setTimeout(() => {
        [this.#thread, this.#line] = this.#start();
      }, this.#restartMs);
      restarting.unref();
    });
    return [thread, line];
  }
}

function closed(): StoreError {
  return new StoreError("unavailable", "the request log is closed");
}
