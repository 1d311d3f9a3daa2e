import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LogTail } from "../../src/telemetry/log-tail.ts";
import { logRow } from "../store/log-rows.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const rows = (...ids: string[]) => ids.map((id) => logRow(id));
const idsOf = (page: { readonly rows: readonly { readonly id: string }[] }) => page.rows.map(({ id }) => id);

/** Where a reader begins. */
async function begin(tail: LogTail): Promise<number> {
  const { after, lost, rows: none } = await tail.follow({ filter: {}, after: undefined });
  expect([lost, none]).toEqual([0, []]);
  return after;
}

describe("the request log's feed", () => {
  test("begins with what comes after the reader, and gives it at once", async () => {
    const tail = new LogTail();
    tail.push(rows("before"));
    const page = tail.follow({ filter: {}, after: await begin(tail) });
    tail.push(rows("a", "b"));
    const first = await page;
    expect(idsOf(first)).toEqual(["a", "b"]);
    tail.push(rows("c"));
    expect(idsOf(await tail.follow({ filter: {}, after: first.after }))).toEqual(["c"]);
  });

  test("gives each reader what its filter wants, and waits for it", async () => {
    const tail = new LogTail();
    const after = await begin(tail);
    const errors = tail.follow({ filter: { fields: { outcome: ["error"] } }, after });
    const all = tail.follow({ filter: {}, after });
    tail.push(rows("a"));
    expect(idsOf(await all)).toEqual(["a"]);
    tail.push([logRow("b", { outcome: "error" })]);
    expect(idsOf(await errors)).toEqual(["b"]);
  });

  test("answers with nothing when nothing comes, so that the connection is seen to live", async () => {
    const tail = new LogTail({ waitMs: 1000 });
    const page = tail.follow({ filter: {}, after: await begin(tail) });
    await vi.advanceTimersByTimeAsync(1000);
    expect(await page).toEqual({ after: 0, lost: 0, rows: [] });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("tells a slow reader how much it has lost, and keeps no more than its rows", async () => {
    const tail = new LogTail({ kept: 3 });
    const after = await begin(tail);
    tail.push(rows("b", "c", "d", "e", "f"));
    const page = await tail.follow({ filter: {}, after });
    expect([idsOf(page), page.lost]).toEqual([["d", "e", "f"], 2]);
    expect((await tail.follow({ filter: { fields: { model: ["other"] } }, after })).lost).toBe(2);
  });

  test("gives many rows in pages", async () => {
    const tail = new LogTail({ pageRows: 2 });
    const after = await begin(tail);
    tail.push(rows("a", "b", "c"));
    const first = await tail.follow({ filter: {}, after });
    expect(idsOf(first)).toEqual(["a", "b"]);
    expect(idsOf(await tail.follow({ filter: {}, after: first.after }))).toEqual(["c"]);
  });

  test("is not watched when nobody has asked for a while, and counts what went by then", async () => {
    const tail = new LogTail({ watchMs: 1000, waitMs: 10 });
    expect(tail.isWatched).toBe(false);
    const after = await begin(tail);
    expect(tail.isWatched).toBe(true);
    await vi.advanceTimersByTimeAsync(1000);
    expect(tail.isWatched).toBe(false);
    tail.skip(7);
    expect((await tail.follow({ filter: {}, after })).lost).toBe(7);
  });

  test("lets its readers go when it closes", async () => {
    const tail = new LogTail();
    const page = tail.follow({ filter: {}, after: await begin(tail) });
    tail.close();
    expect((await page).rows).toEqual([]);
  });
});
