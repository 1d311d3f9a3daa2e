/** Sends events that are all there already at a pace, and never faster than they are read. */
import type { ConverseEvent } from "../bedrock/converse.ts";
import type { BedrockError } from "../bedrock/errors.ts";
import type { FrameSource } from "./attempt.ts";
import type { StreamFormat } from "./client-format.ts";
import { ConverseSource, type EventFeed } from "./event-source.ts";

/** Without delays this many events leave at once. */
const burstEvents = 256;

/** A stream as it will be. */
export interface Paced {
  readonly events: readonly ConverseEvent[];
  /** What ends the stream behind its last event; undefined when the events are all there is. */
  readonly failure: BedrockError | undefined;
}

/** @param chunkDelayMs the pause before each `contentBlockDelta`, in milliseconds */
export function pacedSource(stream: Paced, chunkDelayMs: number, format: StreamFormat): FrameSource {
  return new PacedFeed(stream, chunkDelayMs, format).source;
}

class PacedFeed implements EventFeed {
  readonly source: ConverseSource;
  readonly #stream: Paced;
  readonly #delayMs: number;
  #next = 0;
  #flowing = false;
  #running = false;
  /** The pause before the next delta is over. */
  #rested = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: Paced, delayMs: number, format: StreamFormat) {
    this.#stream = stream;
    this.#delayMs = delayMs;
    this.source = new ConverseSource(format, this);
  }

  pause(): void {
    this.#flowing = false;
  }

  resume(): void {
    this.#flowing = true;
    this.#run();
  }

  cancel(): void {
    this.#flowing = false;
    this.#next = this.#stream.events.length;
    clearTimeout(this.#timer);
  }

  #run(): void {
    // A reader that catches up while it is being written to resumes from within; the loop below goes on by itself.
    if (this.#running) return;
    this.#running = true;
    while (this.#flowing && this.#timer === undefined) {
      const events = this.#take();
      if (events.length > 0) this.source.push(events);
      else if (this.#next < this.#stream.events.length) this.#rest();
      else {
        this.#flowing = false;
        if (this.#stream.failure === undefined) this.source.end();
        else this.source.fail(this.#stream.failure);
      }
    }
    this.#running = false;
  }

  /** The events up to the next pause. */
  #take(): readonly ConverseEvent[] {
    const { events } = this.#stream;
    const from = this.#next;
    const most = Math.min(events.length, from + burstEvents);
    while (this.#next < most) {
      const event = events[this.#next];
      if (this.#delayMs > 0 && event !== undefined && "contentBlockDelta" in event) {
        if (!this.#rested) break;
        this.#rested = false;
      }
      this.#next++;
    }
    return events.slice(from, this.#next);
  }

  #rest(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#rested = true;
      this.#run();
    }, this.#delayMs);
  }
}
