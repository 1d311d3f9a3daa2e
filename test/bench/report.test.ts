import { describe, expect, test } from "vitest";
import { markdownTable, median, spread } from "../../bench/report.ts";

describe("figures", () => {
  test("have the middle value as their median, or the mean of the two middle ones", () => {
    expect(median([10, 9, 100])).toBe(10);
    expect(median([10, 9, 100, 11])).toBe(10.5);
    expect(median([])).toBeNaN();
  });

  test("are shown with their lowest and highest", () => {
    expect(spread([12_345.678, 2, 30], 1)).toBe("30.0 (2.0–12,345.7)");
  });

  test("stand to the right in a table", () => {
    expect(markdownTable(["what", "µs"], [["a", "1"]])).toBe("| what | µs |\n| --- | ---: |\n| a | 1 |");
  });
});
