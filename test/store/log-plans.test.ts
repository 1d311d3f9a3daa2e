import type { SqliteDatabase } from "kysely";
import { describe, expect, onTestFinished, test } from "vitest";
import { openSqliteLogDatabase } from "../../src/store/log-sqlite.ts";
import type { LogFilter, LogQuery, LogStore } from "../../src/store/log-store.ts";
import { openDatabase } from "../../src/store/sqlite-driver.ts";
import { logEntry } from "./log-rows.ts";

/** A log, and how SQLite goes about what it is asked: the lines of each statement's plan. */
async function explained() {
  const database = await openDatabase(":memory:");
  const asked: { readonly text: string; readonly parameters: readonly unknown[] }[] = [];
  const watched: SqliteDatabase = {
    close: () => database.close(),
    prepare: (text) => {
      const statement = database.prepare(text);
      return {
        reader: statement.reader,
        run: (parameters) => statement.run(parameters),
        iterate: (parameters) => statement.iterate(parameters),
        all: (parameters) => {
          asked.push({ text, parameters });
          return statement.all(parameters);
        },
      };
    },
  };
  const log = await openSqliteLogDatabase(watched, ":memory:");
  onTestFinished(() => log.close());
  await log.append([logEntry("log_w_0", { session: "s", virtualKeyId: "vk" }), logEntry("log_w_1")]);
  const plansOf = async (question: (log: LogStore) => Promise<unknown>): Promise<string[]> => {
    asked.length = 0;
    await question(log);
    return asked.flatMap(({ text, parameters }) =>
      database
        .prepare(`explain query plan ${text}`)
        .all(parameters)
        .map((line) => (typeof line === "object" && line !== null && "detail" in line ? String(line.detail) : "")),
    );
  };
  return plansOf;
}

const list =
  (filter: LogFilter, more: Partial<LogQuery> = {}) =>
  (log: LogStore) =>
    log.list({ filter, sort: "arrivedAt", descending: true, limit: 1, offset: 0, ...more });

const cases: Readonly<Record<string, (log: LogStore) => Promise<unknown>>> = {
  "by the row's id": (log) => log.find("log_w_0"),
  "by the request's id": (log) => log.find("request-log_w_0"),
  "the newest of a request id": list({ fields: { requestId: ["request-log_w_0"] } }),
  "the newest of a time": list({ from: 5, to: 2_000_000 }),
  "the newest of a virtual key": list({ fields: { virtualKeyId: ["vk"] } }),
  "the newest of a virtual key and time": list({ fields: { virtualKeyId: ["vk"] }, from: 5, to: 2_000_000 }),
  "the newest of a session": list({ fields: { session: ["s"] } }),
  "the next page": list({ from: 5 }, { after: { arrivedAt: 1_000_000, id: "log_w_0" } }),
  "the next page of a virtual key": list(
    { fields: { virtualKeyId: ["vk"] } },
    { after: { arrivedAt: 1_000_000, id: "log_w_0" } },
  ),
  "sums of a time": (log) => log.sum({ filter: { from: 5, to: 9 }, group: "model", limit: 5 }),
  "the oldest": (log) => log.sweep({ before: 5, mostRows: 10, step: 5 }),
};

describe("the request log's file", () => {
  test.each(Object.entries(cases))("does not look at every row for %s", async (_, question) => {
    const plansOf = await explained();
    // The first sweep counts the rows.
    if (question === cases["the oldest"]) await plansOf(question);
    const plans = await plansOf(question);
    const ofRows = plans.filter((line) => /^(?:SCAN|SEARCH) (?:r|own|request_rows)\b/.test(line));
    expect(ofRows.length).toBeGreaterThan(0);
    expect(ofRows.filter((line) => line.startsWith("SCAN") && !isOneEntry(line))).toEqual([]);
  });

  test("goes through the newest by their time, and sorts those of one time alone", async () => {
    const plansOf = await explained();
    const plans = (await plansOf(list({}))).filter((line) => /^(?:SCAN|SEARCH) r\b|^USE TEMP/.test(line));
    expect(plans.slice(0, 2)).toEqual([
      "SCAN r USING INDEX request_rows_arrived_at",
      "USE TEMP B-TREE FOR LAST TERM OF ORDER BY",
    ]);
  });
});

/** Where the parts of this index begin: one entry is read, for there is a limit. */
function isOneEntry(line: string): boolean {
  return line === "SCAN request_rows USING COVERING INDEX request_rows_request";
}
