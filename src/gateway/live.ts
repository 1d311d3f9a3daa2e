/** An answer of the management API that goes on: server-sent events, for as long as their reader wants them. */
import type { ReplyHeaders } from "../http/exchange.ts";
import type { ActiveRequest } from "./active-request.ts";

export interface Feed<Filter> {
  /** The next text, as soon as there is some, and at once the first time. Begins and ends with a line break. */
  readonly follow: (query: { readonly filter: Filter; readonly after: number | undefined }) => Promise<{
    readonly after: number;
    readonly text: string;
  }>;
}

/** Every text begins with one, which an event stream passes over. */
const lineBreak = 0x0a;

/** Readers of one thread; each holds a connection. */
const mostReaders = 64;

/** A thread's readers. */
export class LiveReaders {
  readonly #stops = new Set<() => void>();
  #draining = false;

  /** Ends the answers of all readers, and of those to come. */
  drain(): void {
    this.#draining = true;
    for (const stop of this.#stops) stop();
  }

  get isFull(): boolean {
    return this.#stops.size >= mostReaders;
  }

  /**
   * Resolves when the reader has left, or the process drains. A reader that is behind is not asked for: what it misses
   * meanwhile the feed counts.
   */
  async serve<Filter>(
    request: ActiveRequest,
    headers: ReplyHeaders,
    filter: Filter,
    feed: Feed<Filter>,
  ): Promise<void> {
    const stream = request.exchange.open(200, headers);
    let over = false;
    let wake: (() => void) | undefined;
    const stop = (): void => {
      over = true;
      wake?.();
    };
    const stopped = new Promise<undefined>((resolve) => {
      wake = () => resolve(undefined);
    });
    this.#stops.add(stop);
    if (this.#draining) stop();
    request.whenOver(stop);
    try {
      for (let after: number | undefined; !over; ) {
        const page = await Promise.race([feed.follow({ filter, after }), stopped]);
        if (page === undefined || over) break;
        after = page.after;
        const isTaken = stream.write(Buffer.from(page.text), lineBreak);
        if (!isTaken) await Promise.race([new Promise<void>((resolve) => stream.onDrain(resolve)), stopped]);
      }
      stream.write(Buffer.from("\n: the end\n\n"));
      stream.end();
    } catch (error) {
      stream.destroy();
      throw error;
    } finally {
      this.#stops.delete(stop);
      request.whenOver(undefined);
    }
  }
}
