/** Scenarios of streams: as fast as they come, and paced, by the thousand. */
import { converseStream, wholeStream } from "../load/traffic.ts";
import {
  cpuPerFrame,
  directly,
  type Lane,
  laneNames,
  openStreams,
  pathOf,
  type Scenario,
  type Setting,
  scenario,
  through,
} from "./scenario.ts";
import { ask, type Server } from "./stage.ts";

const section = {
  title: "Streams",
  text:
    "The standard gateway. Bursts are streams of 200 frames that the upstream sends all at once, 64 at a time. The first\n" +
    "byte is measured at 200 streams a second that have an event every 10 ms, from the moment each was due, minus the same\n" +
    "without the gateway.",
};
const thousand = {
  title: "1,000 streams of 20 events a second",
  text:
    "All open at the same time, each event stamped with the time of its sending. Of a relayed stream every byte is compared\n" +
    "with what the upstream sent, of a translated one every text and every checksum; one wrong stream fails the measurement.\n" +
    "The added delay is that through the gateway minus that without it, in the same round.",
};

const burstBars: Readonly<Record<Lane, number>> = { relay: 5, translate: 6 };
const firstByteRate = 200;
const mib = 1024 * 1024;
const thousandOfTwenty = { streams: 1000, gapMs: 50 };

/** Bytes of a translated burst, which only the gateway knows. */
const lengths = new WeakMap<Server, Promise<number>>();

export const streaming: readonly Scenario[] = [burst("relay"), burst("translate"), paced()];

function burst(lane: Lane): Scenario {
  const name = laneNames[lane];
  return scenario({
    name: `burst-${lane}`,
    section,
    figures: {
      frame: {
        name: `${name} bursts, for each frame`,
        unit: "CPU-µs",
        better: "lower",
        bar: { most: burstBars[lane] },
      },
      frames: { name: `${name} bursts: frames`, unit: "/s", better: "higher" },
      firstByte: { name: `${name}: first byte, added p50`, unit: "ms", better: "lower", bar: { most: 0.5 } },
    },
    measure: async (setting) => {
      const server = await setting.stage.gateway("standard");
      const bytes = await streamLength(server, lane);
      const result = await through(setting, server, lane, { streams: true });
      // Of a burst the first byte leaves when all of a read has been translated.
      const asked = { streams: true, rate: firstByteRate, plan: { kind: "events", count: 5, gapMs: 10 } } as const;
      const direct = await directly(setting, "relay", asked);
      const ours = await through(setting, server, lane, asked);
      return {
        frame: cpuPerFrame(result, bytes),
        frames: ((result.bodyBytes / bytes) * wholeStream(converseStream).length * 1000) / result.durationMs,
        firstByte: (ours.firstByte.p50 - direct.firstByte.p50) / 1000,
      };
    },
  });
}

function streamLength(server: Server, lane: Lane): Promise<number> {
  if (lane === "relay") return Promise.resolve(Buffer.concat(wholeStream(converseStream)).length);
  const known =
    lengths.get(server) ?? ask(server, pathOf(lane, { streams: true }), "1 KB").then(({ length }) => length);
  lengths.set(server, known);
  return known;
}

function paced(): Scenario {
  const delay = (name: string, bar?: { readonly most: number }) =>
    ({ name, unit: "ms", better: "lower", ...(bar !== undefined && { bar }) }) as const;
  return scenario({
    name: "thousand-streams",
    section: thousand,
    figures: {
      p50: delay("relayed: added delay of an event, p50"),
      p99: delay("relayed: added delay of an event, p99", { most: 20 }),
      translatedP99: delay("translated: added delay of an event, p99", { most: 20 }),
      cpu: { name: "relayed, for each event", unit: "CPU-µs", better: "lower" },
      translatedCpu: { name: "translated, for each event", unit: "CPU-µs", better: "lower" },
      memory: { name: "memory while they are open", unit: "MiB", better: "lower", bar: { most: 300 } },
    },
    measure: async (setting) => {
      const upstream = await setting.stage.upstream();
      const server = await setting.stage.gateway("crowd");
      const direct = await thousandStreams(setting, upstream, "relay");
      const relay = await thousandStreams(setting, server, "relay");
      const translate = await thousandStreams(setting, server, "translate");
      return {
        p50: (relay.delay.p50 - direct.delay.p50) / 1000,
        p99: (relay.delay.p99 - direct.delay.p99) / 1000,
        translatedP99: (translate.delay.p99 - direct.delay.p99) / 1000,
        cpu: (relay.cpu[0] ?? Number.NaN) / relay.events,
        translatedCpu: (translate.cpu[0] ?? Number.NaN) / translate.events,
        memory: Math.max(relay.memory[0] ?? Number.NaN, translate.memory[0] ?? Number.NaN) / mib,
      };
    },
  });
}

function thousandStreams(setting: Setting, server: Server, lane: Lane) {
  const { holdMs } = setting.pace;
  return openStreams(setting, server, lane, { ...thousandOfTwenty, holdMs, rampMs: holdMs < 1000 ? 500 : 1000 });
}
