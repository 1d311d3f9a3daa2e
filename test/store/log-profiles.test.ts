import { join } from "node:path";
import type { SqliteDatabase } from "kysely";
import { describe, expect, onTestFinished, test } from "vitest";
import { openSqliteLogDatabase } from "../../src/store/log-sqlite.ts";
import type { LogRow } from "../../src/store/log-store.ts";
import { openDatabase } from "../../src/store/sqlite-driver.ts";
import { rejection } from "../support/wait.ts";
import { temporaryFolder } from "./databases.ts";
import { logAttempt, logEntry } from "./log-rows.ts";

const hourMs = 3_600_000;

async function opened(file = join(temporaryFolder(), "logs.db")) {
  const database = await openDatabase(file);
  const log = await openSqliteLogDatabase(database, file);
  onTestFinished(() => log.close());
  return { log, database, file };
}

function count(database: SqliteDatabase, table = "profiles"): unknown {
  const [row] = database.prepare(`select count(*) as rows from ${table}`).all([]);
  return row;
}

const rowsOf = (first: number, rows: number, more: (n: number) => Partial<LogRow> = () => ({})) =>
  Array.from({ length: rows }, (_, n) => logEntry(`log_w_${(first + n).toString(36)}`, more(first + n)));

describe("what rows have in common", () => {
  test("stands there once, whatever else the rows are", async () => {
    const { log, database } = await opened();
    const own = (n: number): Partial<LogRow> => ({
      arrivedAt: 1_000_000 + n,
      costMicroUsd: n,
      session: `s${n}`,
      message: `m${n}`,
      dimensions: [["n", `${n}`]],
    });
    for (let batch = 0; batch < 5; batch++) await log.append(rowsOf(batch * 21, 21, own));
    expect(count(database)).toEqual({ rows: 1 });
    await log.append(rowsOf(200, 20, (n) => ({ model: `m${n % 4}` })));
    expect(count(database)).toEqual({ rows: 5 });
    // It knows them however they take turns.
    await log.append(rowsOf(300, 20, (n) => ({ model: `m${n % 4}` })));
    expect(count(database)).toEqual({ rows: 5 });
    // Alike in what differs most.
    await log.append(rowsOf(400, 20, (n) => ({ streams: n % 2 === 0, rules: n % 4 < 2 ? ["r"] : [] })));
    expect(count(database)).toEqual({ rows: 8 });
  });

  test("is as large as clients make it, and found again", async () => {
    const { log } = await opened();
    const askedModel = "ü".repeat(100_000);
    await log.append(rowsOf(0, 30, (n) => ({ askedModel: `${askedModel}${n}` })));
    expect((await log.find("log_w_t"))?.entry.row.askedModel).toBe(`${askedModel}29`);
    expect((await log.find("log_w_1"))?.entry.row.askedModel).toBe(`${askedModel}1`);
  });

  test("may be of more kinds than are remembered", async () => {
    const { log, database } = await opened();
    const many = rowsOf(0, 2500, (n) => ({ model: `model ${n}` }));
    await log.append(many);
    await log.append([logEntry("log_w_zzz", { model: "model 0" })]);
    expect(count(database)).toEqual({ rows: 2501 });
    for (const id of ["log_w_0", "log_w_zzz"]) expect((await log.find(id))?.entry.row.model).toBe("model 0");
    expect((await log.find("log_w_rr"))?.entry.row.model).toBe("model 999");
  });

  test("is written again when the rows it was first written for were not", async () => {
    const { log, database, file } = await opened();
    await log.append(rowsOf(0, 1));
    database.prepare("pragma max_page_count = 100").all([]);
    const large = { request: "x".repeat(4_000_000), answer: null, sealed: false };
    const other = { model: "another" };
    expect(await rejection(log.append([logEntry("log_w_1", other, [], large)]))).toMatchObject({ fault: "full" });
    await log.append([logEntry("log_w_1", other), logEntry("log_w_2", { model: "a third" })]);
    const models = ["log_w_0", "log_w_1", "log_w_2"].map(async (id) => (await log.find(id))?.entry.row.model);
    expect(await Promise.all(models)).toEqual(["m", "another", "a third"]);
    await log.close();
    // So does a process that is new.
    const again = await opened(file);
    await again.log.append([logEntry("log_w_3", other)]);
    expect((await again.log.find("log_w_3"))?.entry.row.model).toBe("another");
  });

  test("goes with the last of the rows, and comes back with new ones", async () => {
    const { log, database } = await opened();
    const at = (hours: number, model: string) => (n: number) => ({ arrivedAt: hours * hourMs + n, model });
    await log.append([...rowsOf(0, 3, at(10, "old")), ...rowsOf(10, 3, at(10, "both"))]);
    await log.append([...rowsOf(20, 3, at(20, "both")), ...rowsOf(30, 3, at(20, "new"))]);
    expect(count(database)).toEqual({ rows: 3 });
    expect(await log.sweep({ before: 15 * hourMs, mostRows: 100, step: 100 })).toBe(6);
    expect(count(database)).toEqual({ rows: 2 });
    await log.append(rowsOf(40, 1, at(21, "old")));
    const { rows } = await log.list({ filter: {}, sort: "arrivedAt", descending: false, limit: 10, offset: 0 });
    expect(rows.map(({ model }) => model)).toEqual(["both", "both", "both", "new", "new", "new", "old"]);
    expect(await log.sweep({ before: 1e15, mostRows: 100, step: 100 })).toBe(7);
    for (const table of ["profiles", "request_rows"]) expect(count(database, table)).toEqual({ rows: 0 });
  });

  test("finds rows that came long before or after the first of them", async () => {
    const { log } = await opened();
    const times = [50, 10, 90, 49, 51].map((hours) => hours * hourMs);
    for (const [n, arrivedAt] of times.entries()) await log.append([logEntry(`log_w_${n}`, { arrivedAt })]);
    const filter = { fields: { model: ["m"] } };
    const { rows } = await log.list({ filter, sort: "arrivedAt", descending: false, limit: 10, offset: 0 });
    expect(rows.map(({ arrivedAt }) => arrivedAt / hourMs)).toEqual([10, 49, 50, 51, 90]);
    const within = { ...filter, from: 49 * hourMs, to: 90 * hourMs };
    expect(await log.sum({ filter: within, limit: 1 })).toMatchObject([{ requests: 3 }]);
  });

  test("tells of the only attempt what it was like, and of no other", async () => {
    const { log } = await opened();
    const alike = logAttempt({ startedAfterMs: 0, durationMs: 0.1 + 0.2, choice: "only", spanId: "b7ad6b7169203331" });
    const others = [{ status: 500 }, { model: null }, { keyName: "k" }, { fallbackIndex: 1 }, { errorType: "x" }];
    const attempts = [[alike], ...others.map((other) => [{ ...alike, ...other }]), [], [alike, alike]];
    await log.append(attempts.map((own, n) => logEntry(`log_w_${n}`, {}, own)));
    for (const [n, own] of attempts.entries()) expect((await log.find(`log_w_${n}`))?.entry.attempts).toEqual(own);
  });
});
