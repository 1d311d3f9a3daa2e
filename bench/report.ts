/** Figures as text. */

/** A part of the benchmark page. */
export interface Section {
  readonly title: string;
  /** What was measured and how, in Markdown. */
  readonly text: string;
  readonly table: string;
}

export function renderSection({ title, text, table }: Section): string {
  return `## ${title}\n\n${text}\n\n${table}\n`;
}

/** A Markdown table whose first column is text and whose others are figures. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

/** `median (min–max)`. */
export function spread(values: readonly number[], digits: number): string {
  const show = (value: number) =>
    value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${show(median(values))} (${show(Math.min(...values))}–${show(Math.max(...values))})`;
}

/** NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length / 2;
  if (!Number.isInteger(middle)) return sorted[Math.floor(middle)] ?? Number.NaN;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}
