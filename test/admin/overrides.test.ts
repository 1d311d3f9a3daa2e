import { describe, expect, test } from "vitest";
import { MemoryStore } from "../../src/store/memory.ts";
import { StoreError } from "../../src/store/store.ts";
import { at, type Kit, kit } from "./kit.ts";

const file = {
  teams: [{ id: "search", name: "Search", budgets: [{ max_limit: 10, reset_duration: "1d" }] }],
  virtual_keys: [
    {
      id: "app",
      name: "app",
      value: "sk-bf-app",
      rate_limit: { token_max_limit: 100, token_reset_duration: "1h" },
      budgets: [{ max_limit: 1, reset_duration: "1M", calendar_aligned: true }],
      max_concurrency: 2,
    },
  ],
};
const team = "team:search/budget/1d";
const path = (budget: string) => `/api/governance/budgets/${encodeURIComponent(budget)}/override`;
const left = ({ limits, clock }: Kit, budget: string) => {
  const counter = limits().find(budget)?.counter;
  return counter === undefined ? undefined : counter.maxAt(clock.now) / 1e6;
};

describe("an override of a budget", () => {
  test("is in force until its time, also for a budget of the file, and is in the log", async () => {
    const made = await kit({ file });
    const valid_until = "2027-01-01T01:00:00Z";
    const body = { override_amount: 5, valid_until };
    const answer = await made.send("PUT", path(team), body);
    expect(answer).toMatchObject({ status: 200, body: { id: team, override_mode: "add", ...body } });
    expect(left(made, team)).toBe(15);
    expect((await made.send("GET", `${at.teams}/search/usage`)).body.limits).toMatchObject([
      { id: team, max_limit: 10, remaining: 15, override: { override_amount: 5, override_mode: "add" } },
    ]);
    expect(made.audited).toMatchObject([
      { action: "override", limits: [team], override: body, remoteAddress: "127.0.0.1" },
    ]);
    made.clock.now = Date.parse(valid_until);
    expect(left(made, team)).toBe(10);
    expect((await made.send("GET", path(team))).status).toBe(404);
  });

  test("takes the place of the one before, and goes when it is deleted", async () => {
    const made = await kit({ file });
    await made.send("PUT", path(team), { override_amount: 5 });
    await made.send("PUT", path(team), { override_amount: 3, override_mode: "replace" });
    expect(left(made, team)).toBe(3);
    expect((await made.send("GET", path(team))).body).toEqual({
      id: team,
      override_amount: 3,
      override_mode: "replace",
      valid_until: null,
    });
    expect((await made.send("DELETE", path(team))).status).toBe(204);
    expect(left(made, team)).toBe(10);
    expect((await made.send("DELETE", path(team))).status).toBe(404);
    expect(made.audited.map(({ action }) => action)).toEqual(["override", "override", "override_removed"]);
  });

  test("is stored", async () => {
    const store = new MemoryStore();
    await (await kit({ file, store })).send("PUT", path(team), { override_amount: 5 });
    expect(left(await kit({ file, store }), team)).toBe(15);
  });

  test("that could not be stored is not in force", async () => {
    const store = new MemoryStore();
    const made = await kit({ file, store });
    store.putOverride = () => Promise.reject(new StoreError("full", "the disk is full"));
    expect((await made.send("PUT", path(team), { override_amount: 5 })).status).toBe(503);
    expect(left(made, team)).toBe(10);
    expect(made.audited).toEqual([]);
  });

  test("ends with its budget: another of the same id does not inherit it", async () => {
    const made = await kit();
    const budgets = [{ max_limit: 1, reset_duration: "1d" }];
    await made.send("POST", at.teams, { id: "new", name: "New", budgets });
    const own = "team:new/budget/1d";
    expect((await made.send("PUT", path(own), { override_amount: 5 })).status).toBe(200);
    expect(left(made, own)).toBe(6);
    await made.send("DELETE", `${at.teams}/new`);
    await made.send("POST", at.teams, { id: "new", name: "New", budgets });
    expect(left(made, own)).toBe(1);
    expect(await made.store.listOverrides()).toEqual([]);
  });

  test.each([
    [{}, "override_amount"],
    [{ override_amount: -1 }, "override_amount"],
    [{ override_amount: 1, override_mode: "multiply" }, "override_mode"],
    [{ override_amount: 1, valid_until: "tomorrow" }, "valid_until"],
    [{ override_amount: 1, valid_until: "2026-12-31T23:59:59Z" }, "valid_until"],
    [{ override_amount: 1, override_cycles: 2 }, "override_cycles"],
  ])("is refused at the path of what is wrong: %j", async (body, wrong) => {
    const made = await kit({ file });
    expect(await made.send("PUT", path(team), body)).toMatchObject({ status: 400, body: { error: { path: wrong } } });
    expect(left(made, team)).toBe(10);
  });

  test("is there for budgets alone, and needs the token", async () => {
    const made = await kit({ file, adminToken: "admin" });
    const headers = new Map([["authorization", "Bearer admin"]]);
    for (const id of ["team:nobody/budget/1d", "virtual_key:app/tokens/1h", "virtual_key:app/concurrency"])
      expect((await made.send("PUT", path(id), { override_amount: 1 }, { headers })).status).toBe(404);
    expect((await made.send("PUT", path(team), { override_amount: 1 })).status).toBe(401);
    expect((await made.send("POST", path(team), {}, { headers })).status).toBe(405);
  });
});

describe("usage that is reset", () => {
  const spend = ({ limits, clock }: Kit, id: string, amount: number) => {
    const counter = limits().find(id)?.counter;
    const held = counter?.reserve(amount, clock.now);
    if (held === undefined) throw new Error("there is no room");
    counter?.settle(held, amount);
  };
  const budget = "virtual_key:app/budget/1M/calendar";
  const tokens = "virtual_key:app/tokens/1h";
  const reset = `${at.keys}/app/usage/reset`;

  async function spent() {
    let saves = 0;
    const made = await kit({ file, saved: () => void saves++ });
    spend(made, budget, 1_000_000);
    spend(made, tokens, 100);
    const use = async () =>
      Object.fromEntries(
        (await made.send("GET", `${at.keys}/app/usage`)).body.limits.map(
          ({ kind, current_usage }: { kind: string; current_usage: number }) => [kind, current_usage],
        ),
      );
    return { made, use, saves: () => saves };
  }

  test("begins at nothing, for all limits, is saved, and is in the log", async () => {
    const { made, use, saves } = await spent();
    expect(await use()).toEqual({ tokens: 100, budget: 1, concurrency: 0 });
    const answer = await made.send("POST", reset);
    expect(answer.status).toBe(200);
    expect(await use()).toEqual({ tokens: 0, budget: 0, concurrency: 0 });
    expect(saves()).toBe(1);
    expect(made.audited).toEqual([{ action: "usage_reset", limits: [tokens, budget], remoteAddress: "127.0.0.1" }]);
    spend(made, budget, 1_000_000);
  });

  test("may be that of some limits", async () => {
    const { made, use } = await spent();
    expect((await made.send("POST", reset, { limits: [tokens] })).status).toBe(200);
    expect(await use()).toEqual({ tokens: 0, budget: 1, concurrency: 0 });
  });

  test.each([
    [{ limits: [tokens, "team:search/budget/1d"] }, "limits[1]"],
    [{ limits: ["virtual_key:app/concurrency"] }, "limits[0]"],
    [{ limits: "all" }, "limits"],
    [{ everything: true }, "everything"],
  ])("is refused at the path of what is wrong: %j", async (body, wrong) => {
    const { made, use } = await spent();
    expect(await made.send("POST", reset, body)).toMatchObject({ status: 400, body: { error: { path: wrong } } });
    expect(await use()).toEqual({ tokens: 100, budget: 1, concurrency: 0 });
  });

  test("is not there for what has no limits", async () => {
    const { made } = await spent();
    expect((await made.send("POST", `${at.keys}/nobody/usage/reset`)).status).toBe(404);
    expect((await made.send("POST", `${at.rules}/app/usage/reset`)).status).toBe(404);
    expect((await made.send("GET", reset)).status).toBe(405);
  });
});
