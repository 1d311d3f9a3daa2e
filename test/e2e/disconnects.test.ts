import { request as httpRequest } from "node:http";
import { type ClientHttp2Session, connect as connectH2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chunkStream, converseAnswer, json, stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { anthropicFrames, converseFrames } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { send, userTurn } from "../support/raw-http.ts";
import { inParallel, sleep, until } from "../support/wait.ts";

let fake: FakeBedrock;
let gateway: RunningGateway;
let atRest = 0;

beforeAll(async () => {
  fake = await startFakeBedrock();
  gateway = await startGateway({ config: relayConfig(fake.url) });
  atRest = await gateway.metric("bifrost_active_requests");
}, 30_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const path = (action: string, model: string) => `/bedrock/model/${model}/${action}`;

/** Requests in flight beyond what the idle gateway reports to the request that asks. */
const inFlight = async () => (await gateway.metric("bifrost_active_requests")) - atRest;

/** Posts, and calls back for each chunk of the answer with the function that leaves. */
function postAndLeave(
  protocol: string,
  to: string,
  leaveAt: (leave: () => void, bytes: number) => void,
): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    if (protocol === "h2") {
      const session = connectH2(gateway.h2url);
      session.on("error", () => undefined);
      session.on("close", () => resolve());
      const open = session.request({ ":method": "POST", ":path": to });
      const leave = () => session.destroy();
      open.on("error", () => undefined);
      open.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        leaveAt(leave, bytes);
      });
      open.end(userTurn("hi"));
      leaveAt(leave, 0);
      return;
    }
    const { hostname, port } = new URL(gateway.url);
    const outgoing = httpRequest({ hostname, port, path: to, method: "POST", agent: false });
    const leave = () => outgoing.destroy();
    outgoing.on("close", () => resolve());
    outgoing.on("error", () => undefined);
    outgoing.on("response", (message) => {
      message.on("error", () => undefined);
      message.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        leaveAt(leave, bytes);
      });
    });
    outgoing.end(userTurn("hi"));
    leaveAt(leave, 0);
  });
}

describe.each(["http/1.1", "h2"])("A17 a client that leaves over %s", (protocol) => {
  test.each([1, 2, 3, 4])("at event %i ends the upstream call within a second and is counted once", async (k) => {
    const model = `leave-at-${k}`;
    const frames = converseFrames();
    const threshold = Buffer.concat(frames.slice(0, k)).length;
    fake.when(
      model,
      stream(
        frames.slice(0, 5).flatMap((frame) => [frame, 30]),
        "hang",
      ),
    );
    const before = await gateway.metric("bifrost_requests_total", { outcome: "cancelled" });
    let leftAt = 0;
    await postAndLeave(protocol, path("converse-stream", model), (leave, bytes) => {
      if (bytes < threshold || leftAt !== 0) return;
      leftAt = Date.now();
      leave();
    });
    const request = await fake.seen(model);
    const closedAt = await until("the upstream connection's end", () => request.closedAt);
    expect(closedAt - leftAt).toBeLessThan(1000);
    expect(request.aborted).toBe(true);
    await until("the request's end in the metrics", async () => (await inFlight()) === 0);
    const after = () => gateway.metric("bifrost_requests_total", { outcome: "cancelled" });
    await expect.poll(after).toBe(before + 1);
    await sleep(50);
    expect(await after()).toBe(before + 1);
    expect(fake.all(model)).toHaveLength(1);
  });

  test("while the upstream is still thinking ends that call as well", async () => {
    for (const [action, answer] of [
      ["converse", { ...json(converseAnswer), delayMs: 20_000 }],
      ["converse-stream", stream([], "hang")],
      ["invoke-with-response-stream", { ...chunkStream([]), delayMs: 20_000 }],
    ] as const) {
      const model = `thinking-${action}`;
      fake.when(model, answer);
      let leftAt = 0;
      await postAndLeave(protocol, path(action, model), (leave) => {
        void fake.seen(model).then(async () => {
          await sleep(30);
          leftAt = Date.now();
          leave();
        });
      });
      const request = await fake.seen(model);
      const closedAt = await until("the upstream connection's end", () => request.closedAt);
      expect(closedAt - leftAt).toBeLessThan(1000);
    }
    await until("the requests' end in the metrics", async () => (await inFlight()) === 0);
  });
});

const aborts = 10_000;

describe("A23 ten thousand clients that leave at random moments", () => {
  test("leave no crash, no request in flight and no upstream call behind", async () => {
    const chunks = anthropicFrames();
    fake.when("unary", json(converseAnswer));
    fake.when("slow", { ...json(converseAnswer), delayMs: 20 });
    fake.when("flowing", () => stream(converseFrames().flatMap((frame) => [frame, 1])));
    fake.when("bulk", () => chunkStream([...Array.from({ length: 200 }, () => chunks.slice(0, 5)).flat(), ...chunks]));
    const kinds = [
      path("converse", "unary"),
      path("converse", "slow"),
      path("converse-stream", "flowing"),
      path("invoke-with-response-stream", "bulk"),
      "/bedrock/nowhere",
      "/health",
    ];
    const { hostname, port } = new URL(gateway.url);
    const sessions: ClientHttp2Session[] = [];
    await inParallel(Array.from({ length: aborts }), 48, async (_, index) => {
      const to = kinds[index % kinds.length] ?? "/health";
      if (index % 10 === 0) await abortOnH2(to, sessions);
      else await abortOnSocket(connect(Number(port), hostname), to);
    });
    for (const session of sessions) session.destroy();

    await until("no request in flight", async () => (await inFlight()) === 0, 10_000);
    await until("no open upstream call", () => fake.requests.every((request) => request.closedAt !== undefined));
    const answer = await send(gateway.url, path("converse", "unary"), { body: userTurn("still there?") });
    expect(answer.body.toString()).toBe(JSON.stringify(converseAnswer));
    expect(gateway.logs.filter((line) => line.level === 60 || line.level === 50)).toEqual([]);
  }, 60_000);
});

const moments = ["half", "sent", "soon", "first bytes", "later", "end"] as const;

/** One connection that leaves before its request is whole, right behind it, at the answer, in it, or behind it. */
function abortOnSocket(socket: Socket, to: string): Promise<void> {
  const body = userTurn("x".repeat(300));
  const head = `POST ${to} HTTP/1.1\r\nhost: gateway\r\ncontent-length: ${body.length}\r\n\r\n`;
  const whole = Buffer.from(to === "/health" ? "GET /health HTTP/1.1\r\nhost: gateway\r\n\r\n" : head + body);
  const moment = moments[Math.floor(Math.random() * moments.length)] ?? "sent";
  return new Promise((resolve) => {
    const leave = () => (Math.random() < 0.5 ? socket.resetAndDestroy() : socket.destroy());
    const timer = setTimeout(leave, moment === "soon" ? Math.random() * 8 : 400);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.on("error", () => undefined);
    socket.on("connect", () => {
      if (moment === "half") {
        socket.write(whole.subarray(0, 1 + Math.floor(Math.random() * (whole.length - 1))), leave);
        return;
      }
      socket.write(whole, () => {
        if (moment === "sent") leave();
      });
    });
    let reads = 0;
    socket.on("data", (chunk) => {
      reads++;
      if (moment === "first bytes" || (moment === "later" && reads === 2)) leave();
      else if (moment === "end" && /\r\n0\r\n\r\n$|\}$/.test(chunk.toString("latin1"))) leave();
    });
  });
}

/** A stream that is reset on a session which others use, or takes the session with it. */
async function abortOnH2(to: string, sessions: ClientHttp2Session[]): Promise<void> {
  const known = sessions.find((session) => !session.destroyed && !session.closed);
  const session = known ?? connectH2(gateway.h2url);
  if (known === undefined) {
    session.on("error", () => undefined);
    sessions.push(session);
  }
  const open = session.request({ ":method": to === "/health" ? "GET" : "POST", ":path": to });
  await new Promise<void>((resolve) => {
    open.on("error", () => undefined);
    open.on("close", () => resolve());
    open.resume();
    if (to === "/health") open.end();
    else if (Math.random() < 0.2) open.write("{");
    else open.end(userTurn("hi"));
    setTimeout(() => {
      if (Math.random() < 0.05) session.destroy();
      else open.close(8);
    }, Math.random() * 12);
  });
}
