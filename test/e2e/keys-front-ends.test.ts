/** Two front ends, one truth about keys: shares, cool-downs, reloads. */
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { converseAnswer } from "../support/answers.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { healthOf, keyOf, type Lane, openLanes, pool, rewrite } from "../support/keys.ts";
import { sleep, until } from "../support/wait.ts";

/** Keys that the upstream throttles, each for one model, with the seconds it asks for. */
const throttledAt = new Map<string, number>();
const served = new Map<string, number>();
let upstream: Server;
let url = "";
let gateway: RunningGateway;
let lanes: Lane[] = [];

/** As little as can be: the upstream shares two cores with the gateway and its clients. */
beforeAll(async () => {
  const answer = JSON.stringify(converseAnswer);
  upstream = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const key = keyOf(request);
    const model = decodeURIComponent(request.url?.split("/")[2] ?? "");
    const wait = throttledAt.get(`${key} ${model}`);
    served.set(key, (served.get(key) ?? 0) + 1);
    request.resume().on("end", () => {
      if (wait === undefined) response.writeHead(200, { "content-type": "application/json" }).end(answer);
      else
        response.writeHead(429, { "x-amzn-errortype": "ThrottlingException", "retry-after": String(wait) }).end("{}");
    });
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", 1024, resolve));
  const address = upstream.address();
  if (address === null || typeof address === "string") throw new Error("the upstream has no port");
  url = `http://127.0.0.1:${address.port}`;
  gateway = await startGateway({
    config: configOf({ one: { weight: 1 }, two: { weight: 1 } }),
    env: { BIFROST_FRONTENDS: "2" },
    withoutH2: true,
  });
  lanes = await openLanes(gateway, 2, 16);
}, 60_000);
beforeEach(() => {
  served.clear();
  throttledAt.clear();
});
afterAll(async () => {
  for (const lane of lanes) lane.close();
  await gateway?.stop();
  await new Promise((resolve) => {
    upstream.close(resolve);
    upstream.closeAllConnections();
  });
}, 30_000);

/** @param changing the keys of the provider whose keys a test changes */
function configOf(changing: Readonly<Record<string, object>>): object {
  return {
    providers: {
      shares: pool(url, { seventy: { weight: 70 }, twenty: { weight: 20 }, ten: { weight: 10 } }),
      cooling: pool(url, { heavy: { weight: 1_000_000 }, light: { weight: 0.000001 } }),
      changing: pool(url, changing),
    },
  };
}

const frontEnds = () => [...new Set(lanes.map(({ frontEnd }) => frontEnd))].sort();
const share = (name: string) => {
  const total = [...served.values()].reduce((sum, count) => sum + count, 0);
  return (100 * (served.get(name) ?? 0)) / total;
};

describe("two front ends", () => {
  test("A45 share 10,000 requests 70 to 20 to 10, each within two points", { timeout: 60_000 }, async () => {
    expect(frontEnds()).toEqual(["front-end-1", "front-end-2"]);
    let left = 10_000;
    await Promise.all(
      lanes.map(async (lane) => {
        while (left-- > 0) expect((await lane.ask("shares/m")).status).toBe(200);
      }),
    );
    const health = await healthOf(gateway);
    for (const [key, percent] of [
      ["seventy", 70],
      ["twenty", 20],
      ["ten", 10],
    ] as const) {
      expect(Math.abs(share(key) - percent), `${key}: ${share(key)} %`).toBeLessThan(2);
      expect(health.get(key)).toMatchObject({ state: "healthy", inFlight: 0, served: served.get(key) });
      expect(Math.abs(100 * (health.get(key)?.share ?? 0) - percent)).toBeLessThan(2);
    }
  });

  test("A46 both know within a second that a key is throttled for a model, for that model alone, and until when", async () => {
    const [here, there] = frontEnds().map((name) => lanes.find(({ frontEnd }) => frontEnd === name));
    if (here === undefined || there === undefined) throw new Error("a front end has no lane");
    const keyFor = async (lane: Lane, model: string) => (await lane.ask(`cooling/${model}`)).headers["x-bifrost-key"];
    for (const lane of [here, there]) expect(await keyFor(lane, "m")).toBe("heavy");

    throttledAt.set("heavy m", 2);
    const since = Date.now();
    expect(await keyFor(here, "m")).toBe("light");
    throttledAt.clear();
    served.clear();
    for (let round = 0; round < 10; round++) {
      for (const lane of [here, there]) {
        expect(await keyFor(lane, "m")).toBe("light");
        expect(await keyFor(lane, "other")).toBe("heavy");
      }
    }
    expect(Date.now() - since).toBeLessThan(1000);
    const { coolingModels = [], state } = (await healthOf(gateway)).get("heavy") ?? {};
    expect(state).toBe("healthy");
    expect(coolingModels).toEqual([{ model: "m", remainingMs: expect.any(Number) }]);
    for (const lane of [there, here]) {
      await expect.poll(() => keyFor(lane, "m"), { timeout: 5000, interval: 20 }).toBe("heavy");
      expect(Math.abs(Date.now() - since - 2000)).toBeLessThan(1000);
    }
  });
});

test("keys are re-weighted, disabled, added and removed under load: no request fails, and what is known of them stays", {
  timeout: 60_000,
}, async () => {
  const failures: string[] = [];
  let running = true;
  let asked = 0;
  const load = lanes.slice(0, 24).map(async (lane) => {
    while (running) {
      const answer = await lane.ask("changing/m");
      asked++;
      if (answer.status !== 200) failures.push(`${answer.status} ${answer.body.toString()}`);
    }
  });
  /** Which keys serve what is begun from now on. */
  const shares = async () => {
    // What was begun before the reload is over by then.
    await sleep(100);
    served.clear();
    const from = asked;
    await until("some hundreds of requests", () => asked - from > 400, 15_000);
    return Object.fromEntries(["one", "two", "three"].map((name) => [name, share(name)]));
  };

  const even = await shares();
  expect(Math.abs((even.one ?? 0) - 50)).toBeLessThan(15);
  throttledAt.set("one limited", 60);
  await lanes.at(-1)?.ask("changing/limited", { "x-bf-api-key": "one" });
  const before = (await healthOf(gateway)).get("one");
  expect(before?.coolingModels).toEqual([{ model: "limited", remainingMs: expect.any(Number) }]);

  await rewrite(gateway, configOf({ one: { weight: 9 }, two: { weight: 1 } }));
  const weighted = await shares();
  expect(Math.abs((weighted.one ?? 0) - 90)).toBeLessThan(7);
  const after = (await healthOf(gateway)).get("one");
  expect(after?.coolingModels).toEqual([{ model: "limited", remainingMs: expect.any(Number) }]);
  expect(after?.served).toBeGreaterThan(before?.served ?? 0);

  await rewrite(gateway, configOf({ one: { enabled: false }, two: { weight: 1 } }));
  expect(await shares()).toEqual({ one: 0, two: 100, three: 0 });
  expect((await healthOf(gateway)).get("one")).toMatchObject({ state: "disabled", why: expect.any(String) });

  await rewrite(gateway, configOf({ one: { weight: 1 }, two: { weight: 0 }, three: { weight: 1 } }));
  const three = await shares();
  expect(three.two).toBe(0);
  expect(Math.abs((three.three ?? 0) - 50)).toBeLessThan(15);
  expect((await healthOf(gateway)).get("one")?.coolingModels).toHaveLength(1);

  await rewrite(gateway, configOf({ three: {} }));
  expect(await shares()).toEqual({ one: 0, two: 0, three: 100 });
  const names = [...(await healthOf(gateway)).values()].filter((one) => one.provider === "changing");
  expect(names.map(({ name }) => name)).toEqual(["three"]);

  running = false;
  await Promise.all(load);
  expect(failures).toEqual([]);
  await expect.poll(async () => (await healthOf(gateway)).get("three")?.inFlight).toBe(0);
});
