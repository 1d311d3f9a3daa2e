/** HTTP/1.1 through uWebSockets.js behind one {@link Exchange}. */

import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket } from "uWebSockets.js";
import {
  type BodyBudget,
  BodyError,
  type Exchange,
  meteredBytes,
  type ReplyHeaders,
  type ReplyStream,
  type RequestHeaders,
} from "./exchange.ts";
import { joinSlowly } from "./join.ts";
import type { HttpServer, ServeOptions } from "./server.ts";
import { bytesAsLatin1, writeHead } from "./uws-head.ts";
import { Patience, type StreamOwner, UwsSizedStream } from "./uws-sized.ts";

/** How many bytes of a refused upload are read and thrown away so that its client can finish sending and read why. */
const drainBytes = 64 * 1024 * 1024;

/** A refused upload that pauses this long has stopped: its client waits for the answer. Milliseconds. */
const drainQuietMs = 500;

/** Request headers that must not be repeated: two of them are two meanings (RFC 9112 section 6.3, RFC 9110 section 7.2). */
const singular = new Set(["content-length", "host", "transfer-encoding"]);

/** Statuses whose answers never have a body, and so no length (RFC 9110 section 6.4.1). */
const bodiless = new Set([204, 304]);

/** The library copies what the connection does not take at once. Of more than this, it is given what is taken. Bytes. */
const copiedBytes = 1024 * 1024;

const empty = Buffer.alloc(0);

/** One-byte buffers that can be lent ahead of the write they belong to. */
const lendable = Array.from({ length: 256 }, (_, byte) => Buffer.from([byte]));

/**
 * Listens for HTTP/1.1. Whoever else listens on the port in this way, another process of the same user included, shares
 * its connections: see first that nobody does. The library's exclusive way is no better: it cannot take a port back as
 * long as the kernel remembers connections of a process that died there, for a minute.
 *
 * @throws Error when the address cannot be bound
 */
export async function serveHttp1(options: ServeOptions): Promise<HttpServer> {
  // The library reads its header limit from the environment as it loads, so it is loaded here and not before.
  const uws = (await import("uWebSockets.js")).default;
  const app = uws.App();
  const server = { draining: false };
  watchUnreadable(app, options);

  app.any("/*", (res, req) => {
    let exchange: UwsExchange | undefined;
    try {
      exchange = new UwsExchange(res, req, options.maxBodyBytes(), server);
      options.onExchange(exchange);
    } catch (error) {
      // An exception that leaves this callback ends the process.
      options.onFault(error);
      exchange?.destroy();
    }
  });

  const socket = await new Promise<us_listen_socket | false>((resolve) => {
    app.listen(options.host, options.port, resolve);
  });
  if (socket === false)
    throw new Error(`cannot listen on ${options.host}:${options.port}: the address is in use or not ours`);
  return {
    port: uws.us_socket_local_port(socket),
    drain: () => {
      server.draining = true;
    },
    close: () => {
      app.close();
      return Promise.resolve();
    },
  };
}

/**
 * uWebSockets.js answers what it cannot parse by itself, an HTTP/2 preface included, and shows us only that a
 * connection came and went. One that did so while no request at all arrived was such a connection.
 */
function watchUnreadable(app: TemplatedApp, options: ServeOptions): void {
  let requestsAtOpen = -1;
  const onConnection = (_res: HttpResponse, count: Parameters<Parameters<TemplatedApp["filter"]>[0]>[1]): void => {
    const requests = options.requests();
    if (Number(count) > 0) {
      requestsAtOpen = requests;
    } else if (requestsAtOpen === requests) {
      requestsAtOpen = -1;
      options.onUnreadable?.();
    }
  };
  app.filter(onConnection);
}

class UwsExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: RequestHeaders;
  readonly protocol = "http/1.1";
  readonly malformed: string | undefined;
  aborted = false;
  readonly #res: HttpResponse;
  readonly #server: { readonly draining: boolean };
  readonly #upload: Upload | undefined;
  #finished = false;
  /** A whole answer is on its way, and is no other's to write to. */
  #replied = false;
  #abortListener: (() => void) | undefined;

  constructor(res: HttpResponse, req: HttpRequest, maxBodyBytes: number, server: { readonly draining: boolean }) {
    this.#res = res;
    this.#server = server;
    res.onAborted(() => {
      this.aborted = true;
      this.#upload?.abort();
      this.#abortListener?.();
    });
    this.method = req.getCaseSensitiveMethod();
    this.path = req.getUrl();
    this.query = req.getQuery() ?? "";
    const headers = new Map<string, string>();
    let malformed: string | undefined;
    req.forEach((name, decoded) => {
      const value = bytesAsLatin1(decoded);
      const earlier = headers.get(name);
      if (earlier !== undefined && singular.has(name)) malformed = `the request has two ${name} headers`;
      headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
    });
    this.headers = headers;
    this.malformed = malformed;
    if (headers.has("content-length") || headers.has("transfer-encoding")) {
      const upload = new Upload(Number(headers.get("content-length") ?? Number.NaN), maxBodyBytes);
      this.#upload = upload;
      res.onData((chunk, last) => upload.push(chunk, last));
    }
  }

  remoteAddress(): string {
    return this.aborted || this.#finished ? "" : Buffer.from(this.#res.getRemoteAddressAsText()).toString("latin1");
  }

  onAbort(listener: (() => void) | undefined): void {
    this.#abortListener = listener;
  }

  body(budget?: BodyBudget): Promise<Buffer> {
    return this.#upload === undefined ? Promise.resolve(empty) : this.#upload.read(budget);
  }

  release(): number {
    return this.#upload === undefined ? 0 : this.#upload.release();
  }

  reply(status: number, headers: ReplyHeaders, body: Uint8Array | string): void {
    if (this.aborted || this.#finished || this.#replied) return;
    if (typeof body !== "string" && body.length > copiedBytes && !this.#mustClose()) {
      const stream = this.open(status, headers, body.length);
      this.#replied = true;
      if (this.method !== "HEAD") stream.write(body);
      stream.end();
      return;
    }
    this.#finished = true;
    if (this.malformed === undefined) this.#send(status, headers, body);
    // Bytes behind a malformed request must not become the next one. While this one waits, the library closes the
    // connection at a further request; once it is answered, it would go on parsing what it has read.
    else setImmediate(() => this.#send(status, headers, body));
  }

  #send(status: number, headers: ReplyHeaders, body: Uint8Array | string): void {
    if (this.aborted) return;
    const close = this.#mustClose();
    this.#res.cork(() => {
      writeHead(this.#res, status, headers, this.#clientCloses());
      if (this.method !== "HEAD" && !bodiless.has(status)) {
        this.#res.end(body, close);
      } else if (close) {
        this.#res.endWithoutBody(Buffer.byteLength(body), true);
      } else {
        // Given the length, the library would go on waiting for a body and take no further request.
        if (!bodiless.has(status)) this.#res.writeHeader("content-length", String(Buffer.byteLength(body)));
        this.#res.endWithoutBody();
      }
    });
  }

  open(status: number, headers: ReplyHeaders, length?: number): ReplyStream {
    const isLate = this.#replied;
    const owner: StreamOwner = {
      isAborted: () => isLate || this.aborted || this.#finished,
      finish: () => {
        this.#finished = true;
      },
      close: () => this.#server.draining || this.#clientCloses(),
    };
    if (this.method !== "HEAD" && length === undefined) return new UwsReplyStream(this.#res, status, headers, owner);
    return new UwsSizedStream(this.#res, { status, headers, length, bodiless: this.method === "HEAD" }, owner);
  }

  /** A request that was not read to its end leaves bytes behind that must not be taken for the next request. */
  #mustClose(): boolean {
    return this.#server.draining || this.malformed !== undefined || this.#upload?.complete === false;
  }

  /** The client asked for the connection's end. The library then ends it without saying so, and clients would reuse it. */
  #clientCloses(): boolean {
    return this.headers.get("connection")?.toLowerCase() === "close";
  }

  /** Ends the connection when even answering failed. */
  destroy(): void {
    if (!this.aborted && !this.#finished) this.#res.close();
  }
}

/** Collects a request body, or drains one that is too large, or that there is no room for. */
class Upload {
  complete = false;
  readonly #whole: Promise<Buffer>;
  readonly #declared: number;
  readonly #max: number;
  #resolve: (body: Buffer) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #body: Buffer | undefined;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #budget: BodyBudget | undefined;
  #heldBytes = 0;
  #refused: "too_large" | "no_room" | undefined;
  #quiet: NodeJS.Timeout | undefined;

  constructor(declared: number, max: number) {
    this.#declared = declared;
    this.#max = max;
    this.#whole = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Nobody may be waiting when the client leaves; whoever waits later still sees the rejection.
    this.#whole.catch(() => undefined);
    if (declared > max) this.#refuse("too_large");
  }

  read(budget: BodyBudget | undefined): Promise<Buffer> {
    if (!this.complete && this.#refused === undefined) {
      this.#budget = budget;
      if (this.#declared >= meteredBytes) this.#hold(this.#declared);
    }
    return this.#whole;
  }

  #hold(bytes: number): void {
    if (this.#budget === undefined) return;
    if (this.#budget.take(bytes)) this.#heldBytes += bytes;
    else this.#refuse("no_room");
  }

  release(): number {
    const held = this.#heldBytes;
    this.#heldBytes = 0;
    this.#budget = undefined;
    return held;
  }

  /** @param chunk is detached after this call, so it is copied here */
  push(chunk: ArrayBuffer, last: boolean): void {
    if (last) this.complete = true;
    this.#bytes += chunk.byteLength;
    if (this.#bytes > this.#max) this.#refuse("too_large");
    else if (Number.isNaN(this.#declared) && this.#bytes >= meteredBytes) this.#hold(this.#bytes - this.#heldBytes);
    if (this.#refused === undefined) this.#collect(chunk, last);
    else this.#drain(last);
  }

  abort(): void {
    clearTimeout(this.#quiet);
    this.#reject(new BodyError("aborted", "the client left before its request was complete"));
  }

  #collect(chunk: ArrayBuffer, last: boolean): void {
    const view = Buffer.from(chunk);
    if (last && this.#bytes === chunk.byteLength) {
      this.#resolve(Buffer.from(view));
      return;
    }
    if (Number.isNaN(this.#declared)) {
      this.#chunks.push(Buffer.from(view));
      if (last) joinSlowly(this.#chunks, this.#bytes).then(this.#resolve, this.#reject);
      return;
    }
    this.#body ??= Buffer.allocUnsafeSlow(this.#declared);
    this.#body.set(view, this.#bytes - view.length);
    if (last) this.#resolve(this.#body);
  }

  #refuse(reason: "too_large" | "no_room"): void {
    if (this.#refused !== undefined) return;
    this.#refused = reason;
    this.#body = undefined;
    this.#chunks = [];
    this.#quiet = setTimeout(() => this.#giveUp(), drainQuietMs);
  }

  #drain(last: boolean): void {
    if (last || this.#bytes > this.#max + drainBytes) this.#giveUp();
    else this.#quiet?.refresh();
  }

  #giveUp(): void {
    clearTimeout(this.#quiet);
    if (this.#refused === "no_room") this.#reject(new BodyError("no_room", "there is no room for the request body"));
    else this.#reject(new BodyError("too_large", `the request body is larger than ${this.#max} bytes`));
  }
}

class UwsReplyStream implements ReplyStream {
  readonly #res: HttpResponse;
  readonly #owner: StreamOwner;
  readonly #status: number;
  readonly #headers: ReplyHeaders;
  #headed = false;
  #ended = false;
  /** The byte that has gone out ahead of its frame, or -1. */
  #lent = -1;
  readonly #patience: Patience;

  constructor(res: HttpResponse, status: number, headers: ReplyHeaders, owner: StreamOwner) {
    this.#res = res;
    this.#status = status;
    this.#headers = headers;
    this.#owner = owner;
    this.#patience = new Patience(res, () => this.#ended || owner.isAborted());
  }

  write(bytes: Uint8Array, next?: number): boolean {
    if (this.#ended || this.#owner.isAborted() || bytes.length === 0) return true;
    if (this.#lent !== -1 && bytes[0] !== this.#lent) {
      this.destroy();
      return true;
    }
    const own = this.#lent === -1 ? bytes : bytes.subarray(1);
    let flowing = true;
    this.#res.cork(() => {
      if (!this.#headed) this.#writeHead();
      if (own.length > 0) flowing = this.#res.write(own);
      const lend = next === undefined ? undefined : lendable[next];
      if (lend !== undefined) flowing = this.#res.write(lend);
    });
    this.#lent = next ?? -1;
    if (!flowing) this.#patience.begin();
    return flowing;
  }

  onDrain(listener: () => void): void {
    if (this.#ended || this.#owner.isAborted()) return;
    this.#res.onWritable(() => {
      this.#patience.end();
      listener();
      return true;
    });
  }

  end(): void {
    if (this.#ended || this.#owner.isAborted()) return;
    if (this.#lent !== -1) {
      this.destroy();
      return;
    }
    this.#finish();
    this.#res.cork(() => {
      if (!this.#headed) this.#writeHead();
      // Not asked to close the connection: the library would write the header for it wherever the answer stands.
      this.#res.end();
    });
  }

  destroy(): void {
    if (this.#ended || this.#owner.isAborted()) return;
    this.#finish();
    this.#res.close();
  }

  #finish(): void {
    this.#patience.end();
    this.#ended = true;
    this.#owner.finish();
  }

  #writeHead(): void {
    this.#headed = true;
    writeHead(this.#res, this.#status, this.#headers, this.#owner.close());
  }
}
