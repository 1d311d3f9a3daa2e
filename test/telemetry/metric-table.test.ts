import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bounds, type Layout, observe, otherValue, separator, Table } from "../../src/telemetry/metric-table.ts";

const layout = {
  table: "test",
  labels: ["provider", "model", "dim_env"],
  columns: { count: { kind: "counter", name: "test_total", help: "" } },
  maxRows: 50,
} as const satisfies Layout;

describe("bounds", () => {
  test("keep at most 1,000 values of a label and the number of combinations, whatever comes", () => {
    const value = fc.oneof(fc.integer({ min: 0, max: 2000 }).map(String), fc.string());
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), value, value), { maxLength: 300 }),
        fc.integer({ min: 1, max: 60 }),
        (requests, maxRows) => {
          const table = new Table({ ...layout, maxRows });
          for (const labels of requests) {
            const row = table.find(labels.join(separator)) ?? table.row(labels);
            row[0] = (row[0] ?? 0) + 1;
          }
          const rows = [...table.rows];
          // Three providers have each an `other` at most.
          expect(rows.length).toBeLessThanOrEqual(maxRows + 3);
          expect(rows.reduce((sum, { cells }) => sum + (cells[0] ?? 0), 0)).toBe(requests.length);
          expect(new Set(rows.map(({ values }) => values.join(separator))).size).toBe(rows.length);
        },
      ),
    );
  });

  test("let 1,000 models have their names, and count the rest as other", () => {
    const table = new Table({ ...layout, maxRows: 100_000 });
    for (let index = 0; index < 10_000; index++) table.row(["a", `model-${index}`, "none"])[0] = 1;
    const models = [...table.rows].map(({ values }) => values[1]);
    expect(models).toHaveLength(1001);
    expect(models.filter((model) => model === otherValue)).toHaveLength(1);
    expect(models).toContain("model-999");
    expect(models).not.toContain("model-1000");
  });

  test("give up only what clients name where there are too many combinations", () => {
    const bounds = new Bounds({ labels: ["provider", "model", "dim_env"], maxRows: 2 });
    expect(bounds.admit(["a", "m1", "x"]).values).toEqual(["a", "m1", "x"]);
    expect(bounds.admit(["a", "m2", "x"]).values).toEqual(["a", "m2", "x"]);
    expect(bounds.admit(["b", "m1", "x"]).values).toEqual(["b", otherValue, otherValue]);
    expect(bounds.admit(["a", "m1", "x"]).values).toEqual(["a", "m1", "x"]);
  });

  test("make one series of values that read the same", () => {
    const bounds = new Bounds({ labels: ["model"], maxRows: 10 });
    expect(bounds.admit(["\ud800"]).values).toEqual(["\ufffd"]);
    expect(bounds.admit([`a${separator}b\n`]).values).toEqual(["a b "]);
    expect(bounds.admit(["x".repeat(5000)]).values[0]).toHaveLength(200);
    expect(bounds.admit(["gr\u00f6\u00dfe \u{1f600}"]).values).toEqual(["gr\u00f6\u00dfe \u{1f600}"]);
  });
});

describe("a table", () => {
  test("finds only rows that are counted under their own names", () => {
    const table = new Table({ ...layout, maxRows: 1 });
    const first = table.row(["a", "m", "x"]);
    expect(table.find(["a", "m", "x"].join(separator))).toBe(first);
    const folded = table.row(["a", "m2", "x"]);
    expect(table.find(["a", "m2", "x"].join(separator))).toBeUndefined();
    expect(table.row(["a", "m3", "y"])).toBe(folded);
  });

  test("adds what another one has counted, cell by cell", () => {
    const [one, two] = [new Table(layout), new Table(layout)];
    one.row(["a", "m", "x"])[0] = 3;
    two.row(["a", "m", "x"])[0] = 4;
    two.row(["a", "n", "x"])[0] = 5;
    one.add(structuredClone(two.snapshot()));
    expect([...one.rows].map(({ values, cells }) => [values[1], cells[0]])).toEqual([
      ["m", 7],
      ["n", 5],
    ]);
  });

  test("puts a value on a bucket's bound into that bucket", () => {
    const cells = new Float64Array(4);
    for (const value of [1, 1.5, 2, 3]) observe(cells, 0, [1, 2], value);
    expect([...cells]).toEqual([1, 2, 1, 7.5]);
  });
});
