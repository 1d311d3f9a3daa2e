import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type { BedrockError } from "../../src/bedrock/errors.ts";
import { RelayStream } from "../../src/gateway/relay-stream.ts";
import { type BodyReader, type UpstreamAnswer, UpstreamError } from "../../src/upstream/dispatch.ts";
import {
  anthropicFrames,
  chunkFrame,
  converseFrames,
  decodeFrames,
  eventFrame,
  exceptionFrame,
} from "../support/frames.ts";

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

class Sink {
  readonly runs: { readonly bytes: Buffer; readonly complete: boolean }[] = [];
  ended: { readonly failure: BedrockError | undefined } | undefined;
  flowing = true;

  frames(bytes: Uint8Array, complete: boolean): boolean {
    if (this.ended !== undefined) throw new Error("the stream is over");
    this.runs.push({ bytes: Buffer.from(bytes), complete });
    return this.flowing;
  }

  end(failure?: BedrockError): void {
    if (this.ended !== undefined) throw new Error("the stream is over");
    this.ended = { failure };
  }

  get bytes(): Buffer {
    return Buffer.concat(this.runs.map(({ bytes }) => bytes));
  }
}

const secret = "top-secret-key";

function relay({ invoke = false, started = true } = {}) {
  const answer = new Answer();
  const cancelCall = vi.fn();
  const redact = (payload: Uint8Array) => (Buffer.from(payload).includes(secret) ? "it said [redacted]" : undefined);
  const stream = new RelayStream(answer, cancelCall, invoke, redact);
  const sink = new Sink();
  if (started) stream.start(sink);
  const { reader } = answer;
  if (reader === undefined) throw new Error("the answer is not read");
  return { answer, cancelCall, stream, sink, reader };
}

const frames = converseFrames();
const all = Buffer.concat(frames);

describe("the beginning", () => {
  test("is an event as soon as one is whole", async () => {
    const { stream, reader } = relay({ started: false });
    const seen = vi.fn();
    void stream.beginning.then(seen);
    reader.data([all.subarray(0, 20)]);
    await Promise.resolve();
    expect(seen).not.toHaveBeenCalled();
    reader.data([all.subarray(20, 300)]);
    expect(await stream.beginning).toEqual({ kind: "event" });
  });

  test("is an exception when that comes first", async () => {
    const { stream, reader } = relay({ started: false });
    reader.data([exceptionFrame("throttlingException", "slow")]);
    const beginning = await stream.beginning;
    expect(beginning).toMatchObject({ kind: "exception", type: "throttlingException" });
    if (beginning.kind === "exception") expect(Buffer.from(beginning.payload).toString()).toBe('{"message":"slow"}');
  });

  test("is nothing when the stream ends, breaks or is damaged before", async () => {
    const ended = relay({ started: false });
    ended.reader.end();
    expect(await ended.stream.beginning).toEqual({ kind: "nothing", error: undefined });

    const broken = relay({ started: false });
    const error = new UpstreamError("broken", "the connection broke");
    broken.reader.data([all.subarray(0, 30)]);
    broken.reader.error(error);
    expect(await broken.stream.beginning).toEqual({ kind: "nothing", error });

    const damaged = relay({ started: false });
    damaged.reader.data([Buffer.from("this is no event stream")]);
    expect(await damaged.stream.beginning).toMatchObject({ kind: "nothing", error: { name: "FrameError" } });
    expect(damaged.cancelCall).toHaveBeenCalled();
  });

  test("holds what has come until somebody takes it, and the upstream with it", () => {
    const { answer, stream, reader } = relay({ started: false });
    reader.data([all]);
    reader.end();
    expect(answer.pause).toHaveBeenCalled();
    const sink = new Sink();
    stream.start(sink);
    expect(sink.bytes).toEqual(all);
    expect(sink.ended).toEqual({ failure: undefined });
  });

  test("lets the upstream go on once somebody takes what was held", () => {
    const { answer, stream, reader } = relay({ started: false });
    reader.data([all.subarray(0, 300)]);
    stream.start(new Sink());
    expect(answer.resume).toHaveBeenCalledTimes(1);
  });
});

describe("a stream on its way", () => {
  test("keeps its bytes, however they were split, and says with the last run that nothing has to follow", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(all.length), { maxLength: 15 }), fc.boolean(), (places, together) => {
        const { sink, reader } = relay();
        const cuts = [...new Set([0, ...places, all.length])].sort((a, b) => a - b);
        const pieces = cuts.slice(1).map((end, index) => all.subarray(cuts[index], end));
        if (together) reader.data(pieces);
        else for (const piece of pieces) reader.data([piece]);
        reader.end();
        expect(sink.bytes).toEqual(all);
        expect(sink.runs.at(-1)?.complete).toBe(true);
        expect(sink.runs.slice(0, -1).some(({ complete }) => complete)).toBe(false);
        expect(sink.ended).toEqual({ failure: undefined });
      }),
    );
  });

  test("is handed on in whole frames alone", () => {
    const { sink, reader } = relay();
    for (const byte of all) reader.data([Buffer.from([byte])]);
    expect(sink.runs.map(({ bytes }) => decodeFrames(bytes).length)).toEqual(frames.map(() => 1));
  });

  test("pauses its upstream while the reader is behind", () => {
    const { answer, stream, sink, reader } = relay();
    sink.flowing = false;
    reader.data([all.subarray(0, 300)]);
    expect(answer.pause).toHaveBeenCalledTimes(1);
    answer.resume.mockClear();
    stream.resume();
    expect(answer.resume).toHaveBeenCalledTimes(1);
  });

  test("of an Invoke family ends with its last chunk", () => {
    const { stream, sink, reader } = relay({ invoke: true });
    const chunks = anthropicFrames();
    for (const chunk of chunks) reader.data([chunk]);
    reader.end();
    expect(sink.runs.map(({ complete }) => complete)).toEqual([...Array(chunks.length - 1).fill(false), true]);
    expect(sink.ended).toEqual({ failure: undefined });
    expect(stream.usage()).toEqual({ usage: { inputTokens: 14, outputTokens: 9 }, estimated: false });
  });

  test("ends its call when the reader leaves", () => {
    const { cancelCall, stream } = relay();
    stream.cancel();
    expect(cancelCall).toHaveBeenCalledTimes(1);
  });
});

describe("a stream that is cut", () => {
  const cut = all.subarray(0, all.length - 1);

  test("between two frames is a failure", () => {
    const { sink, reader } = relay();
    reader.data([Buffer.concat(frames.slice(0, 3))]);
    reader.end();
    expect(sink.ended?.failure).toMatchObject({ type: "ModelStreamErrorException" });
  });

  test("within a frame is a failure, and the unfinished frame is not handed on", () => {
    const { sink, reader } = relay();
    reader.data([cut]);
    reader.end();
    expect(decodeFrames(sink.bytes)).toHaveLength(frames.length - 1);
    expect(sink.ended?.failure).toMatchObject({ type: "ModelStreamErrorException" });
  });

  test("within a frame behind the last event is a failure too", () => {
    const { sink, reader } = relay();
    reader.data([Buffer.concat([all, all.subarray(0, 9)])]);
    reader.end();
    expect(sink.ended?.failure).toBeDefined();
  });

  test("by a broken connection is a failure, by silence a timeout", () => {
    for (const [fault, type] of [
      ["broken", "ModelStreamErrorException"],
      ["timeout", "ModelTimeoutException"],
    ] as const) {
      const { sink, reader } = relay();
      reader.data([cut]);
      reader.error(new UpstreamError(fault, "the upstream fell silent"));
      expect(sink.ended?.failure).toMatchObject({ type, message: "The upstream fell silent." });
    }
  });

  test("behind its last event has lost nothing", () => {
    const { sink, reader } = relay();
    reader.data([all]);
    reader.error(new UpstreamError("broken", "reset"));
    expect(sink.ended).toEqual({ failure: undefined });
  });

  test("by damage is a failure, ends the call, and takes nothing more", () => {
    const { cancelCall, sink, reader } = relay();
    reader.data([all.subarray(0, 300)]);
    const before = sink.bytes.length;
    reader.data([Buffer.alloc(1000, 0xff)]);
    expect(sink.ended?.failure?.message).toMatch(/damaged/);
    expect(cancelCall).toHaveBeenCalledTimes(1);
    reader.data([all]);
    reader.end();
    reader.error(new UpstreamError("cancelled", "cancelled"));
    expect(sink.bytes.length).toBe(before);
  });

  test("damaged behind whole frames still brings those", () => {
    const { reader, sink } = relay();
    const whole = Buffer.concat(converseFrames().slice(0, 3));
    reader.data([Buffer.concat([whole, Buffer.from("this is no event stream")])]);
    expect(sink.bytes.equals(whole)).toBe(true);
    expect(sink.ended?.failure?.message).toMatch(/damaged/);
  });

  test("has its output estimated from the text that passed", () => {
    const { stream, reader } = relay();
    const text = "x".repeat(400);
    reader.data([eventFrame("contentBlockDelta", { contentBlockIndex: 0, delta: { text } })]);
    const { usage, estimated } = stream.usage();
    expect(estimated).toBe(true);
    expect(usage?.outputTokens).toBeGreaterThanOrEqual(100);
    expect(usage?.outputTokens).toBeLessThan(110);
  });

  test("before any text has no usage", () => {
    const { stream } = relay();
    expect(stream.usage()).toEqual({ usage: undefined, estimated: false });
  });
});

describe("an exception in a stream", () => {
  test("passes as it came, is known by its name, and needs nothing after it", () => {
    const { stream, sink, reader } = relay();
    const exception = exceptionFrame("modelStreamErrorException", "it broke");
    reader.data([Buffer.concat([...frames.slice(0, 2), exception])]);
    reader.end();
    expect(sink.bytes).toEqual(Buffer.concat([...frames.slice(0, 2), exception]));
    expect(sink.runs.at(-1)?.complete).toBe(true);
    expect(sink.ended).toEqual({ failure: undefined });
    expect(stream.exception()).toBe("modelStreamErrorException");
  });

  test("that repeats one of our credentials keeps its name and loses the credential; the events before it stay", () => {
    const { sink, reader } = relay();
    const exception = exceptionFrame("validationException", `bad key ${secret}`);
    reader.data([Buffer.concat([...frames.slice(0, 2), exception])]);
    reader.end();
    expect(sink.bytes.includes(secret)).toBe(false);
    expect(sink.bytes.subarray(0, -1).indexOf(Buffer.concat(frames.slice(0, 2)))).toBe(0);
    const last = decodeFrames(sink.bytes).at(-1);
    expect(last).toMatchObject({ kind: "exception", type: "validationException" });
    expect(last?.payload.toString()).toBe('{"message":"it said [redacted]"}');
  });

  test("of an Invoke stream is one too", () => {
    const { stream, sink, reader } = relay({ invoke: true });
    reader.data([chunkFrame({ generation: "a", stop_reason: null }), exceptionFrame("modelTimeoutException", "late")]);
    reader.end();
    expect(sink.ended).toEqual({ failure: undefined });
    expect(stream.exception()).toBe("modelTimeoutException");
  });
});
