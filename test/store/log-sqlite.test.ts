import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MemoryLog } from "../../src/store/log-memory.ts";
import { openSqliteLog, openSqliteLogDatabase } from "../../src/store/log-sqlite.ts";
import { type LogQuery, type LogStore, newestLookedAt } from "../../src/store/log-store.ts";
import { openDatabase } from "../../src/store/sqlite-driver.ts";
import { rejection } from "../support/wait.ts";
import { temporaryFolder } from "./databases.ts";
import { logEntry } from "./log-rows.ts";

const all: LogQuery = { filter: {}, sort: "arrivedAt", descending: false, limit: 1000, offset: 0 };
const idsOf = async (log: LogStore) => (await log.list(all)).rows.map(({ id }) => id);

async function opened(file = join(temporaryFolder(), "logs.db")) {
  const log = await openSqliteLog(file);
  onTestFinished(() => log.close());
  return { log, file };
}

const batch = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => logEntry(`r${from + n}`, { arrivedAt: from + n }));

describe("the request log's file", () => {
  test("keeps rows when it is opened again, and counts them for the next deletion", async () => {
    const { log, file } = await opened();
    await log.append(batch(10, 5));
    await log.close();
    const { log: again } = await opened(file);
    await again.append(batch(15, 2));
    expect(await again.sweep({ before: 0, mostRows: 3, step: 100 })).toBe(4);
    await again.remove(["r16"]);
    expect(await again.sweep({ before: 0, mostRows: 2, step: 100 })).toBe(0);
    expect(await idsOf(again)).toEqual(["r14", "r15"]);
  });

  test("finds rows of a request id wherever they are among others", async () => {
    const { log } = await opened();
    const numbers = [0, 2047, 2048, 9_999, 1_000_000, 2 ** 32 - 1];
    const ids = ["log_a_", "log_b_", "log_c_"].flatMap((prefix) => numbers.map((n) => prefix + n.toString(36)));
    const same = ids.filter((_, n) => n % 2 === 0);
    await log.append(
      ids.map((id, n) => logEntry(id, { arrivedAt: 1000 + n, requestId: n % 2 === 0 ? "same" : `other ${n}` })),
    );
    const found = await log.find("same");
    expect([found?.entry.row.id, ...(found?.others ?? [])]).toEqual(same.toReversed());
    expect((await log.find("other 17"))?.entry.row.id).toBe(ids[17]);
    expect((await log.find("other 16"))?.entry.row.id).toBeUndefined();
    const chosen = await log.list({ ...all, filter: { fields: { requestId: ["same", "other 1", "none"] } } });
    expect(chosen.rows.map(({ id }) => id)).toEqual(ids.filter((id, n) => n === 1 || same.includes(id)));
  });

  test("has no half of a batch when its disk is full, and takes rows again when there is room", async () => {
    const file = join(temporaryFolder(), "logs.db");
    const database = await openDatabase(file);
    const full = await openSqliteLogDatabase(database, file);
    onTestFinished(() => full.close());
    await full.append(batch(10, 1));
    database.prepare("pragma max_page_count = 100").all([]);
    const large = { request: "x".repeat(4_000_000), answer: null, sealed: false };
    const error = await rejection(full.append([...batch(20, 3), logEntry("large", {}, [], large)]));
    expect(error).toMatchObject({ name: "StoreError", fault: "full" });
    expect(await idsOf(full)).toEqual(["r10"]);
    await full.append(batch(30, 2));
    expect(await idsOf(full)).toEqual(["r10", "r30", "r31"]);
  });

  test("is read while another process writes it, and says that it cannot be written", async () => {
    const { log, file } = await opened();
    await log.append(batch(10, 1));
    const other = await openDatabase(file);
    other.prepare("begin immediate").run([]);
    try {
      expect(await rejection(log.append(batch(20, 1)))).toMatchObject({ name: "StoreError", fault: "unavailable" });
      expect(await idsOf(log)).toEqual(["r10"]);
    } finally {
      other.prepare("rollback").run([]);
      other.close();
    }
    await log.append(batch(20, 1));
    expect(await idsOf(log)).toEqual(["r10", "r20"]);
  });

  test("of a newer version is left as it is", async () => {
    const { log, file } = await opened();
    await log.close();
    const database = await openDatabase(file);
    database.prepare("insert into kysely_migration (name, timestamp) values ('9999_later', '')").run([]);
    database.close();
    expect(await rejection(openSqliteLog(file))).toMatchObject({ fault: "unreadable" });
  });

  test("has no trace of what was deleted", async () => {
    const { log, file } = await opened();
    const content = { request: "a very private question", answer: null, sealed: false };
    await log.append([logEntry("a", { message: "a private message" }, undefined, content), logEntry("b")]);
    expect(await log.remove(["a"])).toBe(1);
    await log.close();
    expect(readFileSync(file).includes("private")).toBe(false);
    expect(readFileSync(file).includes("request-b")).toBe(true);
  });

  test("answers nothing once it is closed", async () => {
    const { log } = await opened();
    await log.close();
    await log.close();
    expect(await rejection(log.list(all))).toMatchObject({ fault: "unavailable" });
  });
});

describe("a request log in memory", () => {
  test("keeps the newest rows, within its number", async () => {
    const log = new MemoryLog({ rows: 3, contentBytes: 1e6 });
    await log.append(batch(0, 5));
    expect(await idsOf(log)).toEqual(["r2", "r3", "r4"]);
    await log.append(batch(5, 1));
    expect(await idsOf(log)).toEqual(["r3", "r4", "r5"]);
  });

  test("keeps no more content than its size, and gives room back", async () => {
    const log = new MemoryLog({ rows: 100, contentBytes: 100 });
    const entry = (id: string) => logEntry(id, {}, [], { request: "x".repeat(20), answer: null, sealed: false });
    for (const id of ["a", "b", "c"]) await log.append([entry(id)]);
    expect(await idsOf(log)).toEqual(["b", "c"]);
    await log.remove(["b"]);
    await log.append([entry("d")]);
    expect(await idsOf(log)).toEqual(["c", "d"]);
  });

  test("looks at its newest rows alone for what there is to choose from", async () => {
    const log = new MemoryLog({ rows: newestLookedAt + 1, contentBytes: 1 });
    await log.append([logEntry("old", { arrivedAt: 0, provider: "old" }), ...batch(1, newestLookedAt)]);
    expect((await log.values({})).fields.provider).toEqual(["bedrock"]);
  });
});
