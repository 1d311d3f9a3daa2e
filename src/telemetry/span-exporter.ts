/**
 * Spans on their way to a collector: a bounded queue, one export at a time, and no request that waits for any of it.
 * https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Agent, request } from "undici";
import { type ExportFrame, SpanBatch } from "./span-batch.ts";

export interface ExporterOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly frame: ExportFrame;
  readonly onCount: (result: "exported" | "dropped", spans: number) => void;
  /** Told when exports begin to fail, and when they work again. */
  readonly onHealth: (problem: string | undefined) => void;
  readonly limits?: Partial<ExporterLimits>;
}

export interface ExporterLimits {
  /** Spans that wait, those of the running export included. Further ones are dropped. */
  readonly maxSpans: number;
  readonly maxBytes: number;
  /** So many do not wait for others. */
  readonly batchSpans: number;
  /** The longest a span waits for others. Milliseconds, as all of these. */
  readonly delayMs: number;
  readonly timeoutMs: number;
  /** How often a batch is sent at most. */
  readonly tries: number;
  /** The first pause before it is sent again; doubled each time. */
  readonly backoffMs: number;
  /** The longest pause, whatever the collector asks for. */
  readonly maxBackoffMs: number;
}

const usual: ExporterLimits = {
  maxSpans: 8192,
  maxBytes: 16 * 1024 * 1024,
  batchSpans: 512,
  delayMs: 2000,
  timeoutMs: 10_000,
  tries: 4,
  backoffMs: 500,
  maxBackoffMs: 10_000,
};

/** Smaller bodies are sent as they are. Bytes. */
const gzipFrom = 1024;
const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;
const maxAnswerBytes = 64 * 1024;
const compress = promisify(gzip);
/** The collector is busy, or away for a moment. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504]);

type Sent = "done" | { readonly problem: string; readonly again: boolean; readonly waitMs: number | undefined };

export class SpanExporter {
  readonly #options: ExporterOptions;
  readonly #limits: ExporterLimits;
  readonly #agent: Agent;
  /** Cuts pauses short when it is closed. */
  readonly #closing = new AbortController();
  /** Cuts the running call short. */
  #call: AbortController | undefined;
  /** To a collector on this machine, bytes are cheaper than their compression. */
  readonly #zips: boolean;
  /** In the order they are sent in; the last one still takes spans. */
  #batches: SpanBatch[] = [];
  /** Those of the running export included. */
  #spans = 0;
  #bytes = 0;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failing = false;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#limits = { ...usual, ...options.limits };
    this.#zips = !loopback.test(new URL(options.url).hostname);
    const { timeoutMs } = this.#limits;
    this.#agent = new Agent({
      connections: 1,
      connect: { timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
  }

  /** Whether more can wait. Asked before spans are made, which would be in vain. */
  get hasRoom(): boolean {
    return this.#spans < this.#limits.maxSpans && this.#bytes < this.#limits.maxBytes;
  }

  /** @param spans each as JSON */
  add(spans: readonly string[]): void {
    if (!this.hasRoom || this.#closing.signal.aborted) {
      this.#options.onCount("dropped", spans.length);
      return;
    }
    const { batchSpans, delayMs } = this.#limits;
    let batch = this.#batches.at(-1);
    let before = batch?.byteLength ?? 0;
    if (batch === undefined || batch.spans >= batchSpans || !batch.hasRoomFor(spans)) {
      batch = new SpanBatch(this.#options.frame, spans);
      this.#batches.push(batch);
      before = 0;
    }
    batch.add(spans);
    this.#spans += spans.length;
    this.#bytes += batch.byteLength - before;
    if (this.#hasWholeBatch) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), delayMs).unref();
  }

  /** Sends what waits. @param ms the longest wait for the collector; what it has not taken then stays in the queue */
  async flush(ms: number): Promise<void> {
    const everything = async () => {
      while (this.#batches.length > 0 && !this.#closing.signal.aborted) {
        this.#start();
        await this.#running;
      }
      await this.#running;
    };
    await Promise.race([everything(), delay(ms, undefined, { ref: false })]);
  }

  /** Sends what waits, for no longer than this, and drops the rest. */
  async close(ms: number): Promise<void> {
    await this.flush(ms);
    this.#closing.abort();
    this.#call?.abort();
    await this.#running;
    for (const batch of this.#batches.splice(0)) {
      this.#options.onCount("dropped", batch.spans);
      this.#leave(batch);
    }
    await this.#agent.destroy();
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#running !== undefined || this.#batches.length === 0) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#batches.length > 0 && !this.#closing.signal.aborted)
        this.#timer ??= setTimeout(() => this.#start(), this.#limits.delayMs).unref();
    });
  }

  get #hasWholeBatch(): boolean {
    return this.#batches.length > 1 || (this.#batches[0]?.spans ?? 0) >= this.#limits.batchSpans;
  }

  /** What waits, and then whole batches while there are any: spans that came during an export wait for others. */
  async #run(): Promise<void> {
    do {
      const batch = this.#batches.shift();
      if (batch === undefined) return;
      let problem: string | undefined;
      try {
        problem = await this.#deliver(batch);
      } catch (error) {
        // Whatever it was, the spans are lost and the next batch may fare better.
        problem = String(error);
      }
      if (problem !== undefined) this.#options.onCount("dropped", batch.spans);
      this.#say(problem);
      this.#leave(batch);
    } while (this.#hasWholeBatch && !this.#closing.signal.aborted);
  }

  /** @returns what was in the way, undefined when the collector has taken them */
  async #deliver(batch: SpanBatch): Promise<string | undefined> {
    const plain = batch.body();
    const zips = this.#zips && plain.length >= gzipFrom;
    const body = zips ? await compress(plain, { level: 1 }) : plain;
    const headers = {
      ...this.#options.headers,
      "content-type": "application/json",
      ...(zips && { "content-encoding": "gzip" }),
    };
    for (let tried = 1; ; tried++) {
      const sent = await this.#send(body, headers, batch.spans);
      if (sent === "done") return undefined;
      if (!sent.again || tried >= this.#limits.tries || this.#closing.signal.aborted) return sent.problem;
      this.#say(sent.problem);
      const growing = this.#limits.backoffMs * 2 ** (tried - 1) * (0.8 + 0.4 * Math.random());
      await this.#pause(Math.min(sent.waitMs ?? growing, this.#limits.maxBackoffMs));
    }
  }

  async #send(body: Uint8Array, headers: Readonly<Record<string, string>>, spans: number): Promise<Sent> {
    const call = new AbortController();
    this.#call = call;
    const timer = setTimeout(() => call.abort(new Error("not in time")), this.#limits.timeoutMs);
    try {
      const {
        statusCode,
        headers: given,
        body: answer,
      } = await request(this.#options.url, {
        method: "POST",
        headers,
        body,
        dispatcher: this.#agent,
        signal: call.signal,
      });
      if (statusCode >= 200 && statusCode < 300) {
        const rejected = Math.min(rejectedIn(await textOf(answer)), spans);
        if (rejected > 0) this.#options.onCount("dropped", rejected);
        this.#options.onCount("exported", spans - rejected);
        return "done";
      }
      await answer.dump({ limit: maxAnswerBytes });
      const seconds = Number(given["retry-after"] ?? Number.NaN);
      const waitMs = seconds >= 0 ? seconds * 1000 : undefined;
      return { problem: `the collector answered ${statusCode}`, again: passing.has(statusCode), waitMs };
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      return { problem: `the collector gave no answer (${cause})`, again: true, waitMs: undefined };
    } finally {
      clearTimeout(timer);
    }
  }

  async #pause(ms: number): Promise<void> {
    try {
      await delay(ms, undefined, { ref: false, signal: this.#closing.signal });
    } catch (error) {
      if (!this.#closing.signal.aborted) throw error;
    }
  }

  #leave(batch: SpanBatch): void {
    this.#spans -= batch.spans;
    this.#bytes -= batch.byteLength;
  }

  /** Once when it begins, once when it is over. */
  #say(problem: string | undefined): void {
    const failing = problem !== undefined;
    if (failing === this.#failing || this.#closing.signal.aborted) return;
    this.#failing = failing;
    this.#options.onHealth(problem);
  }
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > maxAnswerBytes) return "";
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** How many spans the collector did not want, of those it was given. */
function rejectedIn(answer: string): number {
  const match = /"rejectedSpans"\s*:\s*"?(\d+)/.exec(answer);
  return match === null ? 0 : Number(match[1]);
}
