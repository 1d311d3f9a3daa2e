import { describe, expect, test } from "vitest";
import type { ConverseEvent } from "../../src/bedrock/converse.ts";
import { BedrockError } from "../../src/bedrock/errors.ts";
import type { StreamFormat } from "../../src/gateway/client-format.ts";
import { ConverseSource } from "../../src/gateway/event-source.ts";

const start: ConverseEvent = { messageStart: { role: "assistant" } };
const stop: ConverseEvent = { messageStop: { stopReason: "end_turn" } };
const metadata: ConverseEvent = {
  metadata: {
    usage: { inputTokens: 3, outputTokens: 2, totalTokens: 9, cacheReadInputTokens: 4 },
    metrics: { latencyMs: 1 },
  },
};
const delta = (text: string): ConverseEvent => ({ contentBlockDelta: { contentBlockIndex: 0, delta: { text } } });

/** Frames that are easy to read: the event's name, or for a delta its JSON. */
const format: StreamFormat = {
  headers: [],
  stopReason: () => undefined,
  encode: (event) => Object.entries(event).map(([name]) => Buffer.from(`${name};`)),
};

/** A source with its feed and its reader, and everything that happened in order. */
function setUp(options: { readonly format?: StreamFormat; readonly slow?: boolean } = {}) {
  const log: string[] = [];
  const source = new ConverseSource(options.format ?? format, {
    pause: () => log.push("pause"),
    resume: () => log.push("resume"),
    cancel: () => log.push("cancel"),
  });
  const sink = {
    frames: (bytes: Uint8Array, complete: boolean) => {
      log.push(`${Buffer.from(bytes).toString()}${complete ? "complete" : ""}`);
      return options.slow !== true;
    },
    end: (failure?: BedrockError) => {
      log.push(failure === undefined ? "end" : `end ${failure.type}`);
    },
  };
  return { source, sink, log };
}

describe("a stream of Converse events", () => {
  test("leaves the feed at rest until a reader is there", () => {
    const { source, sink, log } = setUp();
    expect(log).toEqual([]);
    source.start(sink);
    expect(log).toEqual(["resume"]);
  });

  test("gathers the frames of one push, and says which piece completes it", () => {
    const { source, sink, log } = setUp();
    source.start(sink);
    source.push([start, delta("a"), delta("b")]);
    source.push([stop, metadata]);
    expect(log).toEqual([
      "resume",
      "messageStart;contentBlockDelta;contentBlockDelta;",
      "messageStop;metadata;complete",
      "end",
    ]);
    expect(source.exception()).toBeUndefined();
  });

  test("keeps what comes before its reader and asks the feed to wait", () => {
    const { source, sink, log } = setUp();
    source.push([start]);
    source.push([delta("a")]);
    expect(log).toEqual(["pause", "pause"]);
    source.start(sink);
    expect(log.slice(2)).toEqual(["messageStart;contentBlockDelta;", "resume"]);
  });

  test("delivers a stream that was over before its reader came", () => {
    const { source, sink, log } = setUp();
    source.push([start, stop, metadata]);
    log.length = 0;
    source.start(sink);
    expect(log).toEqual(["messageStart;messageStop;metadata;complete", "end"]);
  });

  test("delivers a failure that came before its reader, behind what was kept", () => {
    const { source, sink, log } = setUp();
    source.push([start]);
    source.fail(new BedrockError("ThrottlingException", "slow down"));
    log.length = 0;
    source.start(sink);
    expect(log).toEqual(["messageStart;", "end ThrottlingException"]);
  });

  test("pauses its feed for a slow reader and resumes it when the reader has caught up", () => {
    const { source, sink, log } = setUp({ slow: true });
    source.start(sink);
    source.push([start]);
    expect(log).toEqual(["resume", "messageStart;", "pause"]);
    source.resume();
    source.resume();
    expect(log.slice(3)).toEqual(["resume"]);
  });

  test("does not resume its feed when the reader is behind with what was kept", () => {
    const { source, sink, log } = setUp({ slow: true });
    source.push([start]);
    source.start(sink);
    expect(log).toEqual(["pause", "messageStart;"]);
    source.resume();
    expect(log.at(-1)).toBe("resume");
  });

  test("lets a paused feed run out once the stream is complete", () => {
    const { source, sink, log } = setUp({ slow: true });
    source.start(sink);
    source.push([start]);
    source.push([stop, metadata]);
    expect(log.slice(3)).toEqual(["messageStop;metadata;complete", "end", "resume"]);
  });

  test("never ends silently: an end before the terminal event is a failure", () => {
    const { source, sink, log } = setUp();
    source.start(sink);
    source.push([start, delta("a"), stop]);
    source.end();
    expect(log.at(-1)).toBe("end ModelStreamErrorException");
  });

  test("ends once, whatever follows", () => {
    const { source, sink, log } = setUp();
    source.start(sink);
    source.push([start, stop, metadata, delta("late")]);
    source.push([delta("late")]);
    source.end();
    source.fail(new BedrockError("InternalServerException", "late"));
    expect(log).toEqual(["resume", "messageStart;messageStop;metadata;complete", "end"]);
  });

  test("passes on what came before an event that the client's format cannot say, then fails", () => {
    const refusing: StreamFormat = {
      headers: [],
      stopReason: () => undefined,
      encode: (event) => {
        if ("contentBlockDelta" in event) throw new BedrockError("ModelErrorException", "no form");
        return format.encode(event);
      },
    };
    const { source, sink, log } = setUp({ format: refusing });
    source.start(sink);
    source.push([start, delta("a"), stop, metadata]);
    expect(log).toEqual(["resume", "messageStart;", "cancel", "end ModelErrorException"]);
  });

  test("ends the client's stream in order even for a fault of the gateway, and does not hide it", () => {
    const faulty: StreamFormat = {
      headers: [],
      stopReason: () => undefined,
      encode: () => {
        throw new TypeError("a bug");
      },
    };
    const { source, sink, log } = setUp({ format: faulty });
    source.start(sink);
    expect(() => source.push([start])).toThrow("a bug");
    expect(log).toEqual(["resume", "cancel", "end InternalServerException"]);
  });

  test("ends its feed when the reader leaves, and takes nothing more", () => {
    const { source, sink, log } = setUp();
    source.start(sink);
    source.push([start]);
    source.cancel();
    source.push([delta("late")]);
    source.end();
    expect(log).toEqual(["resume", "messageStart;", "cancel"]);
  });
});

describe("the usage of a stream of Converse events", () => {
  test("is what its metadata says", () => {
    const { source, sink } = setUp();
    source.start(sink);
    source.push([start, delta("four"), stop, metadata]);
    const usage = { inputTokens: 3, outputTokens: 2, cacheReadInputTokens: 4 };
    expect(source.usage()).toEqual({ usage, estimated: false });
  });

  test("is estimated from text, reasoning and tool input where the stream was cut", () => {
    const { source, sink } = setUp();
    source.start(sink);
    source.push([
      start,
      { contentBlockDelta: { contentBlockIndex: 0, delta: { reasoningContent: { text: "żółw" } } } },
      { contentBlockDelta: { contentBlockIndex: 0, delta: { reasoningContent: { signature: "long and no text" } } } },
      delta("1234567890"),
      { contentBlockDelta: { contentBlockIndex: 1, delta: { toolUse: { input: '{"a"' } } } },
    ]);
    source.cancel();
    expect(source.usage()).toEqual({ usage: { inputTokens: 0, outputTokens: 6 }, estimated: true });
  });

  test("is unknown where nothing was said", () => {
    const { source, sink } = setUp();
    source.start(sink);
    source.push([start]);
    source.end();
    expect(source.usage()).toEqual({ usage: undefined, estimated: false });
  });
});
