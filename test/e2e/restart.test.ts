/** The process that keeps the gateway: a gateway that dies is started again, and ends with its keeper. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { freePort, type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { governedConfig, quotaOf } from "../support/governed.ts";
import { send, userTurn } from "../support/raw-http.ts";
import { rejection, sleep, until } from "../support/wait.ts";

const token = "operator";
const model = "vendor.model";
let fake: FakeBedrock;
const started: RunningGateway[] = [];

beforeAll(async () => {
  fake = await startFakeBedrock();
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((gateway) => gateway.stop()));
}, 30_000);
afterAll(() => fake?.[Symbol.asyncDispose]());

async function start(config: object, env: Readonly<Record<string, string>> = {}): Promise<RunningGateway> {
  const gateway = await startGateway({ config, env, withoutH2: true });
  started.push(gateway);
  return gateway;
}

/** The gateway's own process, below its keeper. */
function serving({ pid }: RunningGateway): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")[0]);
}

async function isServing(gateway: RunningGateway): Promise<boolean> {
  try {
    return (await send(gateway.url, "/ready", { method: "GET" })).status === 200;
  } catch {
    // Nobody listens: that is what is being asked.
    return false;
  }
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // There is no such process: that is what is being asked.
    return false;
  }
};

describe("a gateway that dies", { timeout: 60_000 }, () => {
  test.each(["SIGSEGV", "SIGABRT", "SIGKILL"] as const)("by %s is started again on its port", async (signal) => {
    const gateway = await start(relayConfig(fake.url));
    const died = serving(gateway);
    // The kernel remembers the connections that the process leaves behind: its port has to be had all the same.
    const client = connect(Number(new URL(gateway.url).port), "127.0.0.1");
    client.on("error", () => undefined).write("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(client, "data");
    process.kill(died, signal);
    await until("another process", () => !isRunning(died));
    await until("the gateway", () => isServing(gateway), 20_000);
    expect(serving(gateway)).not.toBe(died);
    expect(gateway.output()).toContain(signal);
    gateway.signal("SIGTERM");
    expect(await gateway.exited).toBe(0);
  });

  test("again and again is started every time", async () => {
    const gateway = await start(relayConfig(fake.url));
    for (let round = 0; round < 3; round++) {
      const died = serving(gateway);
      process.kill(died, "SIGKILL");
      await until("another process", () => !isRunning(died));
      await until("the gateway", () => isServing(gateway), 20_000);
    }
    expect(gateway.logs.filter((line) => line.msg === "ready")).toHaveLength(4);
  });

  test("has not forgotten what was spent", async () => {
    const budgets = [{ max_limit: 1, reset_duration: "1d" }];
    const keys = { virtual_keys: [{ id: "app", name: "app", value: "sk-bf-app", allow_all_providers: true, budgets }] };
    const gateway = await start(governedConfig(fake, keys), { BIFROST_ADMIN_TOKEN: token });
    for (let round = 0; round < 5; round++) {
      const headers = { "x-bf-vk": "sk-bf-app" };
      const answer = await send(gateway.url, `/bedrock/model/${model}/converse`, { body: userTurn("hi"), headers });
      expect(answer.status).toBe(200);
    }
    const spent = (await quotaOf(gateway, "sk-bf-app")).map(({ kind, current_usage }) => ({ kind, current_usage }));
    // Counters are saved every second.
    await sleep(1500);
    process.kill(serving(gateway), "SIGABRT");
    await until("its end", async () => !(await isServing(gateway)));
    await until("the gateway", () => isServing(gateway), 20_000);
    expect(await quotaOf(gateway, "sk-bf-app")).toMatchObject(spent);
  });

  test("and cannot be started again meanwhile is tried until it can", async () => {
    const port = await freePort();
    const gateway = await start(relayConfig(fake.url), { BIFROST_PORT: String(port) });
    const died = serving(gateway);
    process.kill(died, "SIGSTOP");
    const other = startGateway({ config: relayConfig(fake.url), env: { BIFROST_PORT: String(port) }, withoutH2: true });
    expect(String(await rejection(other))).toMatch(/cannot listen|in use/);
    process.kill(died, "SIGKILL");
    await until("the gateway", () => isServing(gateway), 20_000);
  });
});

describe("what is final", { timeout: 40_000 }, () => {
  test("a configuration that is not valid ends both with its code", async () => {
    const error = String(await rejection(startGateway({ config: { providers: { bedrock: { kyes: [] } } } })));
    expect(error).toContain("kyes");
    expect(error.match(/is not valid/g)).toHaveLength(1);
  });

  test("SIGTERM to the gateway itself ends its keeper with code 0", async () => {
    const gateway = await start(relayConfig(fake.url));
    process.kill(serving(gateway), "SIGTERM");
    expect(await gateway.exited).toBe(0);
  });

  test("SIGTERM while it is being started again ends everything with code 0", async () => {
    const gateway = await start(relayConfig(fake.url));
    process.kill(serving(gateway), "SIGKILL");
    await until("the new start", () => gateway.output().includes("it is started again"));
    gateway.signal("SIGTERM");
    expect(await gateway.exited).toBe(0);
    expect(gateway.logs.filter((line) => line.msg === "ready")).toHaveLength(1);
  });

  test("a keeper that is killed takes the gateway along", async () => {
    const gateway = await start(relayConfig(fake.url));
    const child = serving(gateway);
    gateway.signal("SIGKILL");
    await gateway.exited;
    await until("the gateway's end", () => !isRunning(child));
  });
});

test("BIFROST_SUPERVISE=0 leaves the keeper out", { timeout: 40_000 }, async () => {
  const gateway = await start(relayConfig(fake.url), { BIFROST_SUPERVISE: "0" });
  expect(readFileSync(`/proc/${gateway.pid}/task/${gateway.pid}/children`, "utf8").trim()).toBe("");
  process.kill(gateway.pid, "SIGABRT");
  expect(await gateway.exited).toBeNull();
});
