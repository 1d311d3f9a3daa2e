/** What is measured of the running gateway. */
import type { JobResult } from "./load.ts";
import { memoryOf } from "./process.ts";
import { ask, type Server, Stage } from "./stage.ts";
import { burstPath, conversePath, framesPerStream, pacedPath, translateBurstPath, translatePath } from "./traffic.ts";

/** How long and how often. Milliseconds. */
export interface Pace {
  readonly rounds: number;
  /** Before each measured window. */
  readonly warmupMs: number;
  readonly measureMs: number;
  /** The window for latencies, whose 99th percentile needs more requests. */
  readonly latencyMs: number;
}

/** A row of the table. */
export interface Figure {
  readonly name: string;
  readonly digits: number;
  /** What it should be at most. */
  readonly bar?: number;
}

interface Setting {
  readonly stage: Stage;
  readonly pace: Pace;
  /** The fake Bedrock itself. */
  readonly direct: Server;
  /** A gateway in front of it. */
  readonly relay: Server;
  /** A gateway in front of it as an OpenAI server. */
  readonly translate: Server;
  /** A gateway whose client has a virtual key with limits, and its twin without: each sees only what the other sees. */
  readonly governed: Server;
  readonly ungoverned: Server;
  /** A gateway without any provider. */
  readonly mock: Server;
  /** What an answer to each path has in bytes. */
  readonly lengths: ReadonlyMap<string, number>;
}

interface Scenario {
  readonly name: ScenarioName;
  readonly figures: readonly Figure[];
  /** @returns a value for each of the figures */
  readonly measure: (setting: Setting) => Promise<readonly number[]>;
}

export const scenarioNames = ["converse", "governed", "translated", "mock", "latency", "burst", "paced"] as const;
export type ScenarioName = (typeof scenarioNames)[number];

const connections = 64;
const rate = 500;
const mib = 1024 * 1024;

const scenarios: readonly Scenario[] = [
  {
    name: "converse",
    figures: [
      { name: "relayed Converse: CPU µs per request", digits: 1, bar: 150 },
      { name: "relayed Converse: requests/s", digits: 0 },
      { name: "the fake Bedrock asked directly: its CPU µs per request", digits: 1 },
      { name: "the fake Bedrock asked directly: requests/s", digits: 0 },
      { name: "CPU of the gateway to that of the fake asked directly", digits: 1 },
    ],
    measure: async (setting) => {
      const direct = await load(setting, setting.direct, conversePath);
      const relayed = await load(setting, setting.relay, conversePath);
      const [ours, theirs] = [cpuPerRequest(relayed), cpuPerRequest(direct)];
      return [ours, perSecond(relayed), theirs, perSecond(direct), ours / theirs];
    },
  },
  {
    name: "governed",
    figures: [
      { name: "relayed Converse with a virtual key: CPU µs per request", digits: 1, bar: 150 },
      { name: "what its two budgets and two limits add: CPU µs per request", digits: 1, bar: 10 },
    ],
    measure: async (setting) => {
      const { governed, ungoverned } = setting;
      const cost = async (server: Server) => cpuPerRequest(await load(setting, server, conversePath));
      // In this order what changes evenly over time meets both alike.
      const [first, second, third, fourth] = [
        await cost(ungoverned),
        await cost(governed),
        await cost(governed),
        await cost(ungoverned),
      ];
      return [(second + third) / 2, (second + third) / 2 - (first + fourth) / 2];
    },
  },
  {
    name: "translated",
    figures: [
      { name: "Converse translated for OpenAI: CPU µs per request", digits: 1, bar: 150 },
      { name: "Converse translated for OpenAI: requests/s", digits: 0 },
      { name: "ConverseStream translated for OpenAI, all at once: CPU µs per frame", digits: 2, bar: 6 },
    ],
    measure: async (setting) => {
      const whole = await load(setting, setting.translate, translatePath);
      const frames = await streams(setting, setting.translate, translateBurstPath);
      return [cpuPerRequest(whole), perSecond(whole), frames.cpu];
    },
  },
  {
    name: "mock",
    figures: [
      { name: "mock Converse: CPU µs per request", digits: 1 },
      { name: "mock Converse: requests/s", digits: 0 },
    ],
    measure: async (setting) => {
      const result = await load(setting, setting.mock, conversePath);
      return [cpuPerRequest(result), perSecond(result)];
    },
  },
  {
    name: "latency",
    figures: [
      { name: `relayed Converse at ${rate}/s: added p50, µs`, digits: 0 },
      { name: `relayed Converse at ${rate}/s: added p99, µs`, digits: 0 },
      { name: `relayed Converse at ${rate}/s: CPU µs per request`, digits: 1 },
    ],
    measure: async (setting) => {
      const plain = await load(setting, setting.direct, conversePath, setting.pace.latencyMs, rate);
      const relayed = await load(setting, setting.relay, conversePath, setting.pace.latencyMs, rate);
      return [relayed.p50 - plain.p50, relayed.p99 - plain.p99, cpuPerRequest(relayed)];
    },
  },
  {
    name: "burst",
    figures: [
      { name: "relayed ConverseStream, all at once: CPU µs per frame", digits: 2, bar: 5 },
      { name: "relayed ConverseStream, all at once: frames/s", digits: 0 },
    ],
    measure: async (setting) => {
      const frames = await streams(setting, setting.relay, burstPath);
      return [frames.cpu, frames.perSecond];
    },
  },
  {
    name: "paced",
    figures: [
      { name: "relayed ConverseStream, a frame every 10 ms: CPU µs per frame", digits: 2 },
      { name: "relayed ConverseStream, a frame every 10 ms: frames/s", digits: 0 },
    ],
    measure: async (setting) => {
      const frames = await streams(setting, setting.relay, pacedPath);
      return [frames.cpu, frames.perSecond];
    },
  },
];

/** All values of a figure, one for each round; or why there are none. */
export interface Outcome {
  readonly figure: Figure;
  readonly values: readonly number[];
  readonly problem?: string;
}

/** Measures the scenarios in rounds, each round all of them, so that a slow minute of the machine meets all alike. */
export async function runScenarios(
  names: ReadonlySet<string>,
  pace: Pace,
  progress: (text: string) => void,
): Promise<Outcome[]> {
  const chosen = scenarios.filter(({ name }) => names.has(name));
  if (chosen.length === 0) return [];
  progress("starting a fake upstream and five gateways");
  await using stage = new Stage();
  const direct = await stage.startUpstream();
  const relay = await stage.startGateway("relay", direct);
  const governed = await stage.startGateway("governed", direct);
  const ungoverned = await stage.startGateway("ungoverned", direct);
  const translate = await stage.startGateway("translate", direct);
  const mock = await stage.startGateway("mock", direct);
  const lengths = await compareAnswers(direct, relay);
  lengths.set(translateBurstPath, (await ask(translate, translateBurstPath)).length);

  const problems = new Map<Scenario, string>();
  const rounds = new Map<Scenario, (readonly number[])[]>(chosen.map((scenario) => [scenario, []]));
  for (let round = 0; round <= pace.rounds; round++) {
    for (const scenario of chosen) {
      if (problems.has(scenario)) continue;
      progress(round === 0 ? `warming up: ${scenario.name}` : `round ${round} of ${pace.rounds}: ${scenario.name}`);
      try {
        const setting = {
          stage,
          pace: round === 0 ? warmUp(pace) : pace,
          direct,
          relay,
          governed,
          ungoverned,
          translate,
          mock,
          lengths,
        };
        const values = await scenario.measure(setting);
        if (round > 0) rounds.get(scenario)?.push(values);
      } catch (error) {
        problems.set(scenario, error instanceof Error ? error.message : String(error));
      }
    }
  }
  const outcomes = chosen.flatMap((scenario) =>
    outcomesOf(scenario, rounds.get(scenario) ?? [], problems.get(scenario)),
  );
  return [
    ...outcomes,
    ...memoryOutcomes("relaying gateway", relay),
    ...(names.has("governed") ? memoryOutcomes("gateway with a virtual key", governed) : []),
  ];
}

/** Compiled code is what is measured, so every scenario runs once before the first round; what it says is forgotten. */
function warmUp(pace: Pace): Pace {
  const measureMs = Math.min(1000, pace.measureMs);
  return { ...pace, measureMs, latencyMs: measureMs };
}

/** @throws Error when the gateway does not pass on the same bytes: then it does not do the work that is measured */
async function compareAnswers(direct: Server, relay: Server): Promise<Map<string, number>> {
  const lengths = new Map<string, number>();
  for (const path of [conversePath, burstPath, pacedPath]) {
    const [sent, got] = [await ask(direct, path), await ask(relay, path)];
    if (!sent.equals(got)) {
      throw new Error(`${path}: the gateway answers ${got.length} other bytes than the ${sent.length} that were sent`);
    }
    lengths.set(path, sent.length);
  }
  return lengths;
}

function outcomesOf(
  scenario: Scenario,
  rounds: readonly (readonly number[])[],
  problem: string | undefined,
): Outcome[] {
  return scenario.figures.map((figure, n) =>
    problem === undefined
      ? { figure, values: rounds.map((values) => values[n] ?? Number.NaN) }
      : { figure, values: [], problem },
  );
}

function memoryOutcomes(name: string, { pid }: Server): Outcome[] {
  const { now, peak } = memoryOf(pid);
  return [
    { figure: { name: `${name}: memory after the load, MiB`, digits: 0 }, values: [now / mib] },
    { figure: { name: `${name}: memory at its highest, MiB`, digits: 0 }, values: [peak / mib] },
  ];
}

/** As many requests as are answered, or `perSecond` of them. */
function load(
  { stage, pace, mock, translate, lengths }: Setting,
  server: Server,
  path: string,
  measureMs = pace.measureMs,
  perSecond?: number,
): Promise<JobResult> {
  // Answers that the gateway writes itself tell their own latency, in more or fewer digits.
  const length = server === mock || server === translate ? undefined : lengths.get(path);
  return stage.load({
    server,
    path,
    connections,
    warmupMs: pace.warmupMs,
    measureMs,
    ...(perSecond !== undefined && { rate: perSecond }),
    ...(length !== undefined && { expectedBytes: length }),
  });
}

/** Frames are counted by their bytes, so that streams count that are under way when the window opens or shuts. */
async function streams(
  setting: Setting,
  server: Server,
  path: string,
): Promise<{ readonly cpu: number; readonly perSecond: number }> {
  const result = await load(setting, server, path);
  const frames = (result.bodyBytes / (setting.lengths.get(path) ?? Number.NaN)) * framesPerStream;
  return { cpu: (result.cpu[0] ?? Number.NaN) / frames, perSecond: (frames / result.durationMs) * 1000 };
}

function cpuPerRequest(result: JobResult): number {
  return (result.cpu[0] ?? Number.NaN) / result.requests;
}

function perSecond(result: JobResult): number {
  return (result.requests / result.durationMs) * 1000;
}
