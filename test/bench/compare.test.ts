import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Change, compareReports, isRegression, renderComparison } from "../../bench/compare.ts";
import { type Figure, type Report, readReport } from "../../bench/report.ts";

const cpu: Figure = {
  id: "unary.relay",
  section: "A request",
  name: "relay",
  unit: "CPU-µs",
  better: "lower",
  bar: { most: 150 },
  values: [99, 100, 101, 102, 100],
};

function report(figures: readonly Figure[], machine = "a machine"): Report {
  return {
    format: 1,
    date: "2026-01-02T03:04:05Z",
    command: "npm run bench",
    machine,
    versions: {},
    sections: [],
    figures,
  };
}

function changeOf(before: Partial<Figure>, after: Partial<Figure>, machine?: string): Change | undefined {
  const compared = compareReports(report([{ ...cpu, ...before }]), report([{ ...cpu, ...after }], machine), 0.1);
  return compared[0]?.change;
}

describe("two runs", () => {
  test("are the same within the tolerance", () => {
    expect(changeOf({}, { values: [109, 109, 110] })).toBe("same");
    expect(changeOf({}, { values: [111, 111, 111] })).toBe("worse");
    expect(changeOf({}, { values: [89, 89, 89] })).toBe("better");
  });

  test("are the same within how much their rounds differ, in either run", () => {
    expect(changeOf({}, { values: [80, 100, 130, 160, 180] })).toBe("same");
    expect(changeOf({ values: [80, 90, 100, 150, 180] }, { values: [140, 141, 142] })).toBe("same");
  });

  test("differ in spite of one bad round", () => {
    expect(changeOf({ values: [99, 100, 101, 102, 900] }, { values: [150, 151, 152, 153, 154] })).toBe("worse");
  });

  test("are worse where more is better and there is less", () => {
    expect(changeOf({ better: "higher" }, { better: "higher", values: [80, 80, 80] })).toBe("worse");
    expect(changeOf({ better: "higher" }, { better: "higher", values: [120, 120, 120] })).toBe("better");
  });

  test("differ around nothing by their noise alone", () => {
    expect(changeOf({ values: [-1, 0, 1] }, { values: [0, 1, 2] })).toBe("same");
    expect(changeOf({ values: [-1, 0, 1] }, { values: [8, 9, 10] })).toBe("worse");
  });

  test("say nothing with too few rounds, or on another machine but for ratios", () => {
    expect(changeOf({}, { values: [900, 900] })).toBe("unknown");
    expect(changeOf({}, { values: [900, 900, 900] }, "another machine")).toBe("unknown");
    expect(changeOf({ unit: "×" }, { unit: "×", values: [900, 900, 900] }, "another machine")).toBe("worse");
  });

  test("differ when something can no longer be measured, but not when it could not before", () => {
    expect(changeOf({}, { values: [], problem: "status 500" })).toBe("broken");
    expect(changeOf({ values: [], problem: "no nginx" }, {})).toBe("unknown");
  });

  test("are not judged by what only explains other figures", () => {
    expect(compareReports(report([{ ...cpu, better: "none" }]), report([]), 0.1)).toEqual([]);
  });

  test("are told in words", () => {
    const before = report([cpu, { ...cpu, id: "b", name: "steady" }, { ...cpu, id: "c", name: "gone" }]);
    const after = report([
      { ...cpu, values: [200, 200, 200] },
      { ...cpu, id: "b", name: "steady" },
    ]);
    const text = renderComparison(compareReports(before, after, 0.1));
    expect(text).toContain("1 the same within noise, 0 better, 1 worse, 0 no longer measured, 1 not comparable");
    expect(text).toContain("| relay | 100 CPU-µs (99–102) | 200 CPU-µs (200–200) | +100 % | worse, bar missed |");
    expect(text).not.toContain("steady");
    expect(text).toContain("1 not in the second run");
  });

  test("are only a regression when something is worse or broken", () => {
    const changes: Change[] = ["same", "better", "worse", "broken", "unknown"];
    expect(changes.filter((change) => isRegression({ before: cpu, after: cpu, change }))).toEqual(["worse", "broken"]);
  });
});

describe("the command", { timeout: 30_000 }, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "bench-compare-"));
    writeFileSync(join(folder, "a.json"), JSON.stringify(report([cpu])));
    writeFileSync(join(folder, "worse.json"), JSON.stringify(report([{ ...cpu, values: [130, 131, 132] }])));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function bench(...args: readonly string[]) {
    const run = fileURLToPath(new URL("../../bench/run.ts", import.meta.url));
    return spawnSync(process.execPath, ["--import", "tsx", run, ...args], { encoding: "utf8" });
  }

  test("fails on a regression and only then", () => {
    const [same, worse] = ["a.json", "worse.json"].map((name) =>
      bench("compare", `${folder}/a.json`, `${folder}/${name}`),
    );
    expect(same).toMatchObject({ status: 0 });
    expect(worse).toMatchObject({ status: 1, stdout: expect.stringContaining("+31 %") });
  });

  test("explains itself, and refuses what it does not know", () => {
    expect(bench("--help")).toMatchObject({ status: 0, stdout: expect.stringContaining("compare A B") });
    expect(bench("compare", "a.json")).toMatchObject({ status: 2, stderr: expect.stringContaining("two files") });
    expect(bench("--only", "nothing")).toMatchObject({ status: 2, stderr: expect.stringContaining('"nothing"') });
  });

  test("reads results of its own format alone", () => {
    expect(() => readReport("{}")).toThrow(/not a report/);
    expect(readReport(JSON.stringify(report([cpu]))).figures).toEqual([cpu]);
  });
});
