/** The result of a run, as it is written to JSON and read again. */

export type Unit = "CPU-µs" | "µs" | "ns" | "ms" | "s" | "/s" | "MiB" | "bytes" | "×" | "count" | "%";

/** What a figure should be. */
export type Bar = { readonly most: number } | { readonly least: number };

export interface FigureSpec {
  readonly name: string;
  readonly unit: Unit;
  /** `none`: it explains other figures, and no change of it is a regression. */
  readonly better: "lower" | "higher" | "none";
  readonly bar?: Bar;
}

export interface Figure extends FigureSpec {
  /** The same in every run: what two runs are compared by. */
  readonly id: string;
  readonly section: string;
  /** One for each round. */
  readonly values: readonly number[];
  /** Why there are no values. */
  readonly problem?: string;
}

export interface Section {
  readonly title: string;
  /** What was measured and how, in Markdown. */
  readonly text: string;
}

export interface Report {
  readonly format: 1;
  /** ISO 8601. */
  readonly date: string;
  /** What was typed. */
  readonly command: string;
  readonly machine: string;
  /** What was measured, and its version. */
  readonly versions: Readonly<Record<string, string>>;
  readonly sections: readonly Section[];
  readonly figures: readonly Figure[];
}

/** @throws Error when the text is not a report of this format */
export function readReport(text: string): Report {
  const report: unknown = JSON.parse(text);
  if (typeof report !== "object" || report === null || !("format" in report) || report.format !== 1)
    throw new Error("this is not a report of `npm run bench` in format 1");
  return report as Report;
}

/** Something that a measurement needs is not there. What is thrown otherwise is a failure of what is measured. */
export class NotMeasured extends Error {
  override readonly name = "NotMeasured";
}
