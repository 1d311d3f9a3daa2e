/** The supervisor's side of the store's thread: no call takes longer than its time, whatever the store does. */
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { pack, unpack } from "msgpackr";
import type { StoreSettings } from "../store/open.ts";
import {
  type Counter,
  type EntityKind,
  type EntityRecord,
  type EntityWrite,
  type SavedOverride,
  type Store,
  StoreError,
  type Written,
} from "../store/store.ts";
import { Peer, type Port } from "./peer.ts";
import type { StoreResult } from "./store-result.ts";

type Answer<Value> = Promise<StoreResult<Value>>;

/** What the store's thread does when the supervisor asks. Counters travel as msgpack. */
export interface StoreOffers {
  readonly listEntities: (kind: EntityKind | undefined) => Answer<readonly EntityRecord[]>;
  readonly getEntity: (which: readonly [kind: EntityKind, id: string]) => Answer<EntityRecord | undefined>;
  readonly putEntity: (write: EntityWrite) => Answer<Written>;
  readonly deleteEntity: (which: readonly [kind: EntityKind, id: string, version: number]) => Answer<boolean>;
  readonly listOverrides: (nothing: undefined) => Answer<readonly SavedOverride[]>;
  readonly putOverride: (override: SavedOverride) => Answer<void>;
  readonly deleteOverride: (budget: string) => Answer<void>;
  readonly loadCounters: (now: number) => Answer<Uint8Array>;
  readonly saveCounters: (batch: Uint8Array) => Answer<void>;
  readonly dropCounters: (until: number) => Answer<void>;
  readonly ping: (nothing: undefined) => Answer<void>;
  readonly close: (nothing: undefined) => Answer<void>;
}

/** The thread as its client needs it. */
export interface StoreThread extends Port {
  once(event: "error", listener: (error: Error) => void): unknown;
  once(event: "exit", listener: (code: number) => void): unknown;
  terminate(): Promise<unknown>;
}

export interface StoreClientOptions {
  /** Starts the thread, and starts it again when it has died. */
  readonly start: () => StoreThread;
  /** Told when the store stops answering as it should, with the reason, and when it does again (undefined). */
  readonly onHealth: (problem: StoreError | undefined) => void;
  /** The longest a call may take. Milliseconds. */
  readonly timeoutMs?: number;
  /** The longest the first calls may take, while the file is opened and brought up to date. Milliseconds. */
  readonly openTimeoutMs?: number;
  /** How often the store is asked whether it is there. Milliseconds. */
  readonly pingEveryMs?: number;
  /** How long a thread that died is left dead. Milliseconds. */
  readonly restartMs?: number;
}

/** Starts the thread of the store that the settings name. */
export function startStoreThread(settings: StoreSettings): StoreThread {
  return new Worker(new URL("./store-thread.js", import.meta.url), { workerData: settings, name: "store" });
}

type Line = Peer<object, StoreOffers>;

/** A disk that is full answers reads, so that the two are well or ill on their own. */
type Way = "read" | "write";
const ways: readonly Way[] = ["read", "write"];

/** The longest wait for a thread to end; one that is stuck in a system call does not. Milliseconds. */
const terminateMs = 1000;

/**
 * The store, seen from the supervisor. A call that takes too long rejects with the fault `unavailable`, and until that
 * call returns at last, every other rejects with it at once: nothing piles up before a store that hangs. A write that
 * timed out may still be done later.
 */
export class StoreClient implements Store {
  readonly #options: Required<StoreClientOptions>;
  #thread: StoreThread;
  #line: Line;
  #opened = false;
  #closed = false;
  readonly #problems: Record<Way, StoreError | undefined> = { read: undefined, write: undefined };
  /** Problems that the thread has not told of itself. */
  readonly #missed = new WeakSet<StoreError>();
  /** Calls of the present thread that have run out of time and have not returned. */
  #overdue = 0;
  readonly #pinging: NodeJS.Timeout;
  #restarting: NodeJS.Timeout | undefined;

  constructor(options: StoreClientOptions) {
    this.#options = { timeoutMs: 2000, openTimeoutMs: 30_000, pingEveryMs: 500, restartMs: 500, ...options };
    [this.#thread, this.#line] = this.#start();
    this.#pinging = setInterval(() => void this.#probe().catch(ignore), this.#options.pingEveryMs);
    this.#pinging.unref();
  }

  /** Why the store is not to be relied on at the moment. */
  get problem(): StoreError | undefined {
    return this.#problems.write ?? this.#problems.read;
  }

  listEntities(kind?: EntityKind): Promise<readonly EntityRecord[]> {
    return this.#call("read", (line) => line.call("listEntities", kind));
  }

  getEntity(kind: EntityKind, id: string): Promise<EntityRecord | undefined> {
    return this.#call("read", (line) => line.call("getEntity", [kind, id]));
  }

  putEntity(write: EntityWrite): Promise<Written> {
    return this.#call("write", (line) => line.call("putEntity", write));
  }

  deleteEntity(kind: EntityKind, id: string, version: number): Promise<boolean> {
    return this.#call("write", (line) => line.call("deleteEntity", [kind, id, version]));
  }

  listOverrides(): Promise<readonly SavedOverride[]> {
    return this.#call("read", (line) => line.call("listOverrides", undefined));
  }

  putOverride(override: SavedOverride): Promise<void> {
    return this.#call("write", (line) => line.call("putOverride", override));
  }

  deleteOverride(budget: string): Promise<void> {
    return this.#call("write", (line) => line.call("deleteOverride", budget));
  }

  async loadCounters(now: number): Promise<readonly Counter[]> {
    return unpack(await this.#call("read", (line) => line.call("loadCounters", now))) as readonly Counter[];
  }

  saveCounters(batch: readonly Counter[]): Promise<void> {
    return this.#call("write", (line) => line.call("saveCounters", Uint8Array.from(pack(batch))));
  }

  dropCounters(until: number): Promise<void> {
    return this.#call("write", (line) => line.call("dropCounters", until));
  }

  ping(): Promise<void> {
    return this.#call("read", (line) => line.call("ping", undefined));
  }

  /** Where writes have failed, a write that changes little is what tells. */
  #probe(): Promise<void> {
    return this.#problems.write === undefined || this.#isMissed("write") ? this.ping() : this.dropCounters(Date.now());
  }

  /** Whether there was no answer at all. */
  #isMissed(way: Way): boolean {
    const problem = this.#problems[way];
    return problem !== undefined && this.#missed.has(problem);
  }

  /** Ends the thread, whether or not it still answers; rejects when it did not close the store itself. */
  async close(): Promise<void> {
    if (this.#closed) return;
    clearInterval(this.#pinging);
    clearTimeout(this.#restarting);
    const closing = this.#call("write", (line) => line.call("close", undefined));
    this.#closed = true;
    try {
      await closing;
    } finally {
      await Promise.race([this.#thread.terminate(), delay(terminateMs, undefined, { ref: false })]);
    }
  }

  #start(): [StoreThread, Line] {
    const thread = this.#options.start();
    const line: Line = new Peer(thread, {});
    let reason = "the store's thread has ended";
    thread.once("error", (error) => {
      reason = `the store's thread failed: ${error.message}`;
    });
    thread.once("exit", () => {
      const error = new StoreError("unavailable", reason);
      line.hangUp(error);
      if (this.#closed) return;
      this.#missed.add(error);
      this.#report("read", error);
      this.#restarting = setTimeout(() => {
        this.#overdue = 0;
        this.#opened = false;
        [this.#thread, this.#line] = this.#start();
      }, this.#options.restartMs);
      this.#restarting.unref();
    });
    return [thread, line];
  }

  async #call<Value>(way: Way, send: (line: Line) => Answer<Value>): Promise<Value> {
    if (this.#closed) throw new StoreError("unavailable", "the store is closed");
    if (this.#overdue > 0) throw new StoreError("unavailable", "the store does not answer");
    const line = this.#line;
    const result = await this.#inTime(way, line, send(line));
    if (result.ok) {
      this.#opened = true;
      this.#report(way, undefined);
      // It is there again, whichever way it was missed. What it has said of writes only a write can take back.
      for (const other of ways) if (this.#isMissed(other)) this.#report(other, undefined);
      return result.value;
    }
    const error = new StoreError(result.fault, result.message, result.cause);
    // A fault of the call itself says nothing about the next one.
    if (error.fault !== "failed") this.#report(way, error);
    throw error;
  }

  async #inTime<Value>(way: Way, line: Line, answer: Answer<Value>): Promise<StoreResult<Value>> {
    const limit = this.#opened ? this.#options.timeoutMs : this.#options.openTimeoutMs;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#overdue++;
        const back = (): void => {
          // Those of a thread that died are forgotten with it.
          if (line === this.#line && this.#overdue > 0) this.#overdue--;
        };
        void answer.then(back, back);
        const error = new StoreError("unavailable", `the store did not answer within ${limit} ms`);
        this.#missed.add(error);
        this.#report(way, error);
        reject(error);
      }, limit);
    });
    try {
      return await Promise.race([answer, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  #report(way: Way, problem: StoreError | undefined): void {
    const before = this.problem?.message;
    this.#problems[way] = problem;
    if (this.problem?.message !== before) this.#options.onHealth(this.problem);
  }
}

function ignore(): void {
  // A ping that fails has been reported by the call itself.
}
