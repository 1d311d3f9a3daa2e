import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Kysely, Migrator, SqliteDialect } from "kysely";
import { describe, expect, test } from "vitest";
import { migrations } from "../../src/store/migrations.ts";
import { openSqlite, openSqliteDatabase } from "../../src/store/sqlite.ts";
import { openDatabase } from "../../src/store/sqlite-driver.ts";
import { StoreError } from "../../src/store/store.ts";
import { counter, entity, temporaryFolder } from "./databases.ts";

async function faultOf(work: Promise<unknown>): Promise<StoreError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error("nothing went wrong");
}

describe("a SQLite file", () => {
  test("is made with its folder, and found again", async () => {
    const file = join(temporaryFolder(), "deep", "er", "bifrost.db");
    const first = await openSqlite(file);
    await first.putEntity(entity("a"));
    await first.saveCounters([counter("c", { value: Number.MAX_SAFE_INTEGER })]);
    await first.close();
    const second = await openSqlite(file);
    expect((await second.listEntities()).map(({ id }) => id)).toEqual(["a"]);
    expect(await second.loadCounters(0)).toEqual([counter("c", { value: Number.MAX_SAFE_INTEGER })]);
    await second.close();
  });

  test("of an older version is brought up to date, and keeps what it holds", async () => {
    const file = join(temporaryFolder(), "bifrost.db");
    const db = new Kysely<{ entities: Record<string, unknown> }>({
      dialect: new SqliteDialect({ database: await openDatabase(file) }),
    });
    await new Migrator({ db, provider: migrations }).migrateTo("0001_entities");
    const row = { kind: "teams", id: "old", version: 3, document: '{"name":"old"}', created_at: 1, updated_at: 2 };
    await db.insertInto("entities").values(row).execute();
    await db.destroy();
    const store = await openSqlite(file);
    expect(await store.getEntity("teams", "old")).toMatchObject({ version: 3, document: { name: "old" } });
    await store.saveCounters([counter("c")]);
    expect(await store.loadCounters(0)).toHaveLength(1);
    await store.close();
  });

  test("of a newer version is refused and left as it is", async () => {
    const file = join(temporaryFolder(), "bifrost.db");
    await (await openSqlite(file)).close();
    const db = await openDatabase(file);
    db.prepare("insert into kysely_migration (name, timestamp) values ('9999_future', '2099')").run([]);
    db.close();
    const fault = await faultOf(openSqlite(file));
    expect(fault).toMatchObject({ fault: "unreadable", message: expect.stringContaining("newer version") });
    expect(fault.message).toContain(file);
  });

  test("that is no database is refused and left as it is", async () => {
    const file = join(temporaryFolder(), "bifrost.db");
    const text = "my shopping list\n".repeat(100);
    writeFileSync(file, text);
    const fault = await faultOf(openSqlite(file));
    expect(fault).toMatchObject({ fault: "unreadable" });
    expect(fault.message).toBe(`${file} is not a SQLite database; it is left as it is: move it away or name another`);
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  test("that is damaged inside is refused when the damage is met", async () => {
    const file = join(temporaryFolder(), "bifrost.db");
    const store = await openSqlite(file);
    for (let index = 0; index < 200; index++)
      await store.putEntity(entity(`e${index}`, { document: { x: "y".repeat(200) } }));
    await store.close();
    const bytes = readFileSync(file);
    const damaged = Buffer.concat([bytes.subarray(0, 8192), Buffer.alloc(bytes.length - 8192, 0xa5)]);
    writeFileSync(file, damaged);
    const fault = await faultOf(openSqlite(file).then((again) => again.listEntities()));
    expect(fault.fault).toBe("unreadable");
    expect(readFileSync(file).length).toBe(damaged.length);
  });

  test("in a place that cannot be written says so", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "file"), "");
    expect((await faultOf(openSqlite(join(folder, "file", "bifrost.db")))).message).toContain("cannot be opened (E");
    expect(await faultOf(openSqlite(folder))).toMatchObject({ fault: "unreadable" });
  });

  test("on a full disk refuses what it cannot keep, and keeps what it has", async () => {
    const file = join(temporaryFolder(), "bifrost.db");
    const database = await openDatabase(file);
    const store = await openSqliteDatabase(database, file);
    await store.putEntity(entity("before"));
    database.prepare("pragma max_page_count = 20").all([]);
    const fault = await faultOf(store.putEntity(entity("large", { document: { x: "y".repeat(200_000) } })));
    expect(fault).toMatchObject({ fault: "full", message: `${file} cannot be written: its disk is full` });
    const many = Array.from({ length: 5000 }, (_, index) => counter(`counter-${index}`));
    expect(await faultOf(store.saveCounters(many))).toMatchObject({ fault: "full" });
    expect(await store.loadCounters(0)).toEqual([]);
    expect((await store.listEntities()).map(({ id }) => id)).toEqual(["before"]);
    await store.close();
  });

  test("held by another process is unavailable, not lost", async () => {
    const file = join(temporaryFolder(), "bifrost.db");
    const store = await openSqlite(file);
    const other = await openDatabase(file);
    other.prepare("begin immediate").run([]);
    expect(await faultOf(store.putEntity(entity("a")))).toMatchObject({ fault: "unavailable" });
    other.prepare("commit").run([]);
    expect(await store.putEntity(entity("a"))).toMatchObject({ kind: "written" });
    other.close();
    await store.close();
  });

  test("tells of a row that is not JSON without showing it", async () => {
    const file = join(temporaryFolder(), "bifrost.db");
    const store = await openSqlite(file);
    const other = await openDatabase(file);
    other.prepare("insert into entities values ('teams', 'a', 1, '{\"secret', null, 0, 0)").run([]);
    other.close();
    const fault = await faultOf(store.listEntities());
    expect(fault).toMatchObject({ fault: "unreadable", message: `${file}: the row of teams a does not hold JSON` });
    await store.close();
  });

  test("passes over kinds that only another version knows", async () => {
    const file = join(temporaryFolder(), "bifrost.db");
    const store = await openSqlite(file);
    const other = await openDatabase(file);
    other.prepare("insert into entities values ('wizards', 'a', 1, '{}', null, 0, 0)").run([]);
    other.close();
    await store.putEntity(entity("a"));
    expect((await store.listEntities()).map(({ kind }) => kind)).toEqual(["teams"]);
    await store.close();
  });

  test("that was closed is unavailable", async () => {
    const store = await openSqlite(join(temporaryFolder(), "bifrost.db"));
    await store.close();
    await store.close();
    expect(await faultOf(store.ping())).toMatchObject({ fault: "unavailable" });
  });

  test("syncs with every commit, in WAL mode", async () => {
    const file = join(temporaryFolder(), "bifrost.db");
    const database = await openDatabase(file);
    const store = await openSqliteDatabase(database, file);
    expect(database.prepare("pragma journal_mode").all([])).toEqual([{ journal_mode: "wal" }]);
    expect(database.prepare("pragma synchronous").all([])).toEqual([{ synchronous: 2 }]);
    await store.close();
  });
});
