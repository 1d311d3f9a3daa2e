/**
 * A load generator: takes a {@link Job} as a line of JSON on standard input, answers each with a {@link JobResult} as a
 * line on standard output, and ends with its input. It reads the CPU time of the processes it is told to watch itself, in
 * the same turn of its loop in which it starts and stops counting.
 */
import { createInterface } from "node:readline";
import { type CpuSample, cpuBetween, processTree, sampleCpu } from "../gateway/process.ts";
import { Connection, requestBytes, type Target } from "./connection.ts";
import { type Latencies, latenciesOf, Schedule } from "./schedule.ts";
import { runStreams, type StreamsJob } from "./streams.ts";
import { Ticker } from "./ticker.ts";

export interface Job extends Target {
  readonly kind: "requests";
  readonly connections: number;
  /** Requests a second, sent at fixed times whether or not answers come. Without it each connection sends as soon as it has its answer. */
  readonly rate?: number;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Process ids; their children are watched with them. */
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
  /** To the last byte; with a rate: since the request was due. */
  readonly latency: Latencies;
  /** To the first byte of the body, likewise. */
  readonly firstByte: Latencies;
  /** Microseconds, in the order of `watch`. */
  readonly cpu: readonly number[];
}

/** How long answers are waited for when the window is over. Milliseconds. */
const drainMs = 3000;
const reconnectMs = 50;
/** Two threads' clocks differ by their rounding: what is due so soon is due. Milliseconds. */
const roundingMs = 0.005;

/** One job. Everything is counted in one turn of the loop or not at all, so no two figures belong to different windows. */
class Run {
  readonly #job: Job;
  readonly #request: Buffer;
  readonly #connections = new Set<Connection>();
  readonly #idle: Connection[] = [];
  /** Requests that were due while every connection was busy. */
  readonly #waiting: number[] = [];
  readonly #latencies: number[] = [];
  readonly #firstBytes: number[] = [];
  readonly #trees: readonly (readonly number[])[];
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
    this.#trees = job.watch.map((pid) => processTree(pid));
  }

  async result(): Promise<JobResult> {
    const { connections, rate, warmupMs, measureMs } = this.#job;
    const started = performance.now();
    this.#from = started + warmupMs;
    this.#until = this.#from + measureMs;
    // Closed loops begin one after the other, so that streams of one length do not all end together.
    const apart = rate === undefined ? warmupMs / 2 / connections : 0;
    for (let n = 0; n < connections; n++) setTimeout(() => this.#connect(), n * apart);
    if (rate !== undefined) this.#keep(started, 1000 / rate);

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
    return {
      requests: this.#latencies.length,
      errors: this.#errors,
      ...(this.#firstError !== undefined && { firstError: this.#firstError }),
      bodyBytes: this.#bodyBytes,
      durationMs,
      latency: latenciesOf(this.#latencies),
      firstByte: latenciesOf(this.#firstBytes),
      cpu: after.map((sample, n) => cpuBetween(before[n] ?? new Map(), sample)),
    };
  }

  #sample(): CpuSample[] {
    return this.#trees.map((pids) => sampleCpu(pids));
  }

  #connect(): void {
    const connection: Connection = new Connection(this.#job, this.#request, {
      ready: () => this.#next(connection),
      body: (bytes) => {
        if (this.#counting) this.#bodyBytes += bytes;
      },
      answered: (dueAt, firstByteAt) => this.#answered(connection, dueAt, firstByteAt),
      left: (dueAt, firstByteAt) => {
        this.#count(dueAt, firstByteAt);
        this.#connections.delete(connection);
        if (this.#sending) this.#connect();
      },
      idled: () => {
        this.#forget(connection);
        if (this.#sending) this.#connect();
      },
      failed: (problem, busy) => {
        this.#fail(problem);
        if (busy) this.#unanswered--;
        this.#forget(connection);
        setTimeout(() => {
          if (this.#sending) this.#connect();
        }, reconnectMs);
      },
    });
    this.#connections.add(connection);
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #answered(connection: Connection, dueAt: number, firstByteAt: number): void {
    this.#count(dueAt, firstByteAt);
    this.#next(connection);
  }

  #count(dueAt: number, firstByteAt: number): void {
    const now = performance.now();
    this.#unanswered--;
    const counts = this.#job.rate === undefined ? this.#counting : dueAt >= this.#from && dueAt < this.#until;
    if (!counts) return;
    this.#latencies.push(now - dueAt);
    this.#firstBytes.push(firstByteAt - dueAt);
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

  #keep(begin: number, gapMs: number): void {
    const schedule = new Schedule(begin, gapMs, this.#until);
    ticker.tick(begin, gapMs, this.#until, () => {
      for (;;) {
        const dueAt = schedule.take(performance.now() + roundingMs);
        if (dueAt === undefined) return;
        const connection = this.#idle.pop();
        if (connection === undefined) this.#waiting.push(dueAt);
        else this.#send(connection, dueAt);
      }
    });
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

function sleepUntil(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, time - performance.now())));
}

const ticker = await Ticker.start();
for await (const line of createInterface(process.stdin)) {
  const job: Job | StreamsJob = JSON.parse(line);
  console.log(JSON.stringify(job.kind === "streams" ? await runStreams(job) : await new Run(job).result()));
}
