/** Hours of everything at once, and whether memory stays flat: `npm run bench -- soak`. */
import { planModel } from "../load/traffic.ts";
import { markdownTable } from "../page.ts";
import type { Figure, Section } from "../report.ts";
import { median } from "../statistics.ts";
import { failingProvider } from "./configs.ts";
import { memoryOf, openFilesOf } from "./process.ts";
import { pathOf } from "./scenario.ts";
import { type Load, Stage } from "./stage.ts";

export interface SoakSample {
  /** Since the beginning. */
  readonly minutes: number;
  /** Median of the slice, whole process tree. */
  readonly mib: number;
  readonly openFiles: number;
  /** In the slice. */
  readonly requests: number;
  readonly errors: number;
}

export interface SoakOptions {
  readonly minutes: number;
  /** After the load. Milliseconds. */
  readonly restMs: number;
  readonly progress: (text: string) => void;
}

const mostSlices = 60;
const fewestSlices = 8;
const sampleMs = 1000;
const mebi = 1024 * 1024;
/** Growth from the second quarter to the last that is no leak. */
const tolerated = { part: 0.05, mib: 16, files: 50 };

type Flow = Omit<Load, "server" | "warmupMs" | "measureMs">;

const path = (lane: "relay" | "translate", streams = false) => pathOf(lane, { streams });
const failing = (model: string, operation: string) =>
  `/model/${encodeURIComponent(`${failingProvider}/${model}`)}/${operation}`;
const longStream = { kind: "events", count: 500, gapMs: 20 } as const;
const flows: readonly Flow[] = [
  { path: path("relay"), body: "1 KB", connections: 32, rate: 150 },
  { path: path("translate"), body: "1 KB", connections: 32, rate: 100 },
  { path: path("relay", true), body: "1 KB", connections: 16, rate: 20 },
  { path: path("translate", true), body: "1 KB", connections: 16, rate: 20 },
  {
    path: pathOf("relay", { streams: true, plan: longStream }),
    body: "1 KB",
    connections: 16,
    rate: 10,
    ending: "leave",
  },
  { path: path("relay"), body: "5 MB", connections: 4, rate: 1 },
  { path: path("translate"), body: "5 MB", connections: 4, rate: 1 },
  {
    path: failing(planModel({ kind: "fail", status: 500 }), "converse"),
    body: "1 KB",
    connections: 8,
    rate: 10,
    ending: "failure",
  },
  {
    path: failing(planModel({ kind: "cut" }), "converse-stream"),
    body: "1 KB",
    connections: 8,
    rate: 10,
    ending: "any",
  },
];
const what =
  "A gateway with a virtual key, the request log and traces under, each second, 250 requests of 1 KB, 40 streams, 10\n" +
  "clients that leave a stream, two requests of 5 MB, 10 requests to an upstream that fails and 10 to one that breaks off.";

export async function runSoak({ minutes, restMs, progress }: SoakOptions) {
  const totalMs = minutes * 60_000;
  const slices = Math.max(fewestSlices, Math.min(mostSlices, Math.floor(totalMs / 10_000)));
  await using stage = new Stage();
  const { server } = await stage.startGateway("observed");
  const pid = server.pid;
  const samples: SoakSample[] = [];
  const started = performance.now();
  for (let slice = 1; slice <= slices; slice++) {
    const memory: number[] = [];
    const timer = setInterval(() => memory.push(memoryOf(pid) / mebi), Math.min(sampleMs, totalMs / slices / 4));
    const loads = await Promise.all(
      flows.map((flow) => stage.tryLoad({ ...flow, server, warmupMs: 0, measureMs: totalMs / slices })),
    );
    clearInterval(timer);
    const problem = loads.find(({ firstError }) => firstError !== undefined)?.firstError;
    const sample: SoakSample = {
      minutes: (performance.now() - started) / 60_000,
      mib: median(memory),
      openFiles: openFilesOf(pid),
      requests: loads.reduce((sum, { requests }) => sum + requests, 0),
      errors: loads.reduce((sum, { errors }) => sum + errors, 0),
    };
    samples.push(sample);
    progress(
      `${sample.minutes.toFixed(1)} of ${minutes} minutes: ${sample.mib.toFixed(0)} MiB, ${sample.openFiles} open files, ` +
        `${sample.requests} requests, ${sample.errors} errors${problem === undefined ? "" : ` (${problem})`}`,
    );
  }
  progress(`resting ${restMs / 1000} s`);
  await new Promise((resolve) => setTimeout(resolve, restMs));
  const rested = memoryOf(pid) / mebi;
  return { verdict: judge(samples), ...reportOf(samples, rested, restMs) };
}

export type SoakVerdict = "flat" | "growing" | "failing";

/**
 * Growing: the last quarter's median is above that of the second by more than what a heap breathes. The first quarter is
 * not looked at: caches and compiled code fill there. Failing: a request was not answered as it should be.
 */
export function judge(samples: readonly SoakSample[]): SoakVerdict {
  if (samples.some(({ errors }) => errors > 0)) return "failing";
  const quarter = (n: number) =>
    samples.slice(Math.floor((samples.length * n) / 4), Math.floor((samples.length * (n + 1)) / 4));
  const [early, late] = [quarter(1), quarter(3)];
  const of = (some: readonly SoakSample[], key: "mib" | "openFiles") => median(some.map((sample) => sample[key]));
  const memory = of(early, "mib");
  const grown = of(late, "mib") - memory;
  const files = of(late, "openFiles") - of(early, "openFiles");
  return grown > Math.max(tolerated.mib, tolerated.part * memory) || files > tolerated.files ? "growing" : "flat";
}

function reportOf(samples: readonly SoakSample[], rested: number, restMs: number) {
  const verdict = judge(samples);
  const rows = samples.map(({ minutes, mib, openFiles, requests, errors }) => [
    minutes.toFixed(1),
    mib.toFixed(0),
    ...[openFiles, requests, errors].map(String),
  ]);
  const section: Section = {
    title: "Soak",
    text: `${what} Verdict: **${verdict}**.\n\n${markdownTable(["minutes", "MiB", "open files", "requests", "errors"], rows)}`,
  };
  const memory = (id: string, name: string, value: number): Figure => ({
    id: `soak.${id}`,
    section: section.title,
    name,
    unit: "MiB",
    better: "lower",
    values: [value],
  });
  const last = samples.slice(-Math.ceil(samples.length / 4)).map(({ mib }) => mib);
  const figures = [
    memory("late", "memory in the last quarter", median(last)),
    memory("rested", `memory after a rest of ${restMs / 1000} s`, rested),
  ];
  return { sections: [section], figures };
}
