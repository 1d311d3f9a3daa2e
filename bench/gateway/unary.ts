/** Scenarios of whole answers: what a request costs, plain and with all that a gateway does beside it. */
import { tracesReceivedPath } from "../load/traffic.ts";
import { NotMeasured } from "../report.ts";
import type { GatewayName } from "./configs.ts";
import {
  chat,
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
import { originOf, type Server } from "./stage.ts";

const request = {
  title: "A request of 1 KB",
  text:
    "Bodies of 1 KB both ways, 64 connections that send as soon as they have their answer. `bare` is the gateway without\n" +
    "virtual keys; `standard` has a virtual key with one budget and one rate limit. Metrics are always on; the request log,\n" +
    "which is on by default, and traces are off but where their cost is measured, with one trace in ten. CPU is that of the\n" +
    "gateway's whole process tree, all threads, between the two ends of the window. What something adds is the difference to\n" +
    "its twin, a gateway without it that has seen the same requests and no others.",
};
const sizes = {
  title: "By size",
  text:
    "The standard gateway, requests of these sizes, answers of 1 KB. The larger ones are one image in base64; the history\n" +
    "is a conversation of 1,000 messages, 250 calls of a tool among them. 64 connections, from 5 MB on 8.",
};
const many = {
  title: "By connections, and with a slow upstream",
  text: "The standard gateway, 1 KB both ways. The slow upstream answers after 60 ms; what is added is to its median.",
};

/** Until the code of a gateway is compiled that only one scenario uses. */
const ownGatewayMs = 3000;

/** Traces leave in batches, within this. */
const traceExportMs = 15_000;

const bars: Readonly<Record<Lane, number>> = { relay: 150, translate: 170 };

export const unary: readonly Scenario[] = [
  scenario({
    name: "unary",
    section: request,
    figures: {
      relay: cpu("relay, standard", { most: bars.relay }),
      translate: cpu("translate to OpenAI, standard", { most: bars.translate }),
      relayBare: cpu("relay, bare"),
      translateBare: cpu("translate to OpenAI, bare"),
      relayRate: rate("relay, standard"),
      translateRate: rate("translate to OpenAI, standard"),
      direct: { name: "the fake upstream asked directly: its own", unit: "CPU-µs", better: "none" },
      directRate: { name: "the fake upstream asked directly: requests", unit: "/s", better: "none" },
    },
    measure: async (setting) => {
      const [bare, standard] = [await setting.stage.gateway("bare"), await setting.stage.gateway("standard")];
      const direct = await directly(setting, "relay");
      const relayBare = await through(setting, bare, "relay");
      const relay = await through(setting, standard, "relay");
      const translateBare = await through(setting, bare, "translate");
      const translate = await through(setting, standard, "translate");
      return {
        relay: cpuOf(relay),
        translate: cpuOf(translate),
        relayBare: cpuOf(relayBare),
        translateBare: cpuOf(translateBare),
        relayRate: perSecond(relay),
        translateRate: perSecond(translate),
        direct: cpuOf(direct),
        directRate: perSecond(direct),
      };
    },
  }),
  scenario({
    name: "enforcement",
    section: request,
    warmUpMs: ownGatewayMs,
    figures: {
      added: cpu("a virtual key, two budgets and two rate limits add", { most: 10 }),
    },
    measure: async (setting) => {
      const { stage } = setting;
      return { added: await addedCpu(setting, await stage.gateway("ungoverned"), await stage.gateway("governed")) };
    },
  }),
  scenario({
    name: "observing",
    section: request,
    warmUpMs: ownGatewayMs,
    figures: { added: cpu("request log and sampled traces add, beside metrics", { most: 20 }) },
    measure: async (setting) => {
      const { stage } = setting;
      const observed = await stage.gateway("observed");
      const added = await addedCpu(setting, await stage.gateway("unobserved"), observed);
      await checkObserved(setting, observed);
      return { added };
    },
  }),
  sized("10 KB", "10 KB", 64),
  sized("100 KB", "100 KB", 64),
  sized("5 MB", "5 MB", 8),
  sized("history", "a history of 1,000 messages", 8),
  scenario({
    name: "answer-100",
    section: sizes,
    figures: both((lane) => cpu(`an answer of 100 KB, ${laneNames[lane]}`)),
    measure: (setting) =>
      eachLane(setting, "standard", async (server, lane) =>
        cpuOf(await through(setting, server, lane, { plan: { kind: "answer", kilobytes: 100 } })),
      ),
  }),
  ...[1, 10, 1000].map((count) => atConnections(count)),
  scenario({
    name: "slow-upstream",
    section: many,
    figures: {
      ...both((lane) => cpu(`an upstream that takes 60 ms, ${laneNames[lane]}`)),
      added: { name: "an upstream that takes 60 ms, relayed: added p50", unit: "ms", better: "lower" },
    },
    measure: async (setting) => {
      const asked = { plan: { kind: "delay", ms: 60 } } as const;
      const standard = await setting.stage.gateway("standard");
      const direct = await directly(setting, "relay", asked);
      const relay = await through(setting, standard, "relay", asked);
      const translate = await through(setting, standard, "translate", asked);
      const added = (relay.latency.p50 - direct.latency.p50) / 1000;
      return { relay: cpuOf(relay), translate: cpuOf(translate), added };
    },
  }),
];

/** What one gateway's requests cost more than its twin's: in this order what changes evenly over time meets both alike. */
async function addedCpu(setting: Setting, without: Server, having: Server): Promise<number> {
  const cost = async (server: Server) => cpuOf(await through(setting, server, "relay"));
  const [first, second, third, fourth] = [
    await cost(without),
    await cost(having),
    await cost(having),
    await cost(without),
  ];
  return (second + third - first - fourth) / 2;
}

const observed = new WeakSet<Server>();

/** @throws NotMeasured when the gateway took the configuration, but keeps no log or sends no traces */
async function checkObserved({ stage }: Setting, server: Server): Promise<void> {
  if (observed.has(server)) return;
  const { status } = await fetch(`${originOf(server)}/api/logs`);
  if (status !== 200) throw new NotMeasured(`this version keeps no request log: /api/logs answers ${status}`);
  const counter = `${originOf(await stage.upstream())}${tracesReceivedPath}`;
  for (const until = performance.now() + traceExportMs; ; ) {
    if ((await (await fetch(counter)).text()) !== "0") break;
    if (performance.now() > until) throw new NotMeasured("this version sends no traces");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  observed.add(server);
}

function sized(body: "10 KB" | "100 KB" | "5 MB" | "history", name: string, connections: number): Scenario {
  const isSlow = connections < 64;
  return scenario({
    name: `size-${body.replace(" ", "").toLowerCase()}`,
    section: sizes,
    figures: both((lane) => cpu(`${name}, ${laneNames[lane]}`)),
    measure: (setting) =>
      eachLane(setting, isSlow ? "large" : "standard", async (server, lane) => {
        const measureMs = isSlow ? setting.pace.latencyMs : setting.pace.measureMs;
        return cpuOf(await through(setting, server, lane, { body, connections, measureMs }));
      }),
  });
}

function atConnections(count: number): Scenario {
  const name = `${count.toLocaleString("en")} connection${count === 1 ? "" : "s"}`;
  return scenario({
    name: `connections-${count}`,
    section: many,
    figures: {
      ...both((lane) => cpu(`${name}, ${laneNames[lane]}`)),
      rate: rate(`${name}, relayed`),
    },
    measure: async (setting) => {
      const server = await setting.stage.gateway(count > 64 ? "crowd" : "standard");
      const relay = await through(setting, server, "relay", { connections: count });
      const translate = await through(setting, server, "translate", { connections: count });
      return { relay: cpuOf(relay), translate: cpuOf(translate), rate: perSecond(relay) };
    },
  });
}

/** The floor: what nginx needs to pass the same request on. */
export function nginxScenario(nginx: () => Promise<Server>): Scenario {
  return scenario({
    name: "nginx",
    section: request,
    figures: {
      cpu: { name: "nginx as a plain proxy", unit: "CPU-µs", better: "none" },
      ratio: { name: "relay, standard, to nginx", unit: "×", better: "lower", bar: { most: 6 } },
    },
    measure: async (setting) => {
      const theirs = cpuOf(await through(setting, await nginx(), "relay"));
      const ours = cpuOf(await through(setting, await setting.stage.gateway("standard"), "relay"));
      return { cpu: theirs, ratio: ours / theirs };
    },
  });
}

/** Another gateway with OpenAI's API on both sides, against ours that translates. */
export function peerScenario(name: string, peer: () => Promise<Server>, bar?: { readonly least: number }): Scenario {
  return scenario({
    name: name.toLowerCase(),
    section: request,
    figures: {
      cpu: { name: `${name}, OpenAI to OpenAI`, unit: "CPU-µs", better: "none" },
      ratio: {
        name: `${name} to translate, standard`,
        unit: "×",
        better: "higher",
        ...(bar !== undefined && { bar }),
      },
      rate: { name: `translate, standard, to ${name}: requests/s`, unit: "×", better: "higher" },
    },
    measure: async (setting) => {
      const server = await peer();
      if (server.pid === undefined) throw new NotMeasured("its process id is not known: name it with ,pid=N");
      const theirs = await chat(setting, server);
      const ours = await through(setting, await setting.stage.gateway("standard"), "translate");
      return {
        cpu: cpuOf(theirs),
        ratio: cpuOf(theirs) / cpuOf(ours),
        rate: perSecond(ours) / perSecond(theirs),
      };
    },
  });
}

async function eachLane(setting: Setting, name: GatewayName, measure: (server: Server, lane: Lane) => Promise<number>) {
  const server = await setting.stage.gateway(name);
  return { relay: await measure(server, "relay"), translate: await measure(server, "translate") };
}

function both<Spec>(make: (lane: Lane) => Spec): Record<Lane, Spec> {
  return { relay: make("relay"), translate: make("translate") };
}

function cpu(name: string, bar?: { readonly most: number }) {
  return { name, unit: "CPU-µs", better: "lower", ...(bar !== undefined && { bar }) } as const;
}

function rate(name: string) {
  return { name: `${name}: requests`, unit: "/s", better: "higher" } as const;
}
