/** The newest rows of the request log, for those who watch it: a ring that all of them read at their own speed. */
import { matches } from "../store/log-match.ts";
import type { LogFilter, LogRow } from "../store/log-store.ts";

export interface TailQuery {
  readonly filter: LogFilter;
  /** What the former page named; undefined at first: that page is empty, and what comes after it is in the next. */
  readonly after: number | undefined;
}

export interface TailPage {
  /** For the next page. */
  readonly after: number;
  /** Rows, of any kind, that went by before this reader came for them. */
  readonly lost: number;
  readonly rows: readonly LogRow[];
}

export interface LogTailOptions {
  /** Rows that are kept for readers. */
  readonly kept?: number;
  /** Rows of one page. */
  readonly pageRows?: number;
  /** The longest wait for a row; the page is empty then. Milliseconds. */
  readonly waitMs?: number;
  /** Nobody watches when the last reader has asked so long ago. Milliseconds. */
  readonly watchMs?: number;
}

export class LogTail {
  readonly #options: Required<LogTailOptions>;
  readonly #rows: LogRow[] = [];
  /** The number of the first row that is kept. */
  #first = 0;
  readonly #waiting = new Set<() => void>();
  #watchedUntil = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: LogTailOptions = {}) {
    this.#options = { kept: 2000, pageRows: 200, waitMs: 15_000, watchMs: 60_000, ...options };
  }

  /** While nobody watches, rows need not be unpacked for it. */
  get isWatched(): boolean {
    return this.#waiting.size > 0 || performance.now() < this.#watchedUntil;
  }

  push(rows: readonly LogRow[]): void {
    this.#rows.push(...rows);
    const tooMany = this.#rows.length - this.#options.kept;
    if (tooMany > 0) {
      this.#rows.splice(0, tooMany);
      this.#first += tooMany;
    }
    this.#wake();
  }

  /** Rows went by that nobody watched. */
  skip(rows: number): void {
    this.#first += this.#rows.length + rows;
    this.#rows.length = 0;
  }

  /** The next rows that the filter wants, as soon as there are some. */
  async follow({ filter, after }: TailQuery): Promise<TailPage> {
    const { waitMs, watchMs } = this.#options;
    this.#watchedUntil = performance.now() + watchMs;
    const until = performance.now() + waitMs;
    if (after === undefined) return { after: this.#next, lost: 0, rows: [] };
    for (let from = after; ; ) {
      const page = this.#page(filter, from);
      if (page.rows.length > 0 || page.lost > 0) return page;
      from = page.after;
      const left = until - performance.now();
      if (left <= 0 || this.#closed) return page;
      await this.#more(left);
    }
  }

  /** Nobody waits any more. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  get #next(): number {
    return this.#first + this.#rows.length;
  }

  #page(filter: LogFilter, from: number): TailPage {
    const start = Math.max(from, this.#first);
    const rows: LogRow[] = [];
    let at = start;
    for (; at < this.#next && rows.length < this.#options.pageRows; at++) {
      const row = this.#rows[at - this.#first];
      if (row !== undefined && matches(row, filter)) rows.push(row);
    }
    return { after: at, lost: start - from, rows };
  }

  #more(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
    });
  }

  #wake(): void {
    for (const done of this.#waiting) done();
  }
}
