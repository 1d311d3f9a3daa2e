/** Brings counters to the store, often enough that a crash loses less than a second of them. */
import { type Counter, isNewer, type Store } from "./store.ts";

export interface FlusherOptions {
  readonly store: Pick<Store, "saveCounters" | "dropCounters">;
  /** The counters that have changed since the last call. What was returned once is not asked for again. */
  readonly collect: () => readonly Counter[];
  /** Told of a save that failed; its rows are saved with the next one. */
  readonly onError: (error: unknown) => void;
  /** Milliseconds from the end of one save to the next. Below a second by what a save may take. */
  readonly everyMs?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Old windows are dropped this often. Milliseconds. */
const dropEveryMs = 60_000;

/** What waits while the store is away is one row for each counter and window, however long it takes. */
export class CounterFlusher {
  readonly #options: FlusherOptions;
  readonly #waiting = new Map<string, Counter>();
  readonly #everyMs: number;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  #stopped = false;
  #droppedAt: number;

  constructor(options: FlusherOptions) {
    this.#options = options;
    this.#everyMs = options.everyMs ?? 400;
    this.#now = options.now ?? Date.now;
    this.#droppedAt = this.#now();
    this.#schedule();
  }

  /** Saves what has changed until now. Never rejects. */
  flush(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#save());
    return this.#saving;
  }

  /** Saves a last time. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.flush();
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      void this.flush().then(() => {
        if (!this.#stopped) this.#schedule();
      });
    }, this.#everyMs);
    this.#timer.unref();
  }

  async #save(): Promise<void> {
    const { store, collect, onError } = this.#options;
    try {
      for (const counter of collect()) this.#keep(counter);
      const batch = [...this.#waiting.values()];
      if (batch.length > 0) {
        await store.saveCounters(batch);
        // Nothing is collected while a save is under way.
        this.#waiting.clear();
      }
      const now = this.#now();
      if (now - this.#droppedAt < dropEveryMs) return;
      this.#droppedAt = now;
      await store.dropCounters(now);
    } catch (error) {
      const now = this.#now();
      for (const [key, { until }] of this.#waiting) if (until <= now) this.#waiting.delete(key);
      onError(error);
    }
  }

  #keep(counter: Counter): void {
    const key = keyOf(counter);
    const standing = this.#waiting.get(key);
    if (standing === undefined || isNewer(counter, standing)) this.#waiting.set(key, counter);
  }
}

function keyOf({ id, window }: Counter): string {
  return `${window} ${id}`;
}
