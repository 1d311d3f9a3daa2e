import { join } from "node:path";
import type { SqliteDatabase } from "kysely";
import { describe, expect, onTestFinished, test } from "vitest";
import { logMigrations } from "../../src/store/log-migrations.ts";
import { openSqliteLog } from "../../src/store/log-sqlite.ts";
import type { LogEntry, LogQuery, LogStore } from "../../src/store/log-store.ts";
import { openDatabase } from "../../src/store/sqlite-driver.ts";
import { prepareDatabase } from "../../src/store/sqlite-open.ts";
import { until } from "../support/wait.ts";
import { temporaryFolder } from "./databases.ts";
import { logAttempt, logEntry } from "./log-rows.ts";

const all: LogQuery = { filter: {}, sort: "arrivedAt", descending: false, limit: 10_000, offset: 0 };

/** A file as the first version of the tables had it. */
async function writeFirst(file: string, entries: readonly LogEntry[]): Promise<void> {
  const database = await openDatabase(file);
  const [first] = Object.entries(await logMigrations.getMigrations());
  const db = await prepareDatabase(
    database,
    file,
    { getMigrations: async () => Object.fromEntries(first === undefined ? [] : [first]) },
    "normal",
  );
  database.prepare("begin").run([]);
  for (const [at, { row, attempts, content }] of entries.entries()) {
    const seq = at + 1;
    const { limit, ...named } = row;
    insert(database, "requests", {
      ...named,
      seq,
      request_hash: 7,
      limit_name: limit,
      rules: JSON.stringify(row.rules),
      dimensions: JSON.stringify(Object.fromEntries(row.dimensions)),
    });
    for (const [position, attempt] of attempts.entries()) insert(database, "attempts", { ...attempt, seq, position });
    if (content !== null) insert(database, "contents", { ...content, seq });
  }
  database.prepare("commit").run([]);
  await db.destroy();
}

function insert(database: SqliteDatabase, table: string, values: Readonly<Record<string, unknown>>): void {
  const columns = Object.keys(values).map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
  const marks = columns.map(() => "?").join(", ");
  const bound = Object.values(values).map((value) => (typeof value === "boolean" ? Number(value) : value));
  database.prepare(`insert into ${table} (${columns.join(", ")}) values (${marks})`).run(bound);
}

const oldEntries = (count: number): LogEntry[] =>
  Array.from({ length: count }, (_, n) => {
    const id = `log_0123456789abcdef_${n.toString(36)}`;
    const more = { arrivedAt: 1000 + (n >> 1), dimensions: n % 3 === 0 ? [["env", `e${n}`] as const] : [] };
    const attempts = Array.from({ length: n % 3 }, (__, at) => logAttempt({ spanId: `s${at}`, keyName: `k${at % 2}` }));
    const content = n % 5 === 0 ? { request: `asked ${n}`, answer: null, sealed: n % 2 === 0 } : null;
    return logEntry(id, { ...more, requestId: `r${n >> 2}`, rules: ["a", "b"], limit: "budget" }, attempts, content);
  });

async function reopened(file: string): Promise<LogStore> {
  const log = await openSqliteLog(file);
  onTestFinished(() => log.close());
  return log;
}

async function carried(log: LogStore, rows: number): Promise<void> {
  await until(`${rows} rows`, async () => (await log.list(all)).total === rows);
}

function tables(database: SqliteDatabase): unknown {
  return database.prepare("select name from sqlite_master where name like 'old_%'").all([]);
}

describe("a file of the tables' first step", () => {
  test("keeps its rows with all that belongs to them, whatever comes meanwhile", async () => {
    const file = join(temporaryFolder(), "logs.db");
    const old = oldEntries(900);
    await writeFirst(file, old);
    const log = await reopened(file);
    await log.append([logEntry("log_fedcba9876543210_0", { arrivedAt: 5000 })]);
    await log.append([logEntry("log_fedcba9876543210_1", { arrivedAt: 5001 })]);
    await carried(log, 902);
    for (const entry of old.filter((_, n) => n % 7 === 0 || n > 890)) {
      const found = await log.find(entry.row.id);
      expect(found?.entry).toEqual(entry);
      expect(found?.others).toHaveLength(3);
    }
    const { rows } = await log.list(all);
    expect(rows.map(({ id }) => id)).toEqual([
      ...old.map(({ row }) => row.id),
      "log_fedcba9876543210_0",
      "log_fedcba9876543210_1",
    ]);
    expect((await log.find("r10"))?.entry.row.id).toBe(`log_0123456789abcdef_${(43).toString(36)}`);
    await log.close();
    const database = await openDatabase(file);
    expect(tables(database)).toEqual([]);
    database.close();
  });

  test("is carried over the newest first, goes on after a stop, and is counted", async () => {
    const file = join(temporaryFolder(), "logs.db");
    await writeFirst(file, oldEntries(900));
    const first = await openSqliteLog(file);
    await first.append([]);
    await until("some rows", async () => (await first.list(all)).total > 0);
    const some = await first.list({ ...all, descending: true, limit: 1 });
    expect(some.rows[0]?.id).toBe(`log_0123456789abcdef_${(899).toString(36)}`);
    await first.close();
    const log = await reopened(file);
    expect((await log.list(all)).total).toBeLessThan(900);
    expect(await log.sweep({ before: 0, mostRows: 10_000, step: 500 })).toBe(0);
    await carried(log, 900);
    expect(await log.sweep({ before: 0, mostRows: 850, step: 500 })).toBe(50);
    expect((await log.list(all)).total).toBe(850);
  });

  test("is left to whoever writes", async () => {
    const file = join(temporaryFolder(), "logs.db");
    await writeFirst(file, oldEntries(10));
    const reader = await reopened(file);
    expect((await reader.list(all)).total).toBe(0);
    const writer = await reopened(file);
    await writer.sweep({ before: 0, mostRows: 100, step: 10 });
    await carried(reader, 10);
  });

  test("has no tables of its own left where it had no rows", async () => {
    const file = join(temporaryFolder(), "logs.db");
    await writeFirst(file, []);
    await (await openSqliteLog(file)).close();
    const database = await openDatabase(file);
    expect(tables(database)).toEqual([]);
    database.close();
  });
});
