import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { FakeBedrock } from "../support/fake-bedrock.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { ask, byKey, down, errorOf, fine, healthOf, keyOf, pool, startKeyedBedrock } from "../support/keys.ts";
import { inParallel } from "../support/wait.ts";

const names = ["sick", "well", "lone", "dead1", "dead2"];
let fake: FakeBedrock;
let gateway: RunningGateway;

beforeAll(async () => {
  fake = await startKeyedBedrock(names);
  gateway = await startGateway({
    config: {
      providers: {
        probed: pool(fake.url, { sick: { weight: 1000 }, well: { weight: 1 } }),
        lone: pool(fake.url, { lone: {} }),
        dead: pool(fake.url, { dead1: {}, dead2: {} }, { max_retries: 5, retry_backoff_initial: 0 }),
      },
    },
    env: { BIFROST_FRONTENDS: "2" },
    withoutH2: true,
  });
}, 60_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const askedOf = (name: string) => fake.requests.filter((request) => keyOf(request) === name).length;

describe("a key that fails again and again", () => {
  test("is left alone after five failures, then asked by one request, and serves again when that one succeeds", async () => {
    fake.when("m", byKey({ sick: down }));
    for (let round = 0; round < 30; round++) expect((await ask(gateway, "probed/m")).status).toBe(200);
    expect(askedOf("sick")).toBe(5);
    expect(askedOf("well")).toBe(30);
    const open = (await healthOf(gateway)).get("sick");
    expect(open).toMatchObject({ state: "open", why: expect.any(String) });
    expect(open?.coolDownMs).toBeGreaterThan(0);
    expect(open?.coolDownMs).toBeLessThanOrEqual(2100);

    await expect
      .poll(async () => (await healthOf(gateway)).get("sick")?.coolDownMs, { timeout: 4000, interval: 30 })
      .toBe(0);
    fake.reset();
    // The probe takes its time, and nobody waits for it.
    fake.when("m", byKey({ sick: () => ({ ...fine(), delayMs: 700 }) }));
    let done = 0;
    const all = inParallel(Array.from({ length: 60 }), 20, async () => {
      expect((await ask(gateway, "probed/m")).status).toBe(200);
      done++;
    });
    await expect.poll(() => done, { timeout: 600, interval: 10 }).toBe(59);
    expect(askedOf("sick")).toBe(1);
    expect((await healthOf(gateway)).get("sick")).toMatchObject({ state: "probing", inFlight: 1 });
    await all;
    fake.when("m", fine);
    for (let round = 0; round < 10; round++) {
      expect((await ask(gateway, "probed/m")).headers["x-bifrost-key"]).toBe("sick");
    }
    expect((await healthOf(gateway)).get("sick")?.state).toMatch(/^(?:healthy|degraded)$/);
  });

  test("as the only one is asked each time, and is back with its first answer", async () => {
    fake.when("m", down);
    for (let round = 0; round < 8; round++) {
      expect(errorOf(await ask(gateway, "lone/m"))).toMatchObject({ status: 503, message: "Try later." });
    }
    expect(askedOf("lone")).toBe(8);
    expect((await healthOf(gateway)).get("lone")?.state).toBe("open");
    fake.when("m", fine);
    expect((await ask(gateway, "lone/m")).status).toBe(200);
    expect((await healthOf(gateway)).get("lone")?.state).toMatch(/^(?:healthy|degraded)$/);
  });
});

test("an upstream that is dead is not hit with more than a tenth in repetitions, after a first hundred", async () => {
  fake.when("m", down);
  const asked = 400;
  const from = Date.now();
  await inParallel(Array.from({ length: asked }), 20, async () => {
    expect(errorOf(await ask(gateway, "dead/m"))).toMatchObject({ status: 503, message: "Try later." });
  });
  const seconds = (Date.now() - from) / 1000;
  const repetitions = fake.requests.length - asked;
  // Without the budget there would be six for each request.
  expect(repetitions).toBeGreaterThan(50);
  expect(repetitions).toBeLessThanOrEqual(100 + asked / 10 + 10 * seconds + 10);
});
