/**
 * What choosing a key costs: ten keys, each strategy, alone and beside another thread that uses the same memory all the
 * time. One turn is a choice, the begin of the attempt and its end. `npx tsx bench/keys.ts`.
 */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import type { Choosable } from "../src/keys/choose.ts";
import { createKeyMemory } from "../src/keys/layout.ts";
import { type ChoiceRequest, KeyRing } from "../src/keys/ring.ts";
import { openKeyState } from "../src/keys/state.ts";
import type { Strategy } from "../src/keys/strategies.ts";
import { startTypescript } from "../test/keys/typescript-worker.ts";
import { isStarted, type Part, printParts, type Row, repeated, rowsOf } from "./measure.ts";

const strategies: readonly Strategy[] = ["weighted", "adaptive", "least-busy", "latency"];
const times = 20;
const model = "us.anthropic.claude-sonnet-4-20250514-v1:0";
const keys: readonly Choosable[] = Array.from({ length: 10 }, (_, index) => ({
  id: `key-${index}`,
  name: `Key ${index}`,
  enabled: true,
  weight: 1 + (index % 3),
  models: ["*"],
  blacklisted_models: [],
  aliases: { claude: model },
}));
const slots = keys.map((_, index) => index);

export const parts: readonly Part[] = [
  {
    name: "key-choice",
    title: "Choosing a key",
    text:
      "One of ten keys is chosen, its attempt begins and ends; alone, and beside another thread that does the same with the same\n" +
      "memory all the time.",
    measure,
  },
];

async function measure(ms: number): Promise<Row[]> {
  const buffer = createKeyMemory();
  const alone = await rowsOf(casesOf(buffer), ms);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const worker = startTypescript(import.meta.url, { buffer, stop });
  await new Promise((resolve) => worker.once("message", resolve));
  const beside = await rowsOf(casesOf(buffer), ms);
  Atomics.store(stop, 0, 1);
  await new Promise((resolve) => worker.once("exit", resolve));
  return [...alone, ...beside.map((row) => ({ ...row, name: `${row.name}, beside another thread` }))];
}

function casesOf(buffer: SharedArrayBuffer) {
  const session = { id: "a session", scope: "vk_app" };
  return [
    ...strategies.map((strategy) => repeated(strategy, times, turn(buffer, strategy, { model }))),
    repeated("weighted, session", times, turn(buffer, "weighted", { model, session })),
    repeated("weighted, each key with a cooling model", times, turn(withCooling(), "weighted", { model })),
  ];
}

function turn(buffer: SharedArrayBuffer, strategy: Strategy, request: ChoiceRequest<Choosable>): () => void {
  const ring = new KeyRing(openKeyState(buffer), keys, slots, { provider: "bedrock", strategy });
  let now = Date.now();
  let count = 0;
  return () => {
    if ((++count & 255) === 0) now++;
    const choice = ring.choose(request, now, (count * 0.618_033_988_7) % 1);
    if (choice.kind === "refusal") throw new Error(`there is no key: ${choice.reason}`);
    choice.success({ ms: 400 + (count & 63), outputTokens: 50 }, now);
  };
}

function withCooling(): SharedArrayBuffer {
  const buffer = createKeyMemory();
  const ring = new KeyRing(openKeyState(buffer), keys, slots, { provider: "bedrock", strategy: "weighted" });
  for (const key of keys) {
    const choice = ring.choose({ model: "another", pin: { id: key.id } }, Date.now(), 0);
    if (choice.kind === "attempt") choice.failure("throttled", Date.now(), 3_600_000);
  }
  return buffer;
}

/** The other thread's part. */
function disturb({ buffer, stop }: { buffer: SharedArrayBuffer; stop: Int32Array }): void {
  const once = turn(buffer, "weighted", { model });
  parentPort?.postMessage("ready");
  while (Atomics.load(stop, 0) === 0) for (let count = 0; count < 1000; count++) once();
}

if (!isMainThread) disturb(workerData);
else if (isStarted(import.meta.url)) await printParts(parts);
