/** An HTTP/1.1 answer of a length that is known before its bytes are, through uWebSockets.js. */
import type { HttpResponse } from "uWebSockets.js";
import type { ReplyHeaders, ReplyStream } from "./exchange.ts";
import { writeHead } from "./uws-head.ts";

/** What an answer and its stream know of each other. */
export interface StreamOwner {
  /** Nothing can be written any more. */
  isAborted(): boolean;
  finish(): void;
  /** The connection ends with the answer, and the answer's head should say so. */
  close(): boolean;
}

interface Head {
  readonly status: number;
  readonly headers: ReplyHeaders;
  /** Bytes of the body; undefined where nothing is said of it, which only a bodiless answer may. */
  readonly length: number | undefined;
  /** The answer to `HEAD`: it has the length, and no byte of it. */
  readonly bodiless: boolean;
}

/** Well below the ten seconds after which the library cuts a connection that takes nothing. */
const patienceMs = 4000;

/** The library cuts a reader who takes nothing for ten seconds. Reading on from the connection begins its time anew. */
export class Patience {
  readonly #res: HttpResponse;
  readonly #isOver: () => boolean;
  #waiting: NodeJS.Timeout | undefined;

  constructor(res: HttpResponse, isOver: () => boolean) {
    this.#res = res;
    this.#isOver = isOver;
  }

  /** The reader is behind. */
  begin(): void {
    clearInterval(this.#waiting);
    this.#waiting = setInterval(() => {
      if (this.#isOver()) {
        this.end();
        return;
      }
      this.#res.pause();
      this.#res.resume();
    }, patienceMs);
  }

  /** The reader has caught up, or there is nothing more for it. */
  end(): void {
    clearInterval(this.#waiting);
  }
}

export class UwsSizedStream implements ReplyStream {
  readonly #res: HttpResponse;
  readonly #head: Head;
  readonly #owner: StreamOwner;
  readonly #patience: Patience;
  #headed = false;
  #ended = false;
  /** What the connection has not taken yet: the library keeps none of it. */
  #held: Uint8Array[] = [];
  /** Bytes that have been given to `write`. */
  #given = 0;
  #drained: (() => void) | undefined;

  constructor(res: HttpResponse, head: Head, owner: StreamOwner) {
    this.#res = res;
    this.#head = head;
    this.#owner = owner;
    this.#patience = new Patience(res, () => this.#ended || owner.isAborted());
  }

  write(bytes: Uint8Array): boolean {
    if (this.#ended || this.#owner.isAborted() || bytes.length === 0) return true;
    this.#given += bytes.length;
    if (this.#head.bodiless || this.#given > this.#length) {
      this.destroy();
      return true;
    }
    this.#held.push(bytes);
    // Bytes that wait already go first, when the reader comes for them.
    if (this.#held.length > 1) return false;
    if (!this.#headed) this.#res.onWritable(() => this.#onWritable());
    const flowing = this.#send();
    if (!flowing) this.#patience.begin();
    return flowing;
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  end(): void {
    if (this.#ended || this.#owner.isAborted()) return;
    if (this.#head.bodiless || this.#length === 0) {
      this.#finish();
      this.#res.cork(() => {
        this.#writeHead();
        // Given the length, the library would go on waiting for a body and take no further request.
        if (this.#head.length !== undefined) this.#res.writeHeader("content-length", String(this.#head.length));
        this.#res.endWithoutBody();
      });
      return;
    }
    // What is held leaves as the reader takes it, and the answer ends with its last byte.
    if (this.#given !== this.#length) this.destroy();
  }

  destroy(): void {
    if (this.#ended || this.#owner.isAborted()) return;
    this.#finish();
    this.#res.close();
  }

  get #length(): number {
    return this.#head.length ?? 0;
  }

  #onWritable(): boolean {
    if (this.#ended || this.#owner.isAborted()) return true;
    if (!this.#send()) return false;
    this.#patience.end();
    if (!this.#ended) this.#drained?.();
    return true;
  }

  /** @returns whether everything that is held has been taken */
  #send(): boolean {
    let flowing = true;
    this.#res.cork(() => {
      if (!this.#headed) this.#writeHead();
      for (let bytes = this.#held.shift(); bytes !== undefined; bytes = this.#held.shift()) {
        const before = this.#res.getWriteOffset();
        const [taken, complete] = this.#res.tryEnd(bytes, this.#length);
        if (complete) {
          this.#finish();
          return;
        }
        if (taken) continue;
        flowing = false;
        const rest = bytes.subarray(this.#res.getWriteOffset() - before);
        if (rest.length > 0) this.#held.unshift(rest);
        return;
      }
    });
    return flowing;
  }

  #writeHead(): void {
    this.#headed = true;
    writeHead(this.#res, this.#head.status, this.#head.headers, this.#owner.close());
  }

  #finish(): void {
    this.#patience.end();
    this.#ended = true;
    this.#held = [];
    this.#owner.finish();
  }
}
