import { describe, expect, test } from "vitest";
import { at, kit } from "./kit.ts";

const samples = [
  [
    "customers",
    at.customers,
    { name: "Acme", budgets: [{ max_limit: 100, reset_duration: "1M", calendar_aligned: true }] },
  ],
  ["teams", at.teams, { name: "Search", rate_limit: { request_max_limit: 5, request_reset_duration: "1m" } }],
  ["virtual_keys", at.keys, { name: "app", provider_configs: [{ provider: "openai", allowed_models: ["gpt-4o"] }] }],
  [
    "model_limits",
    at.limits,
    { model_name: "gpt-4o", provider: "openai", budgets: [{ max_limit: 1, reset_duration: "1d" }] },
  ],
  [
    "routing_rules",
    at.rules,
    { name: "cheap", cel_expression: "budget_used > 80.0", targets: [{ provider: "openai" }] },
  ],
  [
    "pricing_overrides",
    at.prices,
    { provider: "openai", model: "gpt-4o", input_cost_per_token: 0.001, output_cost_per_token: 0.002 },
  ],
] as const;

describe.each(samples)("%s", (kind, path, sample) => {
  test("are created, read, listed, replaced, changed and deleted", async () => {
    const { send, applied } = await kit();
    const created = await send("POST", path, { id: "one", ...sample });
    expect(created).toMatchObject({
      status: 201,
      body: { id: "one", ...sample, source: "api", in_force: true, version: 1 },
    });
    expect(created.headers.get("location")).toBe(`${path}/one`);
    expect(applied.at(-1)?.[kind]).toMatchObject([{ id: "one", ...sample }]);

    const read = await send("GET", `${path}/one`);
    expect(read).toMatchObject({ status: 200, body: { id: "one", ...sample } });
    const listed = await send("GET", path);
    expect(listed.body).toEqual({ [kind]: [read.body], count: 1, total_count: 1, limit: 100, offset: 0 });

    // What was read can be written back as it is.
    const again = await send("PUT", `${path}/one`, read.body);
    expect(again).toMatchObject({ status: 200, body: { version: 2 } });
    expect({ ...again.body, version: 1, updated_at: read.body.updated_at }).toEqual(read.body);

    const name =
      "name" in sample ? { name: "other" } : "match_type" in read.body ? { model: "other" } : { model_name: "other" };
    expect(await send("PATCH", `${path}/one`, name)).toMatchObject({
      status: 200,
      body: { ...sample, ...name, version: 3 },
    });
    expect(applied.at(-1)?.[kind]).toMatchObject([name]);

    expect(await send("DELETE", `${path}/one`)).toMatchObject({ status: 204, text: "" });
    expect(applied.at(-1)?.[kind]).toEqual([]);
    expect(await send("GET", `${path}/one`)).toMatchObject({
      status: 404,
      body: { error: { type: "not_found", path: null } },
    });
  });

  test("get an id of their own where the client gives none", async () => {
    const { send } = await kit();
    const { body } = await send("POST", path, sample);
    expect(body.id).toMatch(/^[a-z]+_[0-9a-f]{20}$/);
    expect((await send("GET", `${path}/${body.id}`)).status).toBe(200);
  });

  test("with an unknown field are refused by its path, and nothing is stored", async () => {
    const { send, store, applied } = await kit();
    const refused = await send("POST", path, { ...sample, colour: "red" });
    expect(refused).toMatchObject({ status: 400, body: { error: { type: "invalid_request", path: "colour" } } });
    expect(refused.body.error.message).toBe("colour: is not a known field");
    expect(await store.listEntities()).toEqual([]);
    expect(applied).toEqual([]);
  });

  test("of the file are shown and cannot be written", async () => {
    const file = {
      [kind]: [{ id: "one", ...sample, ...(kind === "virtual_keys" && { value: "sk-bf-from-the-file" }) }],
    };
    const { send, store } = await kit({ file });
    const shown = await send("GET", `${path}/one`);
    expect(shown).toMatchObject({ status: 200, body: { id: "one", ...sample, source: "file", in_force: true } });
    expect((await send("GET", path)).body).toMatchObject({ [kind]: [shown.body], total_count: 1 });
    for (const [method, target, body] of [
      ["PUT", `${path}/one`, shown.body],
      ["PATCH", `${path}/one`, {}],
      ["DELETE", `${path}/one`, undefined],
      ["POST", path, { ...sample, id: "one" }],
    ] as const) {
      const refused = await send(method, target, body);
      expect(refused).toMatchObject({ status: 409, body: { error: { type: "read_only" } } });
      expect(refused.body.error.message).toContain("comes from the configuration file");
    }
    expect(await store.listEntities()).toEqual([]);
  });
});

describe("an entity", () => {
  test.each<[string, string, unknown, string]>([
    [
      "a limit below zero",
      at.teams,
      { name: "a", budgets: [{ max_limit: -1, reset_duration: "1d" }] },
      "budgets[0].max_limit",
    ],
    [
      "a duration that is none",
      at.teams,
      { name: "a", budgets: [{ max_limit: 1, reset_duration: "soon" }] },
      "budgets[0].reset_duration",
    ],
    [
      "an unknown field deep inside",
      at.keys,
      { name: "a", provider_configs: [{ provider: "x", wieght: 1 }] },
      "provider_configs[0].wieght",
    ],
    ["a missing name", at.customers, {}, "name"],
    ["an id that is no text", at.customers, { id: 5, name: "a" }, "id"],
    ["an id with a slash", at.customers, { id: "a/b", name: "a" }, "id"],
    ["a version", at.customers, { name: "a", version: 1 }, "version"],
    ["the name of another page", at.keys, { id: "quota", name: "a" }, "id"],
    ["a team that is not there", at.keys, { name: "a", team_id: "nobody" }, "team_id"],
    [
      "a condition that is none",
      at.rules,
      { name: "a", cel_expression: "(", targets: [{ provider: "x" }] },
      "cel_expression",
    ],
    ["a scope without an id", at.rules, { name: "a", scope: "team", targets: [{ provider: "x" }] }, "scope_id"],
    [
      "a price that is negative",
      at.prices,
      { model: "a", input_cost_per_token: -1, output_cost_per_token: 0 },
      "input_cost_per_token",
    ],
    ["a value of the client's own", at.keys, { name: "a", value: "sk-bf-mine" }, "value"],
    [
      "earlier values of the client's own",
      at.keys,
      { name: "a", previous_values: [{ value: "sk-bf-mine", valid_until: "2030-01-01T00:00:00Z" }] },
      "previous_values",
    ],
    ["a hash", at.keys, { name: "a", hashed_values: [] }, "hashed_values"],
    ["a prototype", at.customers, '{"name":"a","__proto__":{"id":"x"}}', "__proto__"],
    ["no object", at.customers, [], ""],
    ["no JSON", at.customers, "{", ""],
    ["bytes that are no text", at.customers, "\ud800", ""],
  ])("with %s is refused by its path", async (_, path, body, field) => {
    const { send, store } = await kit();
    const refused = await send("POST", path, body);
    expect(refused).toMatchObject({ status: 400, body: { error: { type: "invalid_request", path: field } } });
    expect(await store.listEntities()).toEqual([]);
  });

  test("that has several faults is told of all of them", async () => {
    const { send } = await kit();
    const { body } = await send("POST", at.teams, { name: "", colour: 1 });
    expect(body.error.message).toMatch(/name: .*colour: is not a known field/);
  });

  test("with an id that is taken is refused", async () => {
    const { send } = await kit();
    await send("POST", at.teams, { id: "a", name: "a" });
    expect(await send("POST", at.teams, { id: "a", name: "b" })).toMatchObject({
      status: 409,
      body: { error: { type: "conflict", path: "id" } },
    });
    expect((await send("GET", `${at.teams}/a`)).body.name).toBe("a");
  });

  test("cannot change its id", async () => {
    const { send } = await kit();
    await send("POST", at.teams, { id: "a", name: "a" });
    expect(await send("PUT", `${at.teams}/a`, { id: "b", name: "a" })).toMatchObject({
      status: 400,
      body: { error: { path: "id" } },
    });
  });

  test("replaced by PUT loses what the body leaves out; PATCH keeps it", async () => {
    const { send } = await kit();
    const budgets = [{ max_limit: 1, reset_duration: "1d", calendar_aligned: false }];
    await send("POST", at.teams, { id: "a", name: "a", budgets });
    expect((await send("PATCH", `${at.teams}/a`, { name: "b" })).body).toMatchObject({ name: "b", budgets });
    expect((await send("PUT", `${at.teams}/a`, { name: "c" })).body).toMatchObject({ name: "c", budgets: [] });
    expect((await send("PATCH", `${at.teams}/a`, { name: 5 })).status).toBe(400);
    expect((await send("GET", `${at.teams}/a`)).body).toMatchObject({ name: "c" });
  });

  test("is not changed by who means another version", async () => {
    const { send } = await kit();
    await send("POST", at.teams, { id: "a", name: "a" });
    expect((await send("PUT", `${at.teams}/a`, { name: "b", version: 1 })).body.version).toBe(2);
    for (const method of ["PUT", "PATCH"]) {
      expect(await send(method, `${at.teams}/a`, { name: "c", version: 1 })).toMatchObject({
        status: 409,
        body: { error: { type: "conflict", path: "version" } },
      });
    }
    expect((await send("GET", `${at.teams}/a`)).body.name).toBe("b");
  });

  test("that others name is not deleted before them", async () => {
    const { send } = await kit();
    await send("POST", at.customers, { id: "acme", name: "Acme" });
    await send("POST", at.teams, { id: "search", name: "Search", customer_id: "acme" });
    await send("POST", at.rules, { name: "r", scope: "team", scope_id: "search", targets: [{ provider: "x" }] });
    expect(await send("DELETE", `${at.customers}/acme`)).toMatchObject({
      status: 409,
      body: { error: { type: "in_use", message: "The customer acme is in use by the team search." } },
    });
    const refused = await send("DELETE", `${at.teams}/search`);
    expect(refused.body.error.message).toMatch(/^The team search is in use by the routing rule rule_/);
  });

  test("that stands beside an equal one is refused", async () => {
    const { send } = await kit({ file: { model_limits: [{ model_name: "GPT-4o", provider: "openai" }] } });
    const refused = await send("POST", at.limits, { model_name: "gpt-4o", provider: "openai" });
    expect(refused).toMatchObject({ status: 400, body: { error: { path: "model_name" } } });
  });

  test("may name what the file has", async () => {
    const { send, applied } = await kit({ file: { teams: [{ id: "search", name: "Search" }] } });
    expect((await send("POST", at.keys, { name: "a", team_id: "search" })).status).toBe(201);
    expect(applied.at(-1)).toMatchObject({ teams: [{ id: "search" }], virtual_keys: [{ team_id: "search" }] });
  });
});

describe("a list", () => {
  test("has pages", async () => {
    const { send } = await kit({ file: { teams: [{ id: "c", name: "c" }] } });
    for (const id of ["d", "a", "b"]) await send("POST", at.teams, { id, name: id });
    const ids = async (query: string) =>
      (await send("GET", `${at.teams}?${query}`)).body.teams.map(({ id }: { id: string }) => id);
    expect(await ids("")).toEqual(["a", "b", "c", "d"]);
    expect(await ids("limit=2")).toEqual(["a", "b"]);
    expect(await ids("limit=2&offset=2")).toEqual(["c", "d"]);
    expect(await ids("offset=9")).toEqual([]);
    expect((await send("GET", `${at.teams}?limit=2&offset=3`)).body).toMatchObject({
      count: 1,
      total_count: 4,
      limit: 2,
      offset: 3,
    });
  });

  test.each([
    ["limit=0", "limit"],
    ["limit=1001", "limit"],
    ["limit=ten", "limit"],
    ["offset=-1", "offset"],
    ["sort=id", "sort"],
  ])("refuses %s", async (query, path) => {
    const { send } = await kit();
    expect(await send("GET", `${at.teams}?${query}`)).toMatchObject({ status: 400, body: { error: { path } } });
  });
});

describe("a request", () => {
  test.each([
    ["GET", "/api", 404],
    ["GET", "/api/", 404],
    ["GET", "/api/governance", 404],
    ["GET", "/api/governance/wizards", 404],
    ["GET", "/api/governance/teams/a/b/c", 404],
    ["POST", "/api/governance/teams/a/rotate", 404],
    ["GET", "/api/governance/routing-rules/a/usage", 404],
    ["GET", "/api/governance/teams/%E0", 400],
    ["GET", "/api/governance/teams/toString", 404],
    ["DELETE", "/api/governance/teams", 405],
    ["constructor", "/api/governance/teams", 405],
    ["POST", "/api/config", 405],
    ["POST", "/api/governance/virtual-keys/quota", 405],
  ])("%s %s is refused with %i", async (method, path, status) => {
    const { send, faults } = await kit();
    const refused = await send(method, path, method === "GET" ? undefined : {});
    expect(refused.status).toBe(status);
    expect(Object.keys(refused.body)).toEqual(["error"]);
    expect(Object.keys(refused.body.error)).toEqual(["type", "message", "path"]);
    expect(faults).toEqual([]);
  });

  test("with a method that is not possible is told which are", async () => {
    const { send } = await kit();
    expect((await send("POST", "/api/config", {})).headers.get("allow")).toBe("GET");
  });

  test("with a body of more than a megabyte is refused", async () => {
    const { send } = await kit();
    expect((await send("POST", at.teams, { name: "x".repeat(1024 * 1024) })).status).toBe(413);
  });

  test("is answered so that nobody keeps the answer", async () => {
    const { send } = await kit();
    const { headers } = await send("GET", at.teams);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("content-type")).toBe("application/json");
  });

  test("finds an id in its percent-encoded form", async () => {
    const { send } = await kit();
    const { headers } = await send("POST", at.teams, { id: "a:b+c", name: "a" });
    expect(headers.get("location")).toBe(`${at.teams}/a%3Ab%2Bc`);
    expect((await send("GET", `${at.teams}/a%3Ab%2Bc`)).status).toBe(200);
    expect((await send("GET", `${at.teams}/a:b+c/`)).status).toBe(200);
  });
});
