import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { converseAnswer } from "../support/answers.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { ask, errorOf, pool } from "../support/keys.ts";
import { sleep } from "../support/wait.ts";

/** What the upstream does with a request, given how many its connection has served. */
type Deed = "answer" | "reset" | "close";

let decide: (served: number) => Deed;
let holdMs = 0;
const asked: { readonly connection: number; readonly served: number }[] = [];
let upstream: Server;
let gateway: RunningGateway;

beforeAll(async () => {
  const connections = new Map<Socket, { readonly number: number; served: number }>();
  upstream = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const { socket } = request;
    const connection = connections.get(socket) ?? { number: connections.size, served: 0 };
    connections.set(socket, connection);
    asked.push({ connection: connection.number, served: connection.served });
    request.resume().on("end", () => {
      const deed = decide(connection.served++);
      if (deed === "reset") socket.resetAndDestroy();
      else if (deed === "close") socket.end();
      else setTimeout(() => response.setHeader("content-type", "application/json").end(answer), holdMs);
    });
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const address = upstream.address();
  if (address === null || typeof address === "string") throw new Error("the upstream has no port");
  const url = `http://127.0.0.1:${address.port}`;
  gateway = await startGateway({
    config: {
      providers: {
        once: pool(url, { a: {} }),
        twice: pool(url, { b: {} }, { max_retries: 1, retry_backoff_initial: 1 }),
      },
    },
    env: { BIFROST_FRONTENDS: "1" },
    withoutH2: true,
  });
}, 60_000);
beforeEach(async () => {
  // No connection of another test is used again.
  upstream.closeAllConnections();
  await sleep(50);
  asked.length = 0;
  holdMs = 0;
});
afterAll(async () => {
  await gateway?.stop();
  await new Promise((resolve) => {
    upstream.close(resolve);
    upstream.closeAllConnections();
  });
}, 30_000);

const answer = JSON.stringify(converseAnswer);
const always = (): Deed => "answer";

describe.each(["reset", "close"] as const)("A41 a connection that the upstream ends with a %s", (ending) => {
  test("after it had served is tried once more on a new one, also with max_retries 0", async () => {
    decide = always;
    expect((await ask(gateway, "once/m")).status).toBe(200);
    decide = (served) => (served === 0 ? "answer" : ending);
    const again = await ask(gateway, "once/m");
    expect(again).toMatchObject({ status: 200, headers: { "x-bifrost-attempts": "2" } });
    expect(asked.map(({ served }) => served)).toEqual([0, 1, 0]);
  });

  test("is tried once more and no oftener", async () => {
    decide = always;
    expect((await ask(gateway, "once/m")).status).toBe(200);
    decide = () => ending;
    const failed = await ask(gateway, "once/m");
    expect(errorOf(failed)).toMatchObject({ status: 503, type: "ServiceUnavailableException" });
    expect(asked.map(({ served }) => served)).toEqual([0, 1, 0]);
  });

  test("that was new is not tried again with max_retries 0, and max_retries times else", async () => {
    decide = () => ending;
    const failed = await ask(gateway, "once/m");
    expect(errorOf(failed)).toMatchObject({ status: 503, type: "ServiceUnavailableException" });
    expect(failed.headers["x-bifrost-attempts"]).toBe("1");
    expect(asked).toHaveLength(1);
    expect((await ask(gateway, "twice/m")).headers["x-bifrost-attempts"]).toBe("2");
    expect(asked).toHaveLength(3);
  });

  test("along with all that were idle costs one try: the next one is on a new connection", async () => {
    decide = always;
    holdMs = 200;
    for (const one of await Promise.all(Array.from({ length: 6 }, () => ask(gateway, "once/m")))) {
      expect(one.status).toBe(200);
    }
    expect(new Set(asked.map(({ connection }) => connection)).size).toBe(6);
    asked.length = 0;
    holdMs = 0;
    decide = (served) => (served === 0 ? "answer" : ending);
    expect((await ask(gateway, "once/m")).status).toBe(200);
    expect(asked.map(({ served }) => served)).toEqual([1, 0]);
    const together = await Promise.all(Array.from({ length: 5 }, () => ask(gateway, "once/m")));
    expect(together.map(({ status }) => status)).toEqual(Array(5).fill(200));
  });
});
