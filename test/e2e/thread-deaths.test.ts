/**
 * A78: a thread that throws or exits costs what it was doing and nothing else. The others keep serving, it is replaced
 * within two seconds, and what was counted is still there, but for the last second at most.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type FakeProviders, startFakeProviders } from "../support/fake-providers.ts";
import { converseFrames, decodeFrames } from "../support/frames.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { answerUsd, governedConfig, quotaOf } from "../support/governed.ts";
import { type Lane, openLanes } from "../support/keys.ts";
import { type RawAnswer, send, userTurn } from "../support/raw-http.ts";
import { modelIdOf } from "../support/translated.ts";
import { rejection, sleep, until } from "../support/wait.ts";

const token = "operator";
const withinMs = 2000;
const preload = new URL("../support/thread-orders.js", import.meta.url).href;
const converse = "/bedrock/model/vendor.model/converse";
const app = { "x-bf-vk": "sk-bf-app" };
const lone = { "x-bf-vk": "sk-bf-lone" };

let orders = "";
let fake: FakeBedrock;
let fakes: FakeProviders;
const started: RunningGateway[] = [];

beforeAll(async () => {
  orders = mkdtempSync(join(tmpdir(), "bifrost-orders-"));
  fake = await startFakeBedrock();
  fakes = await startFakeProviders();
}, 30_000);
beforeEach(() => {
  fake.reset();
  fakes.reset();
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((gateway) => gateway.stop()));
  expect([...fake.violations, ...fakes.violations()]).toEqual([]);
}, 30_000);
afterAll(async () => {
  await fake?.[Symbol.asyncDispose]();
  await fakes?.[Symbol.asyncDispose]();
  rmSync(orders, { recursive: true, force: true });
});

async function start(env: Readonly<Record<string, string>> = {}): Promise<RunningGateway> {
  const virtualKeys = [
    {
      id: "app",
      name: "app",
      value: "sk-bf-app",
      allow_all_providers: true,
      budgets: [{ max_limit: 100, reset_duration: "1d" }],
    },
    { id: "lone", name: "lone", value: "sk-bf-lone", allow_all_providers: true, max_concurrency: 1 },
  ];
  const config = governedConfig(fake, { virtual_keys: virtualKeys });
  const providers = { ...Object(Reflect.get(config, "providers")), ...fakes.config() };
  const gateway = await startGateway({
    config: { ...config, providers },
    env: {
      BIFROST_ADMIN_TOKEN: token,
      BIFROST_FRONTENDS: "2",
      NODE_OPTIONS: `--import ${preload}`,
      THREAD_ORDERS: orders,
      ...env,
    },
    withoutH2: true,
  });
  started.push(gateway);
  return gateway;
}

/** Resolves when the thread has seen it. */
async function order(thread: string, deed: "exit" | "throw" | "hoard"): Promise<void> {
  const file = join(orders, thread);
  writeFileSync(file, deed);
  await until(`the end of ${thread}`, () => !existsSync(file));
}

const ask = ({ url }: RunningGateway, headers = app): Promise<RawAnswer> =>
  send(url, converse, { body: userTurn("hi"), headers });

/** The gateway's own process is still the one it was. */
function processOf({ pid }: RunningGateway): string {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
}

/** Small requests, one after the other, as long as something else goes on. @returns how many were answered */
async function serveMeanwhile<T>(gateway: RunningGateway, other: Promise<T>): Promise<readonly [T, number]> {
  let done = false;
  const watched = other.finally(() => {
    done = true;
  });
  let served = 0;
  while (!done) {
    expect((await ask(gateway)).status).toBe(200);
    served++;
  }
  return [await watched, served];
}

async function rows({ url }: RunningGateway): Promise<number> {
  const answer = await send(url, "/api/logs/stats", { method: "GET", headers: { authorization: `Bearer ${token}` } });
  return answer.status === 200 ? Number((JSON.parse(answer.body.toString()) as { requests: number }).requests) : -1;
}

describe("A78 a worker that does heavy work", { timeout: 60_000 }, () => {
  const large = (text: string) => ({ body: userTurn(text + "x".repeat(1024 * 1024)), headers: app });
  const path = `/bedrock/model/${encodeURIComponent(modelIdOf("openai"))}/converse`;

  test.each(["exit", "throw"])("and meets its end by %s fails its own request alone", async (deed) => {
    const gateway = await start({ BIFROST_WORKERS: "1" });
    const before = processOf(gateway);
    const dying = send(gateway.url, path, large(`worker, ${deed}`));
    // It waits for the same worker.
    const waiting = send(gateway.url, path, large("next"));
    const [answers, served] = await serveMeanwhile(gateway, Promise.all([dying, waiting]));
    expect(answers.map(({ status }) => status)).toEqual([500, 200]);
    expect(answers[0].headers["x-amzn-errortype"]).toBe("InternalServerException");
    expect(JSON.parse(answers[0].body.toString())).toMatchObject({ message: expect.stringContaining("in the log") });
    expect(served).toBeGreaterThan(0);
    expect((await send(gateway.url, path, large("later"))).status).toBe(200);
    expect(processOf(gateway)).toBe(before);
    expect(await gateway.metric("bifrost_requests_total", { status: "500" })).toBe(1);
    expect(await gateway.metric("bifrost_requests_total", { status: "200" })).toBe(2 + served);
  });
});

describe("A78 a front end", { timeout: 60_000 }, () => {
  const streaming = "/bedrock/model/lasting/converse-stream";

  /** Streams of two seconds on lanes of both, as promises by front end. */
  async function openStreams(lanes: readonly Lane[]): Promise<ReadonlyMap<string, readonly Promise<unknown>[]>> {
    fake.when("lasting", stream(converseFrames().flatMap((frame) => [frame, 200])));
    const answers = new Map<string, Promise<unknown>[]>();
    for (const lane of lanes) {
      const ended = lane.send(streaming, { body: userTurn("hi"), headers: app }).catch((error: unknown) => error);
      answers.set(lane.frontEnd, [...(answers.get(lane.frontEnd) ?? []), ended]);
    }
    await until("all streams", () => fake.all("lasting").length === lanes.length);
    return answers;
  }

  const isWhole = (ended: unknown): boolean =>
    !(ended instanceof Error) && decodeFrames((ended as RawAnswer).body).at(-1)?.type === "metadata";

  test("in which an exception escapes goes on, and so do its streams", async () => {
    const gateway = await start();
    const lanes = await openLanes(gateway, 2, 2);
    const streams = await openStreams(lanes);
    await order("front-end-2", "throw");
    await until("the exception", () => gateway.output().includes("an exception escaped"));
    for (const ended of [...streams.values()].flat()) expect(isWhole(await ended)).toBe(true);
    for (const lane of lanes)
      expect((await lane.send(converse, { body: userTurn("hi"), headers: app })).status).toBe(200);
    for (const lane of lanes) lane.close();
  });

  test("that fails in the middle of a request answers that one with a 500", async () => {
    const gateway = await start();
    const streams = await openStreams(await openLanes(gateway, 2, 1));
    const { status, headers } = await send(gateway.url, converse, { body: userTurn("front end, throw"), headers: app });
    expect(status).toBe(500);
    expect(headers["x-amzn-errortype"]).toBe("InternalServerException");
    for (const ended of [...streams.values()].flat()) expect(isWhole(await ended)).toBe(true);
    expect((await ask(gateway)).status).toBe(200);
  });

  test("that exits is replaced; the other one goes on, and nothing that was counted is lost", async () => {
    const gateway = await start();
    const before = processOf(gateway);
    const lanes = await openLanes(gateway, 2, 3);
    for (const lane of lanes)
      expect((await lane.send(converse, { body: userTurn("hi"), headers: app })).status).toBe(200);
    // A place among those that run, of which the key has only one, and which is held as the thread ends.
    const doomed = lanes.filter(({ frontEnd }) => frontEnd === "front-end-2");
    const [holder] = doomed;
    if (holder === undefined) throw new Error("no lane leads to it");
    const others = lanes.filter((lane) => lane !== holder);
    const streams = await openStreams(others);
    fake.when("slow", { ...stream([]), delayMs: 10_000 });
    const held = rejection(holder.send("/bedrock/model/slow/converse", { body: userTurn("hi"), headers: lone }));
    await fake.seen("slow");
    expect((await ask(gateway, lone)).status).toBe(429);
    const counted = await gateway.metric("bifrost_requests_total");

    await order("front-end-2", "exit");
    await held;
    const diedAt = performance.now();
    for (const ended of streams.get("front-end-2") ?? []) expect(isWhole(await ended)).toBe(false);
    expect((await ask(gateway)).status).toBe(200);
    await until("its return", () => gateway.output().includes("front end 2 serves again"));
    expect(performance.now() - diedAt).toBeLessThan(withinMs);
    expect((await ask(gateway, lone)).status).toBe(200);
    for (const ended of streams.get("front-end-1") ?? []) expect(isWhole(await ended)).toBe(true);
    expect(processOf(gateway)).toBe(before);

    // The two since, the streams, and the one that was held.
    await until("the counts", async () => (await gateway.metric("bifrost_active_requests")) <= 1);
    expect(await gateway.metric("bifrost_requests_total")).toBe(counted + 2 + others.length + 1);
    const again = await openLanes(gateway, 2, 2);
    for (const lane of again) expect((await lane.ask("vendor.model", app)).status).toBe(200);
    for (const lane of [...lanes, ...again]) lane.close();
  });

  test("takes up a changed configuration in the place of the one before", async () => {
    const gateway = await start();
    await order("front-end-1", "exit");
    await until("its return", () => gateway.output().includes("front end 1 serves again"));
    const made = await send(gateway.url, "/api/governance/virtual-keys", {
      body: JSON.stringify({ name: "fresh", allow_all_providers: true }),
      headers: { authorization: `Bearer ${token}` },
    });
    expect(made.status).toBe(201);
    const { value } = JSON.parse(made.body.toString()) as { readonly value: string };
    for (const lane of await openLanes(gateway, 2, 2)) {
      expect((await lane.ask("vendor.model", { "x-bf-vk": value })).status).toBe(200);
      lane.close();
    }
  });

  test("that has no memory left takes the process along, which is started again", async () => {
    const gateway = await start({ NODE_OPTIONS: `--import ${preload} --max-old-space-size=200` });
    const before = processOf(gateway);
    await order("front-end-1", "hoard");
    await until("another process", () => processOf(gateway) !== before && processOf(gateway) !== "", 20_000);
    await until("the gateway", async () => (await ask(gateway).catch(() => undefined))?.status === 200, 20_000);
  });

  test("whose substitute dies at once takes the process along, which is started again", async () => {
    const gateway = await start();
    const before = processOf(gateway);
    for (let death = 0; death < 2; death++) {
      await order("front-end-2", "exit");
      if (death === 0) await until("its return", () => gateway.output().includes("front end 2 serves again"));
    }
    await until("another process", () => processOf(gateway) !== before && processOf(gateway) !== "", 10_000);
    await until("the gateway", async () => (await ask(gateway).catch(() => undefined))?.status === 200, 20_000);
  });
});

describe("A78 the store's thread", { timeout: 60_000 }, () => {
  test.each(["exit", "throw"] as const)("that ends by %s is replaced, and no spending is forgotten", async (deed) => {
    const gateway = await start();
    const spend = async (count: number) => {
      for (let index = 0; index < count; index++) expect((await ask(gateway)).status).toBe(200);
    };
    const spent = async () =>
      (await quotaOf(gateway, "sk-bf-app")).find(({ kind }) => kind === "budget")?.current_usage;
    await spend(5);
    await order("store", deed);
    await until("its death", () => gateway.output().includes("the store is not to be relied on"));
    const diedAt = performance.now();
    await spend(5);
    await until("its return", () => gateway.output().includes("the store answers"));
    expect(performance.now() - diedAt).toBeLessThan(withinMs);
    await spend(5);
    expect(await spent()).toBeCloseTo(15 * answerUsd, 6);
    // Counters are saved every second: what is there then outlives the process.
    await sleep(1500);
    const died = processOf(gateway);
    process.kill(Number(died), "SIGKILL");
    await until("another process", () => processOf(gateway) !== died && processOf(gateway) !== "");
    await until("the gateway", async () => (await ask(gateway).catch(() => undefined))?.status === 200, 20_000);
    expect(await spent()).toBeCloseTo(16 * answerUsd, 6);
  });
});

describe("A78 the request log's thread", { timeout: 60_000 }, () => {
  test.each(["exit", "throw"] as const)("that ends by %s is replaced, and every request has its row", async (deed) => {
    const gateway = await start();
    const some = async (count: number) => {
      for (let index = 0; index < count; index++) expect((await ask(gateway)).status).toBe(200);
    };
    await some(20);
    await until("the rows before", async () => (await rows(gateway)) === 20);
    await order("log-write", deed);
    const before = await gateway.metric("bifrost_requests_total", { status: "200" });
    await some(20);
    await until("the rows since", async () => (await rows(gateway)) === before + 20, withinMs + 3000);
    expect(await gateway.metric("bifrost_log_rows_dropped_total")).toBe(0);
  });
});
