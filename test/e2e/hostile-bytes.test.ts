/** Bytes that a client should not send. The HTTP/1.1 library ends the whole process where it is used wrongly: nothing they bring about may be that. */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { json } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { send, speak, userTurn } from "../support/raw-http.ts";
import { inParallel, sleep, until } from "../support/wait.ts";

const converse = "/bedrock/model/vendor.model/converse";
const body = userTurn("hi");
const head = `POST ${converse} HTTP/1.1\r\nhost: gateway\r\n`;
const whole = `${head}content-length: ${body.length}\r\n\r\n${body}`;
const chunked = `${head}transfer-encoding: chunked\r\n\r\n`;
const quietMs = 300;

let fake: FakeBedrock;
let gateway: RunningGateway;
let before = "";

beforeAll(async () => {
  fake = await startFakeBedrock();
  gateway = await startGateway({ config: relayConfig(fake.url), withoutH2: true });
  before = processOf();
}, 40_000);
beforeEach(() => fake.reset());
afterEach(async () => {
  expect((await send(gateway.url, converse, { body })).status).toBe(200);
  await until("an idle gateway", async () => (await gateway.metric("bifrost_active_requests")) <= 1, 10_000);
  expect(processOf()).toBe(before);
  expect(gateway.logs.filter(({ level }) => Number(level) >= 50)).toEqual([]);
});
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

/** A gateway that died would be another process by now. */
function processOf(): string {
  return readFileSync(`/proc/${gateway.pid}/task/${gateway.pid}/children`, "utf8");
}

function open(): Promise<Socket> {
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  return new Promise((resolve) => socket.once("connect", () => resolve(socket)));
}

describe("the gateway is there after", { timeout: 60_000 }, () => {
  test.each([
    ["100,000 headers", `${head}${Array.from({ length: 100_000 }, (_, n) => `x-${n}: ${n}\r\n`).join("")}\r\n`],
    ["200 headers", `${head}${Array.from({ length: 200 }, (_, n) => `x-${n}: ${n}\r\n`).join("")}\r\n`],
    ["a megabyte of one header", `${head}x-long: ${"x".repeat(1024 * 1024)}\r\n\r\n`],
    ["a path of a megabyte", `GET /${"x".repeat(1024 * 1024)} HTTP/1.1\r\nhost: x\r\n\r\n`],
    ["a method of a megabyte", `${"X".repeat(1024 * 1024)} / HTTP/1.1\r\nhost: x\r\n\r\n`],
    ["zero bytes in a header", `${head}x-zero: a\0b\r\n\r\n`],
    ["bare line feeds", `POST ${converse} HTTP/1.1\nhost: x\ncontent-length: 2\n\n{}`],
    ["a chunk longer than any number", `${chunked}${"f".repeat(40)}\r\n`],
    ["a chunk of nearly all memory", `${chunked}7fffffffffffffff\r\n${"x".repeat(1000)}`],
    ["a negative chunk", `${chunked}-5\r\nhello\r\n0\r\n\r\n`],
    ["a chunk that is no number", `${chunked}zz\r\nhello\r\n0\r\n\r\n`],
    ["extensions of a chunk", `${chunked}2;${"a=b;".repeat(5000)}\r\n{}\r\n0\r\n\r\n`],
    ["trailers", `${chunked}2\r\n{}\r\n0\r\nx-trailer: 1\r\nhost: other\r\n\r\n`],
    ["a length beyond all numbers", `${head}content-length: ${"9".repeat(30)}\r\n\r\nx`],
    ["an upgrade", `GET /health HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n`],
    ["a tunnel", "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n"],
    ["an absolute target", "GET http://example.com/health HTTP/1.1\r\nhost: example.com\r\n\r\n"],
    ["an expectation", `${head}expect: 100-continue\r\ncontent-length: ${body.length}\r\n\r\n`],
    ["a thousand requests at once", "GET /health HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000)],
    ["a thousand requests with bodies at once", whole.repeat(1000)],
    [
      "broken UTF-8 in the path",
      Buffer.concat([
        Buffer.from("GET /"),
        Buffer.from([0xff, 0xfe, 0x80]),
        Buffer.from(" HTTP/1.1\r\nhost: x\r\n\r\n"),
      ]),
    ],
  ])("%s", async (_what, bytes) => {
    expect(await speak(gateway.url, bytes, quietMs)).toMatch(/^(HTTP\/1\.1 \d{3} |$)/);
  });

  test("a request that comes byte by byte, which is answered", async () => {
    const socket = await open();
    let answer = "";
    socket.setNoDelay(true).on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    for (const byte of Buffer.from(whole)) {
      socket.write(Buffer.of(byte));
      await sleep(1);
    }
    await until("the answer", () => answer.startsWith("HTTP/1.1 200 "));
    socket.destroy();
  });

  test("500 requests that stop in their headers, beside which others are answered", async () => {
    const sockets = await Promise.all(Array.from({ length: 500 }, open));
    for (const socket of sockets) socket.write(`${head}x-slow: `);
    for (let count = 0; count < 20; count++) expect((await send(gateway.url, converse, { body })).status).toBe(200);
    for (const socket of sockets) socket.destroy();
  });

  test("readers that take nothing of large answers, and leave", async () => {
    fake.when(
      "vendor.long",
      json({ output: { message: { role: "assistant", content: [{ text: "x".repeat(20 * 1024 * 1024) }] } } }),
    );
    const sockets = await Promise.all(Array.from({ length: 4 }, open));
    for (const socket of sockets) {
      socket.pause();
      socket.write(whole.replace("vendor.model", "vendor.long"));
    }
    await until("the calls", () => fake.all("vendor.long").length === sockets.length);
    await sleep(500);
    for (const socket of sockets) socket.resetAndDestroy();
  });

  test("2,000 requests of which some bytes were changed, cut out or doubled", async () => {
    const seeds = [
      whole,
      `${chunked}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      "GET /health HTTP/1.1\r\nhost: x\r\n\r\n",
    ];
    const change = fc.record({
      at: fc.nat(300),
      kind: fc.constantFrom("set", "cut", "double"),
      byte: fc.nat(255),
      length: fc.integer({ min: 1, max: 40 }),
    });
    const requests = fc.sample(
      fc.tuple(fc.constantFrom(...seeds), fc.array(change, { minLength: 1, maxLength: 4 })),
      2000,
    );
    await inParallel(requests, 100, async ([seed, changes]) => {
      let bytes = Buffer.from(seed);
      for (const { at, kind, byte, length } of changes) {
        const place = at % bytes.length;
        const rest = bytes.subarray(place + (kind === "double" ? 0 : kind === "set" ? 1 : length));
        const middle =
          kind === "set"
            ? Buffer.of(byte)
            : kind === "double"
              ? bytes.subarray(place, place + length)
              : Buffer.alloc(0);
        bytes = Buffer.concat([bytes.subarray(0, place), middle, rest]);
        if (bytes.length === 0) return;
      }
      const answer = await speak(gateway.url, bytes, 100);
      if (!/^(HTTP\/1\.1 \d{3} |$)/.test(answer))
        throw new Error(JSON.stringify({ sent: bytes.toString("latin1"), answer }));
    });
  });
});
