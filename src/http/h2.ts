/** HTTP/2 in clear text (prior knowledge), which the AWS SDK for JavaScript speaks by default, behind one {@link Exchange}. */
import {
  constants,
  createServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
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

/** The same limits as on the HTTP/1.1 side, where uWebSockets.js enforces them. */
const maxHeaderBytes = 32 * 1024;
const minUploadBytesPerWindow = 160 * 1024;
const uploadWindowMs = 10_000;

/** As on the HTTP/1.1 side: so much of a refused upload is thrown away, as long as it comes. */
const drainBytes = 64 * 1024 * 1024;
const drainQuietMs = 500;

const empty = Buffer.alloc(0);

/**
 * Listens for HTTP/2 without TLS.
 *
 * @throws Error when the address cannot be bound
 */
export async function serveHttp2(options: ServeOptions): Promise<HttpServer> {
  const sessions = new Set<Http2Session>();
  const server = createServer({
    // Nearly twice our limit, so that we can still answer 431 instead of resetting the stream without a word.
    settings: { maxHeaderListSize: 2 * maxHeaderBytes, initialWindowSize: 1024 * 1024 },
    maxSessionMemory: 64,
  });
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.setLocalWindowSize(4 * 1024 * 1024);
  });
  server.on("sessionError", () => undefined);
  server.on("stream", (stream, headers) => {
    // A stream's own failures reach us as its close; without a listener they would end the process.
    stream.on("error", () => undefined);
    try {
      const exchange = new H2Exchange(stream, headers, options.maxBodyBytes());
      if (exchange.headerBytes > maxHeaderBytes)
        exchange.reply(431, [["content-type", "text/plain"]], "request headers too large");
      else options.onExchange(exchange);
    } catch (error) {
      options.onFault(error);
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.off("error", reject);
      server.on("error", options.onFault);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    drain: () => {
      for (const session of sessions) session.goaway();
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}

class H2Exchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: RequestHeaders;
  readonly protocol = "h2";
  readonly malformed = undefined;
  readonly headerBytes: number;
  aborted = false;
  #heldBytes = 0;
  #budget: BodyBudget | undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #maxBodyBytes: number;
  #finished = false;
  #abortListener: (() => void) | undefined;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, maxBodyBytes: number) {
    this.#stream = stream;
    this.#maxBodyBytes = maxBodyBytes;
    stream.once("close", () => {
      if (this.#finished) return;
      this.aborted = true;
      this.#abortListener?.();
    });
    const path = text(headers[":path"]) ?? "/";
    const mark = path.indexOf("?");
    this.method = text(headers[":method"]) ?? "GET";
    this.path = mark === -1 ? path : path.slice(0, mark);
    this.query = mark === -1 ? "" : path.slice(mark + 1);
    const map = new Map<string, string>();
    let bytes = 0;
    for (const [name, value] of Object.entries(headers)) {
      if (value === undefined) continue;
      const joined = Array.isArray(value) ? value.join(", ") : value;
      bytes += name.length + joined.length + 32;
      if (name.charCodeAt(0) !== 0x3a || name === ":authority") map.set(name, joined);
    }
    this.headers = map;
    this.headerBytes = bytes;
  }

  remoteAddress(): string {
    return this.#stream.session?.socket.remoteAddress ?? "";
  }

  onAbort(listener: (() => void) | undefined): void {
    this.#abortListener = listener;
  }

  body(budget?: BodyBudget): Promise<Buffer> {
    if (this.#stream.endAfterHeaders) return Promise.resolve(empty);
    this.#budget = budget;
    return readBody(this.#stream, this.#maxBodyBytes, (bytes) => this.#hold(bytes));
  }

  #hold(bytes: number): boolean {
    if (this.#budget === undefined || bytes < meteredBytes) return true;
    if (!this.#budget.take(bytes - this.#heldBytes)) return false;
    this.#heldBytes = bytes;
    return true;
  }

  release(): number {
    const held = this.#heldBytes;
    this.#heldBytes = 0;
    this.#budget = undefined;
    return held;
  }

  reply(status: number, headers: ReplyHeaders, body: Uint8Array | string): void {
    if (this.aborted || this.#finished || this.#stream.destroyed) return;
    const length = Buffer.byteLength(body);
    // Throws at headers that HTTP/2 does not allow; the request then still has no answer.
    const fields = head(status, headers);
    // Answers of these never have a body, and so no length (RFC 9110 section 6.4.1).
    this.#stream.respond(status === 204 || status === 304 ? fields : { ...fields, "content-length": String(length) });
    this.#finished = true;
    if (this.method === "HEAD" || length === 0) this.#stream.end();
    else this.#stream.end(body);
    discardUpload(this.#stream);
  }

  open(status: number, headers: ReplyHeaders, length?: number): ReplyStream {
    const fields = head(status, headers);
    const sized = length === undefined ? fields : { ...fields, "content-length": String(length) };
    const body = { length, bodiless: this.method === "HEAD" };
    return new H2ReplyStream(this.#stream, sized, body, () => {
      this.#finished = true;
    });
  }
}

class H2ReplyStream implements ReplyStream {
  readonly #stream: ServerHttp2Stream;
  readonly #head: Record<string, string | number>;
  /** Bytes that may still be written; undefined where no length is known. */
  #left: number | undefined;
  readonly #bodiless: boolean;
  readonly #finish: () => void;

  /** @param body its bytes, where they are known; bodiless is the answer to `HEAD`, which says them and has none */
  constructor(
    stream: ServerHttp2Stream,
    headers: Record<string, string | number>,
    body: { readonly length: number | undefined; readonly bodiless: boolean },
    finish: () => void,
  ) {
    this.#stream = stream;
    this.#head = headers;
    this.#left = body.length;
    this.#bodiless = body.bodiless;
    this.#finish = finish;
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#writable()) return true;
    if (this.#left !== undefined) {
      this.#left -= bytes.length;
    }
    if (this.#bodiless || (this.#left ?? 0) < 0) {
      this.destroy();
      return true;
    }
    if (!this.#stream.headersSent) this.#stream.respond(this.#head);
    return this.#stream.write(bytes);
  }

  onDrain(listener: () => void): void {
    this.#stream.removeAllListeners("drain");
    this.#stream.on("drain", listener);
  }

  end(): void {
    if (!this.#writable()) return;
    if (!this.#bodiless && this.#left !== undefined && this.#left > 0) {
      this.destroy();
      return;
    }
    if (!this.#stream.headersSent) this.#stream.respond(this.#head);
    this.#finish();
    this.#stream.end();
    discardUpload(this.#stream);
  }

  /**
   * Resets with INTERNAL_ERROR: the AWS SDK takes a CANCEL for a normal end. Destroyed and not closed, since closing
   * ends the stream well before it resets it.
   */
  destroy(): void {
    if (!this.#writable()) return;
    this.#finish();
    this.#stream.destroy(new Error("the answer is broken off"));
  }

  /** The stream of a HEAD request has ended for writing from its beginning, and still wants its head. */
  #writable(): boolean {
    const { destroyed, closed, headersSent, writableEnded } = this.#stream;
    return !destroyed && !closed && (this.#bodiless ? !headersSent : !writableEnded);
  }
}

function head(status: number, headers: ReplyHeaders): Record<string, string | number> {
  const fields: Record<string, string | number> = { ":status": status };
  for (const [name, value] of headers) fields[name] = name in fields ? `${fields[name]}, ${value}` : value;
  return fields;
}

/** What is left of an upload that nobody reads would hold the stream open: it is thrown away, for a while. */
function discardUpload(stream: ServerHttp2Stream): void {
  if (stream.readableEnded) return;
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), uploadWindowMs);
  stream.once("close", () => clearTimeout(timer));
  stream.resume();
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** @param hold asked as the body grows whether there is room for so many bytes in all */
function readBody(stream: ServerHttp2Stream, max: number, hold: (bytes: number) => boolean): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let bytesAtWindow = 0;
    const slow = setInterval(() => {
      // Data that waits unread is our delay, not the client's.
      if (bytes - bytesAtWindow < minUploadBytesPerWindow) stream.close(constants.NGHTTP2_CANCEL);
      bytesAtWindow = bytes;
    }, uploadWindowMs);
    let refused: { readonly error: BodyError; readonly quiet: NodeJS.Timeout } | undefined;
    // A client that is still sending may have no room left to take the answer in (Node's own counts what it has not sent
    // yet against that), so it may finish first.
    const refuse = (error: BodyError) => {
      clearInterval(slow);
      chunks.length = 0;
      refused = { error, quiet: setTimeout(() => reject(error), drainQuietMs) };
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      if (refused !== undefined) {
        refused.quiet.refresh();
        if (bytes > max + drainBytes) reject(refused.error);
      } else if (bytes > max) {
        refuse(new BodyError("too_large", `the request body is larger than ${max} bytes`));
      } else if (hold(bytes)) {
        chunks.push(chunk);
      } else {
        refuse(new BodyError("no_room", "there is no room for the request body"));
      }
    };
    stream.on("data", onData);
    stream.once("end", () => {
      clearInterval(slow);
      // An upload whose connection is lost ends, too, without its rest; the close that follows says what it was.
      if (stream.aborted) return;
      if (refused !== undefined) reject(refused.error);
      else if (chunks.length === 1 && chunks[0] !== undefined) resolve(chunks[0]);
      else joinSlowly(chunks, bytes).then(resolve, reject);
    });
    stream.once("close", () => {
      clearInterval(slow);
      clearTimeout(refused?.quiet);
      reject(new BodyError("aborted", "the client left before its request was complete"));
    });
  });
}
