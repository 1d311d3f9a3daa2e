/** Reads the answers on one HTTP/1.1 connection, and no more of them than a load generator has to know. */

/** The bytes are not an answer that HTTP/1.1 allows, or follow one that is already complete. */
export class ResponseError extends Error {
  override readonly name = "ResponseError";
}

type State = "head" | "sized" | "size" | "chunk" | "chunk end" | "trailer" | "complete";

const lf = 0x0a;
const cr = 0x0d;
const semicolon = 0x3b;
const headEnd = Buffer.from("\r\n\r\n");

/** The longest head that is waited for. Bytes. */
const maxHeadBytes = 64 * 1024;

/**
 * One answer at a time, framed by `content-length` or in chunks; the bytes may be split anywhere. Bodies are counted,
 * and forgotten where nobody asks for them.
 */
export class ResponseReader {
  status = 0;
  /** Bytes of the body so far, without its framing. */
  bodyBytes = 0;
  #state: State = "head";
  #head: Buffer | undefined;
  /** What is left of the body, or of the chunk. */
  #left = 0;
  #inExtension = false;
  #lineBytes = 0;
  readonly #onBody: ((bytes: Buffer) => void) | undefined;

  /** @param onBody is given the body's bytes as they come, without their framing */
  constructor(onBody?: (bytes: Buffer) => void) {
    this.#onBody = onBody;
  }

  /** Expects the next answer. */
  reset(): void {
    this.status = 0;
    this.bodyBytes = 0;
    this.#state = "head";
    this.#head = undefined;
    this.#left = 0;
  }

  /**
   * @returns true when the answer is complete
   * @throws ResponseError
   */
  push(bytes: Buffer): boolean {
    let at = this.#state === "head" ? this.#readHead(bytes) : 0;
    while (at < bytes.length) {
      switch (this.#state) {
        case "head":
          return false;
        case "sized":
          at += this.#take(bytes, at);
          if (this.#left === 0) this.#state = "complete";
          break;
        case "chunk":
          at += this.#take(bytes, at);
          if (this.#left === 0) this.#state = "chunk end";
          break;
        case "size":
          this.#readSize(bytes[at++] ?? 0);
          break;
        case "chunk end":
          if (bytes[at++] === lf) this.#startSize();
          break;
        case "trailer":
          this.#readTrailer(bytes[at++] ?? 0);
          break;
        case "complete":
          throw new ResponseError(`${bytes.length - at} bytes follow a complete answer`);
      }
    }
    return this.#state === "complete";
  }

  /** @returns where the body begins in `bytes`; their length when the head is not complete */
  #readHead(bytes: Buffer): number {
    const before = this.#head?.length ?? 0;
    const joined = this.#head === undefined ? bytes : Buffer.concat([this.#head, bytes]);
    const end = joined.indexOf(headEnd);
    if (end === -1) {
      if (joined.length > maxHeadBytes) throw new ResponseError("the head of an answer does not end");
      this.#head = joined;
      return bytes.length;
    }
    const head = joined.toString("latin1", 0, end).toLowerCase();
    this.status = Number(/^http\/1\.1 (\d{3})/.exec(head)?.[1] ?? Number.NaN);
    if (!(this.status >= 200)) throw new ResponseError(`not the beginning of an answer: ${head.slice(0, 40)}`);
    if (head.includes("\r\ntransfer-encoding: chunked")) {
      this.#startSize();
    } else {
      const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
      if (length === undefined) throw new ResponseError("an answer has neither a length nor chunks");
      this.#left = Number(length);
      this.#state = this.#left === 0 ? "complete" : "sized";
    }
    return end + headEnd.length - before;
  }

  #take(bytes: Buffer, at: number): number {
    const taken = Math.min(bytes.length - at, this.#left);
    this.#left -= taken;
    this.bodyBytes += taken;
    this.#onBody?.(bytes.subarray(at, at + taken));
    return taken;
  }

  #startSize(): void {
    this.#state = "size";
    this.#left = 0;
    this.#lineBytes = 0;
    this.#inExtension = false;
  }

  #readSize(byte: number): void {
    if (byte === lf) {
      if (this.#lineBytes === 0) throw new ResponseError("a chunk has no size");
      this.#state = this.#left === 0 ? "trailer" : "chunk";
      this.#lineBytes = 0;
    } else if (byte === semicolon) {
      this.#inExtension = true;
    } else if (byte !== cr && !this.#inExtension) {
      const digit = Number.parseInt(String.fromCharCode(byte), 16);
      if (Number.isNaN(digit)) throw new ResponseError(`byte ${byte} in the size of a chunk`);
      this.#left = this.#left * 16 + digit;
      this.#lineBytes++;
    }
  }

  /** Lines up to the empty one. */
  #readTrailer(byte: number): void {
    if (byte === lf) {
      if (this.#lineBytes === 0) this.#state = "complete";
      this.#lineBytes = 0;
    } else if (byte !== cr) {
      this.#lineBytes++;
    }
  }
}
