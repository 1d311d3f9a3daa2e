/**
 * A load generator: takes a {@link Job} as a line of JSON on standard input, answers each with a {@link JobResult} as a
 * line on standard output, and ends with its input. It reads the CPU time of the processes it is told to watch itself, in
 * the same turn of its loop in which it starts and stops counting.
 */
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { type CpuSample, cpuBetween, sampleCpu } from "./process.ts";
import { ResponseError, ResponseReader } from "./response-reader.ts";

export interface Job {
  readonly port: number;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body of a POST. */
  readonly body: string;
  /** Length of a right answer's body; without it any is right. */
  readonly expectedBytes?: number;
  readonly connections: number;
  /** Requests a second, sent at fixed times whether or not answers come. Without it each connection sends as soon as it has its answer. */
  readonly rate?: number;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Process ids. */
  readonly watch: readonly number[];
}

/** Everything but `errors` is of the measured window alone. */
export interface JobResult {
  /** Answered in the window; with a rate: due in the window. */
  readonly requests: number;
  /** Of the whole job, its warm-up included. */
  readonly errors: number;
  readonly firstError?: string;
  readonly bodyBytes: number;
  readonly durationMs: number;
  /** Microseconds to the last byte; with a rate: since the request was due. */
  readonly p50: number;
  readonly p99: number;
  /** Microseconds, in the order of `watch`. */
  readonly cpu: readonly number[];
}

/** How long answers are waited for when the window is over. Milliseconds. */
const drainMs = 3000;
const reconnectMs = 50;

/** One job. Everything is counted in one turn of the loop or not at all, so no two figures belong to different windows. */
class Run {
  readonly #job: Job;
  readonly #request: Buffer;
  readonly #connections = new Set<Connection>();
  readonly #idle: Connection[] = [];
  /** Requests that were due while every connection was busy. */
  readonly #waiting: number[] = [];
  readonly #latencies: number[] = [];
  #sending = true;
  #counting = false;
  #from = Number.POSITIVE_INFINITY;
  #until = Number.POSITIVE_INFINITY;
  #unanswered = 0;
  #bodyBytes = 0;
  #errors = 0;
  #firstError: string | undefined;

  constructor(job: Job) {
    this.#job = job;
    this.#request = requestBytes(job);
  }

  async result(): Promise<JobResult> {
    const { connections, rate, warmupMs, measureMs } = this.#job;
    const started = performance.now();
    this.#from = started + warmupMs;
    this.#until = this.#from + measureMs;
    // Closed loops begin one after the other, so that streams of one length do not all end together.
    const apart = rate === undefined ? warmupMs / 2 / connections : 0;
    for (let n = 0; n < connections; n++) setTimeout(() => this.#connect(), n * apart);
    if (rate !== undefined) this.#keepRate(1000 / rate);

    await sleepUntil(this.#from);
    this.#counting = true;
    const before = this.#sample();
    const from = performance.now();
    await sleepUntil(this.#until);
    this.#counting = false;
    const after = this.#sample();
    const durationMs = performance.now() - from;

    this.#sending = false;
    await this.#drain();
    const latencies = Float64Array.from(this.#latencies).sort();
    return {
      requests: latencies.length,
      errors: this.#errors,
      ...(this.#firstError !== undefined && { firstError: this.#firstError }),
      bodyBytes: this.#bodyBytes,
      durationMs,
      p50: quantile(latencies, 0.5) * 1000,
      p99: quantile(latencies, 0.99) * 1000,
      cpu: after.map((sample, n) => cpuBetween(before[n] ?? new Map(), sample)),
    };
  }

  #sample(): CpuSample[] {
    return this.#job.watch.map((pid) => sampleCpu(pid));
  }

  #connect(): void {
    const connection: Connection = new Connection(this.#job, this.#request, {
      ready: () => this.#next(connection),
      body: (bytes) => {
        if (this.#counting) this.#bodyBytes += bytes;
      },
      answered: (dueAt) => this.#answered(connection, dueAt),
      failed: (problem, busy) => {
        this.#fail(problem);
        if (busy) this.#unanswered--;
        this.#connections.delete(connection);
        setTimeout(() => {
          if (this.#sending) this.#connect();
        }, reconnectMs);
      },
    });
    this.#connections.add(connection);
  }

  #answered(connection: Connection, dueAt: number): void {
    const now = performance.now();
    this.#unanswered--;
    const counts = this.#job.rate === undefined ? this.#counting : dueAt >= this.#from && dueAt < this.#until;
    if (counts) this.#latencies.push(now - dueAt);
    this.#next(connection);
  }

  #next(connection: Connection): void {
    const dueAt = this.#job.rate === undefined && this.#sending ? performance.now() : this.#waiting.shift();
    if (dueAt === undefined) this.#idle.push(connection);
    else this.#send(connection, dueAt);
  }

  #send(connection: Connection, dueAt: number): void {
    this.#unanswered++;
    connection.send(dueAt);
  }

  /** Sends at fixed times. It spins up to each of them: timers are a millisecond late, which would be taken for latency. */
  #keepRate(gapMs: number): void {
    const begin = performance.now() + gapMs;
    let sent = 0;
    const spin = () => {
      for (;;) {
        const dueAt = begin + sent * gapMs;
        if (dueAt >= this.#until) return;
        if (dueAt > performance.now()) break;
        sent++;
        const connection = this.#idle.pop();
        if (connection === undefined) this.#waiting.push(dueAt);
        else this.#send(connection, dueAt);
      }
      setImmediate(spin);
    };
    spin();
  }

  async #drain(): Promise<void> {
    const end = performance.now() + drainMs;
    while (this.#unanswered + this.#waiting.length > 0 && performance.now() < end)
      await sleepUntil(performance.now() + 5);
    const missing = this.#unanswered + this.#waiting.length;
    if (missing > 0) this.#fail(`${missing} requests had no answer ${drainMs} ms after the end`, missing);
    for (const connection of this.#connections) connection.close();
  }

  #fail(problem: string, times = 1): void {
    this.#errors += times;
    this.#firstError ??= problem;
  }
}

interface Owner {
  /** Connected. */
  ready(): void;
  /** Some bytes of an answer's body have arrived. */
  body(bytes: number): void;
  /** A right answer is complete. */
  answered(dueAt: number): void;
  /**
   * A wrong answer, or none. The connection is of no use any more.
   *
   * @param busy a request was on its way
   */
  failed(problem: string, busy: boolean): void;
}

/** A keep-alive connection with one request on its way at most. */
class Connection {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #owner: Owner;
  readonly #expectedBytes: number | undefined;
  readonly #reader = new ResponseReader();
  #dueAt = 0;
  #busy = false;
  #closed = false;

  constructor(job: Job, request: Buffer, owner: Owner) {
    this.#request = request;
    this.#owner = owner;
    this.#expectedBytes = job.expectedBytes;
    this.#socket = connect({ port: job.port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("connect", () => owner.ready());
    this.#socket.on("data", (bytes) => this.#read(bytes));
    this.#socket.on("error", (error) => this.#fail(error.message));
    this.#socket.on("close", () => this.#fail("the connection was closed"));
  }

  /** @param dueAt when it should have been sent. `performance.now()` */
  send(dueAt: number): void {
    this.#dueAt = dueAt;
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
    this.#owner.body(reader.bodyBytes - before);
    if (!complete) return;
    if (reader.status !== 200) this.#fail(`an answer has the status ${reader.status}`);
    else if (this.#expectedBytes !== undefined && reader.bodyBytes !== this.#expectedBytes)
      this.#fail(`an answer has ${reader.bodyBytes} bytes instead of ${this.#expectedBytes}`);
    else {
      this.#busy = false;
      this.#owner.answered(this.#dueAt);
    }
  }

  #fail(problem: string): void {
    if (this.#closed) return;
    this.close();
    this.#owner.failed(problem, this.#busy);
  }
}

/** A request with the headers an AWS SDK sends. */
function requestBytes({ port, path, headers = {}, body }: Job): Buffer {
  const lines = [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "user-agent: Boto3/1.40.1 md/Botocore#1.40.1 ua/2.1 os/linux md/arch#x86_64 lang/python#3.12.3 cfg/retry-mode#legacy",
    "x-amz-date: 20260102T030405Z",
    `authorization: AWS4-HMAC-SHA256 Credential=bench/20260102/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=${"0".repeat(64)}`,
    "amz-sdk-invocation-id: 2f6f3d2c-7c0e-4a57-9a67-6f0a2d9b8c11",
    "amz-sdk-request: attempt=1",
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

/** @param sorted ascending; 0 when it is empty */
function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

function sleepUntil(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, time - performance.now())));
}

for await (const line of createInterface(process.stdin)) {
  const job: Job = JSON.parse(line);
  console.log(JSON.stringify(await new Run(job).result()));
}
