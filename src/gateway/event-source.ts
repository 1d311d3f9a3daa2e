/** A stream whose events the gateway writes itself: Converse events in, the client's frames out. */
import type { ConverseEvent } from "../bedrock/converse.ts";
import { BedrockError } from "../bedrock/errors.ts";
import type { Usage } from "../telemetry/usage.ts";
import type { FrameSink, FrameSource } from "./attempt.ts";
import { type StreamFormat, usageOf } from "./client-format.ts";

/** Without a tokenizer: about four bytes of text to a token. Used only for streams that were cut. */
const bytesPerToken = 4;

/** Whoever brings the events. It rests until the first `resume`. */
export interface EventFeed {
  /** The reader is behind: push no more until `resume`. What is pushed all the same is taken. */
  pause(): void;
  resume(): void;
  /** Nobody takes events any more. */
  cancel(): void;
}

/**
 * Made once it is sure that an answer will stream: as it starts, the client sees status 200. The stream is over with
 * its `metadata` event, with `fail`, or with `end`, whichever comes first; what is pushed later is left.
 */
export class ConverseSource implements FrameSource {
  readonly #format: StreamFormat;
  readonly #feed: EventFeed;
  #sink: FrameSink | undefined;
  #held: Uint8Array[] = [];
  #paused = true;
  #complete = false;
  #over: { readonly failure: BedrockError | undefined } | undefined;
  #usage: Usage | undefined;
  #textBytes = 0;

  constructor(format: StreamFormat, feed: EventFeed) {
    this.#format = format;
    this.#feed = feed;
  }

  /** Takes events. All their frames leave in one piece. */
  push(events: readonly ConverseEvent[]): void {
    if (this.#over !== undefined) return;
    const frames: Uint8Array[] = [];
    try {
      for (const event of events) {
        frames.push(...this.#format.encode(event));
        this.#note(event);
        if (this.#complete) break;
      }
    } catch (error) {
      this.#deliver(frames);
      this.#feed.cancel();
      this.#finish(error instanceof BedrockError ? error : fault(error));
      if (error instanceof BedrockError) return;
      throw error;
    }
    this.#deliver(frames);
    if (this.#complete) {
      this.#finish(undefined);
      // A feed that rests would keep its upstream open behind the stream's end.
      if (this.#paused) this.#feed.resume();
    }
  }

  /** The answer cannot go on. */
  fail(error: BedrockError): void {
    this.#finish(error);
  }

  /** No more events will come. Before the terminal one that is a failure. */
  end(): void {
    this.#finish(new BedrockError("ModelStreamErrorException", "The model's stream ended before its terminal event."));
  }

  start(sink: FrameSink): void {
    this.#sink = sink;
    const held = this.#held;
    this.#held = [];
    const flowing = held.length === 0 || sink.frames(join(held), this.#complete);
    if (this.#over !== undefined) sink.end(this.#over.failure);
    else if (flowing) this.resume();
  }

  resume(): void {
    if (!this.#paused || this.#over !== undefined) return;
    this.#paused = false;
    this.#feed.resume();
  }

  cancel(): void {
    if (this.#over !== undefined) return;
    this.#over = { failure: undefined };
    this.#held = [];
    this.#feed.cancel();
  }

  /** Failures leave through the sink's `end`; no exception passes as a frame. */
  exception(): undefined {
    return undefined;
  }

  stopReason(): string | undefined {
    return this.#format.stopReason();
  }

  usage(): { usage: Usage | undefined; estimated: boolean } {
    if (this.#usage !== undefined || this.#textBytes === 0) return { usage: this.#usage, estimated: false };
    return { usage: { inputTokens: 0, outputTokens: Math.ceil(this.#textBytes / bytesPerToken) }, estimated: true };
  }

  #note(event: ConverseEvent): void {
    if ("contentBlockDelta" in event) this.#textBytes += textBytes(event.contentBlockDelta.delta);
    if (!("metadata" in event)) return;
    this.#usage = usageOf(event.metadata.usage);
    this.#complete = true;
  }

  #deliver(frames: readonly Uint8Array[]): void {
    if (frames.length === 0) return;
    if (this.#sink === undefined) {
      for (const frame of frames) this.#held.push(frame);
      this.#pause();
    } else if (!this.#sink.frames(join(frames), this.#complete)) {
      this.#pause();
    }
  }

  #pause(): void {
    if (this.#complete) return;
    this.#paused = true;
    this.#feed.pause();
  }

  #finish(failure: BedrockError | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = { failure };
    this.#sink?.end(failure);
  }
}

/** The client's stream ends in order whatever happened here; what did is for whoever catches it. */
function fault(cause: unknown): BedrockError {
  return new BedrockError("InternalServerException", "The gateway failed to write this stream.", { cause });
}

function join(frames: readonly Uint8Array[]): Uint8Array {
  const [only] = frames;
  return frames.length === 1 && only !== undefined ? only : Buffer.concat(frames);
}

/** Bytes of a delta's text, reasoning and tool input included. */
function textBytes(
  delta: Extract<ConverseEvent, { contentBlockDelta: unknown }>["contentBlockDelta"]["delta"],
): number {
  if ("text" in delta) return Buffer.byteLength(delta.text);
  if ("toolUse" in delta) return Buffer.byteLength(delta.toolUse.input);
  if ("reasoningContent" in delta && "text" in delta.reasoningContent) {
    return Buffer.byteLength(delta.reasoningContent.text);
  }
  return 0;
}
