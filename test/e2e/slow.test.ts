import { connect as connectH2 } from "node:http2";
import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { converseAnswer, json, stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames, decodeFrames } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { send, sendH2, userTurn } from "../support/raw-http.ts";
import { sleep, until } from "../support/wait.ts";

let fake: FakeBedrock;
/** With the default limits. */
let gateway: RunningGateway;
/** Gives up on a silent upstream after 3 seconds. */
let hasty: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock();
  gateway = await startGateway({ config: relayConfig(fake.url) });
  const network = { default_request_timeout_in_seconds: 3, stream_idle_timeout_in_seconds: 3 };
  hasty = await startGateway({ config: relayConfig(fake.url, { network }) });
}, 60_000);
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await Promise.all([gateway?.stop(), hasty?.stop()]);
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const path = (action: string, model: string) => `/bedrock/model/${model}/${action}`;
const type = (headers: Readonly<Record<string, unknown>>) => String(headers["x-amzn-errortype"]).split(":")[0];
const megabyte = 1024 * 1024;

/** Uploads at this many bytes a second in ten writes a second. Resolves when the answer or the cut has come. */
function trickle(protocol: string, model: string, rate: number): Promise<{ status: number; seconds: number }> {
  const body = Buffer.alloc(megabyte, "x");
  const begun = performance.now();
  return new Promise((resolve) => {
    let status = 0;
    let sent = 0;
    let timer: NodeJS.Timeout | undefined;
    const done = () => {
      clearInterval(timer);
      resolve({ status, seconds: (performance.now() - begun) / 1000 });
    };
    const feed = (write: (bytes: Buffer) => void, end: () => void) => {
      timer = setInterval(() => {
        write(body.subarray(sent, sent + rate / 10));
        sent += rate / 10;
        if (sent < body.length) return;
        clearInterval(timer);
        end();
      }, 100);
    };
    if (protocol === "h2") {
      const session = connectH2(gateway.h2url);
      const open = session.request({ ":method": "POST", ":path": path("invoke", model) });
      session.on("error", done);
      open.on("response", (headers) => {
        status = headers[":status"] ?? 0;
      });
      open.on("error", () => undefined);
      open.on("close", () => {
        done();
        session.destroy();
      });
      open.resume();
      feed(
        (bytes) => open.write(bytes),
        () => open.end(),
      );
      return;
    }
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    socket.on("data", (chunk) => {
      status = Number(/^HTTP\/1\.1 (\d+)/.exec(chunk.toString("latin1"))?.[1] ?? status);
      socket.destroy();
    });
    socket.on("error", () => undefined);
    socket.on("close", done);
    socket.write(`POST ${path("invoke", model)} HTTP/1.1\r\nhost: gateway\r\ncontent-length: ${body.length}\r\n\r\n`);
    feed(
      (bytes) => socket.write(bytes),
      () => undefined,
    );
  });
}

describe.concurrent("slowness of clients", { timeout: 40_000 }, () => {
  for (const protocol of ["http/1.1", "h2"]) {
    test(`A50 a body trickled at 4 KB/s is cut over ${protocol}`, async () => {
      const { status, seconds } = await trickle(protocol, `slow-${protocol.slice(0, 2)}`, 4096);
      expect(status).not.toBe(200);
      expect(seconds).toBeLessThan(25);
      expect(fake.all(`slow-${protocol.slice(0, 2)}`)).toEqual([]);
    });

    test(`A50 a body uploaded at 64 KB/s completes over ${protocol}`, async () => {
      const { status } = await trickle(protocol, `steady-${protocol.slice(0, 2)}`, 65_536);
      expect(status).toBe(200);
      expect(fake.all(`steady-${protocol.slice(0, 2)}`)[0]?.body).toHaveLength(megabyte);
    });
  }

  test("a reader that pauses for 15 seconds keeps its stream", async () => {
    // More than the kernel holds for both sides.
    const frames = converseFrames({ pieces: Array.from({ length: 1200 }, (_, index) => `${index} `.repeat(8000)) });
    fake.when("patient", stream(frames));
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    socket.write(`POST ${path("converse-stream", "patient")} HTTP/1.1\r\nhost: g\r\ncontent-length: 2\r\n\r\n{}`);
    let bytes = 0;
    let tail = "";
    const ended = new Promise<string>((resolve) => {
      socket.on("error", () => resolve("reset"));
      socket.on("close", () => resolve("closed early"));
      socket.on("data", (chunk) => {
        bytes += chunk.length;
        tail = (tail + chunk.toString("latin1")).slice(-7);
        if (tail.endsWith("\r\n0\r\n\r\n")) resolve("whole");
      });
    });
    await until("the first bytes", () => bytes > 0);
    socket.pause();
    await sleep(15_000);
    socket.resume();
    expect(await ended).toBe("whole");
    socket.destroy();
    expect(bytes).toBeGreaterThan(Buffer.concat(frames).length);
  });
});

describe.concurrent("slowness of upstreams", { timeout: 40_000 }, () => {
  for (const door of ["http/1.1", "h2"]) {
    const post = (to: RunningGateway, target: string, headers: Readonly<Record<string, string>> = {}) =>
      door === "h2"
        ? sendH2(to.h2url, target, { body: userTurn("hi"), headers })
        : send(to.url, target, { body: userTurn("hi"), headers });
    const tag = door.slice(0, 2);

    test(`A20 gaps within the idle limit do not end a stream over ${door}`, async () => {
      const frames = converseFrames();
      fake.when(`gaps-${tag}`, stream(frames.flatMap((frame) => [frame, 1800])));
      const answer = await post(hasty, path("converse-stream", `gaps-${tag}`));
      expect(answer.body.equals(Buffer.concat(frames))).toBe(true);
    });

    test(`A20 a silence of 14 seconds, longer than any built-in timeout, does not end a stream or an answer over ${door}`, async () => {
      const frames = converseFrames();
      fake.when(`silent-${tag}`, stream([...frames.slice(0, 2), 14_000, ...frames.slice(2)]));
      fake.when(`thinking-${tag}`, { ...json(converseAnswer), delayMs: 14_000 });
      const [streamed, whole] = await Promise.all([
        post(gateway, path("converse-stream", `silent-${tag}`)),
        post(gateway, path("converse", `thinking-${tag}`)),
      ]);
      expect(streamed.body.equals(Buffer.concat(frames))).toBe(true);
      expect(whole.status).toBe(200);
    });

    test(`a gap beyond the idle limit ends a stream over ${door} with an exception frame`, async () => {
      const good = converseFrames().slice(0, 3);
      fake.when(`stuck-${tag}`, stream(good, "hang"));
      const answer = await post(hasty, path("converse-stream", `stuck-${tag}`));
      const frames = decodeFrames(answer.body);
      expect(frames).toHaveLength(good.length + 1);
      expect(frames.at(-1)).toMatchObject({ kind: "exception", type: "modelStreamErrorException" });
      await until("the upstream call's end", () => fake.all(`stuck-${tag}`)[0]?.closedAt);
    });

    test(`an upstream that does not answer in time is a 408 over ${door}`, async () => {
      fake.when(`mute-${tag}`, { ...json(converseAnswer), delayMs: 30_000 });
      for (const action of ["converse", "converse-stream"]) {
        const answer = await post(hasty, path(action, `mute-${tag}`));
        expect(answer.status).toBe(408);
        expect(type(answer.headers)).toBe("ModelTimeoutException");
      }
      await until("the upstream calls' end", () =>
        fake.all(`mute-${tag}`).every((request) => request.closedAt !== undefined),
      );
    });

    test(`x-bf-timeout-ms over ${door} is a 408 that names the deadline, and ends the upstream call`, async () => {
      fake.when(`deadline-${tag}`, { ...json(converseAnswer), delayMs: 30_000 });
      fake.when(`deadline-first-${tag}`, stream([], "hang"));
      for (const [action, model] of [
        ["converse", `deadline-${tag}`],
        ["converse-stream", `deadline-first-${tag}`],
      ] as const) {
        const begun = Date.now();
        const answer = await post(gateway, path(action, model), { "x-bf-timeout-ms": "400" });
        expect(answer.status).toBe(408);
        expect(type(answer.headers)).toBe("ModelTimeoutException");
        expect(Date.now() - begun).toBeGreaterThanOrEqual(390);
        const request = await fake.seen(model);
        const closedAt = await until("the upstream call's end", () => request.closedAt);
        expect(closedAt - begun).toBeLessThan(1400);
      }
    });

    test(`x-bf-timeout-ms in the middle of a stream over ${door} ends it with an exception frame`, async () => {
      fake.when(`deadline-mid-${tag}`, stream(converseFrames().slice(0, 3), "hang"));
      const answer = await post(gateway, path("converse-stream", `deadline-mid-${tag}`), { "x-bf-timeout-ms": "600" });
      expect(answer.status).toBe(200);
      const frames = decodeFrames(answer.body);
      expect(frames).toHaveLength(4);
      expect(frames.at(-1)).toMatchObject({ kind: "exception", type: "modelStreamErrorException" });
      await until("the upstream call's end", () => fake.all(`deadline-mid-${tag}`)[0]?.closedAt);
    });

    test(`x-bf-timeout-ms that is no number over ${door} is refused by name`, async () => {
      for (const value of ["soon", "-5", "0", "1e99"]) {
        const answer = await post(gateway, path("converse", `refused-${tag}`), { "x-bf-timeout-ms": value });
        expect(answer.status).toBe(400);
        expect(answer.body.toString()).toContain("x-bf-timeout-ms");
      }
      expect(fake.all(`refused-${tag}`)).toEqual([]);
    });
  }
});
