import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { MemoryLog } from "../../src/store/log-memory.ts";
import { openSqliteLog } from "../../src/store/log-sqlite.ts";
import {
  choosable,
  type FoundLog,
  groupable,
  type LogFilter,
  type LogQuery,
  type LogStore,
  measured,
  type SumQuery,
} from "../../src/store/log-store.ts";
import { temporaryFolder } from "./databases.ts";
import { anyEntries, dimensionNames, entries, logAttempt, logEntry } from "./log-rows.ts";

const stores: readonly (readonly [name: string, open: () => Promise<LogStore>])[] = [
  ["in memory", async () => new MemoryLog()],
  ["in SQLite", () => openSqliteLog(join(temporaryFolder(), "logs.db"))],
];

const everything: LogQuery = { filter: {}, sort: "arrivedAt", descending: true, limit: 100, offset: 0 };

async function ids(log: LogStore, query: Partial<LogQuery> = {}): Promise<string[]> {
  return (await log.list({ ...everything, ...query })).rows.map(({ id }) => id);
}

describe.each(stores)("a request log %s", (_, open) => {
  async function opened(): Promise<LogStore> {
    const log = await open();
    onTestFinished(() => log.close());
    return log;
  }

  test("is empty at first", async () => {
    const log = await opened();
    expect(await log.list(everything)).toEqual({ rows: [], total: 0 });
    expect(await log.find("a")).toBeUndefined();
    expect(await log.sum({ filter: {}, limit: 10 })).toMatchObject([{ requests: 0, costMicroUsd: 0, averageMs: 0 }]);
    expect(await log.sum({ filter: {}, limit: 10, bucketMs: 1000 })).toEqual([]);
    expect(await log.remove(["a"])).toBe(0);
    expect(await log.sweep({ before: 1e15, mostRows: 0, step: 10 })).toBe(0);
  });

  test("gives back what was written, attempts and content with it", async () => {
    const log = await opened();
    await fc.assert(
      fc.asyncProperty(entries, async (written) => {
        await log.append(written);
        for (const entry of written) {
          const found = await log.find(entry.row.id);
          expect(found?.entry.attempts).toEqual(entry.attempts);
          expect(found?.entry.content).toEqual(entry.content);
          const { dimensions, ...row } = found?.entry.row ?? { dimensions: [] };
          const { dimensions: given, ...expected } = entry.row;
          expect(row).toEqual(expected);
          expect(new Map(dimensions)).toEqual(new Map(given));
        }
        await log.remove(written.map(({ row }) => row.id));
        expect(await log.list(everything)).toEqual({ rows: [], total: 0 });
      }),
      { numRuns: 30 },
    );
  });

  test("a batch may be written twice", async () => {
    const log = await opened();
    const batch = [logEntry("a"), logEntry("b")];
    await log.append(batch);
    await log.append([...batch, logEntry("c")]);
    expect(await ids(log)).toEqual(["c", "b", "a"]);
    expect((await log.find("a"))?.entry.attempts).toHaveLength(1);
  });

  test("finds by the row's id before the request's, and the newest of those that share one", async () => {
    const log = await opened();
    const at = (arrivedAt: number, requestId = "same") => ({ arrivedAt, requestId });
    await log.append([logEntry("a", at(3)), logEntry("b", at(9)), logEntry("c", at(5)), logEntry("same2", at(7, "a"))]);
    const newest = await log.find("same");
    expect([newest?.entry.row.id, newest?.others]).toEqual(["b", ["c", "a"]]);
    const own = await log.find("a");
    expect([own?.entry.row.id, own?.others]).toEqual(["a", ["b", "c"]]);
  });

  test("goes through all rows by what was seen last", async () => {
    const log = await opened();
    await log.append(Array.from({ length: 10 }, (__, n) => logEntry(`r${n}`, { arrivedAt: 100 + (n >> 1) })));
    const seen: string[] = [];
    for (let after: LogQuery["after"]; ; ) {
      const { rows } = await log.list({ ...everything, limit: 3, ...(after && { after }) });
      seen.push(...rows.map(({ id }) => id));
      const last = rows.at(-1);
      if (last === undefined) break;
      after = { arrivedAt: last.arrivedAt, id: last.id };
    }
    expect(seen).toEqual(Array.from({ length: 10 }, (__, n) => `r${9 - n}`));
  });

  test("deletes by age and number, the oldest first and no more than a step at once", async () => {
    const log = await opened();
    await log.append(Array.from({ length: 10 }, (__, n) => logEntry(`r${n}`, { arrivedAt: n })));
    expect(await log.sweep({ before: 3, mostRows: 100, step: 2 })).toBe(2);
    expect(await log.sweep({ before: 3, mostRows: 100, step: 2 })).toBe(1);
    expect(await log.sweep({ before: 3, mostRows: 100, step: 2 })).toBe(0);
    expect(await log.sweep({ before: 3, mostRows: 5, step: 100 })).toBe(2);
    await log.append([logEntry("r10", { arrivedAt: 10 })]);
    expect(await log.sweep({ before: 0, mostRows: 5, step: 100 })).toBe(1);
    expect(await ids(log)).toEqual(["r10", "r9", "r8", "r7", "r6"]);
    expect((await log.find("r9"))?.entry.attempts).toEqual([logAttempt()]);
  });

  test("corrects costs, also to not known, and nothing else", async () => {
    const log = await opened();
    await log.append([logEntry("a"), logEntry("b"), logEntry("c")]);
    await log.setCosts([
      { id: "a", costMicroUsd: 5 },
      { id: "b", costMicroUsd: null },
      { id: "gone", costMicroUsd: 1 },
    ]);
    const { rows } = await log.list(everything);
    expect(rows.map(({ id, costMicroUsd }) => [id, costMicroUsd])).toEqual([
      ["c", 18_000],
      ["b", null],
      ["a", 5],
    ]);
    expect(await ids(log, { filter: { missingCost: true } })).toEqual(["b"]);
  });

  test("keeps the newest name of what there is to choose from", async () => {
    const log = await opened();
    await log.append([
      logEntry("a", {
        arrivedAt: 1,
        virtualKeyId: "vk",
        virtualKeyName: "old",
        rules: ["r"],
        dimensions: [["env", "x"]],
      }),
      logEntry("b", { arrivedAt: 2, virtualKeyId: "vk", virtualKeyName: "new" }),
    ]);
    const values = await log.values({});
    expect(values.virtualKeys).toEqual([{ id: "vk", name: "new" }]);
    expect(values).toMatchObject({ rules: ["r"], dimensions: ["env"], fields: { provider: ["bedrock"] } });
  });

  test("finds text in content whatever its case", async () => {
    const log = await opened();
    await log.append([
      logEntry("a", {}, [], { request: "Hello World", answer: null, sealed: false }),
      logEntry("b", {}, []),
    ]);
    expect(await ids(log, { filter: { content: "WORLD" } })).toEqual(["a"]);
    expect(await ids(log, { filter: { content: "w%d" } })).toEqual([]);
  });
});

describe("both request logs", () => {
  const value = fc.constantFrom("a", "b", "ü%_'\"\\", "success", "direct", "Converse");
  const bound = fc.integer({ min: 0, max: 50 });
  const range = fc.record({ min: bound, max: bound }, { requiredKeys: [] });
  const filters: fc.Arbitrary<LogFilter> = fc.record(
    {
      fields: fc.record(
        Object.fromEntries(choosable.map((field) => [field, fc.array(value, { minLength: 1, maxLength: 3 })])),
        { requiredKeys: [] },
      ),
      rules: fc.array(value, { minLength: 1, maxLength: 2 }),
      from: bound.map((n) => 1_800_000_000_000 + n * 500),
      to: bound.map((n) => 1_800_000_000_000 + n * 500),
      ranges: fc.record(Object.fromEntries(measured.map((field) => [field, range])), { requiredKeys: [] }),
      missingCost: fc.boolean(),
      dimensions: fc.array(fc.tuple(fc.constantFrom(...dimensionNames), value), { maxLength: 2 }),
      content: value,
    },
    { requiredKeys: [] },
  );
  // Most filters of many conditions find nothing: one or two of them find some.
  const few = filters.chain((filter) =>
    fc
      .subarray(Object.keys(filter), { maxLength: 2 })
      .map((names): LogFilter => Object.fromEntries(Object.entries(filter).filter(([name]) => names.includes(name)))),
  );

  test("have the same of whatever is written, in whatever batches, of which some are written again", async () => {
    const batches = fc.tuple(anyEntries, fc.array(fc.tuple(fc.nat(39), fc.nat(39)), { maxLength: 6 }));
    await fc.assert(
      fc.asyncProperty(batches, fc.nat(39), async ([written, again], removed) => {
        const memory = new MemoryLog();
        const sqlite = await openSqliteLog(":memory:");
        try {
          const parts = [...again.map(([from, length]) => written.slice(from, from + length)), written];
          for (const log of [memory, sqlite]) for (const part of parts) await log.append(part);
          const same = async (): Promise<void> => {
            for (const { row } of written)
              for (const id of [row.id, row.requestId])
                expect(exact(await sqlite.find(id))).toEqual(exact(await memory.find(id)));
            const [page, expected] = [await sqlite.list(everything), await memory.list(everything)];
            expect(strict(page)).toEqual(strict(expected));
          };
          await same();
          const gone = written.slice(removed, removed + 3).map(({ row }) => row.id);
          const costs = written.map(({ row }, costMicroUsd) => ({ id: row.id, costMicroUsd }));
          for (const log of [memory, sqlite]) {
            expect(await log.remove([...gone, "log_c_1"])).toBe(gone.length);
            await log.setCosts(costs);
          }
          await same();
        } finally {
          await sqlite.close();
        }
      }),
      { numRuns: 60 },
    );
  });

  test("find, sum and sort the same", async () => {
    const groups = fc.constantFrom(undefined, ...groupable, ...dimensionNames.map((dimension) => ({ dimension })));
    await fc.assert(
      fc.asyncProperty(
        entries,
        few,
        fc.constantFrom("arrivedAt" as const, ...measured),
        fc.boolean(),
        fc.constantFrom(undefined, 1000, 7000),
        groups,
        async (written, filter, sort, descending, bucketMs, group) => {
          const memory = new MemoryLog();
          const sqlite = await openSqliteLog(":memory:");
          try {
            for (const log of [memory, sqlite]) await log.append(written);
            const query: LogQuery = { filter, sort, descending, limit: 7, offset: 1 };
            expect(strict(await sqlite.list(query))).toEqual(strict(await memory.list(query)));
            const sum: SumQuery = { filter, limit: 9, ...(bucketMs && { bucketMs }), ...(group && { group }) };
            expect(rounded(await sqlite.sum(sum))).toEqual(rounded(await memory.sum(sum)));
            expect(await sqlite.latency(sum)).toEqual(await memory.latency(sum));
            expect(await sqlite.values(filter)).toEqual(await memory.values(filter));
          } finally {
            await sqlite.close();
          }
        },
      ),
      { numRuns: 120 },
    );
  });
});

function exact(found: FoundLog | undefined) {
  if (found === undefined) return undefined;
  const { row, ...entry } = found.entry;
  return { ...found, entry, rows: strict({ rows: [row], total: 1 }) };
}

/** Dimensions have no order. */
function strict({ rows, total }: { rows: readonly { readonly dimensions: LogDimensions }[]; total: number }) {
  const sorted = rows.map((row) => ({ ...row, dimensions: new Map(row.dimensions) }));
  return { rows: sorted, total };
}

type LogDimensions = readonly (readonly [string, string])[];

function rounded(sums: readonly { readonly averageMs: number }[]) {
  return sums.map((sum) => ({ ...sum, averageMs: sum.averageMs.toFixed(6) }));
}
