/** Requests without a client library's opinions: every byte and its moment are the test's. */
import { Agent, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { type ClientHttp2Session, connect as connectH2 } from "node:http2";
import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
  /** How many reads the body took. */
  readonly reads: number;
}

export interface RawRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly signal?: AbortSignal;
  /** Told of the body's bytes as they arrive. */
  readonly onBytes?: (bytes: number) => void;
}

const agent = new Agent({ keepAlive: true, maxSockets: 256 });

/** One HTTP/1.1 request; the path goes out exactly as given. */
export function send(origin: string, path: string, options: RawRequest = {}): Promise<RawAnswer> {
  const { method = "POST", headers = {}, body = "", signal, onBytes } = options;
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ hostname, port, path, method, agent, headers, ...(signal && { signal }) });
    outgoing.on("error", reject);
    outgoing.on("response", (message) => {
      const chunks: Buffer[] = [];
      message.on("error", reject);
      message.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        onBytes?.(chunk.length);
      });
      message.on("end", () =>
        resolve({
          status: message.statusCode ?? 0,
          headers: withoutGaps(message.headers),
          body: Buffer.concat(chunks),
          reads: chunks.length,
        }),
      );
    });
    outgoing.end(body);
  });
}

function withoutGaps(headers: IncomingHttpHeaders): RawAnswer["headers"] {
  return { ...headers };
}

/** A Converse body around one user text. */
export function userTurn(text: string, more: object = {}): string {
  return JSON.stringify({ messages: [{ role: "user", content: [{ text }] }], ...more });
}

/** One HTTP/2 request on a session of its own. */
export async function sendH2(origin: string, path: string, options: RawRequest = {}): Promise<RawAnswer> {
  const session = connectH2(origin);
  session.on("error", () => undefined);
  try {
    return await sendOn(session, path, options);
  } finally {
    session.destroy();
  }
}

/** One HTTP/2 request on a given session. */
export function sendOn(session: ClientHttp2Session, path: string, options: RawRequest = {}): Promise<RawAnswer> {
  const { method = "POST", headers = {}, body = "", onBytes } = options;
  return new Promise((resolve, reject) => {
    session.once("error", reject);
    const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream: body.length === 0 });
    const chunks: Buffer[] = [];
    let head: { readonly status: number; readonly headers: RawAnswer["headers"] } = { status: 0, headers: {} };
    stream.on("response", (fields) => {
      head = { status: fields[":status"] ?? 0, headers: { ...fields } };
    });
    stream.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      onBytes?.(chunk.length);
    });
    stream.on("error", reject);
    stream.on("close", () => {
      session.off("error", reject);
      resolve({ ...head, body: Buffer.concat(chunks), reads: chunks.length });
    });
    if (body.length > 0) stream.end(body);
  });
}

/**
 * Writes bytes to a socket and reads until the other side closes it, or falls silent for `quietMs`.
 *
 * @returns everything that was read, as Latin-1 text
 */
export function speak(origin: string, bytes: string | Uint8Array, quietMs = 1500): Promise<string> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let text = "";
    const done = () => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(quietMs, done);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", done);
    socket.on("close", done);
    socket.write(bytes);
  });
}
