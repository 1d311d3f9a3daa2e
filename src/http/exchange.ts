/**
 * One request and its answer, whichever protocol carried it. The road behind sees only this: uWebSockets.js
 * (HTTP/1.1) and node:http2 stand behind it.
 */

/** Request headers: lower-case names; repeated headers joined with `, `. HTTP/2's `:authority` stands under its own name. */
export type RequestHeaders = ReadonlyMap<string, string>;

/** Answer headers in writing order. Never `content-length`, `connection`, `transfer-encoding` or `date`: the adapter owns them. */
export type ReplyHeaders = readonly (readonly [name: string, value: string])[];

export interface Exchange {
  /** Upper case. */
  readonly method: string;
  /** The path exactly as it came, undecoded, without the query. */
  readonly path: string;
  /** What stood behind `?`, undecoded; empty when there was none. */
  readonly query: string;
  readonly headers: RequestHeaders;
  readonly protocol: "http/1.1" | "h2";
  /** Why the request must be refused with a 400 whatever it asks for, e.g. two `content-length` headers. */
  readonly malformed: string | undefined;
  /** True once the client is gone or the answer was cut: nothing that is written arrives any more. */
  readonly aborted: boolean;

  /** The client's address, or that of the proxy before us. Empty once the client is gone. */
  remoteAddress(): string;

  /** Calls back once if the client leaves before the answer is complete. At most one listener; a later one replaces it. */
  onAbort(listener: (() => void) | undefined): void;

  /**
   * The whole request body. Call it at most once.
   *
   * @param budget asked for room for a body that is not small; without one there is always room
   * @throws BodyError when the body is larger than the limit or there is no room for it, when it is too slow, or its
   *   client left
   */
  body(budget?: BodyBudget): Promise<Buffer>;

  /**
   * Says that nobody has a use for the body any more.
   *
   * @returns what {@link body} has taken of the budget, in bytes: it takes no more from now on
   */
  release(): number;

  /** Answers completely. Does nothing when the client is gone. */
  reply(status: number, headers: ReplyHeaders, body: Uint8Array | string): void;

  /**
   * Commits status and headers and opens a stream. Nothing is sent before the first write.
   *
   * @param length the bytes that will be written, where they are known: the client is told, and a stream that ends with
   *   another number breaks its connection. Of an answer to `HEAD` none of them is.
   */
  open(status: number, headers: ReplyHeaders, length?: number): ReplyStream;
}

/** A streamed answer under the reader's own speed. */
export interface ReplyStream {
  /**
   * Sends bytes now.
   *
   * @param next the first byte of what is certain to be written after this (an event-stream frame always starts with
   *   0x00). uWebSockets.js sends the line that closes a chunk only together with the following chunk, so a reader that
   *   waits for that line, as urllib3 does, would see every event one event late; lending the next byte sends the line.
   *   Leave it out before `end()`.
   * @returns false when the reader is behind: wait for `onDrain`, but everything given was taken
   */
  write(bytes: Uint8Array, next?: number): boolean;
  /** Calls back whenever the reader has caught up after a write that returned false. At most one listener. */
  onDrain(listener: () => void): void;
  /** Ends the answer well. */
  end(): void;
  /** Breaks the connection: the reader must not take what it has for the whole. */
  destroy(): void;
}

/** Room for request bodies. */
export interface BodyBudget {
  /** @returns false when there is no room for so many bytes */
  take(bytes: number): boolean;
}

/** Bodies below this size take nothing of the budget. Bytes. */
export const meteredBytes = 64 * 1024;

/** Why a request body could not be read: `no_room` of the budget. */
export type BodyFault = "too_large" | "no_room" | "aborted";

export class BodyError extends Error {
  override readonly name = "BodyError";
  readonly reason: BodyFault;
  constructor(reason: BodyFault, message: string) {
    super(message);
    this.reason = reason;
  }
}
