import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Child } from "../../../bench/gateway/process.ts";
import type { JobResult } from "../../../bench/load/load.ts";
import type { StreamsResult } from "../../../bench/load/streams.ts";
import {
  bedrockModel,
  bodyNames,
  bodyOf,
  chatPath,
  converseAnswer,
  converseStream,
  framesPerStream,
  type Plan,
  planIn,
  planModel,
  wholeStream,
} from "../../../bench/load/traffic.ts";
import { readConverse } from "../../../src/bedrock/converse-reader.ts";
import { decodeFrames, payloadOf } from "../../support/frames.ts";

let upstream: Child;
let load: Child;
let port: number;

function start(file: string): Child {
  return new Child(file, ["--import", "tsx", fileURLToPath(new URL(`../../../bench/load/${file}`, import.meta.url))]);
}

beforeAll(async () => {
  upstream = start("upstream.ts");
  load = start("load.ts");
  port = await upstream.line((line) => Number(Object(line).port), 10_000);
}, 15_000);

afterAll(async () => {
  await Promise.all([upstream.stop(), load.stop()]);
});

const conversePath = `/model/${encodeURIComponent(bedrockModel)}/converse`;
const burstPath = `${conversePath}-stream`;
const pathOf = (plan: Plan, operation = "converse") => `/model/${planModel(plan)}/${operation}`;
const slowStream = pathOf({ kind: "events", count: 200, gapMs: 10 }, "converse-stream");

function run(path: string, more: object = {}): Promise<JobResult> {
  const job = {
    kind: "requests",
    port,
    path,
    body: "1 KB",
    connections: 4,
    warmupMs: 50,
    measureMs: 300,
    watch: [upstream.pid],
  };
  load.write({ ...job, ...more });
  return load.line((line) => Object(line), 10_000);
}

const streamBytes = Buffer.concat(wholeStream(converseStream)).length;

describe("the load generator and the fake Bedrock", { timeout: 20_000 }, () => {
  test("send and count whole answers", async () => {
    const result = await run(conversePath, { expectedBytes: Buffer.byteLength(converseAnswer()) });
    expect(result).toMatchObject({ errors: 0, cpu: [expect.any(Number)] });
    expect(result.requests).toBeGreaterThan(50);
    expect(result.bodyBytes / result.requests).toBeCloseTo(1024, -2);
    expect(result.cpu[0]).toBeGreaterThan(0);
    const { latency, firstByte } = result;
    expect(latency.max).toBeGreaterThanOrEqual(latency.p999);
    expect(latency.p99).toBeGreaterThanOrEqual(latency.p50);
    expect(firstByte.p50).toBeGreaterThan(0);
    expect(firstByte.p50).toBeLessThanOrEqual(latency.p50);
  });

  test("count no connection that the server closes between two requests as an error, and send no request into it", async () => {
    const server = createServer((message, response) => {
      message.resume().on("end", () => response.end("{}", () => setTimeout(() => message.socket.end(), 40)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const listening = typeof address === "object" ? address?.port : undefined;
    const result = await run("/", { port: listening, rate: 4, connections: 3, measureMs: 2000, watch: [] });
    expect(result).toMatchObject({ errors: 0, requests: 8 });
    server.close();
  });

  test("send and count streams", async () => {
    expect(await run(burstPath, { expectedBytes: streamBytes })).toMatchObject({ errors: 0 });
    const chat = await run(chatPath, { body: "chat stream" });
    expect(chat.errors).toBe(0);
    expect(chat.bodyBytes / chat.requests).toBeGreaterThan(framesPerStream * 100);
  });

  test("keep a rate, whatever the answers do", async () => {
    expect((await run(conversePath, { rate: 100, measureMs: 500 })).requests).toBe(50);
    // One connection for streams that take two seconds: nearly all requests are late, and the drain is too short for them.
    const late = await run(slowStream, { rate: 10, connections: 1 });
    expect(late.errors).toBeGreaterThan(0);
    expect(late.firstError).toMatch(/had no answer/);
  });

  test("report answers of a wrong length", async () => {
    const result = await run(conversePath, { expectedBytes: 5 });
    expect(result.requests).toBe(0);
    expect(result.firstError).toBe("an answer has 1024 bytes instead of 5");
  });

  test("report a server that is not there", async () => {
    const result = await run(conversePath, { port: 1 });
    expect(result.errors).toBeGreaterThan(0);
    expect(result.firstError).toContain("ECONNREFUSED");
  });

  test("wait as long as the model's name says, and count it", async () => {
    const { latency, requests } = await run(pathOf({ kind: "delay", ms: 60 }), { rate: 50, measureMs: 500 });
    expect(requests).toBe(25);
    expect(latency.p50).toBeGreaterThan(58_000);
  });

  test("count what a server that stands still does to requests that were due meanwhile", async () => {
    // One connection and an answer after 100 ms: at 50 requests a second each waits for all before it.
    const { latency, requests } = await run(pathOf({ kind: "delay", ms: 100 }), {
      rate: 50,
      connections: 1,
      warmupMs: 0,
    });
    expect(requests).toBe(14);
    expect(latency.p50).toBeGreaterThan(500_000);
  });

  test("answer with texts of the size that is asked for", async () => {
    const path = pathOf({ kind: "answer", kilobytes: 100 });
    expect(await run(path, { expectedBytes: 100 * 1024 })).toMatchObject({ errors: 0 });
  });

  test("fail, break off and leave on purpose", async () => {
    const fail = pathOf({ kind: "fail", status: 503 });
    expect((await run(fail)).firstError).toBe("an answer has the status 503");
    expect(await run(fail, { ending: "failure" })).toMatchObject({ errors: 0 });
    expect((await run(pathOf({ kind: "cut" }, "converse-stream"))).firstError).toBe("the connection was closed");
    const left = await run(slowStream, { ending: "leave" });
    expect(left.errors).toBe(0);
    expect(left.requests).toBeGreaterThan(10);
  });
});

describe("many streams at a time", { timeout: 20_000 }, () => {
  function open(more: object = {}): Promise<StreamsResult> {
    const path = pathOf({ kind: "events", count: 30, gapMs: 20 }, "converse-stream");
    const job = { kind: "streams", port, path, body: "1 KB", streams: 20, rampMs: 100, holdMs: 300, events: 30 };
    load.write({ ...job, exact: true, watch: [upstream.pid], ...more });
    return load.line((line) => Object(line), 10_000);
  }

  test("are read to their end, byte for byte", async () => {
    const result = await open();
    expect(result).toMatchObject({ right: 20, wrong: 0 });
    expect(result.events).toBeGreaterThan(100);
    expect(result.events).toBeLessThan(20 * 30);
    expect(result.delay.p50).toBeGreaterThan(0);
    expect(result.memory[0]).toBeGreaterThan(10 * 1024 * 1024);
  });

  test("are wrong when an event is missing, or when they are no streams", async () => {
    expect(await open({ events: 31 })).toMatchObject({ right: 0, firstError: "a stream ended after 30 events" });
    expect(await open({ path: pathOf({ kind: "fail", status: 500 }) })).toMatchObject({ right: 0, wrong: 20 });
    const untimed = await open({ path: burstPath });
    expect(untimed.firstError).toMatch(/^event 0 of a stream is /);
  });
});

describe("the traffic", () => {
  test("is of 1 KB both ways", () => {
    const sizes = [bodyOf("1 KB"), bodyOf("chat 1 KB"), converseAnswer()].map((text) => Buffer.byteLength(text));
    expect(sizes).toEqual([1024, 1024, 1024]);
  });

  test("is Converse requests that hold", () => {
    for (const name of bodyNames.filter((one) => !one.startsWith("chat") && one !== "20 MB"))
      expect(() => readConverse(JSON.parse(bodyOf(name)), false), name).not.toThrow();
  });

  test("tells the upstream what to do, in the name of a model", () => {
    const plans: Plan[] = [
      { kind: "delay", ms: 60 },
      { kind: "answer", kilobytes: 100 },
      { kind: "events", count: 80, gapMs: 50 },
      { kind: "fail", status: 503 },
      { kind: "cut" },
    ];
    for (const plan of plans) expect(planIn(`{"model":"${planModel(plan)}"}`)).toEqual(plan);
    expect(planIn(conversePath)).toBeUndefined();
  });

  test("holds streams that an SDK can read", async () => {
    const answer = await fetch(`http://127.0.0.1:${port}${burstPath}`, { method: "POST", body: bodyOf("1 KB") });
    const frames = decodeFrames(Buffer.from(await answer.arrayBuffer()));
    expect(frames).toHaveLength(framesPerStream);
    expect(frames.map(({ type }) => type).slice(-2)).toEqual(["messageStop", "metadata"]);
    expect(payloadOf(frames[1])).toHaveProperty("delta.text");
  });
});
