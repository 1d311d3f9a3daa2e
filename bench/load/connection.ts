/** A client's connection that sends the same request again and again, and judges the answers. */
import { connect, type Socket } from "node:net";
import { ResponseError, ResponseReader } from "./response-reader.ts";
import { type BodyName, bodyOf } from "./traffic.ts";

/** What is sent, and what the right answer is. */
export interface Target {
  readonly port: number;
  readonly path: string;
  /** These replace the ones an AWS SDK sends. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What is posted. */
  readonly body: BodyName;
  /** Length of a right answer's body; without it any is right. */
  readonly expectedBytes?: number;
  /**
   * `failure`: an answer with a status from 400 on is the right one. `any`: every whole answer is. `leave`: goes when the
   * first bytes of a body are there.
   */
  readonly ending?: "failure" | "any" | "leave";
}

export interface Owner {
  /** Connected. */
  ready(): void;
  /** Some bytes of an answer's body have arrived. */
  body(bytes: number): void;
  /** A right answer is complete. */
  answered(dueAt: number, firstByteAt: number): void;
  /** The answer had begun, and the connection has been closed, as the job wanted. */
  left(dueAt: number, firstByteAt: number): void;
  /** The server has closed it between two requests, as servers do with connections that are not used for a while. */
  idled(): void;
  /**
   * A wrong answer, or none. The connection is of no use any more.
   *
   * @param busy a request was on its way
   */
  failed(problem: string, busy: boolean): void;
}

/** A keep-alive connection with one request on its way at most. */
export class Connection {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #owner: Owner;
  readonly #job: Target;
  readonly #reader = new ResponseReader();
  #dueAt = 0;
  #firstByteAt = 0;
  #connected = false;
  #busy = false;
  #closed = false;

  constructor(job: Target, request: Buffer, owner: Owner) {
    this.#request = request;
    this.#owner = owner;
    this.#job = job;
    this.#socket = connect({ port: job.port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("connect", () => {
      this.#connected = true;
      owner.ready();
    });
    this.#socket.on("data", (bytes) => this.#read(bytes));
    this.#socket.on("error", (error) => this.#fail(error.message));
    this.#socket.on("close", () => this.#ended());
  }

  /** @param dueAt when it should have been sent. `performance.now()` */
  send(dueAt: number): void {
    this.#dueAt = dueAt;
    this.#firstByteAt = 0;
    this.#busy = true;
    this.#reader.reset();
    this.#socket.write(this.#request);
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    const reader = this.#reader;
    const before = reader.bodyBytes;
    let complete: boolean;
    try {
      complete = reader.push(bytes);
    } catch (error) {
      if (!(error instanceof ResponseError)) throw error;
      this.#fail(error.message);
      return;
    }
    const arrived = reader.bodyBytes - before;
    this.#owner.body(arrived);
    if (arrived > 0 && this.#firstByteAt === 0) {
      this.#firstByteAt = performance.now();
      if (this.#job.ending === "leave") {
        this.close();
        this.#owner.left(this.#dueAt, this.#firstByteAt);
        return;
      }
    }
    if (complete) this.#judge();
  }

  #judge(): void {
    const { status, bodyBytes } = this.#reader;
    const { ending, expectedBytes } = this.#job;
    const isRight = ending === "any" || (ending === "failure" ? status >= 400 : status === 200);
    if (!isRight) this.#fail(`an answer has the status ${status}`);
    else if (expectedBytes !== undefined && bodyBytes !== expectedBytes)
      this.#fail(`an answer has ${bodyBytes} bytes instead of ${expectedBytes}`);
    else {
      this.#busy = false;
      this.#owner.answered(this.#dueAt, this.#firstByteAt);
    }
  }

  #ended(): void {
    if (this.#closed) return;
    if (!this.#connected || this.#busy) {
      this.#fail("the connection was closed");
      return;
    }
    this.close();
    this.#owner.idled();
  }

  #fail(problem: string): void {
    if (this.#closed) return;
    this.close();
    this.#owner.failed(problem, this.#busy);
  }
}

/** A request with the headers an AWS SDK sends. */
export function requestBytes(job: Pick<Target, "port" | "path" | "headers" | "body">): Buffer {
  const { port, path, headers = {} } = job;
  const body = bodyOf(job.body);
  const signature = `AWS4-HMAC-SHA256 Credential=bench/20260102/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=${"0".repeat(64)}`;
  const all = {
    host: `127.0.0.1:${port}`,
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    "user-agent":
      "Boto3/1.40.1 md/Botocore#1.40.1 ua/2.1 os/linux md/arch#x86_64 lang/python#3.12.3 cfg/retry-mode#legacy",
    "x-amz-date": "20260102T030405Z",
    authorization: signature,
    "amz-sdk-invocation-id": "2f6f3d2c-7c0e-4a57-9a67-6f0a2d9b8c11",
    "amz-sdk-request": "attempt=1",
    ...headers,
  };
  const lines = [`POST ${path} HTTP/1.1`, ...Object.entries(all).map(([name, value]) => `${name}: ${value}`)];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`);
}
