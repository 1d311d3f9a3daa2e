/** Sending a request upstream and reading its answer at the reader's speed: undici pools, one for each origin. */
import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { buildConnector, type Dispatcher, Pool, ProxyAgent } from "undici";
import { checkHost, guardedLookup } from "./address.ts";

/** How to reach an upstream; the members of the configuration's `network_config` that matter here. */
export interface Network {
  readonly max_conns_per_host: number;
  readonly default_request_timeout_in_seconds: number;
  readonly stream_idle_timeout_in_seconds: number;
  readonly allow_private_network: boolean;
  readonly ca_cert_pem: string | null;
  readonly insecure_skip_verify: boolean;
  readonly proxy_url: string | null;
}

export interface UpstreamRequest {
  readonly method: "GET" | "POST" | "PUT" | "HEAD" | "DELETE";
  /** Scheme, host and port, e.g. `https://bedrock-runtime.us-east-1.amazonaws.com`. */
  readonly origin: string;
  /** Path and query as they go on the wire. */
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | undefined;
}

/** Whose fault it was that no (whole) answer came; `unsendable`: the request itself cannot be written in HTTP. */
export type UpstreamFault =
  | "timeout"
  | "connect"
  | "broken"
  | "refused_address"
  | "unsendable"
  | "cancelled"
  | "too_large";

/** The upstream gave no answer, or not all of it. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  readonly fault: UpstreamFault;
  /** A connection that had served before was closed before this answer began: the request may just go out again. */
  readonly stale: boolean;
  constructor(fault: UpstreamFault, message: string, cause?: unknown, stale = false) {
    super(message, cause === undefined ? undefined : { cause });
    this.fault = fault;
    this.stale = stale;
  }
}

/** Takes an answer's body. Chunks of one read from the socket arrive together. */
export interface BodyReader {
  data(chunks: readonly Buffer[]): void;
  end(): void;
  error(error: UpstreamError): void;
}

/** An answer whose status and headers have arrived. Its body waits until {@link read} or {@link collect} is called. */
export interface UpstreamAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  read(reader: BodyReader): void;
  /** @throws UpstreamError when the body breaks, stalls, or is larger than `maxBytes` */
  collect(maxBytes: number): Promise<Buffer>;
  pause(): void;
  resume(): void;
}

/** A request on its way: `answer` settles once, `cancel` ends it at any time and closes its connection. */
export interface Sent {
  readonly answer: Promise<UpstreamAnswer>;
  cancel(): void;
}

/** Idle connections are given up before servers with a five-second idle limit do. */
const keepAliveMs = 4000;
const connectTimeoutMs = 10_000;
const maxOrigins = 64;

/** All upstream connections of one thread. */
export class Upstream {
  readonly #pools = new WeakMap<Network, LRUCache<string, Dispatcher>>();

  /** @throws UpstreamError `refused_address` when the host is an address that must not be dialled */
  send(request: UpstreamRequest, network: Network): Sent {
    const handler = new Handler();
    const { body } = request;
    const isLarge = body !== undefined && body.length > sliceBytes;
    this.#dispatcher(request.origin, network).dispatch(
      {
        origin: request.origin,
        path: request.path,
        method: request.method,
        headers: isLarge ? [...request.headers.flat(), "content-length", String(body.length)] : request.headers.flat(),
        body: isLarge ? Readable.from(slicesOf(body)) : body === undefined || body.length === 0 ? null : body,
        headersTimeout: network.default_request_timeout_in_seconds * 1000,
        bodyTimeout: network.stream_idle_timeout_in_seconds * 1000,
      },
      handler,
    );
    return handler;
  }

  #dispatcher(origin: string, network: Network): Dispatcher {
    let pools = this.#pools.get(network);
    if (pools === undefined) {
      pools = new LRUCache({ max: maxOrigins, dispose: (pool) => void pool.close().catch(() => undefined) });
      this.#pools.set(network, pools);
    }
    let dispatcher = pools.get(origin);
    if (dispatcher === undefined) {
      dispatcher = connectTo(origin, network);
      pools.set(origin, dispatcher);
    }
    return dispatcher;
  }
}

/** TLS encrypts what it is given in one go: about half a millisecond for so much. */
const sliceBytes = 512 * 1024;

/** A large body as the connection takes it, so that no other request waits for all of it. */
function* slicesOf(body: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < body.length; from += sliceBytes) yield body.subarray(from, from + sliceBytes);
}

function connectTo(origin: string, network: Network): Dispatcher {
  const refusal = checkHost(new URL(origin).hostname, { allowPrivate: network.allow_private_network });
  if (refusal !== undefined) throw new UpstreamError("refused_address", refusal);
  const tls = {
    ...(network.ca_cert_pem === null ? {} : { ca: network.ca_cert_pem }),
    rejectUnauthorized: !network.insecure_skip_verify,
  };
  const options = {
    connections: network.max_conns_per_host,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: keepAliveMs,
    maxHeaderSize: 64 * 1024,
  };
  if (network.proxy_url !== null) {
    return new ProxyAgent({ uri: network.proxy_url, ...options, requestTls: tls, proxyTls: tls });
  }
  const lookup = guardedLookup({ allowPrivate: network.allow_private_network });
  const connector = buildConnector({ timeout: connectTimeoutMs, lookup, allowH2: false, ...tls });
  const connect: typeof connector = (target, callback) =>
    connector(target, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      socket.prependListener("error", (cause: Error) => {
        if (socket.bytesRead > 0) servedBefore.add(cause);
      });
      return callback(null, socket);
    });
  return new Pool(origin, { ...options, connect });
}

/** Answers from this size on are put in their place as they come, since to copy all at their end would take a while. Bytes. */
const putBytes = 1024 * 1024;

/** An answer as it comes together. */
class Parts {
  bytes = 0;
  readonly #parts: Buffer[] = [];
  /** Room for a large one, where it says its length. The parser of HTTP sees to it that it has that length. */
  readonly #room: Buffer | undefined;

  /** @param declared the length it will have; NaN where nobody has said */
  constructor(declared: number, maxBytes: number) {
    if (declared >= putBytes && declared <= maxBytes) this.#room = Buffer.allocUnsafeSlow(declared);
  }

  push(part: Buffer): void {
    const at = this.bytes;
    this.bytes += part.length;
    if (this.#room === undefined) this.#parts.push(part);
    else this.#room.set(part, at);
  }

  whole(): Buffer | Promise<Buffer> {
    if (this.#room !== undefined) return this.#room;
    const [first] = this.#parts;
    if (first !== undefined && this.#parts.length === 1) return first;
    return this.bytes < putBytes ? Buffer.concat(this.#parts, this.bytes) : this.#join();
  }

  /** In turns with other work. */
  async #join(): Promise<Buffer> {
    const whole = Buffer.allocUnsafeSlow(this.bytes);
    let at = 0;
    let turn = 0;
    for (const part of this.#parts) {
      if (turn >= putBytes) {
        await setImmediate();
        turn = 0;
      }
      at += part.copy(whole, at);
      turn += part.length;
    }
    return whole;
  }
}

/** Errors of connections that had served a request before. */
const servedBefore = new WeakSet<Error>();

/**
 * undici's handler of one request. Chunks are gathered until the microtask queue is reached, that is, for one read of
 * the socket: undici calls back for every HTTP chunk, and one write for each of those would cost four times as much.
 */
class Handler implements Dispatcher.DispatchHandler, Sent, UpstreamAnswer {
  readonly answer: Promise<UpstreamAnswer>;
  status = 0;
  headers: UpstreamAnswer["headers"] = {};
  #settle: { resolve: (answer: UpstreamAnswer) => void; reject: (error: UpstreamError) => void } | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #reader: BodyReader | undefined;
  #chunks: Buffer[] = [];
  #scheduled = false;
  #cancelled = false;
  #ended = false;
  #error: UpstreamError | undefined;

  constructor() {
    this.answer = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  cancel(): void {
    if (this.#ended || this.#cancelled) return;
    this.#cancelled = true;
    const error = new UpstreamError("cancelled", "the upstream call was cancelled");
    // Before it has a connection undici cannot take a request back: it is over for us now, for undici once its turn comes.
    if (this.#controller === undefined) this.#fail(error);
    else this.#controller.abort(error);
  }

  pause(): void {
    if (!this.#ended) this.#controller?.pause();
  }

  resume(): void {
    if (!this.#ended) this.#controller?.resume();
  }

  read(reader: BodyReader): void {
    this.#reader = reader;
    this.#flush();
  }

  collect(maxBytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const parts = new Parts(Number(this.headers["content-length"]), maxBytes);
      this.read({
        data: (chunks) => {
          for (const chunk of chunks) parts.push(chunk);
          if (parts.bytes <= maxBytes) return;
          reject(new UpstreamError("too_large", `the upstream's answer is larger than ${maxBytes} bytes`));
          this.cancel();
        },
        end: () => resolve(parts.whole()),
        error: reject,
      });
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Thrown and not aborted: aborting would also close the connection that was about to carry the request.
    if (this.#error !== undefined) throw this.#error;
    this.#controller = controller;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: UpstreamAnswer["headers"],
  ): void {
    if (status < 200) return;
    this.status = status;
    this.headers = headers;
    this.#settle?.resolve(this);
    this.#settle = undefined;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#schedule();
  }

  onResponseEnd(): void {
    this.#ended = true;
    this.#schedule();
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error): void {
    if (!this.#ended) this.#fail(translate(cause, this.#settle !== undefined));
  }

  #fail(error: UpstreamError): void {
    this.#ended = true;
    this.#error = error;
    this.#settle?.reject(this.#error);
    this.#settle = undefined;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const reader = this.#reader;
    if (reader === undefined) return;
    if (this.#chunks.length > 0) {
      const chunks = this.#chunks;
      this.#chunks = [];
      reader.data(chunks);
    }
    if (!this.#ended) return;
    this.#reader = undefined;
    if (this.#error === undefined) reader.end();
    else reader.error(this.#error);
  }
}

/** @param unanswered nothing of the answer had arrived */
function translate(cause: Error, unanswered: boolean): UpstreamError {
  if (cause instanceof UpstreamError) return cause;
  if (cause.name === "AddressRefused") return new UpstreamError("refused_address", cause.message, cause);
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  switch (code) {
    case "UND_ERR_HEADERS_TIMEOUT":
      return new UpstreamError("timeout", "the upstream did not answer in time", cause);
    case "UND_ERR_BODY_TIMEOUT":
      return new UpstreamError("timeout", "the upstream fell silent in the middle of its answer", cause);
    case "UND_ERR_INVALID_ARG":
      return new UpstreamError("unsendable", `the request cannot be sent upstream (${cause.message})`, cause);
    case "UND_ERR_CONNECT_TIMEOUT":
    case "ECONNREFUSED":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return new UpstreamError("connect", `the upstream could not be reached (${code})`, cause);
    default:
      return new UpstreamError(
        "broken",
        `the connection to the upstream broke${code === "" ? "" : ` (${code})`}`,
        cause,
        unanswered && servedBefore.has(cause),
      );
  }
}
