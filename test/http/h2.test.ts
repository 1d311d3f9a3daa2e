import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { connect as connectTcp } from "node:net";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { BodyError, type Exchange } from "../../src/http/exchange.ts";
import { serveHttp2 } from "../../src/http/h2.ts";
import type { HttpServer } from "../../src/http/server.ts";
import { sendOn } from "../support/raw-http.ts";
import { rejection, sleep, until } from "../support/wait.ts";

const limit = 1024 * 1024;

let server: HttpServer;
let session: ClientHttp2Session;
let handle: (exchange: Exchange) => void;
const faults: unknown[] = [];

function serve(): Promise<HttpServer> {
  return serveHttp2({
    host: "127.0.0.1",
    port: 0,
    maxBodyBytes: () => limit,
    onExchange: (exchange) => handle(exchange),
    onFault: (error) => faults.push(error),
    requests: () => 0,
  });
}

function open(port: number): ClientHttp2Session {
  const opened = connect(`http://127.0.0.1:${port}`, { maxSendHeaderBlockLength: 256 * 1024 });
  opened.on("error", () => undefined);
  return opened;
}

beforeAll(async () => {
  server = await serve();
});
beforeEach(() => {
  handle = (exchange) => exchange.reply(200, [], "ok");
  session = open(server.port);
});
afterEach(() => {
  session.destroy();
  expect(faults.splice(0)).toEqual([]);
});
afterAll(() => server?.close());

/** A request on the session of the test, and everything that comes back. */
class Call {
  readonly stream: ClientHttp2Stream;
  readonly #chunks: Buffer[] = [];
  headers: IncomingHttpHeaders = {};
  ended = false;
  closed = false;

  constructor(headers: OutgoingHttpHeaders = {}, more = false) {
    this.stream = session.request({ ":method": "POST", ":path": "/a", ...headers }, { endStream: !more });
    this.stream.on("response", (fields) => {
      this.headers = fields;
    });
    this.stream.on("data", (chunk: Buffer) => this.#chunks.push(chunk));
    this.stream.on("error", () => undefined);
    this.stream.on("end", () => {
      this.ended = true;
    });
    this.stream.on("close", () => {
      this.closed = true;
    });
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString("latin1");
  }

  async reads(part: string): Promise<void> {
    await until(JSON.stringify(part), () => this.text.includes(part));
  }

  /** Waits for the stream's close and gives its reset code. */
  async toEnd(): Promise<number | undefined> {
    await until("the stream's end", () => this.closed);
    return this.stream.rstCode;
  }
}

/** A request whose exchange the test holds. */
async function begin(headers: OutgoingHttpHeaders = {}, more = false) {
  const next = new Promise<Exchange>((resolve) => {
    handle = resolve;
  });
  const call = new Call(headers, more);
  return { call, exchange: await next };
}

function echo(exchange: Exchange): void {
  exchange.body().then(
    (body) => exchange.reply(200, [], body),
    (error: unknown) => exchange.reply(413, [], error instanceof BodyError ? error.reason : String(error)),
  );
}

describe("a request", () => {
  test("shows its method, its undecoded path and query, and its headers", async () => {
    const { exchange } = await begin({ ":method": "PUT", ":path": "/a%2Fb//c%20?x=%20&y=1?z", "x-name": "Some Value" });
    expect(exchange).toMatchObject({
      method: "PUT",
      path: "/a%2Fb//c%20",
      query: "x=%20&y=1?z",
      protocol: "h2",
      malformed: undefined,
      aborted: false,
    });
    expect(exchange.headers.get("x-name")).toBe("Some Value");
    expect(exchange.headers.get(":authority")).toBe(`127.0.0.1:${server.port}`);
    expect([...exchange.headers.keys()].filter((name) => name.startsWith(":"))).toEqual([":authority"]);
    expect((await exchange.body()).length).toBe(0);
  });

  test("with a repeated header has its values joined", async () => {
    expect((await begin({ "x-a": ["1", "2"] })).exchange.headers.get("x-a")).toBe("1, 2");
  });

  test("and its answer keep the bytes of header values beyond ASCII", async () => {
    const value = Buffer.from("café 日本").toString("latin1");
    handle = (exchange) => exchange.reply(200, [["x-back", exchange.headers.get("x-there") ?? ""]], "");
    const call = new Call({ "x-there": value });
    await call.toEnd();
    expect(call.headers["x-back"]).toBe(value);
  });

  test("of 40 KB of headers is answered with 431, and of more does not end the server", async () => {
    handle = () => {
      throw new Error("it must not come this far");
    };
    const call = new Call({ "x-a": "x".repeat(40 * 1024) });
    await call.toEnd();
    expect(call.headers[":status"]).toBe(431);
    const large = new Call({ "x-a": "x".repeat(200 * 1024) });
    await large.toEnd();
    expect(large.headers[":status"]).not.toBe(200);
    handle = (exchange) => exchange.reply(200, [], "ok");
    session.destroy();
    session = open(server.port);
    expect((await sendOn(session, "/a")).status).toBe(200);
  });
});

describe("a body", () => {
  test("is whole, however it was split", async () => {
    handle = echo;
    const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 2000 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(pieces, async (parts) => {
        const call = new Call({}, true);
        for (const part of parts) {
          call.stream.write(part);
          await sleep(0);
        }
        call.stream.end();
        await call.toEnd();
        expect(call.text).toBe(Buffer.concat(parts).toString("latin1"));
        expect(call.headers[":status"]).toBe(200);
      }),
      { numRuns: 25 },
    );
  });

  test("at the limit is taken, and one byte more is refused in words", async () => {
    handle = echo;
    expect((await sendOn(session, "/a", { body: Buffer.alloc(limit, "x") })).body.length).toBe(limit);
    for (const bytes of [limit + 1, 4 * limit]) {
      const refused = await sendOn(session, "/a", { body: Buffer.alloc(bytes, "x") });
      expect([refused.status, refused.body.toString()]).toEqual([413, "too_large"]);
    }
  });

  test.each<readonly [string, (call: Call) => void]>([
    ["resets it", (call) => call.stream.destroy(new Error("enough"))],
    ["ends it before the length it had announced", (call) => call.stream.close(constants.NGHTTP2_CANCEL)],
    ["closes the connection", () => session.destroy()],
  ])("whose client %s is an error and no body, and the listener hears of it once", async (_what, leave) => {
    const { call, exchange } = await begin({ "content-length": "100" }, true);
    const left = vi.fn();
    exchange.onAbort(left);
    const waiting = rejection(exchange.body());
    call.stream.write("ab");
    await sleep(20);
    leave(call);
    expect(await waiting).toMatchObject({ name: "BodyError", reason: "aborted" });
    await until("the end", () => exchange.aborted);
    expect(left).toHaveBeenCalledTimes(1);
  });

  test("that nobody reads does not hold up the answer, nor the answer's end", async () => {
    for (const body of ["no", ""]) {
      const { call, exchange } = await begin({}, true);
      call.stream.write(Buffer.alloc(100_000));
      exchange.reply(403, [], body);
      await until("the answer", () => call.ended);
      expect([call.headers[":status"], call.text]).toEqual([403, body]);
      call.stream.end(Buffer.alloc(100_000));
      expect(await call.toEnd()).toBe(constants.NGHTTP2_NO_ERROR);
    }
  });
});

describe("a whole answer", () => {
  test("has its status, its headers and its length", async () => {
    handle = (exchange) =>
      exchange.reply(
        424,
        [
          ["x-a", "1"],
          ["x-a", "2"],
        ],
        Buffer.from("é"),
      );
    const call = new Call();
    await call.toEnd();
    expect(call.headers).toMatchObject({ ":status": 424, "x-a": "1, 2", "content-length": "2" });
    expect(call.text).toBe("Ã©");
  });

  test("to HEAD has the length and no body", async () => {
    handle = (exchange) => exchange.reply(200, [], "12345");
    const call = new Call({ ":method": "HEAD" });
    await call.toEnd();
    expect(call.headers["content-length"]).toBe("5");
    expect(call.text).toBe("");
  });

  test("is given once: what follows is nothing", async () => {
    const { call, exchange } = await begin();
    exchange.reply(200, [], "first");
    exchange.reply(500, [], "second");
    const stream = exchange.open(500, []);
    expect(stream.write(Buffer.from("third"))).toBe(true);
    stream.end();
    stream.destroy();
    expect(await call.toEnd()).toBe(constants.NGHTTP2_NO_ERROR);
    expect([call.headers[":status"], call.text]).toEqual([200, "first"]);
  });

  test("with headers that HTTP/2 forbids is an exception, and another answer can still be given", async () => {
    const { call, exchange } = await begin();
    expect(() => exchange.reply(200, [["keep-alive", "timeout=5"]], "never")).toThrow();
    exchange.reply(500, [], "instead");
    await call.toEnd();
    expect([call.headers[":status"], call.text]).toEqual([500, "instead"]);
  });

  test("to a client that has left is nothing, and it left once", async () => {
    const { call, exchange } = await begin();
    const [replaced, left] = [vi.fn(), vi.fn()];
    exchange.onAbort(replaced);
    exchange.onAbort(left);
    call.stream.close(constants.NGHTTP2_CANCEL);
    await until("the end", () => exchange.aborted);
    exchange.reply(200, [], "too late");
    expect(left).toHaveBeenCalledTimes(1);
    expect(replaced).not.toHaveBeenCalled();
  });

  test("is the end: a client that leaves behind it has not left early", async () => {
    const { call, exchange } = await begin();
    const left = vi.fn();
    exchange.onAbort(left);
    exchange.reply(200, [], "ok");
    await call.toEnd();
    session.destroy();
    await sleep(30);
    expect(left).not.toHaveBeenCalled();
    expect(exchange.aborted).toBe(false);
  });
});

describe("a streamed answer", () => {
  test("sends nothing before the first write, then everything at once, and ends well", async () => {
    const { call, exchange } = await begin();
    const stream = exchange.open(200, [["content-type", "text/plain"]]);
    await sleep(30);
    expect(call.headers).toEqual({});
    expect(stream.write(Buffer.from("one"), 0x74)).toBe(true);
    await call.reads("one");
    expect(call.headers["content-type"]).toBe("text/plain");
    stream.write(Buffer.from("two"));
    await call.reads("onetwo");
    stream.end();
    expect(await call.toEnd()).toBe(constants.NGHTTP2_NO_ERROR);
    expect([call.text, call.ended]).toEqual(["onetwo", true]);
  });

  test("that ends without a write has its headers and no body", async () => {
    const { call, exchange } = await begin();
    exchange.open(200, [["x-a", "1"]]).end();
    expect(await call.toEnd()).toBe(constants.NGHTTP2_NO_ERROR);
    expect(call.headers["x-a"]).toBe("1");
  });

  test("that is destroyed is reset so that the AWS SDK does not take it for a normal end", async () => {
    const { call, exchange } = await begin();
    const stream = exchange.open(200, []);
    stream.write(Buffer.from("one"));
    await call.reads("one");
    stream.destroy();
    expect(await call.toEnd()).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    for (const again of [() => stream.write(Buffer.from("y")), () => stream.end(), () => stream.destroy()]) again();
    exchange.reply(200, [], "too late");
  });

  test("waits for its reader: write says so, onDrain calls, and everything arrives", async () => {
    const { call, exchange } = await begin();
    call.stream.pause();
    const stream = exchange.open(200, []);
    const [replaced, drained] = [vi.fn(), vi.fn()];
    stream.onDrain(replaced);
    stream.onDrain(drained);
    const piece = Buffer.alloc(64 * 1024, "x");
    let written = 0;
    for (let flowing = true; flowing || written < limit; ) {
      flowing = stream.write(piece);
      written += piece.length;
      if (written > 64 * limit) throw new Error("a reader that reads nothing was never behind");
    }
    await sleep(50);
    expect(drained).not.toHaveBeenCalled();
    call.stream.resume();
    await until("the reader to catch up", () => drained.mock.calls.length > 0);
    stream.end();
    await call.toEnd();
    expect(call.text.length).toBe(written);
    expect(replaced).not.toHaveBeenCalled();
  });

  test.each<readonly [string, (call: Call) => void]>([
    ["resets it", (call) => call.stream.close(constants.NGHTTP2_CANCEL)],
    ["closes the connection", () => session.destroy()],
  ])("whose reader %s is told once; writing on is nothing", async (_what, leave) => {
    const { call, exchange } = await begin();
    const left = vi.fn();
    exchange.onAbort(left);
    const stream = exchange.open(200, []);
    stream.write(Buffer.from("one"));
    await call.reads("one");
    leave(call);
    await until("the end", () => exchange.aborted);
    expect(stream.write(Buffer.from("two"))).toBe(true);
    stream.onDrain(() => undefined);
    stream.end();
    stream.destroy();
    exchange.reply(500, [], "too late");
    await sleep(20);
    expect(left).toHaveBeenCalledTimes(1);
  });

  test("for a client that has left before is nothing", async () => {
    const { call, exchange } = await begin();
    call.stream.close(constants.NGHTTP2_CANCEL);
    await until("the end", () => exchange.aborted);
    const stream = exchange.open(200, []);
    expect(stream.write(Buffer.from("x"))).toBe(true);
    stream.end();
  });
});

describe("the server", () => {
  test("resets a request whose handler throws, and hears of it", async () => {
    const fault = new Error("a fault");
    handle = () => {
      throw fault;
    };
    expect(await new Call().toEnd()).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    expect(faults.splice(0)).toEqual([fault]);
  });

  test("serves on after bytes that are no HTTP/2", async () => {
    for (const bytes of [
      "GET / HTTP/1.1\r\nhost: h\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense nonsense",
      "\0\0\0",
    ]) {
      const socket = connectTcp(server.port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.end(bytes);
      await new Promise((resolve) => socket.once("close", resolve).resume());
    }
    expect((await sendOn(session, "/a")).status).toBe(200);
  });

  test("that cannot have its port says so", async () => {
    const taken = { host: "127.0.0.1", maxBodyBytes: () => 1, onExchange: () => undefined, onFault: () => undefined };
    const error = await rejection(serveHttp2({ ...taken, port: server.port, requests: () => 0 }));
    expect(error).toMatchObject({ code: "EADDRINUSE" });
  });

  test("that drains lets streams end, and then its connections", async () => {
    const other = await serve();
    session.destroy();
    session = open(other.port);
    const { call, exchange } = await begin();
    const stream = exchange.open(200, []);
    stream.write(Buffer.from("one"));
    await call.reads("one");
    other.drain();
    await sleep(30);
    expect(session.destroyed).toBe(false);
    stream.write(Buffer.from("two"));
    stream.end();
    expect(await call.toEnd()).toBe(constants.NGHTTP2_NO_ERROR);
    expect(call.text).toBe("onetwo");
    await until("the connection's end", () => session.destroyed);
    await other.close();
  });

  test("that closes ends what is open", async () => {
    const other = await serve();
    session.destroy();
    session = open(other.port);
    const { call, exchange } = await begin();
    exchange.open(200, []).write(Buffer.from("one"));
    await call.reads("one");
    await other.close();
    await until("the connection's end", () => session.destroyed);
    await until("the exchange's end", () => exchange.aborted);
  });
});
