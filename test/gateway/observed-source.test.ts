import { describe, expect, test } from "vitest";
import { BedrockError } from "../../src/bedrock/errors.ts";
import type { FrameSink, FrameSource } from "../../src/gateway/attempt.ts";
import { ObservedSource } from "../../src/gateway/observed-source.ts";

const usage = { inputTokens: 3, outputTokens: 5 };

class Scripted implements FrameSource {
  sink: FrameSink | undefined;
  resumed = 0;
  cancelled = 0;
  passed: string | undefined;
  start(sink: FrameSink): void {
    this.sink = sink;
  }
  resume(): void {
    this.resumed++;
  }
  cancel(): void {
    this.cancelled++;
  }
  usage() {
    return { usage, estimated: false };
  }
  stopReason(): string {
    return "end_turn";
  }
  exception(): string | undefined {
    return this.passed;
  }
}

function observe() {
  const source = new Scripted();
  const told: unknown[][] = [];
  const ends: (BedrockError | undefined)[] = [];
  const frames: { readonly bytes: string; readonly complete: boolean }[] = [];
  let flowing = true;
  const observed = new ObservedSource(source, (...outcome) => told.push(outcome));
  observed.start({
    frames: (bytes, complete) => {
      frames.push({ bytes: Buffer.from(bytes).toString(), complete });
      return flowing;
    },
    end: (failure) => ends.push(failure),
  });
  const { sink } = source;
  if (sink === undefined) throw new Error("the source was not started");
  const stop = () => {
    flowing = false;
  };
  return { source, observed, sink, told, ends, frames, stop };
}

describe("a stream that is observed", () => {
  test("passes frames, pace and usage on as they are", () => {
    const { source, observed, sink, frames, stop, told } = observe();
    expect(sink.frames(Buffer.from("one"), false)).toBe(true);
    stop();
    expect(sink.frames(Buffer.from("two"), true)).toBe(false);
    observed.resume();
    expect(frames).toEqual([
      { bytes: "one", complete: false },
      { bytes: "two", complete: true },
    ]);
    expect(source.resumed).toBe(1);
    expect(observed.usage()).toEqual({ usage, estimated: false });
    expect(told).toEqual([]);
  });

  test("that ends well is a success, with what it used, told before its end", () => {
    const { sink, told, ends } = observe();
    sink.end();
    expect(told).toEqual([["success", usage]]);
    expect(ends).toEqual([undefined]);
  });

  test.each([
    [new BedrockError("ModelTimeoutException", "silent"), "timeout"],
    [new BedrockError("ModelStreamErrorException", "cut"), "server"],
  ])("that breaks is a failure of its kind: %s", (error, kind) => {
    const { sink, told, ends } = observe();
    sink.end(error);
    expect(told).toEqual([[kind, usage]]);
    expect(ends).toEqual([error]);
  });

  test("in which an exception passed is a failure although it ended well", () => {
    const { source, sink, told } = observe();
    source.passed = "throttlingException";
    sink.end();
    expect(told).toEqual([["server", usage]]);
  });

  test("that its reader leaves says nothing of the key, and ends once", () => {
    const { source, observed, sink, told } = observe();
    observed.cancel();
    sink.end(new BedrockError("ModelStreamErrorException", "cut"));
    observed.cancel();
    expect(told).toEqual([["cancelled", usage]]);
    expect(source.cancelled).toBe(2);
  });

  test("that has ended is not cancelled afterwards", () => {
    const { observed, sink, told } = observe();
    sink.end();
    observed.cancel();
    expect(told).toEqual([["success", usage]]);
  });
});
