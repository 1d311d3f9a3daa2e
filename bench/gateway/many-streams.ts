/** As many streams at a time as the system lets a process have, for `npm run bench -- scale`. */
import { readFileSync } from "node:fs";
import { markdownTable, showFigure } from "../page.ts";
import type { Figure, FigureSpec, Section } from "../report.ts";
import { memoryOf } from "./process.ts";
import { openStreams, type Pace, type Setting } from "./scenario.ts";
import { type Server, Stage } from "./stage.ts";

const most = 10_000;
const few = 1000;
/** Files a gateway has open beside its streams, each of which has two: its client and its upstream. */
const otherFiles = 200;
const gapMs = 5000;
/** So many streams begin in a second. */
const perSecond = 250;
const holdMs = 10_000;
const mib = 1024 * 1024;

const size = (name: string) => ({ name, unit: "MiB", better: "lower" }) as const;
const time = (name: string) => ({ name, unit: "ms", better: "lower" }) as const;
const specs: Readonly<Record<"open" | "after" | "p50" | "p99", FigureSpec>> = {
  open: size("memory while they are open"),
  after: size("memory after a rest"),
  p50: time("added delay of an event, p50"),
  p99: time("p99"),
};

/** Each byte of each stream is compared with what the upstream sent. @throws Error when one is not right */
export async function measureStreams(pace: Pace, progress: (text: string) => void) {
  await using stage = new Stage();
  const setting: Setting = { stage, pace };
  const { server } = await stage.startGateway("crowd");
  const idle = memoryIn(server);
  const allowed = Math.min(most, Math.floor((openFilesLimit() - otherFiles) / 2));
  const figures: Figure[] = [];
  const rows: string[][] = [];
  for (const streams of [few, allowed]) {
    progress(`${streams} open streams`);
    const open = { streams, gapMs, rampMs: (streams / perSecond) * 1000, holdMs };
    const direct = await openStreams(setting, await stage.upstream(), "relay", open);
    const ours = await openStreams(setting, server, "relay", open);
    await new Promise((resolve) => setTimeout(resolve, pace.restMs));
    const values = {
      open: (ours.memory[0] ?? Number.NaN) / mib,
      after: memoryIn(server),
      p50: (ours.delay.p50 - direct.delay.p50) / 1000,
      p99: (ours.delay.p99 - direct.delay.p99) / 1000,
    };
    const made = Object.entries(values).map(([key, value]) => figureOf(streams, key as keyof typeof values, value));
    figures.push(...made);
    rows.push([streams.toLocaleString("en"), ...made.map(showFigure)]);
  }
  const limit =
    allowed === most
      ? ""
      : ` A stream takes two files of the gateway, and \`ulimit -n\` allows it ${openFilesLimit().toLocaleString("en")}.`;
  const text =
    `Relayed streams that are all open at the same time, with an event every five seconds, through one gateway that takes\n` +
    `${idle.toFixed(0)} MiB before. Every byte is compared with what the upstream sent. The added delay is that through the\n` +
    `gateway minus that without it; the rest is one of ${pace.restMs / 1000} s.${limit}`;
  const table = markdownTable(["streams", ...Object.values(specs).map(({ name }) => name)], rows);
  const section: Section = { title: "Open streams", text: `${text}\n\n${table}` };
  return { sections: [section], figures };
}

function figureOf(streams: number, key: keyof typeof specs, value: number): Figure {
  // Their table is part of the section's text.
  return { ...specs[key], id: `scale.streams.${streams}.${key}`, section: `Open streams ${streams}`, values: [value] };
}

function memoryIn({ pid }: Server): number {
  return pid === undefined ? Number.NaN : memoryOf(pid) / mib;
}

/** The hard limit, to which Node raises its own. */
function openFilesLimit(): number {
  const found = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return found === "unlimited" ? Number.POSITIVE_INFINITY : Number(found);
}
