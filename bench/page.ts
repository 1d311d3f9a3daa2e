/** A report as a page of Markdown. */
import type { Bar, Figure, Report, Unit } from "./report.ts";
import { median } from "./statistics.ts";

export function renderPage(report: Report): string {
  const { date, command, machine, versions, figures } = report;
  const bars = figures.filter(({ bar }) => bar !== undefined);
  const parts = [
    `# Benchmarks\n\nWritten by \`${command}\` on ${date.slice(0, 10)}; do not edit.\n`,
    `- ${machine}\n${Object.entries(versions)
      .map(([name, version]) => `- ${name} ${version}\n`)
      .join("")}`,
    "Figures are the median of the rounds, with the lowest and the highest in parentheses. A figure that could not be\nmeasured says why.\n",
  ];
  if (bars.length > 0)
    parts.push(
      `## The bars\n\n${summary(bars)}\n\n${table(bars.map((figure) => ({ ...figure, name: `${figure.section}: ${figure.name}` })))}\n`,
    );
  return [...parts, renderSections(report, "##")].join("\n");
}

/** @param heading the mark of its level */
export function renderSections({ sections, figures }: Pick<Report, "sections" | "figures">, heading: string): string {
  return sections
    .map(({ title, text }) => {
      const rows = figures.filter(({ section }) => section === title);
      return `${heading} ${title}\n\n${text}\n${rows.length > 0 ? `\n${table(rows)}\n` : ""}`;
    })
    .join("\n");
}

/** Replaces what stands between two comments in a page that is written by hand otherwise. @throws Error without them */
export function replaceBetween(page: string, name: string, text: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`the page has no ${begin} … ${end}`);
  return `${page.slice(0, from + begin.length)}\n\n${text.trim()}\n\n${page.slice(to)}`;
}

function summary(bars: readonly Figure[]): string {
  const count = (wanted: Verdict) => bars.filter((figure) => verdictOf(figure) === wanted).length;
  return `${count("pass")} pass, ${count("miss")} miss, ${count("not measured")} not measured.`;
}

function table(figures: readonly Figure[]): string {
  const withBars = figures.some(({ bar }) => bar !== undefined);
  return markdownTable(
    ["", "median (min–max)", ...(withBars ? ["bar", ""] : [])],
    figures.map((figure) => [
      figure.name,
      showFigure(figure),
      ...(withBars ? [showBar(figure), figure.bar === undefined ? "" : verdictOf(figure)] : []),
    ]),
  );
}

export type Verdict = "pass" | "miss" | "not measured";

/** @returns whether the median is within the bar; a figure without a bar passes */
export function verdictOf({ bar, values }: Pick<Figure, "bar" | "values">): Verdict {
  if (values.length === 0) return "not measured";
  return bar === undefined || within(median(values), bar) ? "pass" : "miss";
}

function within(value: number, bar: Bar): boolean {
  return "most" in bar ? value <= bar.most : value >= bar.least;
}

export function showFigure({ values, unit, problem }: Figure): string {
  if (problem !== undefined) return `not measured: ${problem.split("\n")[0]}`;
  const [only] = values;
  if (values.length === 1 && only !== undefined) return showWithUnit(only, unit);
  return `${showWithUnit(median(values), unit)} (${show(Math.min(...values))}–${show(Math.max(...values))})`;
}

function showBar({ bar, unit }: Figure): string {
  if (bar === undefined) return "";
  return "most" in bar ? `≤ ${showWithUnit(bar.most, unit)}` : `≥ ${showWithUnit(bar.least, unit)}`;
}

function showWithUnit(value: number, unit: Unit): string {
  return unit === "count" ? show(value) : `${show(value)} ${unit}`;
}

/** About three digits, whatever the size; no zeros behind the point. */
export function show(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** A Markdown table whose first column is text and whose others are figures. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}
