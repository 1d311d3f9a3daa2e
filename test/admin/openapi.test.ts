import { describe, expect, test } from "vitest";
import { logEntry } from "../store/log-rows.ts";
import { cacheKit } from "./cache-kit.ts";
import { at, kit } from "./kit.ts";

async function description() {
  return (
    await (
      await kit({ file: { teams: [{ id: "file", name: "File", budgets: [{ max_limit: 1, reset_duration: "1d" }] }] } })
    ).send("GET", "/api/openapi.json")
  ).body;
}

describe("the OpenAPI description", () => {
  test("describes what is there: each operation is answered, and none with 404 or 405 for its path", async () => {
    const { openapi, info, paths } = await description();
    expect(openapi).toBe("3.1.0");
    expect(info.version).toBe("1.2.3");
    const { control, ids } = await cacheKit(["first", "second"]);
    const { send, log } = await kit({
      cache: control,
      file: { teams: [{ id: "file", name: "File", budgets: [{ max_limit: 1, reset_duration: "1d" }] }] },
    });
    await log.append([logEntry("a", { session: "s" })]);
    const created = new Map([
      ["/api/logs", "a"],
      ["/api/logs/sessions", "s"],
      ["/api/cache/entries", ids[0] ?? ""],
      ["/api/cache/clear", ids[1] ?? ""],
    ]);
    for (const path of Object.values(at)) {
      const body = {
        name: "a",
        model: "m",
        model_name: "m",
        targets: [{ provider: "x" }],
        input_cost_per_token: 0,
        output_cost_per_token: 0,
      };
      const known = Object.keys(paths[path].post.requestBody && (await properties(path)));
      const answer = await send(
        "POST",
        path,
        Object.fromEntries(Object.entries(body).filter(([name]) => known.includes(name))),
      );
      expect(answer.status).toBe(201);
      created.set(path, answer.body.id);
    }
    const budget = encodeURIComponent("team:file/budget/1d");
    await send("PUT", `/api/governance/budgets/${budget}/override`, { override_amount: 1 });
    created.set("/api/governance/budgets", budget);
    const order = ["get", "put", "patch", "post", "delete"];
    const operations = Object.entries<Record<string, unknown>>(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => [path, method] as const),
    );
    expect(operations.length).toBeGreaterThan(60);
    for (const [path, method] of operations.sort(([, a], [, b]) => order.indexOf(a) - order.indexOf(b))) {
      const collection = path.split("/{id}")[0] ?? "";
      const { status } = await send(
        method.toUpperCase(),
        path.replace("{id}", created.get(collection) ?? ""),
        method === "get" ? undefined : {},
      );
      expect([path, method, status]).not.toEqual([path, method, 405]);
      expect([path, method, status]).not.toEqual([path, method, 404]);
    }
  });

  test("refers only to what it has", async () => {
    const text = JSON.stringify(await description());
    const { components } = JSON.parse(text);
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g))
      expect(Object.keys(components.schemas)).toContain(name);
    expect(text.match(/\$ref/g)?.length).toBeGreaterThan(40);
  });

  test("says that a value cannot be written, nor an id has to be", async () => {
    const { components } = await description();
    const { VirtualKey, Team } = components.schemas;
    expect(VirtualKey.properties.value).toMatchObject({ readOnly: true });
    expect(VirtualKey.required).toEqual(["name"]);
    expect(Team.required).toEqual(["name"]);
    expect(Team.properties.budgets.items.properties.max_limit.description).toBe("USD.");
    expect(Team.properties).not.toHaveProperty("value");
  });
});

async function properties(path: string): Promise<object> {
  const { paths, components } = await description();
  const ref: string = paths[path].post.requestBody.content["application/json"].schema.$ref;
  return components.schemas[ref.split("/").at(-1) ?? ""].properties;
}
