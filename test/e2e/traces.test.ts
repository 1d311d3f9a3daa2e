/** Traces: what a collector receives, what upstreams are sent, and what a collector in trouble does not do. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { failure, stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type FakeCollector, type Span, startFakeCollector } from "../support/fake-collector.ts";
import { type FakeProvider, keyOf, startFakeProvider } from "../support/fake-providers.ts";
import { converseFrames } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { rewrite } from "../support/keys.ts";
import { openaiWire } from "../support/providers/openai.ts";
import { type RawAnswer, type RawRequest, send, userTurn } from "../support/raw-http.ts";
import { sleep, until } from "../support/wait.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const clientSpan = "00f067aa0ba902b7";
const sampled = { traceparent: `00-${traceId}-${clientSpan}-01`, tracestate: "vendor=opaque,other=1" };

let fake: FakeBedrock;
let openai: FakeProvider;
let collector: FakeCollector;
let gateway: RunningGateway;

beforeAll(async () => {
  [fake, openai, collector] = await Promise.all([
    startFakeBedrock(),
    startFakeProvider(openaiWire(), { keys: [keyOf("openai")] }),
    startFakeCollector(),
  ]);
  gateway = await startGateway({
    config: configOf({ endpoint: collector.url, headers: { "x-tenant": "t1" }, content: true }),
    env: { OTEL_SERVICE_NAME: "gateway-under-test", OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=ci" },
    withoutH2: true,
  });
}, 30_000);
beforeEach(() => {
  fake.reset();
  openai.reset();
});
afterEach(() => {
  expect(fake.violations).toEqual([]);
  expect(openai.violations).toEqual([]);
  expect(collector.violations).toEqual([]);
});
afterAll(async () => {
  await gateway?.stop();
  for (const one of [fake, openai, collector]) await one?.[Symbol.asyncDispose]();
}, 30_000);

function configOf(otel: object): object {
  const relay: { providers?: object } = relayConfig(fake.url);
  return {
    providers: {
      ...relay.providers,
      openai: {
        keys: [{ name: "o", value: keyOf("openai"), weight: 1, models: ["*"] }],
        network_config: { base_url: openai.url },
      },
    },
    observability: { otel },
  };
}

/** Each test has a request id of its own, by which its span is found. */
function ask(id: string, action: string, options: RawRequest = {}, model = "vendor.model"): Promise<RawAnswer> {
  return send(gateway.url, `/bedrock/model/${model}/${action}`, {
    body: userTurn("hi"),
    ...options,
    headers: { ...options.headers, "x-request-id": id },
  });
}

const of = (id: string) => (span: Span) => span.attributes["bifrost.request_id"] === id;

describe("a request in its client's trace", () => {
  test("has its span below the client's, and each attempt's below that, which the upstream is told", async () => {
    await ask("in-trace", "converse", { headers: { ...sampled, "x-bf-dim-team": "search" } });
    const { request, admission, attempts } = await collector.trace(of("in-trace"));
    expect(request).toMatchObject({
      traceId,
      parentSpanId: clientSpan,
      traceState: sampled.tracestate,
      name: "POST /bedrock/model/{modelId}/converse",
      failed: undefined,
    });
    expect(request.attributes).toMatchObject({
      "http.response.status_code": 200,
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "aws.bedrock",
      "gen_ai.request.model": "vendor.model",
      "gen_ai.response.finish_reasons": ["end_turn"],
      "gen_ai.dimension.team": "search",
      "bifrost.outcome": "success",
      "bifrost.key.name": "main",
    });
    expect(request.resource).toMatchObject({
      "service.name": "gateway-under-test",
      "deployment.environment.name": "ci",
    });
    expect(admission?.traceId).toBe(traceId);
    expect(attempts).toHaveLength(1);
    const [attempt] = attempts;
    const [seen] = fake.all("vendor.model");
    expect(seen?.headers.traceparent).toBe(`00-${traceId}-${attempt?.spanId}-01`);
    expect(seen?.headers.tracestate).toBe(sampled.tracestate);
    expect(String(seen?.headers.authorization)).not.toContain("traceparent");
    expect(attempt?.attributes).toMatchObject({
      "server.address": "127.0.0.1",
      "server.port": Number(new URL(fake.url).port),
    });
    // Within the request, in order, by the same clock.
    expect(attempt?.start).toBeGreaterThanOrEqual(request.start);
    expect(attempt?.end).toBeLessThanOrEqual(request.end + 0.01);
    expect(admission?.end).toBeLessThanOrEqual((attempt?.start ?? 0) + 0.01);
    expect(collector.exports.every(({ headers }) => headers["x-tenant"] === "t1")).toBe(true);
    expect(collector.exports.every(({ path }) => path === "/v1/traces")).toBe(true);
  });

  test("carries content where the configuration wants it", async () => {
    await ask("with-content", "converse", { body: userTurn("a question that is recorded") });
    const { request } = await collector.trace(of("with-content"));
    expect(request.attributes["bifrost.request.body"]).toContain("a question that is recorded");
    expect(request.attributes["bifrost.response.body"]).toContain("assistant");
  });

  test("that is not recorded stays so: no span, and the upstream is told", async () => {
    const traceparent = `00-${traceId}-${clientSpan}-00`;
    await ask("not-sampled", "converse", { headers: { traceparent } });
    await ask("after-it", "converse");
    await collector.trace(of("after-it"));
    expect(collector.spans.some(of("not-sampled"))).toBe(false);
    expect(fake.requests[0]?.headers.traceparent).toBe(traceparent);
  });

  test("whose header is not valid begins a trace of its own", async () => {
    await ask("invalid", "converse", { headers: { traceparent: "00-zz-zz-01", tracestate: "a=1" } });
    const { request } = await collector.trace(of("invalid"));
    expect(request).toMatchObject({ parentSpanId: undefined, traceState: undefined });
    expect(String(fake.requests[0]?.headers.traceparent)).toContain(request.traceId);
    expect(fake.requests[0]?.headers.tracestate).toBeUndefined();
  });
});

describe("a stream's span", () => {
  test("ends at the last byte, with the time to its first event, its tokens and its reason (A69)", async () => {
    const frames = converseFrames();
    fake.queue(stream([200, ...frames.slice(0, 3), 400, ...frames.slice(3)]));
    const before = Date.now();
    const answer = await ask("streamed", "converse-stream");
    const after = Date.now();
    expect(answer.status).toBe(200);
    const { request, attempts } = await collector.trace(of("streamed"));
    expect(request.start).toBeGreaterThanOrEqual(before - 2);
    expect(request.end).toBeLessThanOrEqual(after + 2);
    expect(request.end - request.start).toBeGreaterThanOrEqual(590);
    const first = Number(request.attributes["gen_ai.response.time_to_first_chunk"]);
    expect(first).toBeGreaterThanOrEqual(0.19);
    expect(first).toBeLessThan((request.end - request.start) / 1000 - 0.35);
    expect(request.attributes).toMatchObject({
      "gen_ai.request.stream": true,
      "gen_ai.usage.input_tokens": 12,
      "gen_ai.usage.output_tokens": 7,
      "gen_ai.response.finish_reasons": ["end_turn"],
      "bifrost.outcome": "success",
    });
    expect((attempts[0]?.end ?? 0) - (attempts[0]?.start ?? 0)).toBeGreaterThanOrEqual(590);
  });

  test("whose client leaves says so, and ends then", async () => {
    const frames = converseFrames();
    fake.queue(stream([...frames.slice(0, 3), 20_000, ...frames.slice(3)], "hang"));
    const leaving = new AbortController();
    const left = ask("left", "converse-stream", { signal: leaving.signal }).catch(() => "gone");
    await sleep(300);
    leaving.abort();
    expect(await left).toBe("gone");
    const { request, attempts } = await collector.trace(of("left"));
    expect(request.attributes).toMatchObject({ "bifrost.outcome": "cancelled", "http.response.status_code": 499 });
    expect(request.end - request.start).toBeLessThan(10_000);
    expect(attempts[0]?.attributes["bifrost.outcome"]).toBe("cancelled");
  });
});

describe("attempts", () => {
  test("that fail and the fallback that answers are spans side by side, each with its own end", async () => {
    fake.queue(failure(503, "ServiceUnavailableException", "busy"));
    const headers = { ...sampled, "x-bf-fallbacks": "openai/gpt-4o" };
    const answer = await ask("fallback", "converse", { headers }, "vendor.down");
    expect(answer.headers["x-bifrost-provider"]).toBe("openai");
    const { request, attempts } = await collector.trace(of("fallback"));
    expect(attempts).toHaveLength(2);
    expect(attempts[0]).toMatchObject({
      name: "chat vendor.down",
      failed: "",
      attributes: { "error.type": "ServiceUnavailableException", "gen_ai.provider.name": "aws.bedrock" },
    });
    expect(attempts[1]).toMatchObject({
      name: "chat gpt-4o",
      failed: undefined,
      attributes: { "gen_ai.provider.name": "openai", "bifrost.fallback_index": 1 },
    });
    expect(request.attributes).toMatchObject({ "bifrost.attempts": 2, "bifrost.provider": "openai" });
    expect(openai.requests[0]?.headers.traceparent).toBe(`00-${traceId}-${attempts[1]?.spanId}-01`);
  });
});

test("a request that is refused has a span with its error", async () => {
  const answer = await ask("refused", "converse", { body: "not json" }, "openai%2Fgpt-4o");
  expect(answer.status).toBe(400);
  const { request, attempts } = await collector.trace(of("refused"));
  expect(request).toMatchObject({ failed: undefined, attributes: { "error.type": "ValidationException" } });
  expect(attempts).toEqual([]);
});

describe("without a collector", () => {
  test("the client's trace goes through as it came; where there is none, one is made", async () => {
    await using plain = await startGateway({ config: configOf({}), withoutH2: true });
    const path = "/bedrock/model/vendor.plain/converse";
    await send(plain.url, path, { body: userTurn("hi"), headers: sampled });
    await send(plain.url, path, { body: userTurn("hi") });
    const [kept, made] = fake.all("vendor.plain");
    expect(kept?.headers).toMatchObject(sampled);
    expect(made?.headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });
});

describe("a collector in trouble", () => {
  test("holds no request up, and what it does not take is dropped and counted", async () => {
    await using silent = await startFakeCollector();
    silent.answers = Array.from({ length: 100 }, () => "never" as const);
    await using troubled = await startGateway({
      config: configOf({}),
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: silent.url },
      withoutH2: true,
    });
    for (let round = 0; round < 100; round++) {
      const asked = Array.from({ length: 40 }, () =>
        send(troubled.url, "/bedrock/model/vendor.model/converse", { body: userTurn("hi") }),
      );
      for (const { status } of await Promise.all(asked)) expect(status).toBe(200);
    }
    expect(silent.exports.length).toBeGreaterThan(0);
    // 4,000 requests with three spans each, and room for 8,192.
    const dropped = await troubled.metric("bifrost_trace_spans_total", { result: "dropped" });
    expect(dropped).toBeGreaterThanOrEqual(12_000 - 8192 - 3 * 40);
    expect(await troubled.metric("bifrost_trace_spans_total", { result: "exported" })).toBe(0);
  }, 60_000);

  test("that is not there is one warning, and a stop does not wait for it for ever", async () => {
    const gone = await startFakeCollector();
    await gone[Symbol.asyncDispose]();
    const lonely = await startGateway({ config: configOf({ endpoint: gone.url }), withoutH2: true });
    await send(lonely.url, "/bedrock/model/vendor.model/converse", { body: userTurn("hi") });
    await until("the warning", () => lonely.output().includes("do not reach their collector"), 10_000);
    await send(lonely.url, "/bedrock/model/vendor.model/converse", { body: userTurn("hi") });
    expect(await lonely.stop()).toBe(0);
    expect(lonely.output().split("do not reach their collector")).toHaveLength(2);
  });
});

test("a reload begins to send, and stops to", async () => {
  await using changing = await startGateway({ config: configOf({}), withoutH2: true });
  const one = (id: string) =>
    send(changing.url, "/bedrock/model/vendor.model/converse", {
      body: userTurn("hi"),
      headers: { "x-request-id": id },
    });
  await one("before-the-reload");
  await rewrite(changing, configOf({ endpoint: collector.url }));
  await one("while-it-sends");
  await rewrite(changing, configOf({}));
  await one("after-it-sent");
  await collector.trace(of("while-it-sends"));
  await sleep(100);
  const ids = collector.spans.map(({ attributes }) => attributes["bifrost.request_id"]);
  expect(ids).not.toContain("before-the-reload");
  expect(ids).not.toContain("after-it-sent");
}, 30_000);

test("a stop sends what waits", async () => {
  const leaving = await startGateway({ config: configOf({ endpoint: collector.url }), withoutH2: true });
  await send(leaving.url, "/bedrock/model/vendor.model/converse", {
    body: userTurn("hi"),
    headers: { "x-request-id": "last-words" },
  });
  expect(await leaving.stop()).toBe(0);
  expect(collector.spans.some(of("last-words"))).toBe(true);
});
