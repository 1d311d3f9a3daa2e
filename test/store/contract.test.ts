import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { MemoryStore } from "../../src/store/memory.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import { type Counter, entityKinds, isNewer, type Store } from "../../src/store/store.ts";
import { counter, entity, temporaryFolder } from "./databases.ts";

const stores: readonly (readonly [name: string, open: () => Promise<Store>])[] = [
  ["in memory", async () => new MemoryStore()],
  ["in SQLite", () => openSqlite(join(temporaryFolder(), "bifrost.db"))],
];

describe.each(stores)("a store %s", (_, open) => {
  async function opened(): Promise<Store> {
    const store = await open();
    onTestFinished(() => store.close());
    return store;
  }

  test("is empty at first", async () => {
    const store = await opened();
    await store.ping();
    expect(await store.listEntities()).toEqual([]);
    expect(await store.getEntity("teams", "a")).toBeUndefined();
    expect(await store.loadCounters(0)).toEqual([]);
  });

  test("keeps an entity, and counts its versions", async () => {
    const store = await opened();
    const first = await store.putEntity(entity("a", { secret: { hash: "x" }, now: 5 }));
    const record = { kind: "teams", id: "a", version: 1, document: { name: "a" }, secret: { hash: "x" } };
    expect(first).toEqual({ kind: "written", record: { ...record, createdAt: 5, updatedAt: 5 } });
    const second = await store.putEntity(entity("a", { replaces: 1, document: { name: "b" }, now: 9 }));
    const changed = { ...record, version: 2, document: { name: "b" }, secret: null, createdAt: 5, updatedAt: 9 };
    expect(second).toEqual({ kind: "written", record: changed });
    expect(await store.getEntity("teams", "a")).toEqual(changed);
  });

  test("changes nothing when another version stands there, and says which", async () => {
    const store = await opened();
    expect(await store.putEntity(entity("a", { replaces: 1 }))).toEqual({ kind: "conflict", version: 0 });
    await store.putEntity(entity("a"));
    expect(await store.putEntity(entity("a", { document: {} }))).toEqual({ kind: "conflict", version: 1 });
    expect(await store.putEntity(entity("a", { replaces: 2, document: {} }))).toEqual({ kind: "conflict", version: 1 });
    expect(await store.deleteEntity("teams", "a", 2)).toBe(false);
    expect(await store.getEntity("teams", "a")).toMatchObject({ version: 1, document: { name: "a" } });
    expect(await store.deleteEntity("teams", "a", 1)).toBe(true);
    expect(await store.deleteEntity("teams", "a", 1)).toBe(false);
    expect(await store.getEntity("teams", "a")).toBeUndefined();
  });

  test("of two that write the same version, exactly one does", async () => {
    const store = await opened();
    const writes = ["x", "y", "z"].map((name) => store.putEntity(entity("a", { document: { name } })));
    const kinds = (await Promise.all(writes)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "written")).toHaveLength(1);
  });

  test("keeps overrides of budgets, one for each", async () => {
    const store = await opened();
    expect(await store.listOverrides()).toEqual([]);
    await store.putOverride({ budget: "team:a/budget/1d", document: { override_amount: 5 } });
    await store.putOverride({ budget: "team:b/budget/1d", document: { override_amount: 6 } });
    await store.putOverride({ budget: "team:a/budget/1d", document: { override_amount: 7, valid_until: null } });
    await store.deleteOverride("team:b/budget/1d");
    await store.deleteOverride("team:c/budget/1d");
    expect(await store.listOverrides()).toEqual([
      { budget: "team:a/budget/1d", document: { override_amount: 7, valid_until: null } },
    ]);
  });

  test("lists by kind and id", async () => {
    const store = await opened();
    for (const id of ["b", "a", "B"]) await store.putEntity(entity(id));
    await store.putEntity(entity("a", { kind: "customers" }));
    const names = (await store.listEntities()).map(({ kind, id }) => `${kind} ${id}`);
    expect(names).toEqual(["customers a", "teams B", "teams a", "teams b"]);
    expect((await store.listEntities("customers")).map(({ id }) => id)).toEqual(["a"]);
  });

  test("answers what was written, whatever JSON it was", async () => {
    const store = await opened();
    const documents = fc.dictionary(fc.string(), fc.jsonValue());
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...entityKinds),
        fc.string({ unit: "grapheme", minLength: 1 }),
        documents,
        fc.option(documents),
        async (kind, id, document, secret) => {
          const standing = await store.getEntity(kind, id);
          await store.putEntity({ kind, id, replaces: standing?.version ?? 0, document, secret, now: 7 });
          const expected = JSON.parse(JSON.stringify({ document, secret }));
          expect(await store.getEntity(kind, id)).toMatchObject({ kind, id, updatedAt: 7 });
          const { document: read, secret: hidden } = (await store.getEntity(kind, id)) ?? {};
          expect(JSON.stringify({ document: read, secret: hidden })).toBe(JSON.stringify(expected));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("counts the same whatever was saved twice, late or in parts", async () => {
    const counters = fc.array(
      fc.record({
        id: fc.constantFrom("a", "b", "ä€"),
        window: fc.constantFrom(0, 60_000, 1_800_000_000_000),
        value: fc.maxSafeNat(),
        at: fc.integer({ min: 0, max: 3 }),
        until: fc.constant(Number.MAX_SAFE_INTEGER),
      }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(counters, fc.array(fc.nat(11)), fc.nat(12), async (rows, again, cut) => {
        const store = await open();
        try {
          await store.saveCounters(rows.slice(0, cut));
          await store.saveCounters(again.flatMap((index) => rows[index] ?? []));
          await store.saveCounters(rows.slice(cut));
          expect(sorted(await store.loadCounters(0))).toEqual(sorted(newest(rows)));
        } finally {
          await store.close();
        }
      }),
      { numRuns: 25 },
    );
  });

  test("takes large batches", async () => {
    const store = await opened();
    const batch = Array.from({ length: 4321 }, (_, index) => counter(`c${index}`, { value: index }));
    await store.saveCounters(batch);
    expect(sorted(await store.loadCounters(0))).toEqual(sorted(batch));
  });

  test("forgets windows that nobody needs any more", async () => {
    const store = await opened();
    await store.saveCounters([counter("a", { until: 10 }), counter("b", { until: 11 })]);
    expect((await store.loadCounters(10)).map(({ id }) => id)).toEqual(["b"]);
    await store.dropCounters(10);
    expect((await store.loadCounters(0)).map(({ id }) => id)).toEqual(["b"]);
  });
});

/** What the rules of {@link Counter} make of rows, told another way. */
function newest(rows: readonly Counter[]): Counter[] {
  const kept = new Map<string, Counter>();
  for (const row of [...rows].sort((a, b) => (isNewer(a, b) ? 1 : -1))) kept.set(`${row.id} ${row.window}`, row);
  return [...kept.values()];
}

function sorted(rows: readonly Counter[]): Counter[] {
  return [...rows].sort((a, b) => (a.id < b.id || (a.id === b.id && a.window < b.window) ? -1 : 1));
}
