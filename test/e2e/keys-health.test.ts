import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FakeBedrock } from "../support/fake-bedrock.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { ask, badKey, byKey, healthOf, pool, startKeyedBedrock, throttled, tokenOf } from "../support/keys.ts";
import { send } from "../support/raw-http.ts";

const names = ["working", "limited", "refused", "off"];
const adminToken = "admin-canary-token";
/** An address of this machine that is not the loopback. */
const outside = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ internal, family }) => !internal && family === "IPv4")?.address;

let fake: FakeBedrock;
let open: RunningGateway;
let guarded: RunningGateway;

beforeAll(async () => {
  fake = await startKeyedBedrock(names);
  const config = {
    providers: {
      bedrock: pool(fake.url, { working: {}, limited: {}, refused: {}, off: { id: "off-id", enabled: false } }, {}, {}),
      mock: { rules: [] },
    },
  };
  [open, guarded] = await Promise.all([
    startGateway({ config, withoutH2: true, env: { BIFROST_HOST: "0.0.0.0" } }),
    startGateway({ config, withoutH2: true, env: { BIFROST_HOST: "0.0.0.0", BIFROST_ADMIN_TOKEN: adminToken } }),
  ]);
}, 60_000);
afterAll(async () => {
  await Promise.all([open?.stop(), guarded?.stop()]);
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const page = (gateway: RunningGateway, host: string, authorization?: string) =>
  send(`http://${host}:${new URL(gateway.url).port}`, "/api/keys/health", {
    method: "GET",
    headers: authorization === undefined ? {} : { authorization },
  });

describe("GET /api/keys/health", () => {
  test("tells of every key by name how it does, and nothing of its credential", async () => {
    fake.when("m", byKey({ limited: () => throttled("50"), refused: badKey }));
    for (const name of ["working", "limited", "refused"]) await ask(open, "m", { "x-bf-api-key": name });
    const answer = await page(open, "127.0.0.1");
    expect(answer).toMatchObject({ status: 200, headers: { "content-type": "application/json" } });
    for (const name of names) expect(answer.body.toString()).not.toContain(tokenOf(name));
    const health = await healthOf(open);
    expect([...health.keys()]).toEqual(names);
    const common = { provider: "bedrock", inFlight: 0, errorRate: 0 };
    expect(health.get("working")).toMatchObject({
      ...common,
      state: "healthy",
      served: 1,
      share: 1,
      coolingModels: [],
    });
    expect(health.get("limited")).toMatchObject({ ...common, state: "healthy", served: 0, share: 0 });
    const [cooling] = health.get("limited")?.coolingModels ?? [];
    expect(cooling?.model).toBe("m");
    expect(cooling?.remainingMs).toBeGreaterThan(40_000);
    expect(cooling?.remainingMs).toBeLessThanOrEqual(50_100);
    expect(health.get("refused")).toMatchObject({ ...common, state: "refused", why: expect.any(String) });
    expect(health.get("refused")?.coolDownMs).toBeGreaterThan(0);
    expect(health.get("off")).toMatchObject({ ...common, id: "off-id", state: "disabled" });
  });

  test("wants the token where there is one, also on loopback", async () => {
    for (const authorization of [undefined, "Bearer wrong", `Bearer ${adminToken}x`, adminToken, "Bearer "]) {
      const answer = await page(guarded, "127.0.0.1", authorization);
      expect(answer).toMatchObject({ status: 401, headers: { "www-authenticate": "Bearer" } });
      expect(JSON.parse(answer.body.toString())).toMatchObject({ error: { type: "unauthorized" } });
      expect(answer.body.toString()).not.toContain("working");
    }
    expect((await page(guarded, "127.0.0.1", `Bearer ${adminToken}`)).status).toBe(200);
    expect(guarded.output()).not.toContain(adminToken);
  });

  test.skipIf(outside === undefined)("without a token answers on loopback alone", async () => {
    expect((await page(open, "127.0.0.1")).status).toBe(200);
    const answer = await page(open, outside ?? "");
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      error: { type: "forbidden", message: expect.stringContaining("BIFROST_ADMIN_TOKEN") },
    });
    expect((await page(guarded, outside ?? "", `Bearer ${adminToken}`)).status).toBe(200);
  });

  test("without a token answers no page of another host, and nothing that a proxy passes on", async () => {
    for (const headers of [{ origin: "https://evil.example" }, { "x-forwarded-for": "203.0.113.9" }]) {
      const answer = await send(`http://127.0.0.1:${new URL(open.url).port}`, "/api/keys/health", {
        method: "GET",
        headers,
      });
      expect(answer.status).toBe(403);
      expect(answer.body.toString()).not.toContain("working");
    }
  });

  test("is there for reading alone", async () => {
    const url = `http://127.0.0.1:${new URL(open.url).port}`;
    expect((await send(url, "/api/keys/health", { body: "{}" })).status).toBe(405);
  });
});
