/** Many streams that are open at the same time: whether every byte is right, and how late each event comes. */
import { connect, type Socket } from "node:net";
import { encodeEvent, FrameCutter, FrameError, readFrame } from "../../src/bedrock/event-stream.ts";
import { cpuBetween, memoryOf, processTree, sampleCpu } from "../gateway/process.ts";
import { requestBytes, type Target } from "./connection.ts";
import { ResponseError, ResponseReader } from "./response-reader.ts";
import { type Latencies, latenciesOf } from "./schedule.ts";
import { converseStream, readTimedText, sharedClock } from "./traffic.ts";

export interface StreamsJob extends Pick<Target, "port" | "path" | "headers" | "body"> {
  readonly kind: "streams";
  readonly streams: number;
  /** The streams are opened one after the other within this. */
  readonly rampMs: number;
  /** How long is measured while all are open. */
  readonly holdMs: number;
  /** How many timed events each has. All of them are waited for. */
  readonly events: number;
  /** The frames are to be those of the upstream, byte for byte; otherwise their texts are. */
  readonly exact: boolean;
  /** Process ids; their children are watched with them. */
  readonly watch: readonly number[];
}

export interface StreamsResult {
  /** Streams that came to their end, every byte as it should be. */
  readonly right: number;
  readonly wrong: number;
  readonly firstError?: string;
  /** Timed events that arrived while all streams were open. */
  readonly events: number;
  /** From the upstream's sending to the arrival here, of the same events. */
  readonly delay: Latencies;
  /** Microseconds of CPU in the same time, in the order of `watch`. */
  readonly cpu: readonly number[];
  /** Bytes, at the end of that time. */
  readonly memory: readonly number[];
}

const fixedFrames = [...converseStream.head, ...converseStream.tail];

/** How long after the last event's time the last stream may end. Milliseconds. */
const lateMs = 15_000;

export async function runStreams(job: StreamsJob): Promise<StreamsResult> {
  const trees = job.watch.map((pid) => processTree(pid));
  const request = requestBytes(job);
  const delays: number[] = [];
  const problems: string[] = [];
  const open = new Set<OpenStream>();
  let counting = false;
  let right = 0;
  let wrong = 0;
  for (let n = 0; n < job.streams; n++) {
    setTimeout(
      () => {
        const stream: OpenStream = new OpenStream(job, request, {
          event: (millis) => {
            if (counting) delays.push(millis);
          },
          ended: (problem) => {
            open.delete(stream);
            if (problem === undefined) right++;
            else {
              wrong++;
              problems.push(problem);
            }
          },
        });
        open.add(stream);
      },
      (n * job.rampMs) / job.streams,
    );
  }
  await sleep(job.rampMs);
  const before = trees.map((pids) => sampleCpu(pids));
  counting = true;
  await sleep(job.holdMs);
  counting = false;
  const after = trees.map((pids) => sampleCpu(pids));
  const memory = job.watch.map((pid) => memoryOf(pid));
  // The last one to begin is the last one to end.
  const until = performance.now() + job.rampMs + lateMs;
  while (right + wrong < job.streams && performance.now() < until) await sleep(20);
  const unended = job.streams - right - wrong;
  if (unended > 0) problems.push(`${unended} streams had not ended ${lateMs} ms after they should have`);
  for (const stream of open) stream.close();
  return {
    right,
    wrong: wrong + unended,
    ...(problems[0] !== undefined && { firstError: problems[0] }),
    events: delays.length,
    delay: latenciesOf(delays),
    cpu: after.map((sample, n) => cpuBetween(before[n] ?? new Map(), sample)),
    memory,
  };
}

interface Owner {
  /** A right event has arrived. Milliseconds since it was sent. */
  event(millis: number): void;
  /** @param problem what was wrong with it, if anything was */
  ended(problem: string | undefined): void;
}

class OpenStream {
  readonly #socket: Socket;
  readonly #owner: Owner;
  readonly #job: StreamsJob;
  readonly #cutter = new FrameCutter();
  readonly #reader: ResponseReader;
  #events = 0;
  /** Frames that are not timed events. */
  #fixed = 0;
  #lastType = "";
  #over = false;

  constructor(job: StreamsJob, request: Buffer, owner: Owner) {
    this.#job = job;
    this.#owner = owner;
    this.#reader = new ResponseReader((bytes) => {
      // What says why there is no stream is no frame.
      if (this.#reader.status === 200) this.#cutter.push(bytes, (run, start, end) => this.#check(run, start, end));
    });
    this.#socket = connect({ port: job.port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("connect", () => this.#socket.write(request));
    this.#socket.on("data", (bytes) => this.#read(bytes));
    this.#socket.on("error", (error) => this.#end(error.message));
    this.#socket.on("close", () => this.#end("a stream broke off"));
  }

  close(): void {
    this.#over = true;
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    if (this.#over) return;
    try {
      if (!this.#reader.push(bytes)) return;
    } catch (error) {
      if (!(error instanceof ResponseError || error instanceof FrameError || error instanceof WrongFrame)) throw error;
      this.#end(error.message);
      return;
    }
    if (this.#reader.status !== 200) this.#end(`a stream has the status ${this.#reader.status}`);
    else if (this.#events !== this.#job.events) this.#end(`a stream ended after ${this.#events} events`);
    else if (this.#lastType !== "metadata") this.#end(`a stream ended with ${this.#lastType}`);
    else this.#end(undefined);
  }

  /** @throws WrongFrame */
  #check(run: Buffer, start: number, end: number): void {
    const { type, payload } = readFrame(run, start, end);
    const frame = run.subarray(start, end);
    this.#lastType = type;
    if (type !== "contentBlockDelta") {
      if (this.#job.exact && !frame.equals(fixedFrames[this.#fixed++] ?? Buffer.alloc(0)))
        throw new WrongFrame(`the ${type} of a stream has other bytes than it should`);
      return;
    }
    const json = Buffer.from(payload).toString();
    const text: unknown = JSON.parse(json)?.delta?.text;
    const timed = typeof text === "string" ? readTimedText(text) : undefined;
    if (timed === undefined || timed.sequence !== this.#events)
      throw new WrongFrame(`event ${this.#events} of a stream is ${json.slice(0, 100)}`);
    const expected = this.#job.exact ? converseStream.text(String(text)) : encodeEvent(type, json);
    if (!frame.equals(expected))
      throw new WrongFrame(`event ${this.#events} of a stream has other bytes than it should`);
    this.#events++;
    this.#owner.event((sharedClock() - timed.micros) / 1000);
  }

  #end(problem: string | undefined): void {
    if (this.#over) return;
    this.close();
    this.#owner.ended(problem);
  }
}

class WrongFrame extends Error {}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
