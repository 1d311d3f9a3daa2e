import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ExporterLimits, SpanExporter } from "../../src/telemetry/span-exporter.ts";
import { exportFrame, spansOf } from "../../src/telemetry/spans.ts";
import { beginTrace } from "../../src/telemetry/trace-context.ts";
import { type FakeCollector, startFakeCollector } from "../support/fake-collector.ts";
import { until } from "../support/wait.ts";
import { recordOf } from "./kit.ts";

let collector: FakeCollector;
let exporter: SpanExporter | undefined;
beforeEach(async () => {
  collector = await startFakeCollector();
});
afterEach(async () => {
  await exporter?.close(0);
  await collector[Symbol.asyncDispose]();
  expect(collector.violations).toEqual([]);
});

const context = { providers: new Map<string, string>(), routes: new Map(), content: false };

/** The one span of a request that was refused before anything. */
function spans(count: number, message = ""): string[] {
  return Array.from({ length: count }, () => {
    const record = recordOf({ attempts: [], admissionAfterMs: undefined, outcome: "error", status: 500, message });
    return spansOf(record, beginTrace(undefined, undefined, 1), context)[0] ?? "";
  });
}

function start(limits: Partial<ExporterLimits> = {}, url = `${collector.url}/v1/traces`) {
  const counts = { exported: 0, dropped: 0 };
  const health: (string | undefined)[] = [];
  const made = new SpanExporter({
    url,
    headers: { "x-api-key": "k" },
    frame: exportFrame(new Map([["service.name", "test"]]), { name: "test", version: "1" }),
    onCount: (result, count) => {
      counts[result] += count;
    },
    onHealth: (problem) => health.push(problem),
    limits: { delayMs: 20, backoffMs: 10, ...limits },
  });
  exporter = made;
  return { made, counts, health };
}

describe("spans", () => {
  test("go together after a moment, with the headers", async () => {
    const { made, counts } = start();
    made.add(spans(3));
    made.add(spans(2));
    await until("the export", () => counts.exported === 5);
    expect(collector.exports).toHaveLength(1);
    expect(collector.spans).toHaveLength(5);
    expect(collector.exports[0]?.headers).toMatchObject({ "x-api-key": "k" });
    expect(collector.exports[0]?.path).toBe("/v1/traces");
  });

  test("are zipped for a collector on another machine, and not for one on this", async () => {
    const { made } = start();
    made.add(spans(3));
    await made.flush(5000);
    // Another name of this machine, which the exporter does not know as such.
    const { made: far, counts } = start({}, collector.url.replace("127.0.0.1", "0.0.0.0"));
    far.add(spans(3));
    await far.flush(5000);
    await made.close(0);
    expect(counts.exported).toBe(3);
    expect(collector.exports.map(({ headers }) => headers["content-encoding"])).toEqual([undefined, "gzip"]);
  });

  test("go at once when there are many, in batches, one after the other", async () => {
    const { made, counts } = start({ delayMs: 60_000, batchSpans: 10 });
    for (let index = 0; index < 5; index++) made.add(spans(5));
    await until("the whole batches", () => counts.exported === 20);
    expect(collector.exports).toHaveLength(2);
    await made.flush(5000);
    expect(counts.exported).toBe(25);
    expect(collector.exports).toHaveLength(3);
  });

  test("that come during an export wait for others", async () => {
    const { made, counts } = start({ delayMs: 60_000, batchSpans: 10 });
    made.add(spans(10));
    made.add(spans(1));
    await until("the export", () => counts.exported === 10);
    made.add(spans(9));
    await until("the next one", () => counts.exported === 20);
    expect(collector.exports).toHaveLength(2);
  });

  test("of any size and in any script arrive as they were", async () => {
    const { made, counts } = start({ batchSpans: 3 });
    const messages = ["x".repeat(300_000), "日本語 🙂 \ud800".repeat(60_000), "", '"\\\u0000'];
    for (const message of messages) made.add(spans(1, message));
    await made.flush(5000);
    expect(counts.exported).toBe(4);
    expect(collector.spans.map(({ failed }, index) => failed === messages[index])).toEqual([true, true, true, true]);
  });

  test("are sent again after 429 and 503, when the collector says, and counted once", async () => {
    const { made, counts, health } = start({ maxBackoffMs: 50 });
    collector.answers = [{ status: 429, headers: { "retry-after": "3600" } }, { status: 503 }];
    made.add(spans(2));
    await until("the export", () => counts.exported === 2);
    expect(collector.exports).toHaveLength(3);
    expect(counts.dropped).toBe(0);
    expect(health).toEqual(["the collector answered 429", undefined]);
  });

  test("are dropped and counted when the collector does not want them, or not in the end", async () => {
    const { made, counts } = start({ tries: 2 });
    collector.answers = [{ status: 400 }];
    made.add(spans(2));
    await until("the refusal", () => counts.dropped === 2);
    expect(collector.exports).toHaveLength(1);
    collector.answers = [{ status: 503 }, { status: 503 }];
    made.add(spans(3));
    await until("the last try", () => counts.dropped === 5);
    expect(collector.exports).toHaveLength(3);
    made.add(spans(1));
    await until("the next export", () => counts.exported === 1);
  });

  test("that a collector rejects in part count as dropped", async () => {
    const { made, counts } = start();
    collector.answers = [{ status: 200, body: '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"no"}}' }];
    made.add(spans(5));
    await until("the export", () => counts.exported === 3);
    expect(counts.dropped).toBe(2);
  });
});

describe("a collector that never answers", () => {
  test("holds no more than the queue's size, by number", async () => {
    const { made, counts } = start({ maxSpans: 100, batchSpans: 10, timeoutMs: 60_000 });
    collector.answers = ["never"];
    for (let index = 0; index < 500; index++) made.add(spans(1));
    expect(made.hasRoom).toBe(false);
    expect(counts.dropped).toBe(400);
    await until("the one export", () => collector.exports.length === 1);
    await made.close(10);
    expect(counts).toEqual({ exported: 0, dropped: 500 });
  });

  test("holds no more than the queue's size, by length", () => {
    const { made, counts } = start({ maxBytes: 10_000, delayMs: 60_000 });
    for (let index = 0; index < 50; index++) made.add(spans(1, "x".repeat(2000)));
    expect(counts.dropped).toBeGreaterThan(40);
    expect(counts.dropped).toBeLessThan(48);
  });

  test("is given up after its time, and the rest goes out once it is back", async () => {
    const { made, counts, health } = start({ timeoutMs: 50, tries: 2, batchSpans: 10 });
    collector.answers = ["never", "never"];
    made.add(spans(10));
    made.add(spans(5));
    await until("the loss", () => counts.dropped === 10);
    await until("the rest", () => counts.exported === 5);
    expect(health).toHaveLength(2);
    expect(health[1]).toBeUndefined();
  });

  test("holds a flush up no longer than it may", async () => {
    const { made } = start();
    collector.answers = ["never"];
    made.add(spans(1));
    const before = performance.now();
    await made.flush(50);
    expect(performance.now() - before).toBeLessThan(5000);
  });
});

test("where nobody listens, spans are dropped and it is said once", async () => {
  const gone = await startFakeCollector();
  const url = `${gone.url}/v1/traces`;
  await gone[Symbol.asyncDispose]();
  const { made, counts, health } = start({ tries: 2 }, url);
  made.add(spans(1));
  await until("the loss", () => counts.dropped === 1);
  made.add(spans(1));
  await until("the next loss", () => counts.dropped === 2);
  expect(health).toHaveLength(1);
});

test("a flush sends what waits", async () => {
  const { made, counts } = start({ delayMs: 60_000 });
  made.add(spans(4));
  await made.flush(5000);
  expect(counts).toEqual({ exported: 4, dropped: 0 });
});
