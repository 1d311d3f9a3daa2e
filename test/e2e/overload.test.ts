/** Too much to do: new inference is refused before it hurts what runs, and everything else goes on. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames, decodeFrames } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { type RawAnswer, send, sendH2, userTurn } from "../support/raw-http.ts";
import { until } from "../support/wait.ts";

const mib = 1024 * 1024;
const path = "/bedrock/model/vendor.model/converse";
let fake: FakeBedrock;
const started: RunningGateway[] = [];

beforeAll(async () => {
  fake = await startFakeBedrock();
});
beforeEach(() => fake.reset());
afterEach(async () => {
  await Promise.all(started.splice(0).map((gateway) => gateway.stop()));
}, 30_000);
afterAll(() => fake?.[Symbol.asyncDispose]());

async function start(env: Readonly<Record<string, string>>): Promise<RunningGateway> {
  const gateway = await startGateway({ config: relayConfig(fake.url), env });
  started.push(gateway);
  return gateway;
}

function expectThrottled({ status, headers, body }: RawAnswer, message: RegExp): void {
  expect(status).toBe(429);
  expect(headers["x-amzn-errortype"]).toBe("ThrottlingException");
  expect(Number(headers["retry-after"])).toBeGreaterThan(0);
  expect(JSON.parse(body.toString())).toMatchObject({ message: expect.stringMatching(message) });
}

describe("a process whose memory is nearly used up", { timeout: 60_000 }, () => {
  test("refuses new inference on both ports, small or large, and answers everything else", async () => {
    // Less than any process of Node.js has.
    const gateway = await start({ BIFROST_MEMORY_LIMIT_MB: "32" });
    await until("the overload", async () => (await gateway.metric("bifrost_overloaded")) === 1);
    for (const body of [userTurn("hi"), userTurn("x".repeat(mib))]) {
      expectThrottled(await send(gateway.url, path, { body }), /memory/);
      expectThrottled(await sendH2(gateway.h2url, path, { body }), /memory/);
    }
    expect(fake.requests).toEqual([]);
    for (const page of ["/health", "/ready", "/metrics", "/api/governance/virtual-keys"]) {
      expect((await send(gateway.url, page, { method: "GET" })).status).toBe(200);
    }
    expect(await gateway.metric("bifrost_overload_refusals_total", { reason: "memory" })).toBe(4);
    expect(gateway.logs.filter(({ msg }) => String(msg).startsWith("overloaded"))).toHaveLength(1);
  });
});

describe("an overload that comes and goes", { timeout: 60_000 }, () => {
  const preload = new URL("../support/thread-orders.js", import.meta.url).href;

  test.each([
    { deed: "stall", message: /does not come round/, env: { BIFROST_OVERLOAD_DELAY_MS: "100" } },
    { deed: "swell", message: /memory/, env: { BIFROST_MEMORY_LIMIT_MB: "500" } },
  ])("for $deed refuses new inference, lets streams end byte for byte, and is over", async ({ deed, message, env }) => {
    const orders = mkdtempSync(join(tmpdir(), "bifrost-orders-"));
    const gateway = await start({ ...env, NODE_OPTIONS: `--import ${preload}`, THREAD_ORDERS: orders });
    const frames = converseFrames();
    fake.when("lasting", stream(frames.flatMap((frame) => [frame, 800])));
    const running = Array.from({ length: 10 }, () =>
      send(gateway.url, "/bedrock/model/lasting/converse-stream", { body: userTurn("hi") }),
    );
    await until("the streams", () => fake.all("lasting").length === running.length);
    writeFileSync(join(orders, "front-end-1"), deed);
    await until("the overload", () => gateway.logs.some(({ msg }) => String(msg).startsWith("overloaded")), 8000);
    for (const ask of [
      send(gateway.url, path, { body: userTurn("hi") }),
      sendH2(gateway.h2url, path, { body: userTurn("hi") }),
    ])
      expectThrottled(await ask, message);
    for (const { status, body } of await Promise.all(running)) {
      expect(status).toBe(200);
      expect(body.equals(Buffer.concat(frames))).toBe(true);
    }
    await until(
      "its end",
      () => gateway.logs.some(({ msg }) => String(msg).startsWith("no longer overloaded")),
      20_000,
    );
    expect((await send(gateway.url, path, { body: userTurn("hi") })).status).toBe(200);
    expect(fake.all("vendor.model")).toHaveLength(1);
    rmSync(orders, { recursive: true });
  });
});

describe("bodies in flight", { timeout: 60_000 }, () => {
  /** 100 MiB of room for bodies: a quarter. */
  const env = { BIFROST_MEMORY_LIMIT_MB: "400" };
  const large = userTurn("x".repeat(60 * mib));

  /** An upload that stops in the middle. */
  async function uploadHalf({ url }: RunningGateway): Promise<{ readonly socket: Socket; finish(): Promise<string> }> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    let answer = "";
    socket.setEncoding("latin1").on("data", (text: string) => {
      answer += text;
    });
    const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${large.length}\r\n\r\n`;
    await new Promise((resolve) => socket.write(head + large.slice(0, large.length / 2), resolve));
    const finish = async () => {
      socket.write(large.slice(large.length / 2));
      await until("the whole answer", () => answer.includes("\r\n\r\n") && answer, 20_000);
      socket.destroy();
      return answer;
    };
    return { socket, finish };
  }

  test("have a bound: one that goes beyond it is refused with a word on when to come again, the others go on", async () => {
    const gateway = await start(env);
    const first = await uploadHalf(gateway);
    expectThrottled(await send(gateway.url, path, { body: large }), /too large in sum/);
    expectThrottled(await send(gateway.url, path, { body: large, headers: { "transfer-encoding": "chunked" } }), /sum/);
    expectThrottled(await sendH2(gateway.h2url, path, { body: large }), /too large in sum/);
    expect((await send(gateway.url, path, { body: userTurn("small") })).status).toBe(200);
    expect(await first.finish()).toMatch(/^HTTP\/1\.1 200/);
    expect((await send(gateway.url, path, { body: large })).status).toBe(200);
    expect(await gateway.metric("bifrost_overload_refusals_total", { reason: "bodies" })).toBe(3);
  });

  test("give their room back when their client leaves", async () => {
    const gateway = await start(env);
    for (let round = 0; round < 4; round++) {
      const { socket } = await uploadHalf(gateway);
      socket.destroy();
    }
    await until("the last one's end", async () => (await gateway.metric("bifrost_active_requests")) <= 1);
    expect((await send(gateway.url, path, { body: large })).status).toBe(200);
  });

  test("leave running streams alone", async () => {
    const gateway = await start(env);
    fake.when("lasting", stream(converseFrames().flatMap((frame) => [frame, 200])));
    const running = send(gateway.url, "/bedrock/model/lasting/converse-stream", { body: userTurn("hi") });
    await fake.seen("lasting");
    const { socket } = await uploadHalf(gateway);
    expectThrottled(await send(gateway.url, path, { body: large }), /too large in sum/);
    const { status, body } = await running;
    expect(status).toBe(200);
    expect(decodeFrames(body).at(-1)?.type).toBe("metadata");
    socket.destroy();
  });
});
