/** An exchange without a network: what is written to it can be looked at, and its client can leave. */
import type { Exchange, ReplyHeaders, ReplyStream, RequestHeaders } from "../../src/http/exchange.ts";

export interface FakeRequest {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface FakeAnswer {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: string;
}

export class FakeExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly query = "";
  readonly headers: RequestHeaders;
  readonly protocol = "http/1.1";
  readonly malformed = undefined;
  aborted = false;
  /** The complete answer, if there was one. */
  answer: FakeAnswer | undefined;
  /** The streamed answer, if one was opened. */
  stream: FakeReplyStream | undefined;
  readonly #body: Buffer;
  #listener: (() => void) | undefined;

  constructor({ method = "POST", path = "/", headers = {}, body = "" }: FakeRequest = {}) {
    this.method = method;
    this.path = path;
    this.headers = new Map(Object.entries(headers));
    this.#body = Buffer.from(body);
  }

  /** True while somebody wants to know when the client leaves. */
  get watched(): boolean {
    return this.#listener !== undefined;
  }

  /** The client leaves. */
  leave(): void {
    this.aborted = true;
    this.#listener?.();
  }

  remoteAddress(): string {
    return "127.0.0.1";
  }

  onAbort(listener: (() => void) | undefined): void {
    this.#listener = listener;
  }

  release(): number {
    return 0;
  }

  body(): Promise<Buffer> {
    return Promise.resolve(this.#body);
  }

  reply(status: number, headers: ReplyHeaders, body: Uint8Array | string): void {
    if (this.aborted) return;
    if (this.answer !== undefined) throw new Error("there is an answer already");
    this.answer = { status, headers, body: Buffer.from(body).toString() };
  }

  open(status: number, headers: ReplyHeaders): FakeReplyStream {
    this.stream = new FakeReplyStream(status, headers);
    return this.stream;
  }
}

export class FakeReplyStream implements ReplyStream {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly writes: { readonly bytes: Buffer; readonly next: number | undefined }[] = [];
  /** What `write` answers from now on. */
  flowing = true;
  state: "open" | "ended" | "destroyed" = "open";
  #drain: (() => void) | undefined;

  constructor(status: number, headers: ReplyHeaders) {
    this.status = status;
    this.headers = headers;
  }

  /** Everything written. */
  get bytes(): Buffer {
    return Buffer.concat(this.writes.map(({ bytes }) => bytes));
  }

  /** The reader catches up. */
  drain(): void {
    this.flowing = true;
    this.#drain?.();
  }

  write(bytes: Uint8Array, next?: number): boolean {
    if (this.state !== "open") throw new Error(`the stream is ${this.state}`);
    this.writes.push({ bytes: Buffer.from(bytes), next });
    return this.flowing;
  }

  onDrain(listener: () => void): void {
    this.#drain = listener;
  }

  end(): void {
    if (this.state !== "open") throw new Error(`the stream is ${this.state}`);
    this.state = "ended";
  }

  destroy(): void {
    this.state = "destroyed";
  }
}
