import { describe, expect, test } from "vitest";
import { at, type Kit, kit } from "./kit.ts";

const daily = { budgets: [{ max_limit: 10, reset_duration: "1d" }] };
const file = {
  customers: [{ id: "acme", name: "Acme", ...daily }],
  teams: [
    {
      id: "search",
      name: "Search",
      customer_id: "acme",
      rate_limit: { token_max_limit: 100, token_reset_duration: "1h" },
    },
  ],
  virtual_keys: [
    {
      id: "app",
      name: "app",
      value: "sk-bf-app",
      team_id: "search",
      ...daily,
      provider_configs: [{ provider: "openai", rate_limit: { request_max_limit: 3, request_reset_duration: "1m" } }],
    },
    { id: "off", name: "off", value: "sk-bf-off", is_active: false },
    { id: "old", name: "old", value: "sk-bf-old", expires_at: "2026-01-01T00:00:00Z" },
    { id: "other", name: "other", value: "sk-bf-other", ...daily },
  ],
  model_limits: [{ id: "m", model_name: "gpt-4o", ...daily }],
};

/** Counts in a holder's first limit. */
function spend({ limits, clock }: Kit, kind: "virtual_key" | "team" | "model_limit", id: string, amount: number): void {
  const { rates, budgets } = limits().of({ kind, id });
  const counter = [...rates, ...budgets][0]?.counter;
  const held = counter?.reserve(amount, clock.now);
  if (held === undefined) throw new Error("there is no room");
  counter?.settle(held, amount);
}

describe("what is left to a virtual key", () => {
  const ask = (made: Kit, headers: Record<string, string>, remoteAddress = "203.0.113.9") =>
    made.send("GET", `${at.keys}/quota`, undefined, { headers: new Map(Object.entries(headers)), remoteAddress });

  test("is told to whoever has it, from everywhere, without the admin token", async () => {
    const made = await kit({ file, adminToken: "admin" });
    spend(made, "virtual_key", "app", 2_500_000);
    spend(made, "team", "search", 40);
    for (const headers of [{ "x-bf-vk": "sk-bf-app" }, { authorization: "Bearer sk-bf-app" }]) {
      const { status, body } = await ask(made, headers);
      expect(status).toBe(200);
      expect(body.virtual_key).toEqual({ id: "app", name: "app", expires_at: null });
      expect(
        body.limits.map(({ holder, kind, max_limit, current_usage, remaining }: Record<string, unknown>) => [
          holder,
          kind,
          max_limit,
          current_usage,
          remaining,
        ]),
      ).toEqual([
        ["virtual_key", "budget", 10, 2.5, 7.5],
        ["provider_config", "requests", 3, 0, 3],
        ["team", "tokens", 100, 40, 60],
        ["customer", "budget", 10, 0, 10],
      ]);
      expect(body.limits[0].resets_at).toBe("2027-01-02T00:00:00.000Z");
    }
  });

  test("is told to nobody else", async () => {
    const made = await kit({ file, adminToken: "admin" });
    expect((await ask(made, {})).status).toBe(401);
    expect((await ask(made, { "x-bf-vk": "sk-bf-unknown" })).status).toBe(401);
    expect((await ask(made, { "x-bf-vk": "" })).status).toBe(401);
    expect((await ask(made, { authorization: "Bearer admin" })).status).toBe(401);
    expect((await ask(made, { "x-bf-vk": "sk-bf-off" })).status).toBe(403);
    expect((await ask(made, { "x-bf-vk": "sk-bf-old" })).status).toBe(403);
    const { text } = await ask(made, { "x-bf-vk": "sk-bf-other" });
    expect(text).not.toMatch(/app|search|acme/);
  });

  test("is told to one that the API has made", async () => {
    const made = await kit();
    const { value } = (await made.send("POST", at.keys, { name: "new", ...daily })).body;
    expect((await ask(made, { "x-bf-vk": value })).body.limits).toMatchObject([{ max_limit: 10, remaining: 10 }]);
  });
});

describe("usage", () => {
  test("is told for everything that has limits", async () => {
    const made = await kit({ file });
    spend(made, "virtual_key", "app", 1_000_000);
    spend(made, "model_limit", "*/gpt-4o", 500_000);
    const used = async (path: string) =>
      (await made.send("GET", path)).body.limits.map(({ kind, current_usage }: Record<string, unknown>) => [
        kind,
        current_usage,
      ]);
    expect(await used(`${at.keys}/app/usage`)).toEqual([
      ["budget", 1],
      ["requests", 0],
    ]);
    expect(await used(`${at.limits}/m/usage`)).toEqual([["budget", 0.5]]);
    expect(await used(`${at.teams}/search/usage`)).toEqual([["tokens", 0]]);
    expect(await used(`${at.customers}/acme/usage`)).toEqual([["budget", 0]]);
    expect((await made.send("GET", `${at.customers}/nobody/usage`)).status).toBe(404);
  });
});
