import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { BodyError, type Exchange } from "../../src/http/exchange.ts";
import type { HttpServer } from "../../src/http/server.ts";
import { serveHttp1 } from "../../src/http/uws.ts";
import { send } from "../support/raw-http.ts";
import { RawSocket } from "../support/raw-socket.ts";
import { rejection, sleep, until } from "../support/wait.ts";

const limit = 1024 * 1024;

let server: HttpServer;
let origin: string;
let requests = 0;
let handle: (exchange: Exchange) => void;
const faults: unknown[] = [];
const onUnreadable = vi.fn();
const sockets: RawSocket[] = [];

beforeAll(async () => {
  server = await serveHttp1({
    host: "127.0.0.1",
    port: 0,
    maxBodyBytes: () => limit,
    onExchange: (exchange) => {
      requests++;
      handle(exchange);
    },
    onFault: (error) => faults.push(error),
    requests: () => requests,
    onUnreadable,
  });
  origin = `http://127.0.0.1:${server.port}`;
});
beforeEach(() => {
  handle = (exchange) => exchange.reply(200, [], "ok");
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  expect(faults.splice(0)).toEqual([]);
});
afterAll(() => server?.close());

async function open(): Promise<RawSocket> {
  const socket = await RawSocket.open(server.port);
  sockets.push(socket);
  return socket;
}

/** Waits for the next request, which the test answers itself. */
function nextExchange(): Promise<Exchange> {
  return new Promise((resolve) => {
    handle = resolve;
  });
}

/** A request whose exchange the test holds. */
async function begin(text: string): Promise<{ readonly exchange: Exchange; readonly socket: RawSocket }> {
  const next = nextExchange();
  const socket = await open();
  socket.write(text);
  return { exchange: await next, socket };
}

const get = "GET /a HTTP/1.1\r\nhost: h\r\n\r\n";
const post = (headers: string, body = "") => `POST /a HTTP/1.1\r\nhost: h\r\n${headers}\r\n${body}`;
const chunked = "transfer-encoding: chunked\r\n";

/** Answers with the body it gets, or with why it gets none. */
function echo(exchange: Exchange): void {
  exchange.body().then(
    (body) => exchange.reply(200, [], body),
    (error: unknown) => exchange.reply(413, [], error instanceof BodyError ? error.reason : String(error)),
  );
}

describe("a request", () => {
  test("shows its method, its undecoded path and query, and its headers in lower case", async () => {
    const { exchange } = await begin(
      "PUT /a%2Fb//c%20?x=%20&y=1?z HTTP/1.1\r\nHost: h\r\nX-Name:  Some Value \r\nContent-Length: 0\r\n\r\n",
    );
    expect(exchange).toMatchObject({
      method: "PUT",
      path: "/a%2Fb//c%20",
      query: "x=%20&y=1?z",
      protocol: "http/1.1",
      malformed: undefined,
      aborted: false,
    });
    expect(exchange.headers.get("host")).toBe("h");
    expect(exchange.headers.get("x-name")).toBe("Some Value");
    expect((await exchange.body()).length).toBe(0);
  });

  test("without a query has an empty one", async () => {
    expect((await begin(get)).exchange.query).toBe("");
  });

  test("keeps the case of its method", async () => {
    expect((await begin("purge /a HTTP/1.1\r\nhost: h\r\n\r\n")).exchange.method).toBe("purge");
  });

  test("with a repeated header has its values joined", async () => {
    const { exchange } = await begin("GET /a HTTP/1.1\r\nhost: h\r\nx-a: 1\r\nX-A: 2\r\nx-b: 3\r\n\r\n");
    expect(exchange.headers.get("x-a")).toBe("1, 2");
    expect(exchange.malformed).toBeUndefined();
  });

  test("and its answer keep the bytes of header values beyond ASCII", async () => {
    const value = `{"team":"${Buffer.from("café 日本").toString("latin1")}"}`;
    handle = (exchange) => exchange.reply(200, [["x-back", exchange.headers.get("x-there") ?? ""]], "");
    const socket = await open();
    socket.write(`GET /a HTTP/1.1\r\nhost: h\r\nx-there: ${value}\r\n\r\n`);
    expect((await socket.reads("\r\n\r\n")).toLowerCase()).toContain(`x-back: ${value}\r\n`.toLowerCase());
  });

  test("behind another on the same connection gets its own answer", async () => {
    handle = (exchange) => exchange.reply(200, [], exchange.path);
    const socket = await open();
    socket.write(get + get.replace("/a", "/b"));
    const text = await socket.reads("/b");
    expect(text.indexOf("/a")).toBeLessThan(text.indexOf("/b"));
    expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  });
});

describe("a body", () => {
  test("is whole, however it was framed and split", async () => {
    handle = echo;
    const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(pieces, fc.boolean(), async (parts, inChunks) => {
        const body = Buffer.concat(parts);
        const socket = await open();
        socket.write(post(inChunks ? chunked : `content-length: ${body.length}\r\n`));
        for (const part of parts) {
          if (inChunks) socket.write(`${part.length.toString(16)}\r\n`);
          socket.write(part);
          if (inChunks) socket.write("\r\n");
          await sleep(0);
        }
        if (inChunks) socket.write("0\r\n\r\n");
        const text = await socket.reads(`\r\n\r\n${body.toString("latin1")}`);
        expect(text).toContain("HTTP/1.1 200");
        socket.destroy();
      }),
      { numRuns: 25 },
    );
  });

  test("that is not there is empty", async () => {
    handle = echo;
    for (const request of [get, post("content-length: 0\r\n"), post(chunked, "0\r\n\r\n"), post("")]) {
      const socket = await open();
      socket.write(request);
      expect((await socket.reads("\r\n\r\n")).toLowerCase()).toContain("content-length: 0");
    }
  });

  test("at the limit is taken, and one byte more is refused once it is uploaded", async () => {
    handle = echo;
    const headers = { "x-a": "1" };
    expect((await send(origin, "/a", { body: Buffer.alloc(limit, "x"), headers })).body.length).toBe(limit);
    const refused = await send(origin, "/a", { body: Buffer.alloc(limit + 1, "x") });
    expect([refused.status, refused.body.toString()]).toEqual([413, "too_large"]);
    const inChunks = { "transfer-encoding": "chunked" };
    expect((await send(origin, "/a", { body: Buffer.alloc(limit, "x"), headers: inChunks })).status).toBe(200);
    expect((await send(origin, "/a", { body: Buffer.alloc(4 * limit, "x"), headers: inChunks })).status).toBe(413);
  });

  test("that is announced too large and then not sent is refused soon, and the connection ends with the answer", async () => {
    handle = echo;
    const socket = await open();
    socket.write(post(`content-length: ${2 * limit}\r\n`, "x"));
    expect(await socket.toEnd()).toMatch(/^HTTP\/1\.1 413 .*too_large$/s);
  });

  test("whose client leaves is an error, for who waits and for who asks later, and the listener hears of it once", async () => {
    for (const framing of [chunked, "content-length: 100\r\n", `content-length: ${2 * limit}\r\n`]) {
      const { exchange, socket } = await begin(post(framing, framing === chunked ? "5\r\nab" : "ab"));
      const left = vi.fn();
      exchange.onAbort(left);
      const waiting = rejection(exchange.body());
      socket.destroy();
      expect(await waiting).toMatchObject({ name: "BodyError", reason: "aborted" });
      expect(await rejection(exchange.body())).toMatchObject({ reason: "aborted" });
      expect(exchange.aborted).toBe(true);
      expect(left).toHaveBeenCalledTimes(1);
    }
  });

  test("whose client leaves while nobody asks for it harms nobody", async () => {
    const { exchange, socket } = await begin(post("content-length: 100\r\n", "ab"));
    socket.destroy();
    await until("the end", () => exchange.aborted);
    exchange.reply(200, [], "too late");
  });

  test("that nobody reads, and that is still on its way, ends the connection behind the answer", async () => {
    const { exchange, socket } = await begin(post("content-length: 100\r\n", "ab"));
    exchange.reply(403, [], "no");
    expect(await socket.toEnd()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n.*no$/s);
  });

  test("that nobody reads, and that has come, leaves the connection for the next request", async () => {
    const { exchange, socket } = await begin(post("content-length: 2\r\n", "ab"));
    await sleep(20);
    exchange.reply(403, [], "no");
    await socket.reads("no");
    handle = (next) => next.reply(200, [], "second");
    socket.write(get);
    await socket.reads("second");
  });
});

describe("an ambiguous request", () => {
  test.each([
    ["two equal lengths", "content-length: 2\r\ncontent-length: 2\r\n"],
    ["two lengths", "content-length: 2\r\ncontent-length: 3\r\n"],
  ])("(%s) is refused, and nothing behind it is read as a request", async (_what, headers) => {
    const seen: (string | undefined)[] = [];
    handle = (exchange) => {
      seen.push(exchange.malformed);
      exchange.reply(400, [], "bad");
    };
    const alone = await open();
    alone.write(post(headers, "ab"));
    expect(await alone.toEnd()).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n.*bad$/s);
    const followed = await open();
    followed.write(post(headers, `ab${get}`));
    expect(await followed.toEnd()).toMatch(/^(HTTP\/1\.1 400 .*bad)?$/s);
    expect(seen).toHaveLength(2);
    for (const malformed of seen) expect(malformed).toContain("two content-length");
  });

  test.each([
    ["a length and chunks", `content-length: 2\r\n${chunked}`],
    ["a length that is none", "content-length: x\r\n"],
    ["a length of too many digits", `content-length: ${"9".repeat(30)}\r\n`],
    ["two hosts", "host: other\r\ncontent-length: 2\r\n"],
    ["a header without a colon", "nonsense\r\n"],
  ])("(%s) is answered with 400 or not at all", async (_what, headers) => {
    handle = (exchange) => {
      if (exchange.malformed !== undefined) exchange.reply(400, [], "bad");
      else echo(exchange);
    };
    const socket = await open();
    socket.write(post(headers, `2\r\nab\r\n0\r\n\r\n${get}`));
    expect(await socket.toEnd()).toMatch(/^(HTTP\/1\.1 (400|413) |$)/);
  });

  test("of 64 KB of headers is answered with 431", async () => {
    const socket = await open();
    socket.write(`GET /a HTTP/1.1\r\nhost: h\r\nx-a: ${"x".repeat(64 * 1024)}\r\n\r\n`);
    expect(await socket.toEnd()).toMatch(/^HTTP\/1\.1 431 /);
  });
});

describe("a whole answer", () => {
  test("has its status, its headers in order and its length", async () => {
    handle = (exchange) =>
      exchange.reply(
        424,
        [
          ["x-b", "1"],
          ["x-a", "2"],
          ["x-b", "3"],
        ],
        Buffer.from("é"),
      );
    const socket = await open();
    socket.write(get);
    const text = await socket.reads("\r\n\r\nÃ©");
    expect(text).toMatch(/^HTTP\/1\.1 424 Failed Dependency\r\n/);
    expect(text).toMatch(/x-b: 1\r\nx-a: 2\r\nx-b: 3\r\n/);
    expect(text).toMatch(/content-length: 2\r\n/i);
  });

  test("to HEAD has the length and no body, and the connection goes on", async () => {
    handle = (exchange) => exchange.reply(200, [], exchange.method === "HEAD" ? "12345" : "next");
    const socket = await open();
    socket.write(get.replace("GET", "HEAD") + get);
    const text = await socket.reads("next");
    expect(text).toMatch(/content-length: 5\r\n/i);
    expect(text).not.toContain("12345");
  });

  test("is given once: what follows is nothing", async () => {
    const { exchange, socket } = await begin(get);
    exchange.reply(200, [], "first");
    exchange.reply(500, [], "second");
    const stream = exchange.open(500, []);
    expect(stream.write(Buffer.from("third"))).toBe(true);
    stream.onDrain(() => undefined);
    stream.end();
    stream.destroy();
    await socket.reads("first");
    await sleep(20);
    expect(socket.text).not.toMatch(/second|third/);
    expect(socket.closed).toBe(false);
  });

  test("of many megabytes arrives whole at its reader's speed, once, and leaves the connection for the next request", async () => {
    const body = Buffer.alloc(24 * 1024 * 1024, "0123456789abcdef");
    handle = (exchange) => {
      exchange.reply(200, [["x-a", "1"]], body);
      exchange.reply(500, [], "late");
      exchange.open(500, []).destroy();
    };
    for (let count = 0; count < 2; count++) {
      const answer = await send(origin, "/a", { method: "GET" });
      expect(answer.headers).toMatchObject({ "x-a": "1", "content-length": String(body.length) });
      expect(answer.body.equals(body)).toBe(true);
    }
    const head = await send(origin, "/a", { method: "HEAD" });
    expect(head.headers["content-length"]).toBe(String(body.length));
    const socket = await open();
    socket.write(get);
    await sleep(200);
    socket.destroy();
  });

  test("to a client that has left is nothing, and it left once", async () => {
    const { exchange, socket } = await begin(get);
    const [replaced, left] = [vi.fn(), vi.fn()];
    exchange.onAbort(replaced);
    exchange.onAbort(left);
    socket.destroy();
    await until("the end", () => exchange.aborted);
    exchange.reply(200, [], "too late");
    expect(left).toHaveBeenCalledTimes(1);
    expect(replaced).not.toHaveBeenCalled();
  });

  test("is the end: a client that leaves behind it has not left early", async () => {
    const { exchange, socket } = await begin(get);
    const left = vi.fn();
    exchange.onAbort(left);
    exchange.reply(200, [], "ok");
    await socket.reads("ok");
    socket.destroy();
    await sleep(30);
    expect(left).not.toHaveBeenCalled();
    expect(exchange.aborted).toBe(false);
  });
});

describe("a streamed answer", () => {
  test("sends nothing before the first write, then everything at once, and says where it ends", async () => {
    const { exchange, socket } = await begin(get);
    const stream = exchange.open(200, [["content-type", "text/plain"]]);
    await sleep(30);
    expect(socket.text).toBe("");
    expect(stream.write(Buffer.from("one"))).toBe(true);
    const text = await socket.reads("one");
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text).toMatch(/transfer-encoding: chunked\r\n/i);
    stream.write(Buffer.alloc(0));
    stream.write(Buffer.from("two"));
    stream.end();
    expect(await socket.reads("\r\n0\r\n\r\n")).toMatch(/3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n$/);
    expect(socket.closed).toBe(false);
  });

  test("that ends without a write has its headers and no body", async () => {
    const { exchange, socket } = await begin(get);
    exchange.open(200, [["x-a", "1"]]).end();
    expect(await socket.reads("x-a: 1")).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test("with a byte lent ahead shows the line that closes a chunk before the next write", async () => {
    const { exchange, socket } = await begin(get);
    const stream = exchange.open(200, []);
    stream.write(Buffer.from("\0one"), 0);
    await socket.reads("4\r\n\0one\r\n");
    stream.write(Buffer.from("\0two"), 0);
    await socket.reads("two\r\n");
    stream.write(Buffer.from("\0"), 0);
    stream.write(Buffer.from("\0end"));
    stream.end();
    const body = (await socket.reads("\r\n0\r\n\r\n")).split("\r\n\r\n").slice(1).join("\r\n\r\n");
    expect(dechunk(body)).toBe("\0one\0two\0\0end");
  });

  test("keeps its bytes, whatever is lent", async () => {
    const frames = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(frames, fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), async (list, lending) => {
        handle = (exchange) => {
          const stream = exchange.open(200, []);
          for (const [index, frame] of list.entries())
            stream.write(frame, lending[index] ? list[index + 1]?.[0] : undefined);
          stream.end();
        };
        const answer = await send(origin, "/a", { method: "GET" });
        expect(answer.body).toEqual(Buffer.concat(list));
      }),
      { numRuns: 40 },
    );
  });

  test.each<readonly [string, (stream: ReturnType<Exchange["open"]>) => void]>([
    ["another byte comes than was lent", (stream) => stream.write(Buffer.from("x"))],
    ["it ends although a byte was lent", (stream) => stream.end()],
    ["it is destroyed", (stream) => stream.destroy()],
  ])("is broken off when %s, and the reader can tell", async (_what, act) => {
    const { exchange, socket } = await begin(get);
    const stream = exchange.open(200, []);
    stream.write(Buffer.from("\0one"), 0);
    await socket.reads("one");
    act(stream);
    expect(await socket.toEnd()).not.toContain("0\r\n\r\n");
    for (const again of [() => stream.write(Buffer.from("y")), () => stream.end(), () => stream.destroy()]) again();
    exchange.reply(200, [], "too late");
  });

  test("waits for its reader: write says so, onDrain calls, and everything arrives", async () => {
    const { exchange, socket } = await begin(get);
    socket.pause();
    const stream = exchange.open(200, []);
    const drained = vi.fn();
    stream.onDrain(drained);
    const piece = Buffer.alloc(64 * 1024, "x");
    let written = 0;
    do {
      written += piece.length;
      if (written > 64 * limit) throw new Error("a reader that reads nothing was never behind");
    } while (stream.write(piece, piece[0]));
    const calls = drained.mock.calls.length;
    await sleep(50);
    expect(drained).toHaveBeenCalledTimes(calls);
    socket.resume();
    await until("the reader to catch up", () => drained.mock.calls.length > calls);
    stream.write(Buffer.from("x end"));
    stream.end();
    const text = await socket.reads("\r\n0\r\n\r\n");
    expect(dechunk(text.slice(text.indexOf("\r\n\r\n") + 4))).toBe(`${"x".repeat(written)}x end`);
  });

  test("whose reader leaves is told once; writing on is nothing", async () => {
    const { exchange, socket } = await begin(get);
    const left = vi.fn();
    exchange.onAbort(left);
    const stream = exchange.open(200, []);
    stream.write(Buffer.from("one"));
    await socket.reads("one");
    socket.destroy();
    await until("the end", () => exchange.aborted);
    expect(stream.write(Buffer.from("two"))).toBe(true);
    stream.onDrain(() => undefined);
    stream.end();
    stream.destroy();
    exchange.reply(500, [], "too late");
    expect(left).toHaveBeenCalledTimes(1);
  });

  test("for a client that has left before is nothing", async () => {
    const { exchange, socket } = await begin(get);
    socket.destroy();
    await until("the end", () => exchange.aborted);
    const stream = exchange.open(200, []);
    expect(stream.write(Buffer.from("x"))).toBe(true);
    stream.end();
  });
});

describe("the server", () => {
  test("ends the connection of a request whose handler throws, and hears of it", async () => {
    const fault = new Error("a fault");
    handle = () => {
      throw fault;
    };
    const socket = await open();
    socket.write(get);
    expect(await socket.toEnd()).toBe("");
    expect(faults.splice(0)).toEqual([fault]);
  });

  test("tells of connections that spoke no HTTP/1.1, and of no others", async () => {
    onUnreadable.mockClear();
    const fine = await open();
    fine.write(get);
    await fine.reads("ok");
    fine.destroy();
    await sleep(30);
    expect(onUnreadable).not.toHaveBeenCalled();
    const http2 = await open();
    http2.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await http2.toEnd();
    await until("the hint", () => onUnreadable.mock.calls.length > 0);
  });

  // The last test: it changes the server for good.
  test("that drains lets streams end, and closes each connection behind its next answer", async () => {
    const idle = await open();
    idle.write(get);
    await idle.reads("ok");
    const { exchange, socket } = await begin(get);
    const stream = exchange.open(200, []);
    stream.write(Buffer.from("one"));
    server.drain();
    await sleep(20);
    stream.write(Buffer.from("two"));
    stream.end();
    await socket.reads("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
    handle = (next) => next.reply(200, [], "last");
    for (const connection of [idle, socket, await open()]) {
      connection.write(get);
      const last = (await connection.toEnd()).split("HTTP/1.1 ").at(-1);
      expect(last).toMatch(/^200 OK\r\n.*last$/s);
      expect(last?.match(/connection: close/gi)).toHaveLength(1);
    }
  });
});

/** The bytes of a chunked body, as Latin-1. */
function dechunk(text: string): string {
  let body = "";
  for (let at = 0; ; ) {
    const end = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, end), 16);
    if (Number.isNaN(size)) throw new Error(`no chunk at ${at} of ${JSON.stringify(text.slice(at, at + 20))}`);
    if (size === 0) return body;
    body += text.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}
