import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ConverseEvent } from "../../src/bedrock/converse.ts";
import { BedrockError } from "../../src/bedrock/errors.ts";
import type { StreamFormat } from "../../src/gateway/client-format.ts";
import { TranslatedStream } from "../../src/gateway/translated-stream.ts";
import type { DialectStream, ProviderFailure, StreamStep } from "../../src/providers/dialect.ts";
import { type BodyReader, UpstreamError } from "../../src/upstream/dispatch.ts";
import { SseReader } from "../../src/upstream/sse.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const start: ConverseEvent = { messageStart: { role: "assistant" } };
const delta: ConverseEvent = { contentBlockDelta: { contentBlockIndex: 0, delta: { text: "a" } } };
const stop: ConverseEvent = { messageStop: { stopReason: "end_turn" } };
const usage = { inputTokens: 3, outputTokens: 2, totalTokens: 5 };
const metadata: ConverseEvent = { metadata: { usage, metrics: { latencyMs: 0 } } };

const failure: ProviderFailure = {
  kind: "failure",
  error: new BedrockError("ThrottlingException", "Slow down, canary."),
  retry: "other_key",
  elsewhere: true,
  exhausted: false,
};

/** What the dialect makes of each event of the upstream, by its data. */
const steps: Readonly<Record<string, StreamStep>> = {
  nothing: { events: [], done: false },
  start: { events: [start], done: false },
  text: { events: [delta], done: false },
  failure: { events: [], failure, done: false },
  last: { events: [stop, metadata], done: true },
};

class ScriptedDialect implements DialectStream {
  push({ data }: { readonly data: string }): StreamStep {
    const step = steps[data];
    if (step === undefined) throw new TypeError(`a bug at ${data}`);
    return step;
  }

  end(): StreamStep {
    return { events: [], failure, done: false };
  }

  usage() {
    return { usage: { inputTokens: 7, outputTokens: 1, totalTokens: 8 }, estimated: true };
  }
}

/** Frames that are easy to read. */
const client: StreamFormat = {
  headers: [],
  stopReason: () => undefined,
  encode: (event) => Object.entries(event).map(([name]) => Buffer.from(`${name};`)),
};

function setUp({ untilContent = false, slow = false, format = client, sentAt = performance.now() } = {}) {
  const log: string[] = [];
  const upstream: { reader?: BodyReader } = {};
  const stream = new TranslatedStream({
    answer: {
      status: 200,
      headers: {},
      read: (reader) => {
        upstream.reader = reader;
      },
      collect: () => Promise.reject(new Error("nobody collects a stream")),
      pause: () => log.push("pause"),
      resume: () => log.push("resume"),
    },
    reader: new SseReader(100),
    events: new ScriptedDialect(),
    client: format,
    sentAt,
    cancel: () => log.push("cancel"),
    untilContent,
    clean: ({ type, message }) => new BedrockError(type, message.replace("canary", "***")),
  });
  const sink = {
    frames: (bytes: Uint8Array, complete: boolean) => {
      log.push(`${Buffer.from(bytes).toString()}${complete ? "complete" : ""}`);
      return !slow;
    },
    end: (error?: BedrockError) => {
      log.push(error === undefined ? "end" : `end ${error.type}: ${error.message}`);
    },
  };
  const { reader } = upstream;
  if (reader === undefined) throw new Error("the stream does not read its upstream");
  const say = (...data: string[]) => reader.data(data.map((one) => Buffer.from(`data: ${one}\n\n`)));
  return { stream, reader, say, sink, log };
}

/** What the beginning is now, or that it is not there yet. */
async function stateOf(beginning: TranslatedStream["beginning"]): Promise<string> {
  const { kind } = await Promise.race([beginning, Promise.resolve({ kind: "waiting" })]);
  return kind;
}

describe("the beginning of a translated stream", () => {
  test("is the first event, and what comes before its reader is kept", async () => {
    const { stream, say, sink, log } = setUp();
    expect(await stateOf(stream.beginning)).toBe("waiting");
    say("nothing");
    expect(await stateOf(stream.beginning)).toBe("waiting");
    say("start");
    expect(await stateOf(stream.beginning)).toBe("event");
    say("text");
    expect(log).toEqual(["pause", "pause"]);
    stream.start(sink);
    expect(log.slice(2)).toEqual(["messageStart;contentBlockDelta;", "resume"]);
  });

  test("is the first content where somebody else could be asked instead, and the upstream is not held up for it", async () => {
    const { stream, say, log } = setUp({ untilContent: true });
    say("start");
    expect(await stateOf(stream.beginning)).toBe("waiting");
    expect(log).toEqual([]);
    say("text");
    expect(await stateOf(stream.beginning)).toBe("event");
  });

  test("may be a failure, and then the upstream's call is over", async () => {
    const { stream, say, log } = setUp();
    say("failure");
    expect(await stream.beginning).toEqual({ kind: "failure", failure });
    expect(log).toEqual(["cancel"]);
  });

  test("may be the end, which is a failure of the dialect's to name", async () => {
    const { stream, reader } = setUp();
    reader.end();
    expect(await stream.beginning).toEqual({ kind: "failure", failure });
  });

  test("may be a broken connection", async () => {
    const { stream, reader } = setUp();
    const error = new UpstreamError("broken", "the connection to the upstream broke");
    reader.error(error);
    expect(await stream.beginning).toEqual({ kind: "unreachable", error });
  });
});

describe("a translated stream", () => {
  test("measures its latency and ends with its metadata", () => {
    const written: ConverseEvent[] = [];
    const format: StreamFormat = {
      headers: [],
      stopReason: () => undefined,
      encode: (event) => {
        written.push(event);
        return client.encode(event);
      },
    };
    const { stream, reader, say, sink, log } = setUp({ format, sentAt: performance.now() - 1234 });
    stream.start(sink);
    say("start", "text", "last");
    reader.end();
    expect(log).toEqual(["resume", "messageStart;contentBlockDelta;messageStop;metadata;complete", "end"]);
    expect(written.at(-1)).toEqual({ metadata: { usage, metrics: { latencyMs: 1234 } } });
    expect(stream.usage()).toEqual({ usage: { inputTokens: 3, outputTokens: 2 }, estimated: false });
  });

  test("keeps the connection of an upstream that ends in time", () => {
    const { stream, reader, say, sink, log } = setUp();
    stream.start(sink);
    say("start", "last");
    vi.advanceTimersByTime(100);
    reader.end();
    vi.advanceTimersByTime(10_000);
    expect(log).not.toContain("cancel");
  });

  test("ends an upstream that goes on behind the last event, whose words count no more", () => {
    const { stream, say, sink, log } = setUp();
    stream.start(sink);
    say("start", "last", "text", "bug");
    say("text");
    vi.advanceTimersByTime(1000);
    expect(log).toEqual(["resume", "messageStart;messageStop;metadata;complete", "end", "cancel"]);
  });

  test("ends with the provider's failure, without our credentials, behind what was said", () => {
    const { stream, say, sink, log } = setUp();
    stream.start(sink);
    say("start", "text", "failure", "text");
    say("last");
    expect(log).toEqual([
      "resume",
      "messageStart;contentBlockDelta;",
      "end ThrottlingException: Slow down, ***.",
      "cancel",
    ]);
  });

  test.each([
    ["timeout", "ModelTimeoutException"],
    ["broken", "ModelStreamErrorException"],
    ["cancelled", "ModelStreamErrorException"],
  ] as const)("that is broken off (%s) ends with %s", (fault, type) => {
    const { stream, reader, say, sink, log } = setUp();
    stream.start(sink);
    say("start");
    reader.error(new UpstreamError(fault, "it is over"));
    expect(log.at(-1)).toBe(`end ${type}: It is over.`);
  });

  test("ends with a failure when an event is too large, and ends the call", () => {
    const { stream, reader, say, sink, log } = setUp();
    stream.start(sink);
    say("start");
    reader.data([Buffer.from(`data: ${"x".repeat(200)}`)]);
    expect(log.at(-2)).toMatch(/^end ModelStreamErrorException: The model's stream is damaged/);
    expect(log.at(-1)).toBe("cancel");
  });

  test("ends in order for a bug of ours, and tells the client nothing of it", () => {
    const { stream, say, sink, log } = setUp();
    stream.start(sink);
    say("start");
    say("bug");
    expect(log.slice(-2)).toEqual(["end InternalServerException: The gateway failed to read this stream.", "cancel"]);
  });

  test("holds its upstream while the reader is behind", () => {
    const { stream, say, sink, log } = setUp({ slow: true });
    stream.start(sink);
    say("start");
    expect(log).toEqual(["resume", "messageStart;", "pause"]);
    stream.resume();
    expect(log.at(-1)).toBe("resume");
  });

  test("ends the upstream's call when the reader leaves, and says what had been used by then", () => {
    const { stream, say, sink, log } = setUp();
    stream.start(sink);
    say("start", "text");
    stream.cancel();
    say("text", "last");
    expect(log).toEqual(["resume", "messageStart;contentBlockDelta;", "cancel"]);
    expect(stream.usage()).toEqual({ usage: { inputTokens: 7, outputTokens: 1 }, estimated: true });
  });
});
