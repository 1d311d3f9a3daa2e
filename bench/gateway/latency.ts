/** Scenarios of time: the highest rate, what the gateway adds to a request at half of it, and small requests beside large ones. */

import type { BodyName } from "../load/traffic.ts";
import {
  attempt,
  cpuOf,
  directly,
  type Lane,
  laneNames,
  perSecond,
  type Scenario,
  type Setting,
  scenario,
  through,
} from "./scenario.ts";
import type { Server } from "./stage.ts";

const section = {
  title: "Latency",
  text:
    "The standard gateway, 1 KB both ways. The highest rate is the highest at which every request is answered rightly and\n" +
    "the 99th percentile stays below 50 ms. Requests are sent at fixed times whether or not earlier ones have been\n" +
    "answered, and latencies count from the moment a request was due, so that a stall is met by as many late requests as\n" +
    "real clients would have sent (no coordinated omission). What is added is the difference to the upstream asked directly\n" +
    "at the same rate. Gateway, upstream and load generator share the machine.",
};
const large = {
  title: "Small requests beside large ones",
  text:
    "Requests of 1 KB at 200 a second, and beside them one of 20 MB, an image in base64, every second. Delay is the slowest\n" +
    "small request's latency. Bodies of 90 MB are near the limit that is set by default: the HTTP/1.1 library takes what a\n" +
    "client on the same machine sends in one go, so that nearly all of it is one pause of the front end.",
};

const saturatedMicros = 50_000;
/** Parts of the rate that clients reach who wait for their answers. */
const tried = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05];
const bars: Readonly<Record<Lane, { readonly p50: number; readonly p99: number }>> = {
  relay: { p50: 300, p99: 2000 },
  translate: { p50: Number.POSITIVE_INFINITY, p99: Number.POSITIVE_INFINITY },
};

export const latency: readonly Scenario[] = [atHalf("relay"), atHalf("translate"), besideLarge()];

function atHalf(lane: Lane): Scenario {
  const name = laneNames[lane];
  const added = (what: string, most: number) =>
    ({
      name: `${name}, at half the highest rate: added ${what}`,
      unit: "µs",
      better: "lower",
      ...(Number.isFinite(most) && { bar: { most } }),
    }) as const;
  return scenario({
    name: `rate-${lane}`,
    section,
    figures: {
      highest: { name: `${name}: highest rate without errors`, unit: "/s", better: "higher" },
      p50: added("p50", bars[lane].p50),
      p99: added("p99", bars[lane].p99),
      p999: { ...added("p99.9", Number.POSITIVE_INFINITY), better: "none" },
      cpu: { name: `${name}, at half the highest rate`, unit: "CPU-µs", better: "lower" },
    },
    measure: async (setting) => {
      const server = await setting.stage.gateway("standard");
      const highest = await highestRate(setting, server, lane);
      const asked = { rate: highest / 2, measureMs: setting.pace.latencyMs };
      const direct = await directly(setting, lane, asked);
      const ours = await through(setting, server, lane, asked);
      return {
        highest,
        p50: ours.latency.p50 - direct.latency.p50,
        p99: ours.latency.p99 - direct.latency.p99,
        p999: ours.latency.p999 - direct.latency.p999,
        cpu: cpuOf(ours),
      };
    },
  });
}

/** Goes down from what connections that wait for their answers reach, until requests at fixed times are all served. */
async function highestRate(setting: Setting, server: Server, lane: Lane): Promise<number> {
  const reached = perSecond(await through(setting, server, lane));
  for (const part of tried) {
    const { errors, latency } = await attempt(setting, server, lane, { rate: reached * part });
    if (errors === 0 && latency.p99 < saturatedMicros) return reached * part;
  }
  throw new Error(`at no fixed rate are requests served, though ${Math.round(reached)} a second are when clients wait`);
}

function besideLarge(): Scenario {
  const slowest = (lane: Lane) =>
    ({ name: `${laneNames[lane]}: slowest small request`, unit: "ms", better: "lower", bar: { most: 50 } }) as const;
  return scenario({
    name: "large",
    section: large,
    figures: {
      relay: slowest("relay"),
      translate: slowest("translate"),
      relayHuge: { name: "relayed, beside one of 90 MB: slowest small request", unit: "ms", better: "lower" },
      translateHuge: { name: "translated, beside one of 90 MB: slowest small request", unit: "ms", better: "lower" },
      relayP99: { name: "relayed: p99 of the small requests", unit: "ms", better: "lower" },
      translateP99: { name: "translated: p99 of the small requests", unit: "ms", better: "lower" },
      direct: { name: "without the gateway: slowest small request", unit: "ms", better: "none" },
    },
    measure: async (setting) => {
      const { stage } = setting;
      const server = await stage.gateway("large");
      const relay = await smallOnes(setting, server, "relay");
      const translate = await smallOnes(setting, server, "translate");
      const relayHuge = await smallOnes(setting, server, "relay", "90 MB");
      const translateHuge = await smallOnes(setting, server, "translate", "90 MB");
      const direct = await smallOnes(setting, await stage.upstream(), "relay");
      return {
        relay: relay.max / 1000,
        translate: translate.max / 1000,
        relayHuge: relayHuge.max / 1000,
        translateHuge: translateHuge.max / 1000,
        relayP99: relay.p99 / 1000,
        translateP99: translate.p99 / 1000,
        direct: direct.max / 1000,
      };
    },
  });
}

/** Each kind has a load generator of its own: sending the large ones is not to hold the small ones up. */
async function smallOnes(setting: Setting, server: Server, lane: Lane, body: BodyName = "20 MB") {
  const measureMs = setting.pace.latencyMs;
  const [small] = await Promise.all([
    through(setting, server, lane, { rate: 200, measureMs }),
    through(setting, server, lane, { rate: 1, measureMs, body, connections: 4 }),
  ]);
  return small.latency;
}
