/** Two runs held against each other: `npm run bench -- compare before.json after.json`. */
import { markdownTable, show, showFigure, verdictOf } from "./page.ts";
import type { Figure, Report } from "./report.ts";
import { median, quartileRange } from "./statistics.ts";

/** `unknown`: too few rounds, another machine, or not in both runs. `broken`: it could be measured before. */
export type Change = "same" | "better" | "worse" | "broken" | "unknown";

export interface Compared {
  readonly before: Figure;
  readonly after: Figure | undefined;
  readonly change: Change;
  /** Why it is unknown. */
  readonly why?: string;
}

/** With fewer rounds nothing is known about how much they differ. */
const fewestRounds = 3;

/**
 * A figure has changed when its medians differ by more than the noise, which is the largest of: how far the quarters of the
 * rounds lie apart, in either run, and `tolerance` times the median before. Runs on different machines are only compared by
 * their ratios.
 *
 * @param tolerance what may differ between two runs of the same code, whose rounds agree among themselves; from 0 to 1
 */
export function compareReports(before: Report, after: Report, tolerance: number): Compared[] {
  const sameMachine = before.machine === after.machine;
  const found = new Map(after.figures.map((figure) => [figure.id, figure]));
  return before.figures
    .filter(({ better }) => better !== "none")
    .map((figure) => {
      const other = found.get(figure.id);
      const why = incomparable(figure, other, sameMachine);
      if (other === undefined || why !== undefined) {
        return { before: figure, after: other, change: "unknown", ...(why !== undefined && { why }) };
      }
      return { before: figure, after: other, change: changeOf(figure, other, tolerance) };
    });
}

function incomparable(before: Figure, after: Figure | undefined, sameMachine: boolean): string | undefined {
  if (after === undefined) return "not in the second run";
  if (before.values.length === 0) return "not measured in the first run";
  if (after.values.length === 0) return undefined;
  if (!sameMachine && before.unit !== "×") return "another machine";
  const rounds = Math.min(before.values.length, after.values.length);
  return rounds < fewestRounds
    ? `${rounds === 1 ? "one round says" : "two rounds say"} nothing about noise`
    : undefined;
}

function changeOf(before: Figure, after: Figure, tolerance: number): Change {
  if (after.values.length === 0) return "broken";
  const [old, now] = [median(before.values), median(after.values)];
  const noise = Math.max(quartileRange(before.values), quartileRange(after.values), tolerance * Math.abs(old));
  if (Math.abs(now - old) <= noise) return "same";
  return now > old === (before.better === "lower") ? "worse" : "better";
}

export function isRegression({ change }: Compared): boolean {
  return change === "worse" || change === "broken";
}

/** What has changed, as text; figures that stayed the same are only counted. */
export function renderComparison(compared: readonly Compared[]): string {
  const of = (change: Change) => compared.filter((one) => one.change === change);
  const changed = [...of("broken"), ...of("worse"), ...of("better")];
  const lines = [
    `${of("same").length} the same within noise, ${of("better").length} better, ${of("worse").length} worse, ` +
      `${of("broken").length} no longer measured, ${of("unknown").length} not comparable`,
  ];
  if (changed.length > 0) {
    const rows = changed.map(({ before, after, change }) => [
      before.name,
      showFigure(before),
      after === undefined ? "" : showFigure(after),
      after === undefined || after.values.length === 0 ? "" : percent(median(after.values) / median(before.values)),
      after !== undefined && verdictOf(before) === "pass" && verdictOf(after) === "miss"
        ? `${change}, bar missed`
        : change,
    ]);
    lines.push("", markdownTable(["", "before", "after", "", ""], rows));
  }
  const reasons = new Map<string, number>();
  for (const { why } of of("unknown")) if (why !== undefined) reasons.set(why, (reasons.get(why) ?? 0) + 1);
  if (reasons.size > 0) {
    lines.push("", `Not comparable: ${[...reasons].map(([why, count]) => `${count} ${why}`).join(", ")}.`);
  }
  return `${lines.join("\n")}\n`;
}

function percent(ratio: number): string {
  const change = (ratio - 1) * 100;
  return Number.isFinite(change) ? `${change > 0 ? "+" : ""}${show(change)} %` : "";
}
