/** A stream whose end is told to whoever has to know how it went. */
import type { FailureKind } from "../keys/attempt.ts";
import type { Usage } from "../telemetry/usage.ts";
import type { FrameSink, FrameSource } from "./attempt.ts";

/** Called exactly once. */
export type StreamOutcome = (outcome: "success" | FailureKind, usage: Usage | undefined) => void;

export class ObservedSource implements FrameSource {
  readonly #source: FrameSource;
  readonly #tell: StreamOutcome;
  #told = false;

  constructor(source: FrameSource, tell: StreamOutcome) {
    this.#source = source;
    this.#tell = tell;
  }

  start(sink: FrameSink): void {
    this.#source.start({
      frames: (bytes, complete) => sink.frames(bytes, complete),
      end: (failure) => {
        if (failure === undefined && this.exception() === undefined) this.#over("success");
        else this.#over(failure?.type === "ModelTimeoutException" ? "timeout" : "server");
        sink.end(failure);
      },
    });
  }

  resume(): void {
    this.#source.resume();
  }

  cancel(): void {
    this.#over("cancelled");
    this.#source.cancel();
  }

  usage(): ReturnType<FrameSource["usage"]> {
    return this.#source.usage();
  }

  stopReason(): string | undefined {
    return this.#source.stopReason();
  }

  exception(): string | undefined {
    return this.#source.exception();
  }

  #over(outcome: "success" | FailureKind): void {
    if (this.#told) return;
    this.#told = true;
    this.#tell(outcome, this.#source.usage().usage);
  }
}
