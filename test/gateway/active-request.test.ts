import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { BedrockError } from "../../src/bedrock/errors.ts";
import { ActiveRequest } from "../../src/gateway/active-request.ts";
import { beginTrace } from "../../src/telemetry/trace-context.ts";
import { FakeExchange } from "../support/fake-exchange.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function request(headers: Readonly<Record<string, string>> = {}): ActiveRequest & { readonly exchange: FakeExchange } {
  const exchange = new FakeExchange({ headers });
  return Object.assign(new ActiveRequest(exchange), { exchange });
}

const headersOf = (active: ActiveRequest) => Object.fromEntries(active.ownHeaders());
const reason = new BedrockError("ServiceUnavailableException", "closing");

describe("the request id", () => {
  test("is the client's own, and stays so when the upstream has one too", () => {
    const active = request({ "x-request-id": "mine" });
    active.adoptId("upstreams");
    expect(active.id).toBe("mine");
  });

  test("is the upstream's where the client has none", () => {
    const active = request();
    const made = active.id;
    expect(made).toMatch(/^[\da-f-]{36}$/);
    active.adoptId(undefined);
    active.adoptId("with a space");
    expect(active.id).toBe(made);
    active.adoptId("upstreams");
    expect(headersOf(active)["x-amzn-requestid"]).toBe("upstreams");
  });

  test.each(["", "a b", "a\r\nb", "é", "x".repeat(129)])("is made where the client's is %j", (id) => {
    expect(request({ "x-request-id": id }).id).toMatch(/^[\da-f-]{36}$/);
  });
});

describe("the end before the answer", () => {
  test("by the client calls what has to stop, once for what is set, and not what was replaced", () => {
    const active = request();
    const [first, second] = [vi.fn(), vi.fn()];
    active.whenOver(first);
    active.whenOver(second);
    expect(active.over).toBe(false);
    active.exchange.leave();
    expect(active.over).toBe(true);
    expect(first).not.toHaveBeenCalled();
    expect(second).toHaveBeenCalledTimes(1);
  });

  test("by the gateway gives the reason, and the first one stands", () => {
    const active = request();
    const stop = vi.fn();
    active.whenOver(stop);
    active.end(reason);
    active.end(new BedrockError("ModelTimeoutException", "late"));
    expect(active.ended).toBe(reason);
    expect(stop).toHaveBeenCalledTimes(1);
  });

  test("that has come already stops what is begun later, at once", () => {
    const active = request();
    active.end(reason);
    const stop = vi.fn();
    active.whenOver(stop);
    expect(stop).toHaveBeenCalledTimes(1);
  });

  test("comes to nothing for a client that has left, and after the request is closed", () => {
    const active = request();
    active.exchange.leave();
    active.end(reason);
    expect(active.ended).toBeUndefined();

    const closed = request();
    const stop = vi.fn();
    closed.whenOver(stop);
    closed.close();
    closed.end(reason);
    closed.exchange.leave();
    expect(stop).not.toHaveBeenCalled();
    expect(closed.exchange.watched).toBe(false);
  });
});

describe("waiting while the request lives", () => {
  test("gives what was waited for", async () => {
    expect(await request().whileAlive(Promise.resolve(7))).toBe(7);
    await expect(request().whileAlive(Promise.reject(reason))).rejects.toBe(reason);
  });

  test("ends when the client leaves, when the gateway ends the request, and when either has happened before", async () => {
    const never = new Promise<number>(() => undefined);
    const [left, ended, before] = [request(), request(), request()];
    before.end(reason);
    const waits = [left, ended, before].map((active) => active.whileAlive(never));
    left.exchange.leave();
    ended.end(reason);
    expect(await Promise.all(waits)).toEqual([undefined, undefined, undefined]);
  });

  test("leaves no rejection behind that nobody takes", async () => {
    const active = request();
    const tooLate = new Promise((_resolve, reject) => setTimeout(reject, 100, new Error("too late for anyone")));
    const wait = active.whileAlive(tooLate);
    active.end(reason);
    expect(await wait).toBeUndefined();
    await vi.runAllTimersAsync();
  });
});

describe("x-bf-timeout-ms", () => {
  test("ends the request with a 408 that names it, and cancels what is under way", () => {
    const active = request({ "x-bf-timeout-ms": "1500" });
    const stop = vi.fn();
    active.startDeadline();
    active.whenOver(stop);
    vi.advanceTimersByTime(1499);
    expect(active.over).toBe(false);
    vi.advanceTimersByTime(1);
    expect(stop).toHaveBeenCalledTimes(1);
    expect(active.ended).toMatchObject({ type: "ModelTimeoutException", status: 408 });
    expect(active.ended?.message).toContain("x-bf-timeout-ms");
    expect(active.ended?.message).toContain("1500");
  });

  test("counts from the request's arrival", () => {
    const active = request({ "x-bf-timeout-ms": "1000" });
    vi.advanceTimersByTime(900);
    active.startDeadline();
    vi.advanceTimersByTime(100);
    expect(active.ended?.status).toBe(408);
  });

  test("is over at once when the upload took longer", () => {
    const active = request({ "x-bf-timeout-ms": "1000" });
    vi.advanceTimersByTime(5000);
    active.startDeadline();
    vi.advanceTimersByTime(1);
    expect(active.ended?.status).toBe(408);
  });

  test("stops with the request", () => {
    const active = request({ "x-bf-timeout-ms": "1000" });
    active.startDeadline();
    active.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("that is missing starts no clock", () => {
    request().startDeadline();
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each(["", "0", "-1", "soon", "NaN", "Infinity", "86400001", "1,000", "5, 5"])(
    "of %j is refused by name",
    (value) => {
      expect(() => request({ "x-bf-timeout-ms": value }).startDeadline()).toThrow(
        expect.objectContaining({ type: "ValidationException", message: expect.stringContaining("x-bf-timeout-ms") }),
      );
      expect(vi.getTimerCount()).toBe(0);
    },
  );
});

describe("the headers of an answer", () => {
  test("say who served it, and how often it was tried", () => {
    const active = Object.assign(request({ "x-request-id": "r" }), {
      provider: "bedrock",
      model: "m:0",
      key: { id: "k", name: "main" },
    });
    for (const _ of [1, 2]) active.beginAttempt("bedrock", "m:0", { id: "k", name: "main" }, "only");
    expect(headersOf(active)).toEqual({
      "x-amzn-requestid": "r",
      "x-bifrost-provider": "bedrock",
      "x-bifrost-model": "m:0",
      "x-bifrost-key": "main",
      "x-bifrost-attempts": "2",
      "x-bifrost-fallback-index": "0",
    });
  });

  test("leave out what is not known", () => {
    expect(Object.keys(headersOf(request()))).toEqual(["x-amzn-requestid"]);
  });

  test.each([
    ["a line break", "a\r\nset-cookie: x"],
    ["other letters", "模型é"],
    ["half of a surrogate pair", "a\ud800b"],
    ["a length without end", "x".repeat(1_000_000)],
    ["a length without end, in other letters", "😀".repeat(1_000_000)],
  ])("carry a model id with %s", (_what, model) => {
    const value = headersOf(Object.assign(request(), { model }))["x-bifrost-model"] ?? "";
    expect(value).toMatch(/^[\x20-\x7e]+$/);
    expect(value.length).toBeLessThanOrEqual(12 * 1024);
  });

  test("time the upstream and the gateway apart", () => {
    const active = request();
    vi.advanceTimersByTime(100);
    active.upstreamMs = 90;
    expect(active.serverTiming()).toEqual(["server-timing", "upstream;dur=90.00, gateway;dur=10.00"]);
    active.upstreamMs = 200;
    expect(active.serverTiming()[1]).toContain("gateway;dur=0.00");
  });
});

describe("what an upstream is sent of the trace", () => {
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
  const key = { id: "k", name: "main" };

  test("is the attempt's own span, another one for each attempt, where the trace is recorded", () => {
    const active = request();
    Object.assign(active, { trace: beginTrace(traceparent, "a=1", 1), traced: true });
    const sent = [1, 2].map(() => {
      const { spanId } = active.beginAttempt("bedrock", "m", key, "only");
      expect(active.sendTo("https://one.example")).toEqual([
        ["traceparent", `00-${traceId}-${spanId}-01`],
        ["tracestate", "a=1"],
      ]);
      return spanId;
    });
    expect(new Set(sent).size).toBe(2);
    expect(active.attempts.map(({ origin }) => origin)).toEqual(["https://one.example", "https://one.example"]);
  });

  test("is the client's span where it is not", () => {
    const active = Object.assign(request(), { trace: beginTrace(traceparent, undefined, 0) });
    active.beginAttempt("bedrock", "m", key, "only");
    expect(active.sendTo("https://one.example")).toEqual([["traceparent", traceparent]]);
  });

  test("is nothing where there is no trace", () => {
    const active = request();
    active.beginAttempt("bedrock", "m", key, "only");
    expect(active.sendTo("https://one.example")).toEqual([]);
  });
});
