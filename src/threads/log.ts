/** The supervisor's side of the request log's thread. Nothing that fails here keeps a request from being served. */
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

export interface LogThreadStart {
  readonly store: StoreSettings;
  /** Content is encrypted with it. */
  readonly encryptionKey: string | undefined;
  readonly rules: LogRules;
}

/** What the log's thread does when the supervisor asks. */
export interface LogOffers {
  readonly configure: (rules: LogRules) => void;
  /** A batch as `packBatch` makes it. */
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
  /** Starts the thread, and starts it again when it has died. */
  readonly start: (rules: LogRules) => StoreThread;
  readonly rules: LogRules;
  /** Told when rows cannot be written, with the reason, and when they can be again (undefined). */
  readonly onHealth: (problem: StoreError | undefined) => void;
  /** The longest a call may take. Milliseconds. */
  readonly timeoutMs?: number;
  /** How long a thread that died is left dead. Milliseconds. */
  readonly restartMs?: number;
}

/** Starts the request log's thread. */
export function startLogThread(start: LogThreadStart): StoreThread {
  return new Worker(new URL("./log-thread.js", import.meta.url), { workerData: start, name: "request-log" });
}

/** The longest wait for a thread to end; one that is stuck in a system call does not. Milliseconds. */
const terminateMs = 1000;

type Line = Peer<object, LogOffers>;

/** Calls reject with a StoreError; one that takes too long with the fault `unavailable`. */
export class LogClient implements LogReader {
  readonly #options: Required<LogClientOptions>;
  #rules: LogRules;
  #thread: StoreThread;
  #line: Line;
  #closed = false;
  #problem: StoreError | undefined;

  constructor(options: LogClientOptions) {
    this.#options = { timeoutMs: 15_000, restartMs: 500, ...options };
    this.#rules = options.rules;
    [this.#thread, this.#line] = this.#start();
  }

  configure(rules: LogRules): void {
    this.#rules = rules;
    // A thread that is gone begins with them.
    this.#line.call("configure", rules).catch(() => undefined);
  }

  /** Writes a batch. Never rejects. */
  async append(batch: Uint8Array): Promise<BatchFate> {
    try {
      await this.#call((line) => line.call("append", batch));
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
    return this.#call((line) => line.call("find", id));
  }

  list(query: LogQuery): Promise<LogPage> {
    return this.#call((line) => line.call("list", query));
  }

  sum(query: SumQuery): Promise<readonly LogSum[]> {
    return this.#call((line) => line.call("sum", query));
  }

  latency(query: SumQuery): Promise<readonly LogLatency[]> {
    return this.#call((line) => line.call("latency", query));
  }

  values(filter: LogFilter): Promise<LogValues> {
    return this.#call((line) => line.call("values", filter));
  }

  remove(ids: readonly string[]): Promise<number> {
    return this.#call((line) => line.call("remove", ids));
  }

  setCosts(changes: readonly CostChange[]): Promise<void> {
    return this.#call((line) => line.call("setCosts", changes));
  }

  /** Ends the thread, whether or not it still answers. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return;
    const closing = this.#call((line) => line.call("close", undefined));
    this.#closed = true;
    await Promise.race([closing.catch(() => undefined), delay(terminateMs, undefined, { ref: false })]);
    await Promise.race([this.#thread.terminate(), delay(terminateMs, undefined, { ref: false })]);
  }

  #start(): [StoreThread, Line] {
    const thread = this.#options.start(this.#rules);
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
      }, this.#options.restartMs);
      restarting.unref();
    });
    return [thread, line];
  }

  async #call<Value>(send: (line: Line) => Answer<Value>): Promise<Value> {
    if (this.#closed) throw new StoreError("unavailable", "the request log is closed");
    const limit = this.#options.timeoutMs;
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

  #report(problem: StoreError | undefined): void {
    if (this.#problem?.message === problem?.message) return;
    this.#problem = problem;
    this.#options.onHealth(problem);
  }
}
