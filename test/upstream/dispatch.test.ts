import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Network, type Sent, Upstream, type UpstreamRequest } from "../../src/upstream/dispatch.ts";
import { freePort } from "../support/gateway.ts";
import { rejection, sleep, until } from "../support/wait.ts";

const network: Network = {
  max_conns_per_host: 8,
  default_request_timeout_in_seconds: 30,
  stream_idle_timeout_in_seconds: 30,
  allow_private_network: false,
  ca_cert_pem: null,
  insecure_skip_verify: false,
  proxy_url: null,
};

let server: Server;
let origin: string;
let connections: number;
let paths: string[];
let handle: (request: IncomingMessage, response: ServerResponse) => void;
let upstream: Upstream;

beforeEach(async () => {
  connections = 0;
  paths = [];
  handle = (_request, response) => response.end("ok");
  server = createServer((request, response) => {
    paths.push(request.url ?? "");
    handle(request, response);
  });
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  origin = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  upstream = new Upstream();
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function send(changes: Partial<UpstreamRequest> = {}, reach: Network = network): Sent {
  return upstream.send({ method: "POST", origin, path: "/a", headers: [], body: Buffer.from("{}"), ...changes }, reach);
}

async function text(sent: Sent): Promise<string> {
  return (await (await sent.answer).collect(1000)).toString();
}

describe("an answer of several megabytes", () => {
  const large = Buffer.alloc(5 * 1024 * 1024, "0123456789abcdef");

  test.each([
    ["that says its length", { "content-length": String(large.length) }],
    ["that does not say its length", {}],
  ])("%s is collected whole, and none beyond the limit", async (_what, headers) => {
    handle = (_request, response) => {
      response.writeHead(200, headers);
      response.end(large);
    };
    const collected = await (await send().answer).collect(large.length);
    expect(collected.equals(large)).toBe(true);
    const error = await rejection((await send().answer).collect(large.length - 1));
    expect(error).toMatchObject({ fault: "too_large" });
  });

  test("that breaks off is none", async () => {
    handle = (_request, response) => {
      response.writeHead(200, { "content-length": String(large.length) });
      response.write(large.subarray(0, 2 * 1024 * 1024), () => response.destroy());
    };
    expect(await rejection((await send().answer).collect(large.length))).toMatchObject({ fault: "broken" });
  });
});

describe("a request", () => {
  test("goes out with its method, path, headers and body, and its answer comes back", async () => {
    handle = (request, response) => {
      response.writeHead(418, { "x-back": [String(request.headers["x-there"]), "2"] });
      response.write(`${request.method} ${request.url} `);
      request.pipe(response);
    };
    const sent = send({ method: "PUT", path: "/a%2Fb?c=d", headers: [["x-there", "1"]], body: Buffer.from("body") });
    const answer = await sent.answer;
    expect(answer.status).toBe(418);
    expect(answer.headers["x-back"]).toEqual(["1", "2"]);
    expect((await answer.collect(1000)).toString()).toBe("PUT /a%2Fb?c=d body");
  });

  test.each([
    ["a path with a space", { path: "/a b" }],
    ["a path that does not begin with a slash", { path: "a" }],
    ["a header with a line break", { headers: [["x-a", "b\r\nc: d"]] as const }],
    ["a header beyond Latin-1", { headers: [["x-a", "日本"]] as const }],
    ["a header without a name", { headers: [["", "x"]] as const }],
  ])("that HTTP cannot carry (%s) is not sent, and says so", async (_what, changes) => {
    expect(await rejection(send(changes).answer)).toMatchObject({ name: "UpstreamError", fault: "unsendable" });
    expect(paths).toEqual([]);
  });

  test("to an address that must not be dialled is an exception", () => {
    for (const host of ["169.254.169.254", "10.0.0.1", "[fd00:ec2::254]"]) {
      expect(() => send({ origin: `http://${host}` })).toThrow(expect.objectContaining({ fault: "refused_address" }));
    }
  });

  test("to nobody fails as such, and to one who hangs up as broken", async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    expect(await rejection(send({ origin: nobody }).answer)).toMatchObject({ fault: "connect" });
    handle = (request) => request.socket.destroy();
    expect(await rejection(send().answer)).toMatchObject({ fault: "broken" });
  });
});

describe("cancelling", () => {
  test("a request that waits for a connection ends it at once, never sends it, and costs no connection", async () => {
    const one = { ...network, max_conns_per_host: 1 };
    let release = (): void => undefined;
    handle = (request, response) => {
      if (request.url === "/first") release = () => response.end("first");
      else response.end("ok");
    };
    const first = send({ path: "/first" }, one);
    await until("the first request", () => paths.length === 1);
    const waiting = send({ path: "/waiting" }, one);
    const last = send({ path: "/last" }, one);
    waiting.cancel();
    waiting.cancel();
    expect(await rejection(waiting.answer)).toMatchObject({ fault: "cancelled" });
    release();
    expect(await text(first)).toBe("first");
    expect(await text(last)).toBe("ok");
    expect(paths).toEqual(["/first", "/last"]);
    expect(connections).toBe(1);
  });

  test("a request at once after it was sent never lets it arrive", async () => {
    const sent = send();
    sent.cancel();
    expect(await rejection(sent.answer)).toMatchObject({ fault: "cancelled" });
    await sleep(50);
    expect(paths).toEqual([]);
    expect(await text(send({ path: "/b" }))).toBe("ok");
  });

  test("a request that is under way closes its connection", async () => {
    let gone = false;
    handle = (request) => request.socket.once("close", () => (gone = true));
    const sent = send();
    await until("the request", () => paths.length === 1);
    sent.cancel();
    expect(await rejection(sent.answer)).toMatchObject({ fault: "cancelled" });
    await until("the connection's end", () => gone);
  });

  test("in the middle of an answer tells the reader, and what is over is not cancelled", async () => {
    handle = (_request, response) => response.write("begun");
    const sent = send();
    const answer = await sent.answer;
    const body = answer.collect(1000);
    sent.cancel();
    expect(await rejection(body)).toMatchObject({ fault: "cancelled" });

    handle = (_request, response) => response.end("whole");
    const done = send();
    expect(await text(done)).toBe("whole");
    done.cancel();
  });
});

describe("an answer", () => {
  test("larger than the limit is not collected, and its connection ends", async () => {
    let gone = false;
    handle = (request, response) => {
      request.socket.once("close", () => (gone = true));
      response.write("x".repeat(2000));
    };
    expect(await rejection(text(send()))).toMatchObject({ fault: "too_large" });
    await until("the connection's end", () => gone);
  });

  test("that breaks off is broken", async () => {
    handle = (_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("begun", () => response.socket?.destroy());
    };
    expect(await rejection(text(send()))).toMatchObject({ fault: "broken" });
  });

  test("waits while its reader is paused, and goes on where it was", async () => {
    const total = 64 * 1024 * 1024;
    let written = 0;
    handle = (_request, response) => {
      const more = (): void => {
        while (written < total) {
          written += 65_536;
          if (!response.write(Buffer.alloc(65_536))) return;
        }
        response.end();
      };
      response.on("drain", more);
      more();
    };
    const answer = await send().answer;
    let read = 0;
    let ended = false;
    answer.read({
      data: (chunks) => {
        if (read === 0) answer.pause();
        for (const chunk of chunks) read += chunk.length;
      },
      end: () => {
        ended = true;
      },
      error: (error) => {
        throw error;
      },
    });
    await until("the first bytes", () => read > 0);
    await sleep(100);
    expect(written).toBeLessThan(total / 2);
    expect(ended).toBe(false);
    answer.resume();
    await until("the end", () => ended);
    expect(read).toBe(total);
  });
});
