import { describe, expect, test } from "vitest";
import type { RequestRecord } from "../../src/telemetry/request-record.ts";
import { type SpanContext, spansOf } from "../../src/telemetry/spans.ts";
import { Traces } from "../../src/telemetry/traces.ts";
import { type Span, startFakeCollector } from "../support/fake-collector.ts";
import { until } from "../support/wait.ts";
import { attemptOf, recordOf } from "./kit.ts";

const trace = {
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: "00f067aa0ba902b7",
  parentSpanId: "b7ad6b7169203331",
  sampled: true,
  state: "vendor=1",
};
const routes = new Map([
  ["Converse", { path: "/bedrock/model/{modelId}/converse", method: "POST" }],
  ["ConverseStream", { path: "/bedrock/model/{modelId}/converse-stream", method: "POST" }],
]);

/** What a collector makes of a record. */
async function received(
  record: RequestRecord,
  { content = false, types = new Map([["bedrock", "bedrock"]]) } = {},
): Promise<readonly Span[]> {
  await using collector = await startFakeCollector();
  const counts = { exported: 0, dropped: 0 };
  const traces = new Traces({
    version: "1.2.3",
    routes,
    onCount: (result, count) => {
      counts[result] += count;
    },
    onHealth: () => undefined,
  });
  const resource = new Map([["service.name", "test"]]);
  traces.configure({ url: collector.url, headers: {}, resource, sampleRatio: 1, content }, types);
  traces.finished(record);
  await traces.flush(5000);
  await until("the spans to be counted", () => counts.exported === collector.spans.length);
  traces.configure(undefined, types);
  expect(collector.violations).toEqual([]);
  return collector.spans;
}

function only(spans: readonly Span[], kind: Span["kind"]): Span {
  const [found, more] = spans.filter((span) => span.kind === kind);
  if (found === undefined || more !== undefined) throw new Error(`there is not one ${kind} span`);
  return found;
}

describe("a request's span", () => {
  test("is the server's, in its client's trace, with who asked, who answered, and what it came to", async () => {
    const identity = {
      virtualKey: { id: "vk", name: "app" },
      team: { id: "t", name: "Search" },
      customer: { id: "acme", name: "Acme" },
    };
    const usage = { inputTokens: 10, outputTokens: 20, cacheReadInputTokens: 5, cacheWriteInputTokens: 2 };
    const dimensions = new Map([["env", "prod"]]);
    const spans = await received(
      recordOf({ trace, identity, usage, dimensions, session: "s1", rules: ["r1", "r2"], askedModel: "claude" }),
    );
    const span = only(spans, "server");
    expect(span).toMatchObject({
      traceId: trace.traceId,
      spanId: trace.spanId,
      parentSpanId: trace.parentSpanId,
      traceState: "vendor=1",
      name: "POST /bedrock/model/{modelId}/converse",
      failed: undefined,
    });
    expect(span.start).toBeCloseTo(1_700_000_000_000, 2);
    expect(span.end).toBeCloseTo(1_700_000_000_812.5, 2);
    expect(span.attributes).toEqual({
      "http.request.method": "POST",
      "http.route": "/bedrock/model/{modelId}/converse",
      "http.response.status_code": 200,
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "aws.bedrock",
      "gen_ai.request.model": "claude",
      "gen_ai.request.stream": false,
      "gen_ai.response.model": "vendor.model",
      "gen_ai.response.finish_reasons": ["end_turn"],
      "gen_ai.usage.input_tokens": 17,
      "gen_ai.usage.output_tokens": 20,
      "gen_ai.usage.cache_read.input_tokens": 5,
      "gen_ai.usage.cache_creation.input_tokens": 2,
      "gen_ai.usage.cost": 0.00033,
      "gen_ai.conversation.id": "s1",
      "gen_ai.dimension.env": "prod",
      "bifrost.request_id": "6e1f9f0a-5b0e-4a4e-9a40-000000000001",
      "bifrost.outcome": "success",
      "bifrost.provider": "bedrock",
      "bifrost.key.id": "k1",
      "bifrost.key.name": "main",
      "bifrost.virtual_key.id": "vk",
      "bifrost.virtual_key.name": "app",
      "bifrost.team.name": "Search",
      "bifrost.customer.name": "Acme",
      "bifrost.fallback_index": 0,
      "bifrost.attempts": 1,
      "bifrost.routing_rules": ["r1", "r2"],
    });
    expect(span.resource).toMatchObject({ "service.name": "test", "service.version": "1.2.3" });
  });

  test("of a stream ends with its last byte and tells when it began (A69)", async () => {
    const changes = { operation: "ConverseStream", streams: true, durationMs: 5000, firstEventMs: 400 };
    const span = only(await received(recordOf({ trace, ...changes })), "server");
    expect(span.end - span.start).toBeCloseTo(5000, 1);
    expect(span.attributes["gen_ai.response.time_to_first_chunk"]).toBe(0.4);
    expect(span.attributes["gen_ai.request.stream"]).toBe(true);
    expect(span.attributes["gen_ai.response.finish_reasons"]).toEqual(["end_turn"]);
  });

  test.each([
    ["error", 429, undefined],
    ["error", 503, "sorry"],
    ["error", 200, "sorry"],
    ["cancelled", 499, undefined],
  ] as const)("that was %s with %d has failed with %j", async (outcome, status, failed) => {
    const errorType = outcome === "error" ? "SomeException" : undefined;
    const record = recordOf({ trace, outcome, status, errorType, errorClass: "caller_cancelled", message: "sorry" });
    const span = only(await received(record), "server");
    expect(span.failed).toBe(failed);
    expect(span.attributes["error.type"]).toBe(errorType ?? "caller_cancelled");
    expect(span.attributes["bifrost.error_type"]).toBe("caller_cancelled");
    expect(span.attributes["bifrost.outcome"]).toBe(outcome);
    expect(span.attributes["gen_ai.response.model"]).toBeUndefined();
  });

  test("tells what the semantic cache did", async () => {
    const cache = { kind: "semantic", reason: undefined, similarity: 0.91, entryId: "e" } as const;
    const span = only(await received(recordOf({ trace, cache, attempts: [] })), "server");
    expect(span.attributes).toMatchObject({ "bifrost.cache.kind": "semantic", "bifrost.cache.similarity": 0.91 });
  });

  test("has content only where it is wanted, and where its client allows it", async () => {
    const content = { request: "asked", answer: "answered", logged: true, traced: true };
    const wanted = only(await received(recordOf({ trace, content }), { content: true }), "server");
    expect(wanted.attributes).toMatchObject({ "bifrost.request.body": "asked", "bifrost.response.body": "answered" });
    for (const [record, options] of [
      [recordOf({ trace, content }), { content: false }],
      [recordOf({ trace, content: { ...content, traced: false } }), { content: true }],
    ] as const) {
      const text = JSON.stringify(await received(record, options));
      expect(text).not.toMatch(/asked|answered/);
    }
  });

  test("holds any text, and no more dimensions than there is room for", async () => {
    const odd = 'quote " backslash \\ line\n \u0000 half \ud800 \u{1f600}';
    const dimensions = new Map(Array.from({ length: 100 }, (_, index) => [`d${index}`, "v".repeat(1000)]));
    const record = recordOf({
      trace,
      model: odd,
      askedModel: odd,
      id: odd,
      dimensions: new Map([[odd, odd], ...dimensions]),
    });
    const { attributes } = only(await received(record), "server");
    expect(attributes["bifrost.request_id"]).toBe(odd);
    expect(attributes[`gen_ai.dimension.${odd}`]).toBe(odd);
    expect(Object.keys(attributes).filter((name) => name.startsWith("gen_ai.dimension."))).toHaveLength(32);
    expect(attributes["gen_ai.dimension.d0"]).toHaveLength(256);
  });
});

describe("below it", () => {
  test("is its admission, up to the first attempt, and each attempt with its own times and end", async () => {
    const spanId = "1111111111111111";
    const failed = { status: 429, outcome: "error", errorType: "ThrottlingException" } as const;
    const spans = await received(
      recordOf({
        trace,
        admissionAfterMs: 2,
        attempts: [
          attemptOf({ ...failed, spanId, startedAfterMs: 3, durationMs: 50, errorClass: "provider_rate_limited" }),
          attemptOf({
            provider: "lab",
            model: "m2",
            fallbackIndex: 1,
            startedAfterMs: 60,
            durationMs: 700,
            origin: "http://127.0.0.1:8000",
          }),
        ],
      }),
      {
        types: new Map([
          ["bedrock", "bedrock"],
          ["lab", "vertex"],
        ]),
      },
    );
    expect(spans).toHaveLength(4);
    const admission = only(spans, "internal");
    expect(admission).toMatchObject({ name: "admission", parentSpanId: trace.spanId });
    expect(admission.start).toBeCloseTo(1_700_000_000_002, 2);
    expect(admission.end).toBeCloseTo(1_700_000_000_003, 2);
    const [first, second] = spans.filter(({ kind }) => kind === "client");
    expect(first).toMatchObject({ spanId, parentSpanId: trace.spanId, name: "chat vendor.model", failed: "" });
    expect(first?.attributes).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "aws.bedrock",
      "gen_ai.request.model": "vendor.model",
      "error.type": "ThrottlingException",
      "bifrost.error_type": "provider_rate_limited",
      "server.address": "bedrock-runtime.us-east-1.amazonaws.com",
      "server.port": 443,
    });
    expect(second).toMatchObject({ parentSpanId: trace.spanId, name: "chat m2", failed: undefined });
    expect((second?.end ?? 0) - (second?.start ?? 0)).toBeCloseTo(700, 1);
    expect(second?.attributes).toMatchObject({
      "gen_ai.provider.name": "gcp.vertex_ai",
      "bifrost.provider": "lab",
      "bifrost.fallback_index": 1,
      "server.address": "127.0.0.1",
      "server.port": 8000,
    });
    // Tokens stand at one place only.
    for (const { kind, attributes } of spans)
      expect("gen_ai.usage.input_tokens" in attributes, kind).toBe(kind === "server");
  });

  test("is an admission that goes on to the end, where nothing was asked", async () => {
    const refused = { attempts: [], outcome: "error", status: 403, limit: "budget", durationMs: 9 } as const;
    const spans = await received(recordOf({ trace, ...refused }));
    expect(spans).toHaveLength(2);
    expect(only(spans, "internal")).toMatchObject({ attributes: { "bifrost.limit": "budget" } });
    expect(only(spans, "internal").end).toBeCloseTo(1_700_000_000_009, 2);
  });
});

describe("a look into the cache", () => {
  test("has a span of its own for each target, where the admission has ended", async () => {
    const miss = { kind: "miss", reason: undefined, similarity: undefined } as const;
    const spans = await received(
      recordOf({
        trace,
        admissionAfterMs: 1,
        attempts: [attemptOf({ startedAfterMs: 5, durationMs: 1 })],
        lookups: [
          { ...miss, fallbackIndex: 0, startedAfterMs: 2, durationMs: 1.5 },
          { kind: "semantic", reason: undefined, similarity: 0.93, fallbackIndex: 1, startedAfterMs: 7, durationMs: 3 },
        ],
      }),
    );
    expect(spans.map(({ name, kind }) => [name, kind])).toEqual([
      ["POST /bedrock/model/{modelId}/converse", "server"],
      ["admission", "internal"],
      ["cache lookup", "internal"],
      ["cache lookup", "internal"],
      ["chat vendor.model", "client"],
    ]);
    const [, admission, first, second] = spans;
    expect(admission?.end).toBeCloseTo(1_700_000_000_002, 2);
    expect(first).toMatchObject({ parentSpanId: trace.spanId, failed: undefined });
    expect(first?.start).toBeCloseTo(1_700_000_000_002, 2);
    expect(first?.end).toBeCloseTo(1_700_000_000_003.5, 2);
    expect(first?.attributes).toEqual({ "bifrost.cache.kind": "miss", "bifrost.fallback_index": 0 });
    expect((second?.end ?? 0) - (second?.start ?? 0)).toBeCloseTo(3, 2);
    expect(second?.attributes).toEqual({
      "bifrost.cache.kind": "semantic",
      "bifrost.cache.similarity": 0.93,
      "bifrost.fallback_index": 1,
    });
  });

  test("says why the cache had no part in it", async () => {
    const bypass = { kind: "bypass", reason: "conversation", similarity: undefined } as const;
    const lookups = [{ ...bypass, fallbackIndex: 0, startedAfterMs: 1, durationMs: 0.1 }];
    const [, lookup] = await received(recordOf({ trace, admissionAfterMs: undefined, attempts: [], lookups }));
    expect(lookup?.attributes).toMatchObject({
      "bifrost.cache.kind": "bypass",
      "bifrost.cache.reason": "conversation",
    });
  });
});

describe("nothing is made", () => {
  const context: SpanContext = { providers: new Map(), routes, content: false };

  test("of a trace that is not sampled, or without a collector", async () => {
    await using collector = await startFakeCollector();
    const traces = new Traces({ version: "1", routes, onCount: () => undefined, onHealth: () => undefined });
    traces.finished(recordOf({ trace }));
    const settings = { url: collector.url, headers: {}, resource: new Map([["service.name", "x"]]) };
    traces.configure({ ...settings, sampleRatio: 0.5, content: false }, new Map());
    expect(traces).toMatchObject({ enabled: true, sampleRatio: 0.5 });
    traces.finished(recordOf({ trace: { ...trace, sampled: false } }));
    traces.finished(recordOf({ trace: undefined }));
    await traces.flush(1000);
    traces.configure(undefined, new Map());
    expect(traces).toMatchObject({ enabled: false, sampleRatio: 0 });
    expect(collector.exports).toEqual([]);
  });

  test("twice: each span has an id of its own", () => {
    const record = recordOf({ trace, attempts: [attemptOf(), attemptOf()] });
    const ids = spansOf(record, trace, context).map((span) => /"spanId":"(\w+)"/.exec(span)?.[1]);
    expect(new Set(ids).size).toBe(4);
  });
});
