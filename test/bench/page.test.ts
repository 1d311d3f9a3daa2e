import { describe, expect, test } from "vitest";
import { markdownTable, renderPage, replaceBetween, show, showFigure, verdictOf } from "../../bench/page.ts";
import type { Figure, Report } from "../../bench/report.ts";

const figure: Figure = {
  id: "unary.relay",
  section: "A request",
  name: "relay",
  unit: "CPU-µs",
  better: "lower",
  bar: { most: 150 },
  values: [90, 200, 100],
};

describe("figures", () => {
  test("are shown with their lowest and highest", () => {
    expect(showFigure(figure)).toBe("100 CPU-µs (90–200)");
    expect(showFigure({ ...figure, values: [100] })).toBe("100 CPU-µs");
  });

  test("have about three digits", () => {
    expect([12_345.678, 12.345, 1.2345, -0.5, 5].map(show)).toEqual(["12,346", "12.3", "1.23", "-0.5", "5"]);
  });

  test("say why they were not measured", () => {
    expect(showFigure({ ...figure, values: [], problem: "no nginx\nmore" })).toBe("not measured: no nginx");
  });

  test("are judged by their median", () => {
    expect(verdictOf(figure)).toBe("pass");
    expect(verdictOf({ ...figure, values: [90, 151, 160] })).toBe("miss");
    expect(verdictOf({ ...figure, bar: { least: 9 }, values: [8.9] })).toBe("miss");
    expect(verdictOf({ ...figure, bar: { least: 9 }, values: [9] })).toBe("pass");
    expect(verdictOf({ ...figure, values: [] })).toBe("not measured");
  });

  test("stand to the right in a table", () => {
    expect(markdownTable(["what", "µs"], [["a|b", "1"]])).toBe("| what | µs |\n| --- | ---: |\n| a\\|b | 1 |");
  });
});

describe("the page", () => {
  const report: Report = {
    format: 1,
    date: "2026-01-02T03:04:05Z",
    command: "npm run bench",
    machine: "a machine",
    versions: { nginx: "1.22.1" },
    sections: [{ title: "A request", text: "As it is." }],
    figures: [
      figure,
      { ...figure, id: "x", name: "missed", values: [151] },
      { ...figure, id: "y", values: [], problem: "no" },
    ],
  };

  test("names machine, versions and command, and judges the bars", () => {
    const page = renderPage(report);
    expect(page).toContain("Written by `npm run bench` on 2026-01-02");
    expect(page).toContain("- a machine\n- nginx 1.22.1\n");
    expect(page).toContain("1 pass, 1 miss, 1 not measured.");
    expect(page).toContain("| missed | 151 CPU-µs | ≤ 150 CPU-µs | miss |");
    expect(page).toContain("## A request\n\nAs it is.\n\n|");
  });

  test("may be a part of another one", () => {
    const other = "# Mine\n\n<!-- scale -->\nold\n<!-- end of scale -->\n\nMore.\n";
    expect(replaceBetween(other, "scale", "new\n")).toBe(
      "# Mine\n\n<!-- scale -->\n\nnew\n\n<!-- end of scale -->\n\nMore.\n",
    );
    expect(() => replaceBetween("# Mine\n", "scale", "new")).toThrow(/has no <!-- scale -->/);
  });
});
