/** Measuring functions with tinybench, and what all micro benchmarks have in common. */
import { fileURLToPath } from "node:url";
import { Bench } from "tinybench";
import { markdownTable, show } from "./page.ts";
import type { FigureSpec, Section } from "./report.ts";

/** A micro benchmark: some cases that belong together. */
export interface Part extends Section {
  readonly name: string;
  /** A study that takes long and is the same every time: measured once, and only when it is asked for by its name. */
  readonly study?: boolean;
  /** @param ms how long each case is measured */
  readonly measure: (ms: number) => Promise<readonly Row[]>;
}

export interface Row extends FigureSpec {
  readonly value: number;
}

export interface Case {
  readonly name: string;
  /** Does the work `times` times, so that what takes nanoseconds is longer than reading the clock. */
  readonly run: () => unknown;
  /** 1 by default. */
  readonly times?: number;
  /** Microseconds that doing it once may take. */
  readonly most?: number;
  /** What ours is held against: no change of it is a regression of ours. */
  readonly theirs?: boolean;
}

/** Measures the cases one after the other. @returns median microseconds of doing the work once, in the order of the cases */
export async function rowsOf(cases: readonly Case[], ms: number): Promise<Row[]> {
  const micros = await medians(cases, ms);
  return cases.map(({ name, most, theirs }, n) => ({
    name,
    unit: "µs",
    better: theirs === true ? "none" : "lower",
    ...(most !== undefined && { bar: { most } }),
    value: micros[n] ?? Number.NaN,
  }));
}

/** A warm-up of a quarter of `ms` goes before. */
async function medians(cases: readonly Case[], ms: number): Promise<number[]> {
  const bench = new Bench({ time: ms, warmupTime: ms / 4, iterations: 10, warmupIterations: 5, throws: true });
  for (const { name, run } of cases) bench.add(name, run);
  await bench.run();
  return bench.tasks.map(({ result }, n) => {
    if (result.state !== "completed") throw new Error(`the measurement ended as ${result.state}`);
    return (result.latency.p50 * 1000) / (cases[n]?.times ?? 1);
  });
}

/** A case whose work is done so many times in one go. */
export function repeated(name: string, times: number, work: () => unknown, more: Partial<Case> = {}): Case {
  return { name, times, run: () => repeat(times, work), ...more };
}

/** @returns the last result, so that the work cannot be left out as useless */
function repeat(times: number, work: () => unknown): unknown {
  let result: unknown;
  for (let n = 0; n < times; n++) result = work();
  return result;
}

/** Prints the parts of a file that was started by itself: `npx tsx bench/frames.ts`. */
export async function printParts(parts: readonly Part[], ms = 1000): Promise<void> {
  for (const { title, text, measure } of parts) {
    const rows = (await measure(ms)).map(({ name, value, unit }) => [name, `${show(value)} ${unit}`]);
    console.log(`## ${title}\n\n${text}\n\n${markdownTable(["", "median"], rows)}\n`);
  }
}

/** Whether this file is what `node` was started with. @param url `import.meta.url` */
export function isStarted(url: string): boolean {
  return process.argv[1] === fileURLToPath(url);
}
