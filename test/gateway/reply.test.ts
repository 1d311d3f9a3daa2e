import { describe, expect, test, vi } from "vitest";
import { BedrockError } from "../../src/bedrock/errors.ts";
import { ActiveRequest } from "../../src/gateway/active-request.ts";
import type { FrameSink, FrameSource } from "../../src/gateway/attempt.ts";
import { type Ending, replyError, replyReceived, replyStream, replyWhole } from "../../src/gateway/reply.ts";
import { FakeExchange, type FakeReplyStream } from "../support/fake-exchange.ts";
import { decodeFrames, eventFrame, exceptionFrame, payloadOf } from "../support/frames.ts";

function request(operation = "ConverseStream") {
  const exchange = new FakeExchange({ headers: { "x-request-id": "r" } });
  const active = new ActiveRequest(exchange);
  active.operation = operation;
  return { active, exchange };
}

const headerOf = (exchange: FakeExchange, name: string) =>
  exchange.answer?.headers.find(([header]) => header === name)?.[1];

describe("a whole answer", () => {
  const answer = {
    kind: "answer",
    status: 200,
    headers: [["content-type", "application/json"]],
    body: "{}",
    usage: undefined,
  } as const;

  test("goes out with the upstream's headers, the gateway's, the timing, and what was added", () => {
    const { active, exchange } = request();
    expect(replyWhole(active, answer, [["vary", "origin"]])).toEqual({ status: 200, outcome: "success" });
    expect(exchange.answer).toMatchObject({ status: 200, body: "{}" });
    expect(exchange.answer?.headers.map(([name]) => name)).toEqual([
      "content-type",
      "x-amzn-requestid",
      "server-timing",
      "vary",
    ]);
  });

  test("for a client that has left counts as cancelled", () => {
    const { active, exchange } = request();
    exchange.leave();
    expect(replyWhole(active, answer, [])).toEqual({ status: 200, outcome: "cancelled" });
    expect(exchange.answer).toBeUndefined();
  });
});

describe("an error", () => {
  test("has AWS's shape: status, type, request id, message and members", () => {
    const { active, exchange } = request();
    const error = new BedrockError("ModelErrorException", "it failed", { members: { originalStatusCode: 529 } });
    expect(replyError(active, error, [])).toEqual({
      status: 424,
      outcome: "error",
      errorType: "ModelErrorException",
      message: "it failed",
    });
    expect(headerOf(exchange, "x-amzn-errortype")).toBe("ModelErrorException");
    expect(headerOf(exchange, "x-amzn-requestid")).toBe("r");
    expect(headerOf(exchange, "content-type")).toBe("application/json");
    expect(JSON.parse(exchange.answer?.body ?? "")).toEqual({ message: "it failed", originalStatusCode: 529 });
  });

  test("that waiting helps with says how long, in seconds and in AWS's milliseconds, rounded up", () => {
    const { active, exchange } = request();
    replyError(active, new BedrockError("ThrottlingException", "slow", { retryAfterSeconds: 1.2345 }), []);
    expect(headerOf(exchange, "retry-after")).toBe("2");
    expect(headerOf(exchange, "x-amz-retry-after")).toBe("1235");
  });

  test("of a request for files, served or not, is XML", () => {
    for (const path of ["/bedrock/files/bucket/k", "//bedrock//files", "/bedrock/files/"]) {
      const exchange = new FakeExchange({ path, headers: { "x-request-id": "r" } });
      replyError(new ActiveRequest(exchange), new BedrockError("ValidationException", "a < b"), []);
      expect(headerOf(exchange, "content-type")).toBe("application/xml");
      expect(headerOf(exchange, "x-amzn-errortype")).toBe("ValidationException");
      expect(exchange.answer?.body).toContain("<Message>a &lt; b</Message><RequestId>r</RequestId>");
    }
    const exchange = new FakeExchange({ path: "/bedrock/filesystem" });
    replyError(new ActiveRequest(exchange), new BedrockError("ValidationException", "x"), []);
    expect(headerOf(exchange, "content-type")).toBe("application/json");
  });

  test("of the upstream goes out as it came", () => {
    const { active, exchange } = request();
    const received = {
      status: 418,
      headers: [["x-amzn-errortype", "Teapot:http://x"]],
      body: Buffer.from("short and stout"),
      type: "Teapot",
    } as const;
    expect(replyReceived(active, received, [])).toEqual({ status: 418, outcome: "error", errorType: "Teapot" });
    expect(exchange.answer).toMatchObject({ status: 418, body: "short and stout" });
    expect(headerOf(exchange, "x-amzn-errortype")).toBe("Teapot:http://x");
  });

  test("for a client that has left counts as cancelled", () => {
    const { active, exchange } = request();
    exchange.leave();
    expect(replyError(active, new BedrockError("ThrottlingException", "slow"), []).outcome).toBe("cancelled");
  });
});

/** A source that does what the test says. */
class Source implements FrameSource {
  sink: FrameSink | undefined;
  readonly resume = vi.fn();
  readonly cancel = vi.fn();
  passed: string | undefined;
  estimated = true;

  start(sink: FrameSink): void {
    this.sink = sink;
  }

  usage() {
    return { usage: { inputTokens: 1, outputTokens: 2 }, estimated: this.estimated };
  }

  stopReason(): string {
    return "end_turn";
  }

  exception(): string | undefined {
    return this.passed;
  }
}

const uncharged = () => undefined;

function streaming(operation = "ConverseStream", charge: (outcome: string) => void = uncharged) {
  const { active, exchange } = request(operation);
  const source = new Source();
  const open = { kind: "stream", headers: [["content-type", "application/vnd.amazon.eventstream"]], source } as const;
  const ended: Promise<Ending> = replyStream(active, open, [], charge);
  const { stream } = exchange;
  if (stream === undefined) throw new Error("no stream was opened");
  return { active, exchange, source, stream, ended };
}

const whole = (stream: FakeReplyStream) => decodeFrames(stream.bytes);
const delta = eventFrame("contentBlockDelta", { contentBlockIndex: 0, delta: { text: "hi" } });
const metadata = eventFrame("metadata", { usage: {} });

describe("a stream", () => {
  test("passes frames as they come, and lends the first byte of the next one until nothing has to follow", async () => {
    const { active, source, stream, ended } = streaming();
    expect(source.sink?.frames(delta, false)).toBe(true);
    source.sink?.frames(metadata, true);
    source.sink?.end();
    expect(await ended).toEqual({ status: 200, outcome: "success" });
    expect(stream.bytes).toEqual(Buffer.concat([delta, metadata]));
    expect(stream.writes.map(({ next }) => next)).toEqual([0, undefined]);
    expect(stream.state).toBe("ended");
    expect(active).toMatchObject({ usage: { inputTokens: 1, outputTokens: 2 }, usageEstimated: true });
    expect(source.cancel).not.toHaveBeenCalled();
  });

  test("that has told its usage is charged before its terminal event is written, others before they end", () => {
    const written = (tells: boolean, end: (source: Source) => void) => {
      const charged: [outcome: string, writes: number, state: string][] = [];
      const { source, stream } = streaming("ConverseStream", (outcome) =>
        charged.push([outcome, stream.writes.length, stream.state]),
      );
      source.estimated = !tells;
      source.sink?.frames(delta, false);
      source.sink?.frames(metadata, true);
      end(source);
      return charged[0];
    };
    const cut = new BedrockError("ModelStreamErrorException", "cut");
    expect(written(true, (source) => source.sink?.end())).toEqual(["success", 1, "open"]);
    expect(written(false, (source) => source.sink?.end())).toEqual(["success", 2, "open"]);
    expect(written(false, (source) => source.sink?.end(cut))).toEqual(["error", 2, "open"]);
  });

  test("is paced by its reader", () => {
    const { source, stream } = streaming();
    stream.flowing = false;
    expect(source.sink?.frames(delta, false)).toBe(false);
    expect(source.resume).not.toHaveBeenCalled();
    stream.drain();
    expect(source.resume).toHaveBeenCalledTimes(1);
  });

  test.each([
    ["ConverseStream", "modelStreamErrorException"],
    ["InvokeModelWithResponseStream", "modelTimeoutException"],
  ])("of %s that breaks ends with the exception %s", async (operation, type) => {
    const { source, stream, ended } = streaming(operation);
    source.sink?.frames(delta, false);
    source.sink?.end(new BedrockError("ModelTimeoutException", "silence"));
    expect(await ended).toMatchObject({ status: 200, outcome: "error", errorType: "ModelTimeoutException" });
    const last = whole(stream).at(-1);
    expect(last).toMatchObject({ kind: "exception", type });
    expect(payloadOf(last)).toEqual({ message: "silence" });
    expect(stream.state).toBe("ended");
    expect(stream.writes.at(-1)?.next).toBeUndefined();
  });

  test("in which an exception passed is an error, and gets no second one", async () => {
    const { source, stream, ended } = streaming();
    source.sink?.frames(exceptionFrame("throttlingException", "slow"), true);
    source.passed = "throttlingException";
    source.sink?.end();
    expect(await ended).toEqual({ status: 200, outcome: "error", errorType: "throttlingException" });
    expect(whole(stream)).toHaveLength(1);
  });

  test("whose client leaves is cancelled upstream, once, and nothing more is written", async () => {
    const { exchange, source, stream, ended } = streaming();
    source.sink?.frames(delta, false);
    exchange.leave();
    expect(await ended).toEqual({ status: 200, outcome: "cancelled" });
    expect(source.cancel).toHaveBeenCalledTimes(1);
    expect(source.sink?.frames(delta, false)).toBe(true);
    source.sink?.end(new BedrockError("ModelStreamErrorException", "cut"));
    expect(stream.writes).toHaveLength(1);
  });

  test("F71 whose time is up is cancelled upstream, and ends with an exception in a binary frame", async () => {
    const { active, source, stream, ended } = streaming();
    source.sink?.frames(delta, false);
    active.end(new BedrockError("ModelTimeoutException", "x-bf-timeout-ms"));
    expect(await ended).toMatchObject({ outcome: "error", errorType: "ModelTimeoutException" });
    expect(source.cancel).toHaveBeenCalledTimes(1);
    expect(whole(stream).map(({ kind }) => kind)).toEqual(["event", "exception"]);
    source.sink?.frames(delta, false);
    source.sink?.end();
    expect(whole(stream)).toHaveLength(2);
  });

  test("for a client that has left before it began is cancelled at once", async () => {
    const { active, exchange } = request();
    const source = new Source();
    exchange.leave();
    const ending = replyStream(active, { kind: "stream", headers: [], source }, [], uncharged);
    expect(await ending).toEqual({ status: 200, outcome: "cancelled" });
    expect(source.cancel).toHaveBeenCalledTimes(1);
  });

  test("that is over as it starts is written whole", async () => {
    const { active, exchange } = request();
    const source = new Source();
    source.start = (sink) => {
      sink.frames(delta, true);
      sink.frames(metadata, true);
      sink.end();
    };
    expect(await replyStream(active, { kind: "stream", headers: [], source }, [], uncharged)).toMatchObject({
      outcome: "success",
    });
    expect(exchange.stream?.bytes).toEqual(Buffer.concat([delta, metadata]));
    exchange.leave();
    expect(exchange.stream?.state).toBe("ended");
  });
});

describe("the bytes of an object", () => {
  function bytesOf() {
    const { active, exchange } = request("GetObject");
    const source = new Source();
    const open = { kind: "bytes", status: 206, headers: [["etag", '"e"']], length: 6, source } as const;
    const ended: Promise<Ending> = replyStream(active, open, [], uncharged);
    const { stream } = exchange;
    if (stream === undefined) throw new Error("no stream was opened");
    return { active, exchange, source, stream, ended };
  }

  test("pass as they come, and no byte is lent ahead", async () => {
    const { source, stream, ended } = bytesOf();
    source.sink?.frames(Buffer.from("abc"), false);
    source.sink?.frames(Buffer.from("def"), false);
    source.sink?.end();
    expect(await ended).toEqual({ status: 206, outcome: "success" });
    expect(stream.status).toBe(206);
    expect(stream.bytes.toString()).toBe("abcdef");
    expect(stream.writes.map(({ next }) => next)).toEqual([undefined, undefined]);
    expect(stream.state).toBe("ended");
  });

  test("that break off break the connection: no exception is written behind them", async () => {
    const { source, stream, ended } = bytesOf();
    source.sink?.frames(Buffer.from("abc"), false);
    source.sink?.end(new BedrockError("ServiceUnavailableException", "it broke"));
    expect(await ended).toMatchObject({ status: 206, outcome: "error", errorType: "ServiceUnavailableException" });
    expect(stream.bytes.toString()).toBe("abc");
    expect(stream.state).toBe("destroyed");
  });

  test("of a request that the gateway ends break the connection, too", async () => {
    const { active, source, stream, ended } = bytesOf();
    source.sink?.frames(Buffer.from("abc"), false);
    active.end(new BedrockError("ModelTimeoutException", "too late"));
    expect(await ended).toMatchObject({ outcome: "error", errorType: "ModelTimeoutException" });
    expect([stream.state, source.cancel.mock.calls.length]).toEqual(["destroyed", 1]);
  });
});
