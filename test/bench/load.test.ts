import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JobResult } from "../../bench/load.ts";
import { Child } from "../../bench/process.ts";
import {
  burstPath,
  converseAnswer,
  conversePath,
  converseRequest,
  framesPerStream,
  pacedPath,
  streamFrames,
} from "../../bench/traffic.ts";
import { decodeFrames, payloadOf } from "../support/frames.ts";

let upstream: Child;
let load: Child;
let port: number;

function start(file: string): Child {
  return new Child(file, ["--import", "tsx", fileURLToPath(new URL(`../../bench/${file}`, import.meta.url))]);
}

beforeAll(async () => {
  upstream = start("upstream.ts");
  load = start("load.ts");
  port = await upstream.line((line) => Number(Object(line).port), 10_000);
}, 15_000);

afterAll(async () => {
  await Promise.all([upstream.stop(), load.stop()]);
});

function run(path: string, more: object = {}): Promise<JobResult> {
  const job = {
    port,
    path,
    body: converseRequest,
    connections: 4,
    warmupMs: 50,
    measureMs: 300,
    watch: [upstream.pid],
  };
  load.write({ ...job, ...more });
  return load.line((line) => Object(line), 10_000);
}

const streamBytes = Buffer.concat(streamFrames()).length;

describe("the load generator and the fake Bedrock", { timeout: 20_000 }, () => {
  test("send and count whole answers", async () => {
    const result = await run(conversePath, { expectedBytes: Buffer.byteLength(converseAnswer) });
    expect(result).toMatchObject({ errors: 0, cpu: [expect.any(Number)] });
    expect(result.requests).toBeGreaterThan(50);
    expect(result.bodyBytes / result.requests).toBeCloseTo(1024, -2);
    expect(result.cpu[0]).toBeGreaterThan(0);
    expect(result.p99).toBeGreaterThanOrEqual(result.p50);
  });

  test("send and count streams", async () => {
    expect(await run(burstPath, { expectedBytes: streamBytes })).toMatchObject({ errors: 0 });
    expect(await run(pacedPath, { expectedBytes: streamBytes })).toMatchObject({ errors: 0 });
  });

  test("keep a rate, whatever the answers do", async () => {
    expect((await run(conversePath, { rate: 100, measureMs: 500 })).requests).toBe(50);
    // One connection for streams that take two seconds: nearly all requests are late, and the drain is too short for them.
    const late = await run(pacedPath, { rate: 10, connections: 1 });
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
});

describe("the traffic", () => {
  test("is of 1 KB both ways", () => {
    expect([Buffer.byteLength(converseRequest), Buffer.byteLength(converseAnswer)]).toEqual([1024, 1024]);
  });

  test("holds streams that an SDK can read", async () => {
    const answer = await fetch(`http://127.0.0.1:${port}${burstPath}`, { method: "POST", body: converseRequest });
    const frames = decodeFrames(Buffer.from(await answer.arrayBuffer()));
    expect(frames).toHaveLength(framesPerStream);
    expect(frames.map(({ type }) => type).slice(-2)).toEqual(["messageStop", "metadata"]);
    expect(payloadOf(frames[1])).toHaveProperty("delta.text");
  });
});
