/** The management API of a running gateway, and what outlives its process. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openDatabase } from "../../src/store/sqlite-driver.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { answerUsd, governedConfig, quotaOf } from "../support/governed.ts";
import { ask, errorOf, type Lane, openLanes, rewrite } from "../support/keys.ts";
import { send, userTurn } from "../support/raw-http.ts";
import { signPost } from "../support/sign.ts";
import { sleep, until } from "../support/wait.ts";

const model = "vendor.model-v1:0";
const token = "management-canary-token";
const fileTeam = { id: "from-file", name: "From the file", budgets: [{ max_limit: 100, reset_duration: "1d" }] };
const adminOnly = { BIFROST_ADMIN_TOKEN: token };
const signing = { BIFROST_ENCRYPTION_KEY: "a passphrase of this test" };

describe("the management API", { timeout: 60_000 }, () => {
  let fake: FakeBedrock;
  let gateway: RunningGateway;
  let lanes: Lane[] = [];
  let folder = "";

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "bifrost-management-"));
    fake = await startFakeBedrock();
    gateway = await startGateway({
      config: governedConfig(fake, { teams: [fileTeam] }),
      env: { BIFROST_FRONTENDS: "2", BIFROST_ADMIN_TOKEN: token, BIFROST_DATA_DIR: join(folder, "shared"), ...signing },
      withoutH2: true,
    });
    lanes = await openLanes(gateway, 2, 2);
  }, 60_000);
  beforeEach(() => fake.reset());
  afterEach(() => expect(fake.violations).toEqual([]));
  afterAll(async () => {
    for (const lane of lanes) lane.close();
    await gateway?.stop();
    await fake?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }, 30_000);

  async function api(method: string, path: string, body?: object, to: { readonly url: string } = gateway) {
    const { status, body: bytes } = await send(to.url, `/api/governance/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const parsed: Record<string, unknown> = bytes.length === 0 ? {} : JSON.parse(bytes.toString());
    return { status, body: parsed };
  }

  async function createKey(more: object = {}, to: { readonly url: string } = gateway) {
    const { status, body } = await api("POST", "virtual-keys", { name: "app", allow_all_providers: true, ...more }, to);
    expect(status).toBe(201);
    return { id: String(body.id), value: String(body.value) };
  }

  const onEveryLane = (value: string) =>
    Promise.all(lanes.map(async (lane) => (await lane.ask(model, { "x-bf-vk": value })).status));
  const all = (status: number) => lanes.map(() => status);

  test("gives a virtual key its value once, and every front end knows it before the answer", async () => {
    // Where there is no virtual key at all, and none is needed, none is looked at.
    await createKey({ name: "another" });
    const { id, value } = await createKey();
    expect(value).toMatch(/^sk-bf-[0-9A-Za-z]{32}$/);
    expect(await onEveryLane(value)).toEqual(all(200));
    const shown = await api("GET", `virtual-keys/${id}`);
    expect(shown.status).toBe(200);
    expect(JSON.stringify(shown.body)).not.toContain(value);
    expect((await api("PATCH", `virtual-keys/${id}`, { is_active: false })).status).toBe(200);
    expect(await onEveryLane(value)).toEqual(all(403));
    expect((await api("DELETE", `virtual-keys/${id}`)).status).toBe(204);
    expect(await onEveryLane(value)).toEqual(all(403));
    expect(gateway.output()).not.toContain(value);
  });

  test("needs its token, and names the field that is wrong", async () => {
    const answer = await send(gateway.url, "/api/governance/teams", { method: "GET" });
    expect(answer.status).toBe(401);
    const wrong = await api("POST", "virtual-keys", { name: "x", budgets: [{ max_limit: -1, reset_duration: "1d" }] });
    expect(wrong).toMatchObject({ status: 400, body: { error: { path: "budgets[0].max_limit" } } });
    expect(await api("POST", "teams", { name: "x", customer_id: "nobody" })).toMatchObject({ status: 400 });
  });

  test("does not change what the file says, and keeps its own beside a changed file", async () => {
    const refused = await api("PATCH", "teams/from-file", { name: "Other" });
    expect(refused).toMatchObject({ status: 409, body: { error: { type: "read_only" } } });
    const { value } = await createKey({ team_id: "from-file" });
    expect(await onEveryLane(value)).toEqual(all(200));
    await rewrite(gateway, governedConfig(fake, { teams: [{ ...fileTeam, name: "Renamed" }] }));
    expect(await onEveryLane(value)).toEqual(all(200));
    const team = (await quotaOf(gateway, value)).find(({ holder }) => holder === "team");
    expect(team?.current_usage).toBeCloseTo(2 * lanes.length * answerUsd, 6);
    const usage = await api("GET", "teams/from-file/usage");
    expect(usage).toMatchObject({ status: 200, body: { limits: [{ current_usage: team?.current_usage }] } });
  });

  test("A58 ends a rotated value with its grace, everywhere within a second", async () => {
    const { id, value } = await createKey();
    const rotated = await api("POST", `virtual-keys/${id}/rotate`, { grace_period: "2s" });
    const until = Date.now() + 2000;
    const renewed = String(rotated.body.value);
    expect(await onEveryLane(value)).toEqual(all(200));
    expect(await onEveryLane(renewed)).toEqual(all(200));
    await sleep(until + 1000 - Date.now());
    expect(await onEveryLane(value)).toEqual(all(403));
    expect(await onEveryLane(renewed)).toEqual(all(200));
  });

  test("gives a budget more for a time and forgets what was used, on every front end at once and beyond a restart", async () => {
    const env = { BIFROST_ADMIN_TOKEN: token, BIFROST_FRONTENDS: "2", BIFROST_DATA_DIR: join(folder, "override") };
    const budgets = [{ max_limit: 4 * answerUsd, reset_duration: "1d" }];
    const config = governedConfig(fake, {
      virtual_keys: [{ id: "file", name: "file", value: "sk-bf-file", allow_all_providers: true, budgets }],
    });
    const override = `budgets/${encodeURIComponent("virtual_key:file/budget/1d")}/override`;
    const before = await startGateway({ config, env, withoutH2: true });
    const opened = await openLanes(before, 2, 2);
    const names = [...new Set(opened.map(({ frontEnd }) => frontEnd))];
    const both = names.flatMap((name) => opened.filter(({ frontEnd }) => frontEnd === name).slice(0, 2));
    // One after the other: what runs beside a request would hold room of a budget that is this small.
    const statuses = async () => {
      const found: number[] = [];
      for (const lane of both) found.push((await lane.ask(model, { "x-bf-vk": "sk-bf-file" })).status);
      return found;
    };
    try {
      const usage = await api("GET", "virtual-keys/file/usage", undefined, before);
      expect(usage.body.limits).toMatchObject([{ id: "virtual_key:file/budget/1d", override: null }]);
      expect(await statuses()).toEqual(both.map(() => 200));
      expect(await statuses()).toEqual(both.map(() => 400));
      expect(await api("PUT", override, { override_amount: "much" }, before)).toMatchObject({
        status: 400,
        body: { error: { path: "override_amount" } },
      });
      const valid_until = new Date(Date.now() + 3_600_000).toISOString();
      expect((await api("PUT", override, { override_amount: 4 * answerUsd, valid_until }, before)).status).toBe(200);
      expect(await statuses()).toEqual(both.map(() => 200));
      expect(await statuses()).toEqual(both.map(() => 400));
      const reset = await api("POST", "virtual-keys/file/usage/reset", undefined, before);
      expect(reset).toMatchObject({ status: 200, body: { limits: [{ current_usage: 0, remaining: 8 * answerUsd }] } });
      expect(await statuses()).toEqual(both.map(() => 200));
      expect(before.output()).toContain("usage_reset");
    } finally {
      for (const lane of opened) lane.close();
      await before.stop();
    }
    await using after = await startGateway({ config, env, withoutH2: true });
    const [limit] = await quotaOf(after, "sk-bf-file");
    expect(limit?.current_usage).toBeCloseTo(4 * answerUsd, 6);
    expect(limit?.remaining).toBeCloseTo(4 * answerUsd, 6);
    expect((await api("DELETE", override, undefined, after)).status).toBe(204);
    expect((await ask(after, model, { "x-bf-vk": "sk-bf-file" })).status).toBe(400);
  });

  const path = `/bedrock/model/${encodeURIComponent(model)}/converse`;
  async function signed(to: RunningGateway, accessKeyId: string, secretAccessKey: string) {
    const headers = await signPost(to.url, { accessKeyId, secretAccessKey }, { path, body: userTurn("hi") });
    return send(to.url, path, { headers, body: userTurn("hi") });
  }

  test("makes keys that sign, if there is an encryption key to keep them with", async () => {
    const { id, value } = await createKey();
    expect((await signed(gateway, id, value)).status).toBe(200);
    expect(errorOf(await signed(gateway, id, `${value}x`))).toMatchObject({ status: 403 });
    await using plain = await startGateway({ config: governedConfig(fake, {}), withoutH2: true, env: adminOnly });
    const hashed = await createKey({}, plain);
    expect((await ask(plain, model, { "x-bf-vk": hashed.value })).status).toBe(200);
    expect(errorOf(await signed(plain, hashed.id, hashed.value))).toMatchObject({ status: 403 });
  });

  test("and what was spent outlive a process that is killed", async () => {
    const env = { BIFROST_ADMIN_TOKEN: token, BIFROST_DATA_DIR: join(folder, "killed"), ...signing };
    const config = governedConfig(fake, { teams: [fileTeam] });
    const before = await startGateway({ config, env, withoutH2: true });
    const { value } = await createKey(
      { team_id: "from-file", budgets: [{ max_limit: 1, reset_duration: "1d" }] },
      before,
    );
    for (let round = 0; round < 10; round++) expect((await ask(before, model, { "x-bf-vk": value })).status).toBe(200);
    const spent = (await quotaOf(before, value)).map(({ holder, kind, current_usage }) => ({
      holder,
      kind,
      current_usage,
    }));
    expect(spent).toContainEqual({ holder: "team", kind: "budget", current_usage: 10 * answerUsd });
    await sleep(1000);
    before.signal("SIGKILL");
    await before.exited;
    await using after = await startGateway({ config, env, withoutH2: true });
    expect(await quotaOf(after, value)).toMatchObject(spent);
    expect((await ask(after, model, { "x-bf-vk": value })).status).toBe(200);
    expect((await quotaOf(after, value))[0]?.current_usage).toBeCloseTo(11 * answerUsd, 6);
  });

  test.each(["serve", "refuse"] as const)("while its store hangs requests do not: %s", async (policy) => {
    const dataDir = join(folder, `hangs-${policy}`);
    const more = { storage: { on_failure: policy } };
    const budgets = [{ max_limit: 1, reset_duration: "1d" }];
    const keys = { virtual_keys: [{ id: "app", name: "app", value: "sk-bf-app", allow_all_providers: true, budgets }] };
    const env = { ...adminOnly, BIFROST_DATA_DIR: dataDir };
    await using one = await startGateway({ config: governedConfig(fake, keys, { more }), env, withoutH2: true });
    const status = async () => (await ask(one, model, { "x-bf-vk": "sk-bf-app" })).status;
    const ready = async () => (await send(one.url, "/ready", { method: "GET" })).status;
    const database = await openDatabase(join(dataDir, "bifrost.db"));
    database.prepare("begin immediate").run([]);
    try {
      expect(await status()).toBe(200);
      const failed = () => one.output().includes("the store is not to be relied on");
      await until("the store's failure", failed, 15_000);
      if (policy === "refuse") await until("the front end's word", async () => (await ready()) === 503);
      const begun = performance.now();
      expect([await status(), await ready()]).toEqual(policy === "serve" ? [200, 200] : [503, 503]);
      expect(performance.now() - begun).toBeLessThan(1000);
    } finally {
      database.prepare("rollback").run([]);
      database.close();
    }
    await until("the store's return", async () => (await ready()) === 200 && (await status()) === 200, 15_000);
    await until("its counters", async () => one.output().includes("the store answers"), 15_000);
    const spent = (await quotaOf(one, "sk-bf-app"))[0]?.current_usage ?? 0;
    expect(spent).toBeGreaterThanOrEqual(2 * answerUsd);
  });

  test("is not opened over a store that cannot be read", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "bifrost-unreadable-"));
    try {
      writeFileSync(
        join(dataDir, "bifrost.db"),
        "this is no database, and nothing that may be overwritten".repeat(100),
      );
      const config = governedConfig(fake, {});
      await expect(startGateway({ config, env: { BIFROST_DATA_DIR: dataDir }, withoutH2: true })).rejects.toThrow(
        /cannot start/,
      );
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  test("keeps nothing where the configuration wants memory alone", async () => {
    const config = governedConfig(fake, {}, { more: { storage: { kind: "memory" } } });
    await using memory = await startGateway({ config, env: adminOnly, withoutH2: true });
    const { value } = await createKey({}, memory);
    await until("the key", async () => (await ask(memory, model, { "x-bf-vk": value })).status === 200);
  });
});
