/** Measures the running gateway: all scenarios in each round, so that a slow minute of the machine meets all alike. */
import { type Figure, NotMeasured, type Section } from "../report.ts";
import { footprint } from "./footprint.ts";
import { latency } from "./latency.ts";
import { type GivenPeer, startNginx, startPortkey } from "./peers.ts";
import { type Pace, pathOf, type Scenario, type Setting } from "./scenario.ts";
import { ask, type Server, Stage } from "./stage.ts";
import { streaming } from "./streaming.ts";
import { nginxScenario, peerScenario, unary } from "./unary.ts";

export interface EndToEnd {
  readonly sections: readonly Section[];
  readonly figures: readonly Figure[];
  /** Of the peers that were there. */
  readonly versions: Readonly<Record<string, string>>;
  /** A scenario ended in an error: not one that lacked something, but a gateway that did not do its work. */
  readonly failed: boolean;
}

export interface Options {
  readonly pace: Pace;
  readonly peers: readonly GivenPeer[];
  /** Where the fake upstream listens, for peers that were started before; 0: any free port. */
  readonly upstreamPort: number;
  /** Names of scenarios. */
  readonly only: (name: string) => boolean;
  readonly progress: (text: string) => void;
}

const usualWarmUpMs = 500;

/** Names of all scenarios. */
export function scenarioNames(peers: readonly GivenPeer[]): string[] {
  const never = () => Promise.reject(new Error("only named"));
  return scenariosFor({ nginx: never, portkey: never }, peers, 0).map(({ name }) => name);
}

export async function runEndToEnd({ pace, peers, upstreamPort, only, progress }: Options): Promise<EndToEnd> {
  await using stage = new Stage(upstreamPort);
  const versions: Record<string, string> = {};
  const starts: Starts = {
    nginx: once(async () => noted(versions, "nginx", await startNginx(stage))),
    portkey: once(async () => noted(versions, "Portkey", await startPortkey(stage))),
  };
  const chosen = scenariosFor(starts, peers, pace.restMs).filter(({ name }) => only(name));
  const runs = chosen.map((scenario) => new ScenarioRun(scenario));
  const rounds = runs.filter(({ scenario }) => scenario.once !== true);
  const setting: Setting = { stage, pace };

  progress("starting the fake upstream and the gateways");
  await compareAnswers(setting);
  for (const [n, run] of rounds.entries()) {
    progress(`warming up ${n + 1} of ${rounds.length}: ${run.scenario.name}`);
    await run.warmUp({ stage, pace: warmUpPace(pace, run.scenario) });
  }
  for (let round = 1; round <= pace.rounds; round++) {
    for (const [n, run] of rounds.entries()) {
      progress(`round ${round} of ${pace.rounds}, ${n + 1} of ${rounds.length}: ${run.scenario.name}`);
      await run.measure(setting);
    }
  }
  for (const run of runs.filter((one) => !rounds.includes(one))) {
    progress(`once: ${run.scenario.name}`);
    await run.measure(setting);
  }
  return {
    sections: [...new Set(chosen.map(({ section }) => section))],
    figures: runs.flatMap((run) => run.figures()),
    versions,
    failed: runs.some(({ failed }) => failed),
  };
}

interface Starts {
  readonly nginx: () => Promise<Server>;
  readonly portkey: () => Promise<Server>;
}

function scenariosFor({ nginx, portkey }: Starts, peers: readonly GivenPeer[], restMs: number): readonly Scenario[] {
  const [first, ...others] = unary;
  return [
    ...(first === undefined ? [] : [first]),
    nginxScenario(nginx),
    peerScenario("Portkey", portkey, { least: 9 }),
    ...peers.map((peer) => peerScenario(peer.name, async () => given(peer))),
    ...others,
    ...latency,
    ...streaming,
    ...footprint(restMs),
  ];
}

function given({ pid, port, prefix }: GivenPeer): Server {
  return { pid, port, prefix, headers: { authorization: "Bearer sk-bench" } };
}

function noted<Peer extends { readonly version: string }>(versions: Record<string, string>, name: string, peer: Peer) {
  versions[name] = peer.version;
  return peer;
}

/** Starts a thing when it is first asked for, and never again, even when that fails. */
function once<Result>(start: () => Promise<Result>): () => Promise<Result> {
  let started: Promise<Result> | undefined;
  return () => {
    started ??= start();
    return started;
  };
}

/** Compiled code is what is measured, so every scenario runs once before the first round; what it says is forgotten. */
function warmUpPace(pace: Pace, { warmUpMs }: Scenario): Pace {
  const measureMs =
    warmUpMs === undefined ? Math.min(usualWarmUpMs, pace.measureMs / 2) : Math.min(warmUpMs, 4 * pace.measureMs);
  return { ...pace, measureMs, latencyMs: measureMs, holdMs: measureMs };
}

/** @throws Error when a gateway does not pass on the same bytes: then it does not do the work that is measured */
async function compareAnswers({ stage }: Setting): Promise<void> {
  const upstream = await stage.upstream();
  for (const name of ["bare", "standard"] as const) {
    const gateway = await stage.gateway(name);
    for (const path of [pathOf("relay", {}), pathOf("relay", { streams: true })]) {
      const [sent, got] = [await ask(upstream, path, "1 KB"), await ask(gateway, path, "1 KB")];
      if (!sent.equals(got))
        throw new Error(
          `${path}: the gateway answers ${got.length} other bytes than the ${sent.length} that were sent`,
        );
    }
    const translated = await ask(gateway, pathOf("translate", {}), "1 KB");
    if (!translated.includes('"stopReason":"end_turn"'))
      throw new Error(`not a Converse answer: ${translated.toString()}`);
  }
}

class ScenarioRun {
  readonly scenario: Scenario;
  failed = false;
  readonly #rounds: Readonly<Record<string, number>>[] = [];
  #problem: string | undefined;

  constructor(scenario: Scenario) {
    this.scenario = scenario;
  }

  /** Its windows may be too short for what is to be seen in them: a failure that is one comes again. */
  async warmUp(setting: Setting): Promise<void> {
    await this.measure(setting);
    this.#rounds.length = 0;
    if (!this.failed) return;
    this.failed = false;
    this.#problem = undefined;
  }

  async measure(setting: Setting): Promise<void> {
    if (this.#problem !== undefined) return;
    try {
      const values = await this.scenario.measure(setting);
      const missing = Object.keys(this.scenario.figures).find((key) => !Number.isFinite(values[key]));
      if (missing !== undefined) throw new Error(`${this.scenario.name} has no value for ${missing}`);
      this.#rounds.push(values);
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
      this.failed = !(error instanceof NotMeasured);
    }
  }

  figures(): Figure[] {
    const { name, section, figures } = this.scenario;
    return Object.entries(figures).map(([key, spec]) => ({
      ...spec,
      id: `${name}.${key}`,
      section: section.title,
      values: this.#problem === undefined ? this.#rounds.map((values) => values[key] ?? Number.NaN) : [],
      ...(this.#problem !== undefined && { problem: this.#problem }),
    }));
  }
}
