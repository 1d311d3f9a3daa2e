/** Answers whose length is known before their bytes are, over both protocols. */
import { Agent, request as httpRequest } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Exchange } from "../../src/http/exchange.ts";
import { serveHttp2 } from "../../src/http/h2.ts";
import type { HttpServer, ServeOptions } from "../../src/http/server.ts";
import { serveHttp1 } from "../../src/http/uws.ts";
import { send, sendH2 } from "../support/raw-http.ts";
import { RawSocket } from "../support/raw-socket.ts";
import { openReader } from "../support/reader.ts";
import { rejection, until } from "../support/wait.ts";

const faults: unknown[] = [];
let handle: (exchange: Exchange) => void;
let http1: HttpServer;
let http2: HttpServer;

beforeAll(async () => {
  const options: ServeOptions = {
    host: "127.0.0.1",
    port: 0,
    maxBodyBytes: () => 1024 * 1024,
    onExchange: (exchange) => handle(exchange),
    onFault: (error) => faults.push(error),
    requests: () => 0,
  };
  [http1, http2] = await Promise.all([serveHttp1(options), serveHttp2(options)]);
});
afterEach(() => expect(faults.splice(0)).toEqual([]));
afterAll(() => Promise.all([http1?.close(), http2?.close()]));

const origin = (protocol: "http/1.1" | "h2") => `http://127.0.0.1:${(protocol === "h2" ? http2 : http1).port}`;
const ask = (protocol: "http/1.1" | "h2", method = "GET") =>
  protocol === "h2" ? sendH2(origin(protocol), "/a", { method }) : send(origin(protocol), "/a", { method });

describe.each(["http/1.1", "h2"] as const)("over %s an answer of a known length", (protocol) => {
  test("says it, and is whole", async () => {
    handle = (exchange) => {
      const stream = exchange.open(206, [["x-a", "1"]], 6);
      stream.write(Buffer.from("one"));
      setTimeout(() => {
        stream.write(Buffer.from("two"));
        stream.end();
      }, 20);
    };
    const answer = await ask(protocol);
    expect(answer).toMatchObject({ status: 206, headers: { "content-length": "6", "x-a": "1" } });
    expect(answer.headers["transfer-encoding"]).toBeUndefined();
    expect(answer.body.toString()).toBe("onetwo");
  });

  test("may be empty", async () => {
    handle = (exchange) => exchange.open(200, [["x-a", "1"]], 0).end();
    expect(await ask(protocol)).toMatchObject({ status: 200, headers: { "content-length": "0", "x-a": "1" } });
  });

  test("to HEAD says it and has none of it", async () => {
    handle = (exchange) => exchange.open(200, [["etag", '"e"']], 123_456_789_012).end();
    const answer = await ask(protocol, "HEAD");
    expect(answer).toMatchObject({ status: 200, headers: { "content-length": "123456789012", etag: '"e"' } });
    expect(answer.body).toHaveLength(0);
    handle = (exchange) => exchange.open(200, [["x-a", "1"]]).end();
    expect((await ask(protocol, "HEAD")).headers["x-a"]).toBe("1");
  });

  test.each([
    ["ends short of it", 3],
    ["is longer", 9],
  ])("that %s breaks off", async (_what, length) => {
    handle = (exchange) => {
      const stream = exchange.open(200, [], 6);
      stream.write(Buffer.alloc(3));
      setTimeout(() => {
        if (length > 6) stream.write(Buffer.alloc(6));
        stream.end();
      }, 20);
    };
    expect(String(await rejection(ask(protocol)))).toMatch(/aborted|ECONNRESET|socket hang up|INTERNAL_ERROR/);
  });

  test("that is destroyed breaks off, and nothing follows", async () => {
    handle = (exchange) => {
      const stream = exchange.open(200, [], 6);
      stream.write(Buffer.alloc(3));
      setTimeout(() => {
        stream.destroy();
        for (const again of [() => stream.write(Buffer.alloc(3)), () => stream.end(), () => stream.destroy()]) again();
        exchange.reply(200, [], "too late");
      }, 20);
    };
    expect(String(await rejection(ask(protocol)))).toMatch(/aborted|ECONNRESET|socket hang up|INTERNAL_ERROR/);
  });

  test("waits for its reader, and every byte arrives in order", async () => {
    const size = 24 * 1024 * 1024;
    let written = 0;
    let behind = 0;
    handle = (exchange) => {
      const stream = exchange.open(200, [], size);
      const fill = (): void => {
        while (written < size) {
          const length = Math.min(100_003, size - written);
          const bytes = Buffer.alloc(length);
          for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((written + at) >>> 0, at);
          written += length;
          if (!stream.write(bytes)) {
            behind++;
            return;
          }
        }
        stream.end();
      };
      stream.onDrain(fill);
      fill();
    };
    const reader = await openReader(origin(protocol), protocol, "/a");
    await until("the writer to wait", () => behind > 0);
    expect(written).toBeLessThan(size);
    const { bytes } = await reader.rest();
    expect(bytes).toBe(size);
    expect(written).toBe(size);
  });

  test("whose bytes are given without waiting all the same arrives whole", async () => {
    const piece = Buffer.alloc(1024 * 1024, "x");
    handle = (exchange) => {
      const stream = exchange.open(200, [], 16 * piece.length);
      for (let index = 0; index < 16; index++) stream.write(piece);
      stream.end();
    };
    expect((await ask(protocol)).body).toHaveLength(16 * piece.length);
  });

  test("whose client leaves tells so once, and takes nothing more", async () => {
    let aborts = 0;
    handle = (exchange) => {
      exchange.onAbort(() => aborts++);
      const stream = exchange.open(200, [], 1_000_000);
      stream.write(Buffer.alloc(1000));
      setTimeout(() => {
        stream.write(Buffer.alloc(1000));
        stream.end();
        stream.destroy();
      }, 100);
    };
    const reader = await openReader(origin(protocol), protocol, "/a");
    reader.leave();
    await until("the client's leaving", () => aborts === 1);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(aborts).toBe(1);
  });

  test.each([204, 304])("of status %i has neither", async (status) => {
    handle = (exchange) => exchange.reply(status, [["x-a", "1"]], "");
    const answer = await ask(protocol, status === 304 ? "GET" : "DELETE");
    expect(answer).toMatchObject({ status, headers: { "x-a": "1" } });
    expect(answer.headers["content-length"]).toBeUndefined();
  });
});

test("a connection serves on behind answers of a known length, to HEAD, and without a body", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<unknown>();
  const one = (method: string, path: string) =>
    new Promise<string>((resolve, reject) => {
      const outgoing = httpRequest(`${origin("http/1.1")}${path}`, { method, agent }, (message) => {
        let text = "";
        message.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
        message.on("end", () => resolve(`${message.statusCode} ${text}`));
      });
      outgoing.on("socket", (socket) => sockets.add(socket));
      outgoing.on("error", reject).end();
    });
  handle = (exchange) => {
    if (exchange.path === "/none") exchange.reply(304, [], "");
    else if (exchange.path === "/error") exchange.reply(404, [], "not here");
    else {
      const stream = exchange.open(200, [], 3);
      if (exchange.method !== "HEAD") stream.write(Buffer.from("abc"));
      stream.end();
    }
  };
  const seen = [];
  for (const [method, path] of [
    ["GET", "/a"],
    ["HEAD", "/a"],
    ["GET", "/none"],
    ["HEAD", "/error"],
    ["HEAD", "/none"],
    ["GET", "/a"],
  ] as const)
    seen.push(await one(method, path));
  expect(seen).toEqual(["200 abc", "200 ", "304 ", "404 ", "304 ", "200 abc"]);
  expect(sockets.size).toBe(1);
  agent.destroy();
});

test("on the wire HTTP/1.1 has the length and the bytes, and no chunks", async () => {
  handle = (exchange) => {
    const stream = exchange.open(200, [], 3);
    stream.write(Buffer.from("abc"));
    stream.end();
  };
  const socket = await RawSocket.open(http1.port);
  socket.write("GET /a HTTP/1.1\r\nhost: h\r\n\r\n");
  expect(await socket.reads("abc")).toMatch(
    /^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*content-length: 3\r\n(?:.*\r\n)*\r\nabc$/i,
  );
  socket.destroy();
});
