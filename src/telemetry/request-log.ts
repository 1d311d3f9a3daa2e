/** The front end's part of the request log: takes records, and sends them on in batches. */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { numbersOfPrefix } from "../store/log-ids.ts";
import { BatchPacker } from "./log-pack.ts";
import type { RequestRecord } from "./request-record.ts";

/** Rows on their way. */
export interface LogBatch {
  /** As `BatchPacker` packs them, several one after the other. */
  readonly bytes: Uint8Array;
  readonly rows: number;
}

/** What became of a batch: `later` is worth another try, `never` is not. */
export type BatchFate = "stored" | "later" | "never";

/** How a thread's log is doing. */
export interface LogState {
  /** Rows that were lost since the thread began, since they could not be written in time or at all. */
  readonly dropped: number;
  /** Rows that have not been written yet. */
  readonly waiting: number;
}

export interface RequestLogOptions {
  readonly send: (batch: LogBatch) => Promise<BatchFate>;
  /** Told of rows that are lost. */
  readonly onDropped: (rows: number) => void;
  readonly enabled: boolean;
  /** The longest a row waits for others before it is sent. Milliseconds. */
  readonly everyMs?: number;
  /** So many rows do not wait for others. */
  readonly batchRows?: number;
  /** Rows beyond this number are dropped. */
  readonly mostRows?: number;
  /** Rows whose content would make it more than this are dropped. UTF-16 units. */
  readonly mostContent?: number;
  /** How long a batch that could not be written waits for the next try. Milliseconds. */
  readonly retryMs?: number;
  /** So many rows have ids of one beginning. */
  readonly rowsOfPrefix?: number;
}

/** Some rows, packed. */
interface Chunk {
  readonly bytes: Uint8Array;
  readonly rows: number;
  readonly content: number;
}

const rowsOfChunk = 32;

/**
 * Bounded: while the store does not take rows, those that find no room are dropped and counted. Nobody who adds a record
 * waits for anything.
 */
export class RequestLog {
  /** Packed already. */
  #chunks: Chunk[] = [];
  #chunkRows = 0;
  readonly #options: Required<RequestLogOptions>;
  #prefix = newPrefix();
  #enabled: boolean;
  #packer = new BatchPacker();
  /** Of the rows that are not packed yet. */
  #newContent = 0;
  #content = 0;
  /** On its way, or waiting for another try. */
  #batch: { readonly sent: LogBatch; readonly content: number } | undefined;
  #nextNumber = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;

  constructor(options: RequestLogOptions) {
    this.#options = {
      everyMs: 200,
      batchRows: 1024,
      mostRows: 10_000,
      mostContent: 16 * 1024 * 1024,
      retryMs: 500,
      rowsOfPrefix: numbersOfPrefix,
      ...options,
    };
    this.#enabled = options.enabled;
  }

  /** Rows that wait are written all the same. */
  enable(enabled: boolean): void {
    this.#enabled = enabled;
  }

  get state(): LogState {
    return { dropped: this.#dropped, waiting: this.#waiting };
  }

  get #waiting(): number {
    return this.#packer.rows + this.#chunkRows + (this.#batch?.sent.rows ?? 0);
  }

  /** Fast path: called for every request. */
  add(record: RequestRecord): void {
    if (!this.#enabled) return;
    const { content } = record;
    const size = content?.logged === true ? (content.request?.length ?? 0) + (content.answer?.length ?? 0) : 0;
    const { mostRows, mostContent, batchRows, everyMs } = this.#options;
    if (this.#waiting >= mostRows || (size > 0 && this.#content + size > mostContent)) {
      this.#drop(1);
      return;
    }
    this.#packer.add(record);
    this.#content += size;
    this.#newContent += size;
    if (this.#packer.rows >= rowsOfChunk) this.#packChunk();
    if (this.#sending !== undefined) return;
    if (this.#packer.rows + this.#chunkRows >= batchRows) this.#begin();
    else this.#timer ??= setTimeout(() => this.#begin(), everyMs);
  }

  /**
   * Sends what waits. What cannot be written by then is dropped.
   *
   * @param withinMs the longest it may take. Milliseconds
   */
  async stop(withinMs: number): Promise<void> {
    this.#enabled = false;
    const end = performance.now() + withinMs;
    for (let left = withinMs; this.#waiting > 0 && left > 0; left = end - performance.now()) {
      this.#begin();
      await Promise.race([this.#sending, delay(left, undefined, { ref: false })]);
      // Failed: the next try comes a little later.
      if (this.#batch !== undefined) await delay(Math.min(left, 50));
    }
    clearTimeout(this.#timer);
    this.#drop(this.#waiting);
    this.#packer = new BatchPacker();
    this.#chunks = [];
    this.#chunkRows = 0;
    this.#batch = undefined;
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#sending !== undefined) return;
    this.#sending = this.#sendAll().finally(() => {
      this.#sending = undefined;
      if (this.#waiting === 0) return;
      const { everyMs, retryMs } = this.#options;
      this.#timer ??= setTimeout(() => this.#begin(), this.#batch === undefined ? everyMs : retryMs);
    });
  }

  /** One batch after the other, while there are whole ones. */
  async #sendAll(): Promise<void> {
    do {
      this.#batch ??= this.#pack();
      const { sent, content } = this.#batch;
      const fate = await this.#send(sent);
      if (fate === "later") return;
      // It was dropped while it was on its way.
      if (this.#batch === undefined) return;
      this.#batch = undefined;
      this.#content -= content;
      if (fate === "never") this.#drop(sent.rows);
    } while (this.#packer.rows + this.#chunkRows >= this.#options.batchRows);
  }

  async #send(batch: LogBatch): Promise<BatchFate> {
    try {
      return await this.#options.send(batch);
    } catch {
      // Whoever writes them is gone or has no time; that thread's own end is told elsewhere.
      return "later";
    }
  }

  #pack() {
    this.#packChunk();
    const most = 4 * this.#options.batchRows;
    let rows = 0;
    let content = 0;
    let count = 0;
    for (const chunk of this.#chunks) {
      if (rows > 0 && rows + chunk.rows > most) break;
      rows += chunk.rows;
      content += chunk.content;
      count++;
    }
    const bytes = Uint8Array.from(Buffer.concat(this.#chunks.splice(0, count).map((chunk) => chunk.bytes)));
    this.#chunkRows -= rows;
    return { sent: { bytes, rows }, content };
  }

  /** Soon after they came: rows that wait as objects for a whole batch would outlive the young generation. */
  #packChunk(): void {
    const { rows } = this.#packer;
    if (rows === 0) return;
    if (this.#nextNumber + rows > this.#options.rowsOfPrefix) {
      this.#prefix = newPrefix();
      this.#nextNumber = 0;
    }
    const bytes = this.#packer.pack(this.#prefix, this.#nextNumber);
    this.#chunks.push({ bytes, rows, content: this.#newContent });
    this.#chunkRows += rows;
    this.#nextNumber += rows;
    this.#newContent = 0;
  }

  #drop(rows: number): void {
    if (rows === 0) return;
    this.#dropped += rows;
    this.#options.onDropped(rows);
  }
}

/** Of a row's id; its number follows. */
function newPrefix(): string {
  return `log_${randomBytes(8).toString("hex")}_`;
}
