/** The command line of `npm run bench`. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { type GivenPeer, readPeer } from "./gateway/peers.ts";
import type { Pace } from "./gateway/scenario.ts";
import type { MicroPace } from "./micro.ts";

export const modes = ["all", "gateway", "micro", "scale", "soak", "compare"] as const;
export type Mode = (typeof modes)[number];

export interface Options {
  readonly mode: Mode;
  readonly help: boolean;
  readonly list: boolean;
  readonly strict: boolean;
  /** Without it everything. */
  readonly only: ReadonlySet<string> | undefined;
  readonly pace: Pace;
  readonly micro: MicroPace;
  readonly peers: readonly GivenPeer[];
  readonly upstreamPort: number;
  readonly most: number;
  readonly minutes: number;
  readonly tolerance: number;
  readonly json: string | undefined;
  readonly page: string | undefined;
  /** Files to compare. */
  readonly files: readonly string[];
}

export const help = `npm run bench -- [MODE] [options]

  (none)        the running gateway and the micro benchmarks: about 11 minutes
  gateway       the running gateway, beside nginx and Portkey where they can be had: about 9 minutes
  micro         the micro benchmarks: about 2 minutes
  scale         throughput and CPU over 1, 2, 4… front ends and workers, and thousands of open streams: about 7 minutes on 2 cores
  soak          everything at once for long, and whether memory stays flat
  compare A B   two results of --json; exit code 1 when B is worse than A beyond noise

  --quick            short windows and one round: under two minutes, and figures that say little
  --rounds N         1 to 20 (gateway 5, micro 3, scale 3)
  --only LIST        scenarios or parts by name, separated by commas; parts that take long run only so
  --list             the names
  --json FILE        writes the result
  --page FILE        writes it as Markdown; in scale, between the comments of an existing page
  --strict           exit code 1 when a bar is missed
  --rest SECONDS     before memory is looked at for the last time (10; soak 600)
  --minutes N        how long to soak (60)
  --most N           the most front ends and workers of scale (the machine's cores)
  --tolerance PART   of compare: what may differ between two runs of the same code (0.1)
  --peer NAME=http://127.0.0.1:PORT[,pid=N]
                     another gateway with OpenAI's API, started by you in front of http://127.0.0.1:UPSTREAM as OpenAI,
                     that serves gpt-4o; with its process id its CPU is measured. May be given several times
  --upstream-port N  UPSTREAM: where the fake upstream listens (any free port)
  --help

Progress goes to standard error, the page to standard output. Noise of compare: the largest of how far the quarters of the
rounds lie apart in A, the same in B, and the tolerance; fewer than three rounds are not judged.
nginx is used when it is on the PATH. Portkey is installed from npm into ~/.cache/bifrost-bench when it is first needed.
`;

const thorough: Pace = { rounds: 5, warmupMs: 300, measureMs: 900, latencyMs: 2300, holdMs: 2500, restMs: 10_000 };
const quick: Pace = { rounds: 1, warmupMs: 150, measureMs: 300, latencyMs: 1000, holdMs: 1000, restMs: 2000 };
const microPace: MicroPace = { rounds: 3, caseMs: 150 };
const microQuick: MicroPace = { rounds: 1, caseMs: 50 };

/** @returns what is wrong with the command line, if anything is */
export function readOptions(args: readonly string[]): Options | string {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { values, positionals } = parsed;
  const [named = "all", ...files] = positionals;
  const mode = modes.find((one) => one === named);
  if (mode === undefined) return `there is no mode ${JSON.stringify(named)}`;
  if (files.length !== (mode === "compare" ? 2 : 0) && !values.help)
    return mode === "compare" ? "compare takes two files" : `${mode} takes no file`;
  const problems: string[] = [];
  const number = (name: "rounds" | "rest" | "minutes" | "most" | "tolerance" | "upstream-port", bounds: Bounds) => {
    const text = values[name];
    if (text === undefined) return bounds.otherwise;
    const value = Number(text);
    if (value >= bounds.min && value <= bounds.max && (bounds.whole !== true || Number.isInteger(value))) return value;
    problems.push(
      `--${name} takes a ${bounds.whole === true ? "whole " : ""}number from ${bounds.min} to ${bounds.max}`,
    );
    return bounds.otherwise;
  };
  const pace = values.quick ? quick : thorough;
  const micro = values.quick ? microQuick : microPace;
  const usualRounds = mode === "scale" && !values.quick ? 3 : pace.rounds;
  const restSeconds = mode === "soak" && !values.quick ? 600 : pace.restMs / 1000;
  const rounds = (otherwise: number) => number("rounds", { min: 1, max: 20, whole: true, otherwise });
  const peers = (values.peer ?? []).map(readPeer);
  const options: Options = {
    mode,
    help: values.help,
    list: values.list,
    strict: values.strict,
    only: values.only === undefined ? undefined : new Set(values.only.split(",")),
    pace: {
      ...pace,
      rounds: rounds(usualRounds),
      restMs: 1000 * number("rest", { min: 0, max: 86_400, otherwise: restSeconds }),
    },
    micro: { ...micro, rounds: rounds(micro.rounds) },
    peers: peers.filter((peer) => typeof peer !== "string"),
    upstreamPort: number("upstream-port", { min: 0, max: 65_535, whole: true, otherwise: 0 }),
    most: number("most", { min: 1, max: 256, whole: true, otherwise: availableParallelism() }),
    minutes: number("minutes", { min: 0.1, max: 10_000, otherwise: 60 }),
    tolerance: number("tolerance", { min: 0, max: 1, otherwise: 0.1 }),
    json: values.json,
    page: values.page,
    files,
  };
  return problems[0] ?? peers.find((peer) => typeof peer === "string") ?? options;
}

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly whole?: boolean;
  readonly otherwise: number;
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      strict: { type: "boolean", default: false },
      rounds: { type: "string" },
      only: { type: "string" },
      json: { type: "string" },
      page: { type: "string" },
      rest: { type: "string" },
      minutes: { type: "string" },
      most: { type: "string" },
      tolerance: { type: "string" },
      peer: { type: "string", multiple: true },
      "upstream-port": { type: "string" },
    },
  });
}
