/** The micro benchmarks, all in one form: `npm run bench -- micro`. */
import * as admission from "./admission.ts";
import * as balance from "./balance.ts";
import * as cacheQuality from "./cache-quality.ts";
import * as cacheSpeed from "./cache-speed.ts";
import * as frames from "./frames.ts";
import * as hop from "./hop.ts";
import * as keys from "./keys.ts";
import type { Part, Row } from "./measure.ts";
import * as metrics from "./metrics.ts";
import { type Figure, NotMeasured } from "./report.ts";
import * as requestLog from "./request-log.ts";
import * as sign from "./sign.ts";
import * as traces from "./traces.ts";
import * as translate from "./translate.ts";

const modules = [
  frames,
  sign,
  translate,
  keys,
  admission,
  cacheSpeed,
  hop,
  metrics,
  traces,
  requestLog,
  cacheQuality,
  balance,
];
export const parts: readonly Part[] = modules.flatMap((module) => module.parts);

/** How long and how often. */
export interface MicroPace {
  readonly rounds: number;
  /** Each case in each round. Milliseconds. */
  readonly caseMs: number;
}

export async function runMicro(
  chosen: readonly Part[],
  { rounds, caseMs }: MicroPace,
  progress: (text: string) => void,
): Promise<Figure[]> {
  const problems = new Map<Part, string>();
  const measured = new Map<Part, (readonly Row[])[]>(chosen.map((part) => [part, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const part of chosen) {
      if (part.study === true && round > 1) continue;
      progress(`micro, round ${round} of ${rounds}: ${part.name}`);
      try {
        measured.get(part)?.push(await part.measure(caseMs));
      } catch (error) {
        if (!(error instanceof NotMeasured)) throw error;
        problems.set(part, error.message);
      }
    }
  }
  return [...measured].flatMap(([part, rows]) => {
    const problem = problems.get(part);
    return problem === undefined ? figuresOf(part, rows) : [notMeasured(part, problem)];
  });
}

function notMeasured({ name: part, title }: Part, problem: string): Figure {
  return { id: `micro.${part}`, section: title, name: title, unit: "count", better: "none", values: [], problem };
}

function figuresOf({ name: part, title }: Part, rounds: readonly (readonly Row[])[]): Figure[] {
  return (rounds[0] ?? []).map(({ value: _first, ...spec }, n) => ({
    ...spec,
    id: `micro.${part}.${spec.name}`,
    section: title,
    values: rounds.map((rows) => rows[n]?.value ?? Number.NaN),
  }));
}
