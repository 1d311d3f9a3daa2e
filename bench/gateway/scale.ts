/** How throughput and CPU change with `BIFROST_FRONTENDS` and `BIFROST_WORKERS`, and with open streams: `npm run bench -- scale`. */
import { availableParallelism } from "node:os";
import { markdownTable, showFigure } from "../page.ts";
import type { Figure, FigureSpec, Section } from "../report.ts";
import { measureStreams } from "./many-streams.ts";
import { memoryOf } from "./process.ts";
import { cpuOf, type Pace, perSecond, type Setting, through } from "./scenario.ts";
import { type Server, Stage, type Threads } from "./stage.ts";

interface Curve {
  readonly section: Section;
  readonly variable: keyof Threads;
  readonly figures: Readonly<Record<string, FigureSpec>>;
  readonly measure: (setting: Setting, server: Server) => Promise<Readonly<Record<string, number>>>;
}

const mib = 1024 * 1024;
const largeRate = 10;
const smallRate = 200;

const cores = `This machine has ${availableParallelism()} cores, which the load generator and the upstream share.`;
const curves: readonly Curve[] = [
  {
    section: {
      title: "BIFROST_FRONTENDS",
      text: `The standard gateway, requests of 1 KB, 64 connections that send as soon as they have their answer. ${cores}`,
    },
    variable: "frontends",
    figures: {
      relayRate: { name: "relayed", unit: "/s", better: "higher" },
      relay: { name: "relayed, a request", unit: "CPU-µs", better: "lower" },
      translateRate: { name: "translated", unit: "/s", better: "higher" },
      translate: { name: "translated, a request", unit: "CPU-µs", better: "lower" },
      memory: { name: "memory", unit: "MiB", better: "lower" },
    },
    measure: async (setting, server) => {
      const relay = await through(setting, server, "relay");
      const translate = await through(setting, server, "translate");
      return {
        relayRate: perSecond(relay),
        relay: cpuOf(relay),
        translateRate: perSecond(translate),
        translate: cpuOf(translate),
        memory: memoryIn(server),
      };
    },
  },
  {
    section: {
      title: "BIFROST_WORKERS",
      text:
        "One front end, 8 connections that send requests of 5 MB, whose hashing is a worker's, as soon as they have their\n" +
        `answer; then ${largeRate} of them a second beside ${smallRate} small requests. ${cores}`,
    },
    variable: "workers",
    figures: {
      rate: { name: "5 MB, relayed", unit: "/s", better: "higher" },
      cpu: { name: "5 MB, a request", unit: "CPU-µs", better: "lower" },
      small: { name: "small beside them, p99", unit: "ms", better: "lower" },
      memory: { name: "memory", unit: "MiB", better: "lower" },
    },
    measure: async (setting, server) => {
      const measureMs = setting.pace.latencyMs;
      const large = await through(setting, server, "relay", { measureMs, body: "5 MB", connections: 8 });
      const [small] = await Promise.all([
        through(setting, server, "relay", { rate: smallRate, measureMs }),
        through(setting, server, "relay", { rate: largeRate, measureMs, body: "5 MB", connections: 8 }),
      ]);
      return {
        rate: perSecond(large),
        cpu: cpuOf(large),
        small: small.latency.p99 / 1000,
        memory: memoryIn(server),
      };
    },
  },
];

/** @param most of each kind of thread: 1, 2, 4 and so on up to it, and it */
export async function runScale(most: number, pace: Pace, progress: (text: string) => void) {
  const sections: Section[] = [];
  const figures: Figure[] = [];
  for (const curve of curves) {
    const measured = await measureCurve(curve, countsTo(most), pace, progress);
    figures.push(...measured);
    sections.push({
      ...curve.section,
      text: `${curve.section.text}\n\n${curveTable(curve, countsTo(most), measured)}`,
    });
  }
  const streams = await measureStreams(pace, progress);
  return { sections: [...sections, ...streams.sections], figures: [...figures, ...streams.figures] };
}

/** Every point of the curve in each round. */
async function measureCurve(curve: Curve, counts: readonly number[], pace: Pace, progress: (text: string) => void) {
  await using stage = new Stage();
  const setting: Setting = { stage, pace };
  const points: { readonly count: number; readonly server: Server; readonly rounds: Record<string, number>[] }[] = [];
  for (const count of counts) {
    const { server } = await stage.startGateway("crowd", { [curve.variable]: count });
    points.push({ count, server, rounds: [] });
  }
  for (let round = 0; round <= pace.rounds; round++) {
    for (const { count, server, rounds } of points) {
      progress(`${curve.section.title}=${count}, ${round === 0 ? "warming up" : `round ${round} of ${pace.rounds}`}`);
      const values = await curve.measure(setting, server);
      if (round > 0) rounds.push({ ...values });
    }
  }
  return points.flatMap(({ count, rounds }) =>
    Object.entries(curve.figures).map(
      ([key, spec]): Figure => ({
        ...spec,
        id: figureId(curve, count, key),
        // Their table is part of the section's text.
        section: `${curve.section.title}=${count}`,
        values: rounds.map((values) => values[key] ?? Number.NaN),
      }),
    ),
  );
}

function curveTable(curve: Curve, counts: readonly number[], figures: readonly Figure[]): string {
  const specs = Object.entries(curve.figures);
  const rows = counts.map((count) => [
    String(count),
    ...specs.map(([key]) => {
      const figure = figures.find(({ id }) => id === figureId(curve, count, key));
      return figure === undefined ? "" : showFigure(figure);
    }),
  ]);
  return markdownTable([curve.section.title, ...specs.map(([, { name }]) => name)], rows);
}

function figureId(curve: Curve, count: number, key: string): string {
  return `scale.${curve.variable}.${count}.${key}`;
}

/** 1, 2, 4 and so on below `most`, and `most`. */
export function countsTo(most: number): number[] {
  const counts: number[] = [];
  for (let count = 1; count < most; count *= 2) counts.push(count);
  return [...counts, most];
}

function memoryIn({ pid }: Server): number {
  return pid === undefined ? Number.NaN : memoryOf(pid) / mib;
}
