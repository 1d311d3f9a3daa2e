/**
 * What admission costs: a virtual key with two budgets and two limits, admitted and settled, alone and beside another
 * thread that uses the same counters all the time. `npx tsx bench/admission.ts`.
 */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { type GovernanceConfig, governanceSchema } from "../src/config/governance.ts";
import { estimateInputTokens } from "../src/governance/estimate.ts";
import { Governance } from "../src/governance/governance.ts";
import { openGovernanceMemory } from "../src/governance/layout.ts";
import { type CounterSlots, GovernanceRegistry } from "../src/governance/registry.ts";
import { startTypescript } from "../test/keys/typescript-worker.ts";
import { type Case, isStarted, type Part, printParts, type Row, repeated, rowsOf } from "./measure.ts";

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

export const parts: readonly Part[] = [
  {
    name: "admission",
    title: "Admission",
    text:
      "A virtual key with two budgets and two limits, admitted and settled, and what goes with it; alone, and beside another\n" +
      "thread that uses the same counters all the time.",
    measure,
  },
];

async function measure(ms: number): Promise<Row[]> {
  const registry = new GovernanceRegistry();
  const { slots } = registry.assign(config);
  const shared: Shared = { buffer: registry.memory, slots, stop: new Int32Array(new SharedArrayBuffer(4)) };
  const cases = casesOf(shared);
  const alone = await rowsOf(cases, ms);
  const worker = startTypescript(import.meta.url, shared);
  await new Promise((resolve) => worker.once("message", resolve));
  const beside = await rowsOf(cases.slice(0, 1), ms);
  Atomics.store(shared.stop, 0, 1);
  await new Promise((resolve) => worker.once("exit", resolve));
  return [...alone, ...beside.map((row) => ({ ...row, name: `${row.name}, beside another thread` }))];
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
  return [
    repeated("admit and settle, two budgets and two limits", times, turn(governance)),
    repeated("identify", times, () => governance.identify(value, Date.now())),
    repeated("route, one rule that asks for a budget", times, () =>
      governance.route({ ...input, identity }, Date.now(), 0.5),
    ),
    repeated("price of an answer", times, () =>
      governance.prices.cost("bedrock", model, { input: 900, output: 300, cacheRead: 0, cacheWrite: 0 }, Date.now()),
    ),
    repeated("estimate of a body of 2 KB", times, () => estimateInputTokens(small)),
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
else if (isStarted(import.meta.url)) await printParts(parts);
