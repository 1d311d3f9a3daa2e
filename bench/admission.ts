/**
 * What admission costs: a virtual key with two budgets and two limits, admitted and settled, alone and beside another
 * thread that uses the same counters all the time. `npx tsx bench/admission.ts`.
 */
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { type GovernanceConfig, governanceSchema } from "../src/config/governance.ts";
import { estimateInputTokens } from "../src/governance/estimate.ts";
import { Governance } from "../src/governance/governance.ts";
import { openGovernanceMemory } from "../src/governance/layout.ts";
import { type CounterSlots, GovernanceRegistry } from "../src/governance/registry.ts";
import { startTypescript } from "../test/keys/typescript-worker.ts";
import { type Case, medians } from "./measure.ts";

/** Median microseconds by what was measured. */
export type AdmissionFigures = Readonly<Record<string, number>>;

interface Shared {
  readonly buffer: SharedArrayBuffer;
  readonly slots: CounterSlots;
  readonly stop: Int32Array<SharedArrayBuffer>;
}

const model = "us.anthropic.claude-sonnet-4-20250514-v1:0";
const value = "sk-bf-bench";
const times = 100;

const config: GovernanceConfig = governanceSchema.parse({
  customers: [
    { id: "acme", name: "Acme", budgets: [{ max_limit: 1e9, reset_duration: "1M", calendar_aligned: true }] },
  ],
  virtual_keys: [
    {
      id: "vk_app",
      name: "app",
      value,
      customer_id: "acme",
      provider_configs: [{ provider: "bedrock" }],
      budgets: [{ max_limit: 1e9, reset_duration: "1d" }],
      rate_limit: {
        request_max_limit: 1e12,
        request_reset_duration: "1m",
        token_max_limit: 1e15,
        token_reset_duration: "1m",
      },
    },
  ],
  routing_rules: [
    {
      id: "cheap",
      name: "cheap when low",
      cel_expression: "budget_used > 80.0 && model.startsWith('us.')",
      targets: [{ model: "us.amazon.nova-lite-v1:0" }],
    },
  ],
});

/** Measures for about twelve seconds, prints a table, and answers the figures. */
export async function run(): Promise<AdmissionFigures> {
  const registry = new GovernanceRegistry();
  const { slots } = registry.assign(config);
  const shared: Shared = { buffer: registry.memory, slots, stop: new Int32Array(new SharedArrayBuffer(4)) };
  const cases = casesOf(shared);
  const alone = await medians(cases, 800);
  const worker = startTypescript(import.meta.url, shared);
  await new Promise((resolve) => worker.once("message", resolve));
  const beside = await medians(cases, 800);
  Atomics.store(shared.stop, 0, 1);
  await new Promise((resolve) => worker.once("exit", resolve));
  console.log(`Admission; Node ${process.version}, ${cpus()[0]?.model ?? "unknown processor"}`);
  console.table(
    Object.fromEntries(
      cases.map(({ name }, n) => [
        name,
        { "median µs": alone[n]?.toFixed(2), "beside another thread": beside[n]?.toFixed(2) },
      ]),
    ),
  );
  return Object.fromEntries(cases.map(({ name }, n) => [name, alone[n] ?? Number.NaN]));
}

function casesOf(shared: Shared): Case[] {
  const governance = governanceOf(shared);
  const input = {
    provider: "bedrock",
    model,
    identity: undefined,
    requestType: "converse",
    requestSize: 1000,
    headers: new Map<string, string>(),
    params: new Map<string, string>(),
    dimensions: new Map<string, string>(),
  };
  const known = governance.identify(value, Date.now());
  const identity = known.kind === "identity" ? known.identity : undefined;
  const small = Buffer.from(JSON.stringify({ messages: [{ role: "user", content: [{ text: "word ".repeat(400) }] }] }));
  const large = Buffer.from(JSON.stringify({ bytes: "iVBORw0KGgo".repeat(90_000) }));
  const repeated = (name: string, once: () => unknown): Case => ({
    name,
    times,
    run: () => {
      for (let count = 0; count < times; count++) once();
    },
  });
  return [
    repeated("admit and settle, two budgets and two limits", turn(governance)),
    repeated("identify", () => governance.identify(value, Date.now())),
    repeated("route, one rule that asks for a budget", () => governance.route({ ...input, identity }, Date.now(), 0.5)),
    repeated("price of an answer", () =>
      governance.prices.cost("bedrock", model, { input: 900, output: 300, cacheRead: 0, cacheWrite: 0 }, Date.now()),
    ),
    repeated("estimate of a body of 2 KB", () => estimateInputTokens(small)),
    { name: "estimate of a body of 1 MB", run: () => estimateInputTokens(large) },
  ];
}

function governanceOf({ buffer, slots }: Shared): Governance {
  const memory = openGovernanceMemory(buffer);
  return new Governance({ config, memory, slots, providerTypes: new Map([["bedrock", "bedrock"]]) });
}

function turn(governance: Governance): () => void {
  const known = governance.identify(value, Date.now());
  if (known.kind === "refused") throw new Error(known.refusal.message);
  const request = { identity: known.identity, provider: "bedrock", model, inputTokens: 1000, outputTokens: 4096 };
  const usage = { input: 900, output: 300, cacheRead: 0, cacheWrite: 0 };
  return () => {
    const admitted = governance.admit(request, Date.now());
    if (admitted.kind === "refused") throw new Error(admitted.refusal.message);
    governance.settle(admitted.admission, usage, Date.now());
  };
}

/** The other thread's part. */
function disturb(shared: Shared): void {
  const once = turn(governanceOf(shared));
  parentPort?.postMessage("ready");
  while (Atomics.load(shared.stop, 0) === 0) for (let count = 0; count < 1000; count++) once();
}

if (!isMainThread) disturb(workerData);
else if (process.argv[1] === fileURLToPath(import.meta.url)) await run();
