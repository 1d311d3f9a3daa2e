import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { MemoryStore } from "../../src/store/memory.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import { type EntityRecord, type EntityWrite, StoreError, type Written } from "../../src/store/store.ts";
import { temporaryFolder } from "../store/databases.ts";
import { at, kit, section } from "./kit.ts";

/** A store that fails when it is told to. */
class FailingStore extends MemoryStore {
  fails: "before" | "after" | undefined;

  override async putEntity(write: EntityWrite): Promise<Written> {
    if (this.fails === "before") throw new StoreError("full", "/secret/path/bifrost.db cannot be written");
    const written = await super.putEntity(write);
    if (this.fails === "after") throw new StoreError("unavailable", "the store did not answer within 2000 ms");
    return written;
  }

  override async listEntities(): Promise<readonly EntityRecord[]> {
    if (this.fails !== undefined) throw new StoreError("unavailable", "the store does not answer");
    return super.listEntities();
  }
}

describe("changes", () => {
  test("survive a restart, on a disk", async () => {
    const file = join(temporaryFolder(), "bifrost.db");
    const store = await openSqlite(file);
    const first = await kit({ store });
    await first.send("POST", at.customers, { id: "acme", name: "Acme" });
    await first.send("POST", at.teams, { id: "search", name: "Search", customer_id: "acme" });
    await first.send("PATCH", `${at.teams}/search`, { name: "Find" });
    const shown = (await first.send("GET", `${at.teams}/search`)).body;
    await store.close();
    const again = await openSqlite(file);
    onTestFinished(() => again.close());
    const second = await kit({ store: again });
    expect((await second.send("GET", `${at.teams}/search`)).body).toEqual(shown);
    expect(second.book.inForce.teams).toMatchObject([{ name: "Find", customer_id: "acme" }]);
  });

  test("are applied before they are answered", async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { send, applied } = await kit({ applied: () => gate });
    let isAnswered = false;
    const answer = send("POST", at.teams, { name: "a" }).finally(() => {
      isAnswered = true;
    });
    await vi.waitUntil(() => applied.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isAnswered).toBe(false);
    release();
    expect((await answer).status).toBe(201);
  });

  test("that cannot be applied are answered all the same, and told of", async () => {
    const { send, faults } = await kit({ applied: () => Promise.reject(new Error("a front end is gone")) });
    expect((await send("POST", at.keys, { name: "a" })).body.value).toMatch(/^sk-bf-/);
    expect(faults).toMatchObject([{ message: "a front end is gone" }]);
  });

  test("that come at once are made one after the other", async () => {
    const { send, applied } = await kit();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => send("POST", at.teams, { id: "one", name: "a" })),
    );
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      201,
      ...Array.from({ length: 19 }, () => 409),
    ]);
    expect(applied).toHaveLength(1);
    const patches = await Promise.all(
      Array.from({ length: 20 }, () => send("PATCH", `${at.teams}/one`, { name: "b" })),
    );
    expect(patches.map(({ body }) => body.version).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 2),
    );
  });

  test("by somebody else who has the same store are not overwritten", async () => {
    const { send, store } = await kit();
    await send("POST", at.teams, { id: "a", name: "a" });
    const elsewhere = await kit({ store });
    await elsewhere.send("PATCH", `${at.teams}/a`, { name: "theirs" });
    expect(await send("PATCH", `${at.teams}/a`, { name: "mine" })).toMatchObject({
      status: 409,
      body: { error: { type: "conflict" } },
    });
    expect((await send("PATCH", `${at.teams}/a`, { name: "mine", version: 2 })).body).toMatchObject({
      name: "mine",
      version: 3,
    });
    await elsewhere.book.refresh();
    expect(elsewhere.applied.at(-1)?.teams).toMatchObject([{ name: "mine" }]);
    expect(await elsewhere.send("DELETE", `${at.teams}/a`)).toMatchObject({ status: 204 });
    expect((await send("DELETE", `${at.teams}/a`)).status).toBe(409);
    expect((await send("DELETE", `${at.teams}/a`)).status).toBe(404);
  });
});

describe("a store that fails", () => {
  test("is a 503 that says no more than it should, and what is in force stays", async () => {
    const store = new FailingStore();
    const { send, book, faults } = await kit({ store });
    await send("POST", at.teams, { id: "a", name: "a" });
    store.fails = "before";
    const refused = await send("PATCH", `${at.teams}/a`, { name: "b" });
    expect(refused).toMatchObject({ status: 503, body: { error: { type: "store_unavailable" } } });
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(refused.text).not.toContain("secret");
    expect(faults).toHaveLength(1);
    expect(book.inForce.teams).toMatchObject([{ name: "a" }]);
    expect((await send("GET", `${at.teams}/a`)).status).toBe(200);
    store.fails = undefined;
    expect((await send("PATCH", `${at.teams}/a`, { name: "b" })).status).toBe(200);
  });

  test("after it has written is read again before the next change", async () => {
    const store = new FailingStore();
    const { send, applied } = await kit({ store });
    store.fails = "after";
    expect((await send("POST", at.teams, { id: "a", name: "a" })).status).toBe(503);
    expect((await send("POST", at.teams, { id: "b", name: "b" })).status).toBe(503);
    expect(applied).toEqual([]);
    store.fails = undefined;
    expect((await send("POST", at.teams, { id: "a", name: "again" })).status).toBe(409);
    expect(applied.at(-1)?.teams.map(({ id }) => id)).toEqual(["a"]);
  });
});

describe("a changed file", () => {
  test("takes over what has its id, and gives it back when it has gone", async () => {
    const { send, book } = await kit();
    await send("POST", at.teams, { id: "a", name: "stored" });
    const inForce = await book.useFile(section({ teams: [{ id: "a", name: "file" }] }));
    expect(inForce.teams).toMatchObject([{ name: "file" }]);
    expect(book.problems).toMatchObject([{ kind: "teams", id: "a", path: "id" }]);
    expect((await send("PATCH", `${at.teams}/a`, { name: "b" })).status).toBe(409);
    expect((await send("GET", at.teams)).body).toMatchObject({ total_count: 1, teams: [{ source: "file" }] });
    expect((await book.useFile(section())).teams).toMatchObject([{ name: "stored" }]);
  });

  test("without what stored entities name puts those out of force, and they say why", async () => {
    const file = { customers: [{ id: "acme", name: "Acme" }] };
    const { send, book } = await kit({ file });
    await send("POST", at.keys, { id: "app", name: "app", customer_id: "acme" });
    await book.useFile(section());
    expect(book.inForce.virtual_keys).toEqual([]);
    const shown = await send("GET", `${at.keys}/app`);
    expect(shown.body).toMatchObject({ in_force: false, problem: { path: "customer_id" } });
    // It is no obstacle to other changes, and can be mended.
    expect((await send("POST", at.teams, { name: "a" })).status).toBe(201);
    expect((await send("PATCH", `${at.keys}/app`, { ...shown.body, customer_id: null })).body).toMatchObject({
      in_force: true,
    });
    expect(book.inForce.virtual_keys).toHaveLength(1);
  });
});

describe("a row that is not understood", () => {
  test("is out of force, is shown as it is, and can be mended or deleted", async () => {
    const store = new MemoryStore();
    const document = { name: "a", mascot: "owl" };
    for (const id of ["a", "b"])
      await store.putEntity({ kind: "teams", id, replaces: 0, document, secret: null, now: 0 });
    const { send, book } = await kit({ store });
    expect(book.inForce.teams).toEqual([]);
    expect(book.problems).toMatchObject([{ id: "a", path: "mascot" }, { id: "b" }]);
    expect((await send("GET", `${at.teams}/a`)).body).toMatchObject({
      mascot: "owl",
      in_force: false,
      problem: { path: "mascot" },
    });
    expect((await send("PUT", `${at.teams}/a`, { name: "a" })).body).toMatchObject({ in_force: true, version: 2 });
    expect((await send("DELETE", `${at.teams}/b`)).status).toBe(204);
    expect(book.problems).toEqual([]);
  });

  test("of a virtual key cannot be rotated", async () => {
    const store = new MemoryStore();
    await store.putEntity({
      kind: "virtual_keys",
      id: "a",
      replaces: 0,
      document: { name: "a" },
      secret: null,
      now: 0,
    });
    const { send } = await kit({ store });
    expect((await send("POST", `${at.keys}/a/rotate`)).status).toBe(409);
  });
});

type Step = {
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE";
  readonly id: string;
  readonly name: string;
  readonly limit: number;
};

test("whatever is done, what is shown, in force and stored is what was written", async () => {
  const steps = fc.array(
    fc.record({
      method: fc.constantFrom("POST", "PUT", "PATCH", "DELETE"),
      id: fc.constantFrom("a", "b", "file"),
      name: fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }),
      limit: fc.double({ min: 0, max: 1e9, noNaN: true }),
    }) satisfies fc.Arbitrary<Step>,
    { maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const { send, book, store } = await kit({ file: { teams: [{ id: "file", name: "file" }] } });
      const model = new Map<string, { name: string; budgets: object[] }>();
      for (const { method, id, name, limit } of all) {
        const budgets = [{ max_limit: limit, reset_duration: "1d", calendar_aligned: false }];
        const path = method === "POST" ? at.teams : `${at.teams}/${id}`;
        const body = { POST: { id, name, budgets }, PUT: { name, budgets }, PATCH: { name }, DELETE: undefined }[
          method
        ];
        const { status } = await send(method, path, body);
        const standing = model.get(id);
        if (id === "file") expect(status).toBe(409);
        else if ((method === "POST") === (standing !== undefined)) expect(status).toBe(method === "POST" ? 409 : 404);
        else {
          expect(status).toBe({ POST: 201, PUT: 200, PATCH: 200, DELETE: 204 }[method]);
          if (method === "DELETE") model.delete(id);
          else model.set(id, { name, budgets: method === "PATCH" ? (standing?.budgets ?? []) : budgets });
        }
      }
      const expected = [...model].map(([id, team]) => ({ id, ...team })).sort((a, b) => (a.id < b.id ? -1 : 1));
      const shown = (await send("GET", at.teams)).body.teams.filter(
        ({ source }: { source: string }) => source === "api",
      );
      expect(shown).toMatchObject(expected);
      expect(book.inForce.teams.slice(1).sort((a, b) => (a.id < b.id ? -1 : 1))).toMatchObject(expected);
      const again = await kit({ store });
      expect((await again.send("GET", at.teams)).body.teams).toEqual(shown);
    }),
    { numRuns: 60 },
  );
});
