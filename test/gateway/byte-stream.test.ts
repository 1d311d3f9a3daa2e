import { describe, expect, test, vi } from "vitest";
import type { BedrockError } from "../../src/bedrock/errors.ts";
import { ByteStream } from "../../src/gateway/byte-stream.ts";
import { type BodyReader, type UpstreamAnswer, UpstreamError } from "../../src/upstream/dispatch.ts";

/** An upstream answer that the test feeds. */
class Answer implements UpstreamAnswer {
  readonly status = 200;
  readonly headers = {};
  readonly pause = vi.fn();
  readonly resume = vi.fn();
  reader: BodyReader | undefined;

  read(reader: BodyReader): void {
    this.reader = reader;
  }

  collect(): Promise<Buffer> {
    throw new Error("a stream is not collected");
  }
}

function open() {
  const answer = new Answer();
  const cancel = vi.fn();
  const stream = new ByteStream(answer, cancel);
  const taken: string[] = [];
  const ends: (BedrockError | undefined)[] = [];
  const reader = { flowing: true };
  const start = () =>
    stream.start({
      frames: (bytes) => {
        taken.push(Buffer.from(bytes).toString());
        return reader.flowing;
      },
      end: (failure) => ends.push(failure),
    });
  return { answer, cancel, stream, taken, ends, reader, start };
}

describe("a body on its way through", () => {
  test("rests until somebody reads it", () => {
    const { answer, start } = open();
    expect(answer.pause).toHaveBeenCalledOnce();
    expect(answer.reader).toBeUndefined();
    start();
    expect(answer.resume).toHaveBeenCalledOnce();
  });

  test("passes its chunks as they come, and ends as it ends", () => {
    const { answer, start, taken, ends, stream } = open();
    start();
    answer.reader?.data([Buffer.from("a"), Buffer.from("b")]);
    answer.reader?.data([Buffer.from("c")]);
    answer.reader?.end();
    expect(taken).toEqual(["a", "b", "c"]);
    expect(ends).toEqual([undefined]);
    expect(stream.usage()).toEqual({ usage: undefined, estimated: false });
    expect(stream.exception()).toBeUndefined();
  });

  test("pauses for its reader, and goes on with it", () => {
    const { answer, start, stream, reader } = open();
    start();
    answer.pause.mockClear();
    answer.reader?.data([Buffer.from("a")]);
    expect(answer.pause).not.toHaveBeenCalled();
    reader.flowing = false;
    answer.reader?.data([Buffer.from("b")]);
    expect(answer.pause).toHaveBeenCalledOnce();
    stream.resume();
    expect(answer.resume).toHaveBeenCalledTimes(2);
  });

  test.each([
    ["timeout", "ModelTimeoutException"],
    ["broken", "ServiceUnavailableException"],
  ] as const)("that breaks off (%s) says so: %s", (fault, type) => {
    const { answer, start, ends } = open();
    start();
    answer.reader?.error(new UpstreamError(fault, "it broke"));
    expect(ends).toEqual([expect.objectContaining({ type, message: "It broke." })]);
  });

  test("whose reader leaves ends the upstream call", () => {
    const { cancel, start, stream } = open();
    start();
    stream.cancel();
    expect(cancel).toHaveBeenCalledOnce();
  });
});
