/** A Bedrock event stream on its way through: whole frames pass as they came, and are read only for what matters. */

import { BedrockError } from "../bedrock/errors.ts";
import { encodeException, type Frame, FrameCutter, FrameError, readFrame } from "../bedrock/event-stream.ts";
import { type InvokeChunkFacts, readInvokeChunk, readMetadataUsage, readStopReason } from "../bedrock/stream-facts.ts";
import type { Usage } from "../telemetry/usage.ts";
import type { BodyReader, UpstreamAnswer, UpstreamError } from "../upstream/dispatch.ts";
import type { FrameSink, FrameSource } from "./attempt.ts";
import { sentence } from "./failures.ts";

/** Without a tokenizer: about four bytes of JSON text to a token. Used only for streams that were cut. */
const bytesPerToken = 4;

const noBytes = Buffer.alloc(0);

/** How the stream began: with an event, with an exception, or not at all. */
export type Beginning =
  | { readonly kind: "event" }
  | { readonly kind: "exception"; readonly type: string; readonly payload: Uint8Array }
  | { readonly kind: "nothing"; readonly error: UpstreamError | FrameError | undefined };

export class RelayStream implements FrameSource, BodyReader {
  /** Settles when the first event has been read, or when it is clear that none will come. */
  readonly beginning: Promise<Beginning>;
  readonly #answer: UpstreamAnswer;
  readonly #cancelCall: () => void;
  readonly #invoke: boolean;
  readonly #redact: (payload: Uint8Array) => string | undefined;
  /** How many events the beginning takes: with two, an upstream that only says hello has not begun. */
  #eventsToBegin: number;
  readonly #cutter = new FrameCutter();
  #begin: ((beginning: Beginning) => void) | undefined;
  #sink: FrameSink | undefined;
  #held: Uint8Array[] = [];
  #replacement: Buffer | undefined;
  /** The bytes being cut, and the end of the last whole frame in them. */
  #reading: Buffer = noBytes;
  #readTo = 0;
  #complete = false;
  #over: { readonly failure: BedrockError | undefined } | undefined;
  #usage: Usage | undefined;
  #stopReason: string | undefined;
  #textBytes = 0;
  #exception: string | undefined;

  /**
   * @param invoke the frames are `chunk` events of InvokeModelWithResponseStream, not Converse events
   * @param redact gives an exception's payload without our credentials, or undefined when it repeats none
   * @param untilContent the stream has begun with the event behind its first, which only opens the message
   */
  constructor(
    answer: UpstreamAnswer,
    cancelCall: () => void,
    invoke: boolean,
    redact: (payload: Uint8Array) => string | undefined,
    untilContent = false,
  ) {
    this.#answer = answer;
    this.#cancelCall = cancelCall;
    this.#invoke = invoke;
    this.#redact = redact;
    this.#eventsToBegin = untilContent ? 2 : 1;
    this.beginning = new Promise((resolve) => {
      this.#begin = resolve;
    });
    answer.read(this);
  }

  start(sink: FrameSink): void {
    this.#sink = sink;
    for (const run of this.#held) sink.frames(run, this.#complete);
    this.#held = [];
    if (this.#over === undefined) this.#answer.resume();
    else sink.end(this.#over.failure);
  }

  resume(): void {
    this.#answer.resume();
  }

  cancel(): void {
    this.#cancelCall();
  }

  exception(): string | undefined {
    return this.#exception;
  }

  stopReason(): string | undefined {
    return this.#stopReason;
  }

  usage(): { usage: Usage | undefined; estimated: boolean } {
    if (this.#usage !== undefined && this.#complete) return { usage: this.#usage, estimated: false };
    if (this.#textBytes === 0) return { usage: this.#usage, estimated: false };
    const outputTokens = Math.ceil(this.#textBytes / bytesPerToken);
    return { usage: { inputTokens: 0, ...this.#usage, outputTokens }, estimated: true };
  }

  data(chunks: readonly Buffer[]): void {
    if (this.#over !== undefined) return;
    this.#readTo = 0;
    try {
      const run = this.#cutter.push(
        chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks),
        this.#onFrame,
      );
      if (run !== undefined) this.#deliver(this.#replaced(run));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      // What stood whole before the damage is the client's.
      if (this.#readTo > 0) this.#deliver(this.#replaced(this.#reading.subarray(0, this.#readTo)));
      this.#finish(
        new BedrockError("ModelStreamErrorException", `The model's stream is damaged: ${error.message}`),
        error,
      );
      this.#cancelCall();
    }
  }

  end(): void {
    if (this.#over !== undefined) return;
    const cut = !this.#complete || this.#cutter.pending > 0;
    const failure = new BedrockError(
      "ModelStreamErrorException",
      "The model's stream ended before its terminal event.",
    );
    this.#finish(cut ? failure : undefined, undefined);
  }

  error(error: UpstreamError): void {
    if (this.#over !== undefined) return;
    if (this.#complete) this.#finish(undefined, undefined);
    else if (error.fault === "timeout")
      this.#finish(new BedrockError("ModelTimeoutException", sentence(error.message)), error);
    else this.#finish(new BedrockError("ModelStreamErrorException", sentence(error.message)), error);
  }

  #deliver(run: Uint8Array): void {
    if (this.#sink === undefined) {
      this.#held.push(run);
      if (this.#begin === undefined) this.#answer.pause();
    } else if (!this.#sink.frames(run, this.#complete)) {
      this.#answer.pause();
    }
  }

  #finish(failure: BedrockError | undefined, error: UpstreamError | FrameError | undefined): void {
    this.#over = { failure };
    this.#begun({ kind: "nothing", error });
    this.#sink?.end(failure);
  }

  #begun(beginning: Beginning): void {
    this.#begin?.(beginning);
    this.#begin = undefined;
  }

  readonly #onFrame = (run: Buffer, start: number, end: number): void => {
    const frame = readFrame(run, start, end);
    this.#reading = run;
    this.#readTo = end;
    if (frame.kind === "exception" || frame.kind === "error") this.#onException(frame, run.subarray(0, start));
    else if (this.#invoke) this.#onChunk(frame);
    else this.#onConverseEvent(frame);
    if (frame.kind === "event" && this.#eventsToBegin-- === 1) this.#begun({ kind: "event" });
  };

  #onException(frame: Frame, before: Uint8Array): void {
    this.#complete = true;
    this.#exception = frame.type;
    this.#begun({ kind: "exception", type: frame.type, payload: frame.payload });
    const message = this.#redact(frame.payload);
    if (message === undefined) return;
    const stream = this.#invoke ? "InvokeModelWithResponseStream" : "ConverseStream";
    const exception = encodeException(new BedrockError("ModelStreamErrorException", message), stream, frame.type);
    this.#replacement = Buffer.concat([before, exception]);
  }

  /** Nothing follows an exception, so the run that holds it ends with it. */
  #replaced(run: Uint8Array): Uint8Array {
    const replacement = this.#replacement;
    this.#replacement = undefined;
    return replacement ?? run;
  }

  #onConverseEvent(frame: Frame): void {
    if (frame.type === "contentBlockDelta") {
      this.#textBytes += deltaBytes(frame.payload);
    } else if (frame.type === "messageStop") {
      this.#stopReason = readStopReason(frame.payload);
    } else if (frame.type === "metadata") {
      this.#complete = true;
      this.#usage = readMetadataUsage(frame.payload) ?? this.#usage;
    }
  }

  #onChunk(frame: Frame): void {
    const facts: InvokeChunkFacts = readInvokeChunk(frame.payload);
    this.#textBytes += facts.textBytes;
    if (facts.usage !== undefined) this.#usage = { ...this.#usage, ...facts.usage };
    this.#stopReason = facts.stopReason ?? this.#stopReason;
    if (facts.last) this.#complete = true;
  }
}

/** The size of a delta event's text: its payload without the envelope and the padding member `p` at its end. */
function deltaBytes(payload: Uint8Array): number {
  const envelope = '{"contentBlockIndex":0,"delta":{"text":""}}'.length;
  const padding = Buffer.from(payload.buffer, payload.byteOffset, payload.length).lastIndexOf(',"p":"');
  return Math.max(0, (padding === -1 ? payload.length : padding + 1) - envelope);
}
