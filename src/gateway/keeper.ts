/** Beside a request that the cache had no answer for: takes down what it is answered, and keeps it when it is whole. */
import type { SemanticCache, Ticket } from "../cache/cache.ts";
import type { Usage } from "../telemetry/usage.ts";
import { AnswerCollector } from "./answer-collector.ts";
import type { Attempted, FrameSink, FrameSource } from "./attempt.ts";
import type { TextAnswerFormat } from "./client-format.ts";
import { isConverseResponse, isSameInStream } from "./kept-answer.ts";
import { ObservedSource } from "./observed-source.ts";

/** Reads the bytes that a client was answered with into a Converse response; undefined when that cannot be done. */
export interface AnswerReader {
  /** @param usage what is known of it beside the body */
  whole(body: Uint8Array, usage: Usage | undefined): unknown;
  frames(runs: readonly Uint8Array[], usage: Usage | undefined): unknown;
}

export interface KeeperParts {
  readonly cache: SemanticCache;
  readonly ticket: Ticket;
  /** For answers whose bytes pass as they came; undefined where they are written here, see {@link Keeper.tap}. */
  readonly reader: AnswerReader | undefined;
  readonly onProblem: (message: string) => void;
}

/**
 * Answers beyond this are not kept: to read them would hold up everybody else on the thread, and the frames of a stream
 * would take up memory until its end. Bytes.
 */
export const mostKeptBytes = 4 * 1024 * 1024;

export class Keeper {
  readonly #parts: KeeperParts;
  /** What was written here last, should it turn out to be the answer. */
  #written: (() => unknown) | undefined;
  #done = false;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** The format, with an ear for the answer that is written in it. */
  tap<Format extends TextAnswerFormat>(format: Format): Format & { readonly form: undefined } {
    return {
      ...format,
      form: undefined,
      untapped: format.form,
      answer: (response) => {
        this.#written = () => response;
        return format.answer(response);
      },
      stream: (startedAt) => {
        const stream = format.stream(startedAt);
        const collector = new AnswerCollector();
        this.#written = () => collector.answer();
        return {
          headers: stream.headers,
          encode: (event) => {
            for (const [name, payload] of Object.entries(event)) collector.push(name, payload);
            return stream.encode(event);
          },
          stopReason: () => stream.stopReason(),
        };
      },
    };
  }

  /** Sees how an attempt ends. The client gets the same bytes as without it. */
  watch(attempted: Attempted): Attempted {
    switch (attempted.kind) {
      case "failure":
      case "bytes":
        this.drop();
        return attempted;
      case "answer": {
        const { status, body, usage } = attempted;
        if (status === 200 && body.length > mostKeptBytes) this.drop();
        else if (status === 200 && typeof body !== "string")
          this.#keepLater(() => this.#parts.reader?.whole(body, usage));
        else if (status === 200) this.#keepLater(() => undefined);
        else this.drop();
        return attempted;
      }
      case "stream": {
        const tape = this.#parts.reader === undefined ? undefined : new Tape(attempted.source);
        const source = new ObservedSource(tape ?? attempted.source, (outcome, usage) => {
          if (outcome === "success") this.#keepLater(() => tape && this.#parts.reader?.frames(tape.runs, usage));
          else this.drop();
        });
        return { ...attempted, source };
      }
    }
  }

  /** There is no answer that could be kept. */
  drop(): void {
    if (this.#done) return;
    this.#done = true;
    this.#parts.cache.release(this.#parts.ticket);
  }

  /** After the client has its last byte: nobody should wait for this. */
  #keepLater(read: () => unknown): void {
    if (this.#done) return;
    this.#done = true;
    setImmediate(() => {
      const { cache, ticket, onProblem } = this.#parts;
      try {
        const answer = this.#written === undefined ? read() : this.#written();
        if (isConverseResponse(answer) && isSameInStream(answer)) cache.store(ticket, answer);
      } catch (error) {
        onProblem(`an answer could not be kept: ${String(error)}`);
      } finally {
        cache.release(ticket);
      }
    });
  }
}

/** Remembers what passes. */
class Tape implements FrameSource {
  readonly #source: FrameSource;
  #bytes = 0;
  /** Empty when it was too much. */
  runs: Uint8Array[] = [];

  constructor(source: FrameSource) {
    this.#source = source;
  }

  start(sink: FrameSink): void {
    this.#source.start({
      frames: (bytes, complete) => {
        this.#bytes += bytes.byteLength;
        if (this.#bytes <= mostKeptBytes) this.runs.push(bytes);
        else this.runs = [];
        return sink.frames(bytes, complete);
      },
      end: (failure) => sink.end(failure),
    });
  }

  resume(): void {
    this.#source.resume();
  }

  cancel(): void {
    this.#source.cancel();
  }

  usage(): ReturnType<FrameSource["usage"]> {
    return this.#source.usage();
  }

  exception(): string | undefined {
    return this.#source.exception();
  }

  stopReason(): string | undefined {
    return this.#source.stopReason();
  }
}
