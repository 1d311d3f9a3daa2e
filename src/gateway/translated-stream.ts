/** A provider's stream on its way to the client: its events read by the dialect, and written in the client's format. */
import type { ConverseEvent } from "../bedrock/converse.ts";
import { BedrockError } from "../bedrock/errors.ts";
import type { DialectStream, ProviderFailure, StreamItem, StreamStep } from "../providers/dialect.ts";
import type { Usage } from "../telemetry/usage.ts";
import type { BodyReader, UpstreamAnswer, UpstreamError } from "../upstream/dispatch.ts";
import { type EventReader, SseError } from "../upstream/sse.ts";
import type { FrameSink, FrameSource } from "./attempt.ts";
import { type StreamFormat, usageOf } from "./client-format.ts";
import { ConverseSource, type EventFeed } from "./event-source.ts";
import { sentence } from "./failures.ts";

/** How the stream began: with an event, or not at all. */
export type Beginning =
  | { readonly kind: "event" }
  | { readonly kind: "failure"; readonly failure: ProviderFailure }
  | { readonly kind: "unreachable"; readonly error: UpstreamError };

export interface StreamParts {
  readonly answer: UpstreamAnswer;
  readonly reader: EventReader;
  readonly events: DialectStream;
  readonly client: StreamFormat;
  /** `performance.now()` when the request went up. */
  readonly sentAt: number;
  readonly cancel: () => void;
  /** The stream has begun with its first content, not with the event that opens the message. */
  readonly untilContent: boolean;
  /** The error without our credentials. */
  readonly clean: (error: BedrockError) => BedrockError;
}

/** How long an upstream may take to end its answer once that is complete. */
const releaseMs = 250;

export class TranslatedStream implements FrameSource, BodyReader, EventFeed {
  /** Settles when the first event is there, or when it is clear that none will come. */
  readonly beginning: Promise<Beginning>;
  readonly #parts: StreamParts;
  readonly #source: ConverseSource;
  #begin: ((beginning: Beginning) => void) | undefined;
  #over = false;
  #done = false;
  #patience: NodeJS.Timeout | undefined;
  #failure: ProviderFailure | undefined;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.#source = new ConverseSource(parts.client, this);
    this.beginning = new Promise((resolve) => {
      this.#begin = resolve;
    });
    parts.answer.read(this);
  }

  // For the client's side

  start(sink: FrameSink): void {
    this.#source.start(sink);
  }

  exception(): undefined {
    return this.#source.exception();
  }

  stopReason(): string | undefined {
    return this.#source.stopReason();
  }

  usage(): { usage: Usage | undefined; estimated: boolean } {
    const own = this.#source.usage();
    if (own.usage !== undefined && !own.estimated) return own;
    const { usage, estimated } = this.#parts.events.usage();
    return { usage: usageOf(usage), estimated };
  }

  // For the client's side, and as the feed of the frames

  pause(): void {
    // Until it has begun, nobody reads yet, and what is held is little.
    if (this.#begin === undefined) this.#parts.answer.pause();
  }

  resume(): void {
    this.#parts.answer.resume();
  }

  cancel(): void {
    this.#over = true;
    this.#parts.cancel();
  }

  // From upstream

  data(chunks: readonly Buffer[]): void {
    if (this.#over) return;
    try {
      const events: ConverseEvent[] = [];
      for (const chunk of chunks) this.#read(this.#parts.reader.push(chunk), events);
      this.#deliver(events);
    } catch (error) {
      this.#broken(error);
    }
  }

  end(): void {
    clearTimeout(this.#patience);
    if (this.#over) return;
    try {
      const events: ConverseEvent[] = [];
      this.#read(this.#parts.reader.end(), events);
      if (!this.#over && !this.#done) this.#step(this.#parts.events.end(), events);
      this.#deliver(events);
    } catch (error) {
      this.#broken(error);
    }
  }

  error(error: UpstreamError): void {
    clearTimeout(this.#patience);
    if (this.#over) return;
    this.#over = true;
    this.#begun({ kind: "unreachable", error });
    const type = error.fault === "timeout" ? "ModelTimeoutException" : "ModelStreamErrorException";
    this.#source.fail(new BedrockError(type, sentence(error.message), { cause: error }));
  }

  /** Takes events up to the one that ends the stream; what stands behind it says nothing any more. */
  #read(items: readonly StreamItem[], events: ConverseEvent[]): void {
    for (const item of items) {
      if (this.#done || this.#failure !== undefined) return;
      this.#step(this.#parts.events.push(item), events);
    }
  }

  #step({ events, failure, done }: StreamStep, into: ConverseEvent[]): void {
    for (const event of events) into.push(this.#timed(event));
    this.#failure ??= failure;
    if (done) this.#done = true;
  }

  /** The dialect knows no clock. */
  #timed(event: ConverseEvent): ConverseEvent {
    if (!("metadata" in event)) return event;
    const latencyMs = Math.round(performance.now() - this.#parts.sentAt);
    return { metadata: { ...event.metadata, metrics: { latencyMs } } };
  }

  #deliver(events: readonly ConverseEvent[]): void {
    if (events.length > 0) {
      if (!this.#parts.untilContent || events.some((event) => !("messageStart" in event)))
        this.#begun({ kind: "event" });
      this.#source.push(events);
    }
    if (this.#failure !== undefined) this.#fail(this.#failure);
    else if (this.#done) this.#release();
  }

  /**
   * The answer is complete. An upstream that ends here as well keeps its connection for the next request; one that goes
   * on, because the gateway cut the text or it forgets to close, is ended.
   */
  #release(): void {
    this.#over = true;
    this.#patience = setTimeout(this.#parts.cancel, releaseMs);
  }

  #fail(failure: ProviderFailure): void {
    this.#over = true;
    this.#begun({ kind: "failure", failure });
    this.#source.fail(this.#parts.clean(failure.error));
    this.#parts.cancel();
  }

  /** The upstream's bytes are no stream of events, or the gateway failed to write what it said. */
  #broken(cause: unknown): void {
    const error =
      cause instanceof SseError
        ? new BedrockError("ModelStreamErrorException", `The model's stream is damaged: ${cause.message}.`)
        : new BedrockError("InternalServerException", "The gateway failed to read this stream.", { cause });
    this.#fail({ kind: "failure", error, retry: "nobody", elsewhere: true, exhausted: false });
  }

  #begun(beginning: Beginning): void {
    this.#begin?.(beginning);
    this.#begin = undefined;
  }
}
