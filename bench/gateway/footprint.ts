/** Scenarios of what a gateway takes beside CPU: its start, its memory, and how long its event loop stands still. */
import { NotMeasured } from "../report.ts";
import { memoryOf } from "./process.ts";
import { openStreams, type Scenario, type Setting, scenario, through } from "./scenario.ts";
import { originOf, type Server } from "./stage.ts";

const start = {
  title: "Start",
  text: "From the start of the process to its `ready` line, the standard configuration, an empty data folder.",
};
const memory = {
  title: "Memory and event loop",
  text:
    "Resident memory of a standard gateway of its own, all processes of its tree, measured once after the rounds. Under load\n" +
    "is the highest seen while requests of 1 KB are relayed and translated as fast as they are answered. Idle streams have\n" +
    "an event every second. The last figure is taken after a rest, whose length is in its name: it is ten minutes with\n" +
    "`--rest 600`.",
};

const idleMs = 2000;
const sampleMs = 100;
const mib = 1024 * 1024;

const size = (name: string) => ({ name, unit: "MiB", better: "lower" }) as const;

/** @param restMs stands in the name of a figure */
export function footprint(restMs: number): readonly Scenario[] {
  return [
    scenario({
      name: "start",
      section: start,
      figures: { ready: { name: "ready after", unit: "s", better: "lower", bar: { most: 1.5 } } },
      measure: async ({ stage }) => {
        const { readyMs, stop } = await stage.startGateway("standard");
        await stop();
        return { ready: readyMs / 1000 };
      },
    }),
    scenario({
      name: "memory",
      section: memory,
      once: true,
      figures: {
        idle: size("idle, after the start"),
        load: size("under load, at its highest"),
        streams: size("under 1,000 open streams"),
        rested: size(`after a rest of ${restMs / 1000} s`),
      },
      measure: async (setting) => {
        const { server, stop } = await setting.stage.startGateway("crowd");
        await sleep(idleMs);
        const idle = memoryNow(server);
        const load = await highestMemory(server, async () => {
          await through(setting, server, "relay", { measureMs: setting.pace.latencyMs });
          await through(setting, server, "translate", { measureMs: setting.pace.latencyMs });
        });
        const streams = await idleStreams(setting, server, 1000);
        await sleep(restMs);
        const rested = memoryNow(server);
        await stop();
        return { idle, load, streams, rested };
      },
    }),
    scenario({
      name: "event-loop",
      section: memory,
      once: true,
      figures: {
        p99: {
          name: "event-loop delay at 1,000 requests a second, p99 of the worst thread, as `/metrics` says",
          unit: "ms",
          better: "lower",
        },
      },
      measure: async (setting) => {
        const server = await setting.stage.gateway("standard");
        const page = async () => (await fetch(`${originOf(server)}/metrics`)).text();
        // It tells the delay since it was last asked.
        await page();
        await through(setting, server, "relay", { rate: 1000, measureMs: setting.pace.latencyMs });
        const seconds = eventLoopDelay(await page());
        if (seconds === undefined) throw new NotMeasured("`/metrics` of this version does not tell it");
        return { p99: seconds * 1000 };
      },
    }),
  ];
}

/** @returns seconds: the 99th percentile of the event loop's delay, the highest where threads tell their own */
export function eventLoopDelay(metrics: string): number | undefined {
  const values: number[] = [];
  for (const line of metrics.split("\n")) {
    const found = /^(\w*event_?loop\w*)(\{[^}]*\})? (\S+)/i.exec(line);
    const isP99 = found !== null && (/p99/.test(found[1] ?? "") || /"(0\.99|p99)"/.test(found[2] ?? ""));
    if (isP99 && Number.isFinite(Number(found[3]))) values.push(Number(found[3]));
  }
  return values.length === 0 ? undefined : Math.max(...values);
}

/** @returns MiB while they are open */
async function idleStreams(setting: Setting, server: Server, streams: number): Promise<number> {
  const open = { streams, gapMs: 1000, rampMs: streams, holdMs: setting.pace.holdMs };
  const result = await openStreams(setting, server, "relay", open);
  return (result.memory[0] ?? Number.NaN) / mib;
}

async function highestMemory(server: Server, work: () => Promise<void>): Promise<number> {
  let highest = 0;
  const timer = setInterval(() => {
    highest = Math.max(highest, memoryNow(server));
  }, sampleMs);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return highest;
}

function memoryNow({ pid }: Server): number {
  return pid === undefined ? Number.NaN : memoryOf(pid) / mib;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
