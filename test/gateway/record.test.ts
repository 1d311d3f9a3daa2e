import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { BedrockError } from "../../src/bedrock/errors.ts";
import { ActiveRequest } from "../../src/gateway/active-request.ts";
import type { Attempted } from "../../src/gateway/attempt.ts";
import { noteEnd } from "../../src/gateway/attempts.ts";
import { failure, unreachable } from "../../src/gateway/failures.ts";
import { record } from "../../src/gateway/record.ts";
import type { Ending } from "../../src/gateway/reply.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import type { RequestRecord } from "../../src/telemetry/request-record.ts";
import { beginTrace } from "../../src/telemetry/trace-context.ts";
import { UpstreamError } from "../../src/upstream/dispatch.ts";
import { FakeExchange } from "../support/fake-exchange.ts";

const key = { id: "k1", name: "main", secret: "planted" };
const answer: Attempted = { kind: "answer", status: 200, headers: [], body: "{}", usage: undefined };
const busy = new BedrockError("ThrottlingException", "slow down");

function setUp(headers: Readonly<Record<string, string>> = {}, slowMs = 30_000) {
  const exchange = new FakeExchange({ headers });
  const request = Object.assign(new ActiveRequest(exchange), { provider: "bedrock", model: "m", key });
  const attempt = (attempted: Attempted) => {
    const begun = request.beginAttempt("bedrock", "m", key, "weighted");
    noteEnd(begun, attempted, request);
  };
  const lines: string[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => lines.push(line) });
  const end = (ending: Ending): RequestRecord => {
    const made: RequestRecord[] = [];
    record(request, ending, slowMs, { metrics: new Metrics(), log, onRecord: (one) => made.push(one) });
    const [only] = made;
    if (only === undefined || made.length > 1) throw new Error("a request has one record");
    return only;
  };
  return { exchange, request, attempt, end, lines };
}

describe("the record of a request", () => {
  test("has each attempt with its end, and a stream's with the request's", () => {
    const { request, attempt, end } = setUp();
    attempt(failure("other_key", busy));
    attempt({ kind: "stream", headers: [], source: {} as never });
    request.stopReason = "end_turn";
    const made = end({ status: 200, outcome: "success" });
    expect(made.attempts).toMatchObject([
      {
        choice: "weighted",
        status: 429,
        outcome: "error",
        errorType: "ThrottlingException",
        errorClass: "provider_rate_limited",
      },
      { status: 200, outcome: "success", errorType: undefined, errorClass: undefined },
    ]);
    expect(made).toMatchObject({ outcome: "success", errorClass: undefined, stopReason: "end_turn" });
    for (const { startedAfterMs, durationMs } of made.attempts) {
      expect(startedAfterMs).toBeGreaterThanOrEqual(0);
      expect(startedAfterMs + durationMs).toBeLessThanOrEqual(made.durationMs);
    }
    expect(Math.abs(made.arrivedAt + made.durationMs - Date.now())).toBeLessThan(1000);
  });

  test("names a key, and has nothing else of it", () => {
    const { attempt, end, lines } = setUp();
    attempt(answer);
    const made = end({ status: 200, outcome: "success" });
    expect(made.key).toEqual({ id: "k1", name: "main" });
    expect(JSON.stringify([made, lines])).not.toContain("planted");
  });

  test("has the dimensions and the session the client names", () => {
    const headers = { "x-bf-env": "prod", "x-bf-dim-team": "search", "x-bf-session-id": "s1", "x-other": "1" };
    const made = setUp(headers).end({ status: 200, outcome: "success" });
    expect([...made.dimensions]).toEqual([
      ["env", "prod"],
      ["team", "search"],
    ]);
    expect(made.session).toBe("s1");
  });

  test("of a client that left has status 499, and so has what it did not wait for", () => {
    const { exchange, request, end } = setUp();
    request.beginAttempt("bedrock", "m", key, "weighted");
    exchange.leave();
    const made = end({ status: 200, outcome: "cancelled" });
    expect(made).toMatchObject({ status: 499, outcome: "cancelled", errorClass: "caller_cancelled" });
    expect(made.attempts).toMatchObject([{ status: 499, outcome: "cancelled", errorClass: "caller_cancelled" }]);
  });
});

describe("whose fault an error was", () => {
  const broken = unreachable(new UpstreamError("broken", "the connection was closed"));
  const refused = failure("other_credential", new BedrockError("ServiceUnavailableException", "no"));

  test.each<[string, string | undefined, readonly Attempted[], Ending]>([
    ["nobody's", undefined, [answer], { status: 200, outcome: "success" }],
    ["the connection's", "provider_connection_failed", [broken], error("ServiceUnavailableException", 503)],
    [
      "the credentials'",
      "provider_credentials_exhausted",
      [refused, refused],
      error("ServiceUnavailableException", 503),
    ],
    [
      "one credential's that the client has sent",
      "provider_auth_failed",
      [refused],
      error("UnrecognizedClientException", 403),
    ],
    ["the request's", "caller_invalid_request", [], error("ValidationException", 400)],
    ["the model id's", "caller_model_unknown", [], error("ResourceNotFoundException", 404)],
    [
      "a stream's that broke",
      "provider_server_error",
      [{ kind: "stream", headers: [], source: {} as never }],
      error("ModelStreamErrorException", 200),
    ],
    ["the gateway's", "bifrost_internal", [answer], error("InternalServerException", 500)],
  ])("%s", (_whose, errorClass, attempts, ending) => {
    const { attempt, end } = setUp();
    for (const one of attempts) attempt(one);
    expect(end(ending).errorClass).toBe(errorClass);
  });

  test.each([
    ["budget", "policy_budget_exceeded"],
    ["tokens", "policy_rate_limited"],
    ["concurrency", "policy_rate_limited"],
  ])("a limit's: %s", (kind, errorClass) => {
    const { request, end } = setUp();
    request.limit = { kind, remaining: 0 };
    expect(end(error("ThrottlingException", 429))).toMatchObject({ limit: kind, errorClass });
  });
});

describe("the line in the log", () => {
  const level = (lines: readonly string[]) => lines.map((line): unknown => JSON.parse(line));

  test("of a request that took long is there at the usual level, and says so", () => {
    const { end, lines, attempt } = setUp({}, 0);
    attempt(answer);
    end({ status: 200, outcome: "success" });
    expect(level(lines)).toMatchObject([{ level: 30, slow: true, outcome: "success" }]);
  });

  test("of a stream that began in time is not there, however long it went on", () => {
    const { end, lines, request } = setUp({}, 10);
    request.firstEventMs = 5;
    const begun = performance.now();
    while (performance.now() - begun < 15);
    end({ status: 200, outcome: "success" });
    expect(level(lines)).toMatchObject([{ level: 20 }]);
    expect(lines.join()).not.toContain("slow");
  });

  test("names the trace where one is recorded", () => {
    const { end, lines, request } = setUp();
    request.trace = beginTrace(undefined, undefined, 1);
    end({ status: 500, outcome: "error" });
    expect(level(lines)).toMatchObject([{ level: 40, traceId: request.trace.traceId }]);
  });
});

function error(errorType: string, status: number): Ending {
  return { status, outcome: "error", errorType };
}
