/** Sends a planned stream at its own pace, and never faster than it is read. */
import type { ConverseEvent } from "../bedrock/converse.ts";
import type { MockStream } from "../providers/mock/break-off.ts";
import type { FrameSource } from "./attempt.ts";
import type { StreamFormat } from "./client-format.ts";
import { ConverseSource, type EventFeed } from "./event-source.ts";

/** Without delays this many events leave at once. */
const burstEvents = 256;

/** @param chunkDelayMs the pause before each `contentBlockDelta`, in milliseconds */
export function mockSource(stream: MockStream, chunkDelayMs: number, format: StreamFormat): FrameSource {
  return new MockFeed(stream, chunkDelayMs, format).source;
}

class MockFeed implements EventFeed {
  readonly source: ConverseSource;
  readonly #stream: MockStream;
  readonly #delayMs: number;
  #next = 0;
  #flowing = false;
  #running = false;
  /** The pause before the next delta is over. */
  #rested = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: MockStream, delayMs: number, format: StreamFormat) {
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
