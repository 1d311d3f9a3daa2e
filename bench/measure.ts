/** Measuring functions with tinybench. */
import { Bench } from "tinybench";

export interface Case {
  readonly name: string;
  /** Does the work `times` times, so that what takes nanoseconds is longer than reading the clock. */
  readonly run: () => unknown;
  /** 1 by default. */
  readonly times?: number;
}

/**
 * Measures the cases one after the other.
 *
 * @param ms how long each runs, after a warm-up of a quarter of it
 * @returns median microseconds of doing the work once, in the order of the cases
 */
export async function medians(cases: readonly Case[], ms: number): Promise<number[]> {
  const bench = new Bench({ time: ms, warmupTime: ms / 4, iterations: 10, warmupIterations: 5, throws: true });
  for (const { name, run } of cases) bench.add(name, run);
  await bench.run();
  return bench.tasks.map(({ result }, n) => {
    if (result.state !== "completed") throw new Error(`the measurement ended as ${result.state}`);
    return (result.latency.p50 * 1000) / (cases[n]?.times ?? 1);
  });
}
