import { connect as connectH2 } from "node:http2";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { type RawAnswer, type RawRequest, send, sendH2, sendOn, speak, userTurn } from "../support/raw-http.ts";

let fake: FakeBedrock;
let gateway: RunningGateway;

const megabyte = 1024 * 1024;

beforeAll(async () => {
  fake = await startFakeBedrock();
  gateway = await startGateway({ config: relayConfig(fake.url, { client: { max_request_body_size_mb: 1 } }) });
}, 30_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const converse = "/bedrock/model/vendor.model/converse";
const doors = [
  ["http/1.1", (path: string, options: RawRequest = {}) => send(gateway.url, path, options)],
  ["h2", (path: string, options: RawRequest = {}) => sendH2(gateway.h2url, path, options)],
] as const;

const messageOf = (answer: { readonly body: Buffer }): string => {
  const parsed: unknown = JSON.parse(answer.body.toString("utf8"));
  return typeof parsed === "object" && parsed !== null && "message" in parsed ? String(parsed.message) : "";
};

/** Headers as proxies and SDKs pile them up: session token, bearer key, baggage. */
function manyHeaders(bytes: number): Record<string, string> {
  const third = Math.floor(bytes / 3);
  return {
    "x-amz-security-token": "t".repeat(third),
    authorization: `Bearer ${"b".repeat(third)}`,
    baggage: Array.from({ length: Math.ceil(third / 20) }, (_, index) => `key${index}=value${index}`)
      .join(",")
      .slice(0, third),
  };
}

describe.each(doors)("A24 request headers over %s", (_protocol, request) => {
  test("of 12 KB are accepted", async () => {
    const answer = await request(converse, { headers: manyHeaders(12 * 1024), body: userTurn("hi") });
    expect(answer.status).toBe(200);
  });

  test("of 24 KB in one value are accepted", async () => {
    const headers = { "x-amz-security-token": "t".repeat(24 * 1024) };
    expect((await request(converse, { headers, body: userTurn("hi") })).status).toBe(200);
  });
});

describe("A24 64 KB of request headers", () => {
  test("are refused with 431 on the HTTP/1.1 port, and the gateway serves on", async () => {
    const lines = Object.entries(manyHeaders(64 * 1024)).map(([name, value]) => `${name}: ${value}\r\n`);
    const answer = await speak(
      gateway.url,
      `POST ${converse} HTTP/1.1\r\nhost: gateway\r\n${lines.join("")}content-length: 2\r\n\r\n{}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
    expect(fake.requests).toEqual([]);
    expect((await send(gateway.url, converse, { body: userTurn("hi") })).status).toBe(200);
  });

  test("are refused with 431 on the HTTP/2 port, and the gateway serves on", async () => {
    const session = connectH2(gateway.h2url, { maxHeaderListPairs: 256, maxSendHeaderBlockLength: 256 * 1024 });
    await new Promise((resolve) => session.once("connect", resolve));
    await new Promise((resolve) => session.once("remoteSettings", resolve));
    const answer = await sendOn(session, converse, { headers: manyHeaders(64 * 1024), body: "{}" });
    session.destroy();
    expect(answer.status).toBe(431);
    expect(fake.requests).toEqual([]);
    expect((await sendH2(gateway.h2url, converse, { body: userTurn("hi") })).status).toBe(200);
  });
});

describe("a request whose end is ambiguous", () => {
  const body = '{"messages":[]}';
  test.each([
    ["two different lengths", `content-length: ${body.length}\r\ncontent-length: 3\r\n`],
    ["the same length twice", `content-length: ${body.length}\r\ncontent-length: ${body.length}\r\n`],
    ["a list of lengths", `content-length: ${body.length}, ${body.length}\r\n`],
    ["a length and a chunked framing", `content-length: ${body.length}\r\ntransfer-encoding: chunked\r\n`],
    ["a chunked framing and a length", `transfer-encoding: chunked\r\ncontent-length: ${body.length}\r\n`],
    ["two framings", "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n"],
    ["an unknown framing", "transfer-encoding: xchunked\r\n"],
    ["a negative length", "content-length: -1\r\n"],
    ["a signed length", `content-length: +${body.length}\r\n`],
    ["a length that is no number", "content-length: 0x10\r\n"],
    ["space before the colon", `content-length : ${body.length}\r\n`],
    ["two hosts", `host: other\r\ncontent-length: ${body.length}\r\n`],
  ])("(%s) is refused, nothing goes upstream, and nothing behind it is read as a request", async (_name, headers) => {
    const smuggled = "POST /bedrock/model/smuggled/converse HTTP/1.1\r\nhost: gateway\r\ncontent-length: 2\r\n\r\n{}";
    const answer = await speak(
      gateway.url,
      `POST ${converse} HTTP/1.1\r\nhost: gateway\r\n${headers}\r\n${body}${smuggled}`,
    );
    expect(answer).toMatch(/^(HTTP\/1\.1 (400|501) |$)/);
    expect(answer.match(/HTTP\/1\.1 /g) ?? []).toHaveLength(answer === "" ? 0 : 1);
    expect(fake.requests).toEqual([]);
  });

  test.each([
    ["two lengths", `content-length: ${body.length}\r\ncontent-length: 3\r\n`],
    ["two framings", `content-length: ${body.length}\r\ntransfer-encoding: chunked\r\n`],
  ])("(%s) is told so with a 400", async (_name, headers) => {
    const answer = await speak(gateway.url, `POST ${converse} HTTP/1.1\r\nhost: gateway\r\n${headers}\r\n${body}`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  test("bytes that are no HTTP are answered or dropped, and the gateway serves on", async () => {
    for (const bytes of [
      "\u0016\u0003\u0001\u0002",
      "GET\r\n\r\n",
      "\r\n\r\n\r\n",
      "POST / HTTP/9.9\r\n\r\n",
      "A".repeat(9000),
    ]) {
      await speak(gateway.url, bytes, 300);
    }
    expect((await send(gateway.url, converse, { body: userTurn("hi") })).status).toBe(200);
  });
});

describe("chunked uploads", () => {
  test("arrive whole, with the chunks' own lengths gone", async () => {
    const answer = await speak(
      gateway.url,
      `POST ${converse} HTTP/1.1\r\nhost: gateway\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n` +
        '9\r\n{"message\r\n6\r\ns":[]}\r\n0\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(fake.requests.at(-1)?.body.toString()).toBe('{"messages":[]}');
    expect(fake.requests.at(-1)?.headers["content-length"]).toBe("15");
  });

  test("two requests on one connection, one after the other, are two requests", async () => {
    for (let asked = 0; asked < 2; asked++)
      expect((await send(gateway.url, converse, { body: userTurn("hi") })).status).toBe(200);
    expect(fake.requests).toHaveLength(2);
  });

  test("a request that does not wait for the answer to the one before it closes the connection, and mixes up nothing", async () => {
    const body = userTurn("hi");
    const one = `POST ${converse} HTTP/1.1\r\nhost: gateway\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const answer = await speak(gateway.url, one + one);
    expect((answer.match(/HTTP\/1\.1 /g) ?? []).length).toBeLessThanOrEqual(1);
    expect((await send(gateway.url, converse, { body })).status).toBe(200);
  });
});

describe("a body over the limit", () => {
  function expectTooLarge(answer: Pick<RawAnswer, "status" | "headers" | "body">): void {
    expect(answer.status).toBe(413);
    expect(String(answer.headers["x-amzn-errortype"]).split(":")[0]).toBe("ValidationException");
    expect(messageOf(answer)).toContain("max_request_body_size_mb");
    expect(fake.requests).toEqual([]);
  }

  test.each(doors)(
    "is a readable 413 over %s to a client that uploads everything first",
    async (_protocol, request) => {
      expectTooLarge(await request(converse, { body: Buffer.alloc(3 * megabyte, "x") }));
    },
  );

  test("is a readable 413 to a chunked upload", async () => {
    const answer = await send(gateway.url, converse, {
      body: Buffer.alloc(3 * megabyte, "x"),
      headers: { "transfer-encoding": "chunked" },
    });
    expectTooLarge(answer);
  });

  test("is a readable 413 to a client that waits for the answer before it sends the rest", async () => {
    const text = await speak(
      gateway.url,
      `POST ${converse} HTTP/1.1\r\nhost: gateway\r\ncontent-length: ${5 * megabyte}\r\n\r\n${"x".repeat(1000)}`,
      5000,
    );
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toContain("max_request_body_size_mb");
  });

  test("exactly at the limit is accepted, and one byte more is not", async () => {
    expect((await send(gateway.url, converse, { body: Buffer.alloc(megabyte, " ") })).status).toBe(200);
    expect((await send(gateway.url, converse, { body: Buffer.alloc(megabyte + 1, " ") })).status).toBe(413);
    expect(fake.requests).toHaveLength(1);
  });
});

describe.each(doors)("paths and methods over %s", (_protocol, request) => {
  test.each([
    ["POST", "/bedrock/nowhere"],
    ["POST", "/bedrock"],
    ["POST", "/bedrock/"],
    ["POST", "/bedrock/model/m/unknown-action"],
    ["POST", "/bedrock/model//converse"],
    ["GET", "/bedrock/model/m/converse"],
    ["PUT", "/bedrock/model/m/converse"],
    ["DELETE", "/bedrock/foundation-models"],
    ["POST", "/model/m/converse"],
    ["POST", "/bedrockmodel/m/converse"],
    ["GET", "/"],
    ["GET", "/nowhere"],
    ["POST", "/health"],
    ["POST", "/bedrock/model/%zz/converse"],
  ])("%s %s is a 404 UnknownOperationException in AWS's shape", async (method, path) => {
    const answer = await request(path, { method, headers: { "x-request-id": "asked-by-me" } });
    expect(answer.status).toBe(404);
    expect(answer.headers["x-amzn-errortype"]).toBe("UnknownOperationException");
    expect(answer.headers["x-amzn-requestid"]).toBe("asked-by-me");
    expect(answer.headers["content-type"]).toMatch(/^application\/json/);
    expect(messageOf(answer)).not.toBe("");
    expect(fake.requests).toEqual([]);
  });

  test("HEAD is answered without a body", async () => {
    for (const [path, status] of [
      ["/health", 200],
      ["/ready", 200],
      ["/bedrock/nowhere", 404],
    ] as const) {
      const answer = await request(path, { method: "HEAD" });
      expect(answer.status).toBe(status);
      expect(answer.body).toHaveLength(0);
    }
  });

  test("every answer has a request id of its own", async () => {
    const ids = new Set<unknown>();
    for (let asked = 0; asked < 5; asked++) ids.add((await request("/bedrock/nowhere")).headers["x-amzn-requestid"]);
    expect(ids.size).toBe(5);
    expect(ids).not.toContain(undefined);
  });

  test("an x-request-id that no header can carry back is replaced", async () => {
    const { headers } = await request(converse, { headers: { "x-request-id": "a b\u00e9" }, body: userTurn("hi") });
    expect(headers["x-amzn-requestid"]).toMatch(/^[\x21-\x7e]{8,}$/);
  });

  test("answers are never compressed, and carry a date", async () => {
    const answer = await request(converse, { headers: { "accept-encoding": "gzip, br" }, body: userTurn("hi") });
    expect(answer.headers).not.toHaveProperty("content-encoding");
    const date = answer.headers.date;
    if (date !== undefined) expect(Math.abs(Date.parse(String(date)) - Date.now())).toBeLessThan(60_000);
    expect(fake.requests.at(-1)?.headers["accept-encoding"] ?? "identity").toBe("identity");
  });

  test("health, readiness and metrics are there", async () => {
    const health = await request("/health", { method: "GET" });
    const ready = await request("/ready", { method: "GET" });
    const metrics = await request("/metrics", { method: "GET" });
    expect([health.status, ready.status, metrics.status]).toEqual([200, 200, 200]);
    expect(metrics.headers["content-type"]).toMatch(/^text\/plain/);
    const page = metrics.body.toString();
    expect(page).toMatch(/^bifrost_upstream_requests_total\{[^}]*provider="bedrock"/m);
    for (const line of page.split("\n")) expect(line).toMatch(/^(#.*|[a-zA-Z_:][\w:]*(\{.*\})? [-+.eE\dNaInf]+|)$/);
  });
});
