/** A body on its way through: bytes pass as they come, at their reader's speed. */
import { BedrockError } from "../bedrock/errors.ts";
import type { BodyReader, UpstreamAnswer, UpstreamError } from "../upstream/dispatch.ts";
import type { FrameSink, FrameSource } from "./attempt.ts";
import { sentence } from "./failures.ts";

export class ByteStream implements FrameSource, BodyReader {
  readonly #answer: UpstreamAnswer;
  readonly #cancelCall: () => void;
  #sink: FrameSink | undefined;

  constructor(answer: UpstreamAnswer, cancelCall: () => void) {
    this.#answer = answer;
    this.#cancelCall = cancelCall;
    // Until there is a reader, no more is taken than has come with the head.
    answer.pause();
  }

  start(sink: FrameSink): void {
    this.#sink = sink;
    this.#answer.read(this);
    this.#answer.resume();
  }

  resume(): void {
    this.#answer.resume();
  }

  cancel(): void {
    this.#cancelCall();
  }

  exception(): undefined {
    return undefined;
  }

  stopReason(): undefined {
    return undefined;
  }

  usage(): { readonly usage: undefined; readonly estimated: false } {
    return { usage: undefined, estimated: false };
  }

  data(chunks: readonly Buffer[]): void {
    let flowing = true;
    for (const chunk of chunks) flowing = this.#sink?.frames(chunk, false) ?? true;
    if (!flowing) this.#answer.pause();
  }

  end(): void {
    this.#sink?.end();
  }

  error(error: UpstreamError): void {
    const type = error.fault === "timeout" ? "ModelTimeoutException" : "ServiceUnavailableException";
    this.#sink?.end(new BedrockError(type, sentence(error.message), { cause: error }));
  }
}
