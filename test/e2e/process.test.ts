import { connect as connectH2 } from "node:http2";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { converseAnswer, json, stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames, decodeFrames } from "../support/frames.ts";
import { freePort, type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { send, sendH2, sendOn, userTurn } from "../support/raw-http.ts";
import { inParallel, rejection, sleep, until } from "../support/wait.ts";

let fake: FakeBedrock;
const started: RunningGateway[] = [];

beforeAll(async () => {
  fake = await startFakeBedrock();
});
beforeEach(() => fake.reset());
afterEach(async () => {
  await Promise.all(started.splice(0).map((gateway) => gateway.stop()));
  expect(fake.violations).toEqual([]);
}, 30_000);
afterAll(() => fake?.[Symbol.asyncDispose]());

async function start(env: Readonly<Record<string, string>> = {}): Promise<RunningGateway> {
  const gateway = await startGateway({ config: relayConfig(fake.url), env });
  started.push(gateway);
  return gateway;
}

const path = (action: string, model = "vendor.model") => `/bedrock/model/${model}/${action}`;
/** A stream that takes this long in all. */
const lasting = (ms: number) => {
  const frames = converseFrames();
  return stream(frames.flatMap((frame) => [frame, ms / frames.length]));
};
const whole = (body: Buffer) => decodeFrames(body).map((frame) => frame.type);

describe("the start", { timeout: 40_000 }, () => {
  test("prints one ready line with both addresses, the providers and the number of keys", async () => {
    const gateway = await start();
    const ready = gateway.logs.filter((line) => line.msg === "ready");
    expect(ready).toHaveLength(1);
    expect(ready[0]).toMatchObject({
      http: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      h2: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      providers: ["bedrock"],
      keys: 1,
    });
  });

  test("with BIFROST_H2_PORT=0 leaves HTTP/2 off and says so", async () => {
    const gateway = await startGateway({ config: relayConfig(fake.url), withoutH2: true });
    started.push(gateway);
    expect(gateway.logs.find((line) => line.msg === "ready")?.h2).toBeNull();
    expect((await send(gateway.url, path("converse"), { body: userTurn("hi") })).status).toBe(200);
  });

  test("of several at the same moment on one port is one gateway's alone", async () => {
    const port = String(await freePort());
    const starts = Array.from({ length: 4 }, () =>
      startGateway({ config: relayConfig(fake.url), env: { BIFROST_PORT: port }, withoutH2: true }),
    );
    const ended = await Promise.allSettled(starts);
    for (const one of ended) if (one.status === "fulfilled") started.push(one.value);
    const refused = ended.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
    expect(refused).toHaveLength(3);
    for (const reason of refused) expect(reason).toMatch(/cannot listen on 127\.0\.0\.1:\d+.*EADDRINUSE/s);
    for (let count = 0; count < 20; count++)
      expect((await send(`http://127.0.0.1:${port}`, "/health", { method: "GET" })).status).toBe(200);
  });

  test("refuses a configuration with unknown and wrong fields, and names each path", async () => {
    const config = { clinet: {}, providers: { bedrock: { keys: [{ name: "x", weight: "heavy", models: ["*"] }] } } };
    const error = await rejection(startGateway({ config }));
    expect(String(error)).toContain("clinet");
    expect(String(error)).toMatch(/providers.{1,3}bedrock.{1,3}keys.{1,3}0.{1,4}weight/);
  });

  test("refuses a port that is taken", async () => {
    const first = await start();
    const error = await rejection(
      startGateway({ config: relayConfig(fake.url), env: { BIFROST_PORT: new URL(first.url).port } }),
    );
    expect(String(error)).toMatch(/cannot listen|in use/);
    expect((await send(first.url, path("converse"), { body: userTurn("hi") })).status).toBe(200);
  });
});

describe("SIGTERM", { timeout: 40_000 }, () => {
  test("lets running streams and requests finish on both ports, is not ready at once, and exits with 0", async () => {
    const gateway = await start();
    fake.when("lasting", () => lasting(1500));
    fake.when("thinking", { ...json(converseAnswer), delayMs: 1200 });
    const running = [
      send(gateway.url, path("converse-stream", "lasting"), { body: userTurn("hi") }),
      sendH2(gateway.h2url, path("converse-stream", "lasting"), { body: userTurn("hi") }),
      send(gateway.url, path("converse", "thinking"), { body: userTurn("hi") }),
      sendH2(gateway.h2url, path("converse", "thinking"), { body: userTurn("hi") }),
    ];
    const session = connectH2(gateway.h2url);
    session.on("error", () => undefined);
    await until("all four upstream", () => fake.requests.length === 4);
    expect((await send(gateway.url, "/ready", { method: "GET" })).status).toBe(200);
    gateway.signal("SIGTERM");
    await expect
      .poll(async () => (await send(gateway.url, "/ready", { method: "GET" })).status, { interval: 20 })
      .toBe(503);
    expect((await send(gateway.url, "/health", { method: "GET" })).status).toBe(200);
    const answers = await Promise.all(running);
    for (const answer of answers) expect(answer.status).toBe(200);
    for (const answer of answers.slice(0, 2)) expect(whole(answer.body).at(-1)).toBe("metadata");
    expect(await gateway.exited).toBe(0);
    session.destroy();
  });

  test("with nothing running ends at once with 0, even while idle connections are open", async () => {
    const gateway = await start();
    await send(gateway.url, "/health", { method: "GET" });
    const session = connectH2(gateway.h2url);
    session.on("error", () => undefined);
    await sendOn(session, "/health", { method: "GET" });
    const begun = Date.now();
    gateway.signal("SIGTERM");
    expect(await gateway.exited).toBe(0);
    expect(Date.now() - begun).toBeLessThan(5000);
    session.destroy();
  });

  test("a second signal ends what is still running at once", async () => {
    const gateway = await start();
    fake.when("endless", stream(converseFrames().slice(0, 2), "hang"));
    const cut = rejection(send(gateway.url, path("converse-stream", "endless"), { body: userTurn("hi") }));
    await fake.seen("endless");
    gateway.signal("SIGTERM");
    await sleep(300);
    const begun = Date.now();
    gateway.signal("SIGTERM");
    expect(await gateway.exited).not.toBe(0);
    expect(Date.now() - begun).toBeLessThan(3000);
    await cut;
  });

  test("after BIFROST_DRAIN_SECONDS ends streams with an exception frame and requests with an error", async () => {
    const gateway = await start({ BIFROST_DRAIN_SECONDS: "1" });
    fake.when("endless", stream(converseFrames().slice(0, 2), "hang"));
    fake.when("thinking", { ...json(converseAnswer), delayMs: 30_000 });
    const streams = [
      send(gateway.url, path("converse-stream", "endless"), { body: userTurn("hi") }),
      sendH2(gateway.h2url, path("converse-stream", "endless"), { body: userTurn("hi") }),
    ];
    const request = send(gateway.url, path("converse", "thinking"), { body: userTurn("hi") });
    await until("all three upstream", () => fake.requests.length === 3);
    await sleep(100);
    gateway.signal("SIGTERM");
    for (const answer of await Promise.all(streams)) {
      expect(decodeFrames(answer.body).at(-1)).toMatchObject({ kind: "exception" });
    }
    expect((await request).status).toBe(503);
    await gateway.exited;
    expect(gateway.pid).toBeGreaterThan(0);
  });
});

describe("two front ends", { timeout: 40_000 }, () => {
  test("serve on one port, count together, and stop together", async () => {
    const gateway = await start({ BIFROST_FRONTENDS: "2" });
    const asked = 200;
    await inParallel(Array.from({ length: asked }), 20, async (_, index) => {
      const action = index % 2 === 0 ? "converse" : "converse-stream";
      const answer = await send(gateway.url, path(action), { body: userTurn("hi"), headers: { connection: "close" } });
      expect(answer.status).toBe(200);
      if (action === "converse-stream") expect(whole(answer.body).at(-1)).toBe("metadata");
    });
    expect((await sendH2(gateway.h2url, path("converse"), { body: userTurn("hi") })).status).toBe(200);
    await expect.poll(() => gateway.metric("bifrost_upstream_requests_total", { provider: "bedrock" })).toBe(asked + 1);
    gateway.signal("SIGTERM");
    expect(await gateway.exited).toBe(0);
  });

  test("never share a port that somebody else has", async () => {
    const first = await start({ BIFROST_FRONTENDS: "2" });
    const env = { BIFROST_FRONTENDS: "2", BIFROST_PORT: new URL(first.url).port };
    expect(String(await rejection(startGateway({ config: relayConfig(fake.url), env })))).toMatch(
      /cannot listen|in use/,
    );
  });
});
