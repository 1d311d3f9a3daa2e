/**
 * What choosing a key costs: ten keys, each strategy, alone and beside another thread that uses the same memory all the
 * time. One turn is a choice, the begin of the attempt and its end. `npx tsx bench/keys.ts`.
 */
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { Bench } from "tinybench";
import type { Choosable } from "../src/keys/choose.ts";
import { createKeyMemory } from "../src/keys/layout.ts";
import { type ChoiceRequest, KeyRing } from "../src/keys/ring.ts";
import { openKeyState } from "../src/keys/state.ts";
import type { Strategy } from "../src/keys/strategies.ts";
import { startTypescript } from "../test/keys/typescript-worker.ts";

export interface KeysFigures {
  /** Median microseconds for a choice with its attempt's begin and end, by what was measured. */
  readonly alone: Readonly<Record<string, number>>;
  readonly besideAnother: Readonly<Record<string, number>>;
}

const strategies: readonly Strategy[] = ["weighted", "adaptive", "least-busy", "latency"];
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

/** Measures for about twelve seconds, prints a table, and answers the figures. */
export async function run(): Promise<KeysFigures> {
  const buffer = createKeyMemory();
  const alone = await measure(buffer);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const worker = startTypescript(import.meta.url, { buffer, stop });
  await new Promise((resolve) => worker.once("message", resolve));
  const besideAnother = await measure(buffer);
  Atomics.store(stop, 0, 1);
  await new Promise((resolve) => worker.once("exit", resolve));
  console.log(`Choosing among 10 keys; Node ${process.version}, ${cpus()[0]?.model ?? "unknown processor"}`);
  console.table(
    Object.fromEntries(
      Object.entries(alone).map(([name, median]) => [
        name,
        { "median µs": median.toFixed(2), "beside another thread": besideAnother[name]?.toFixed(2) },
      ]),
    ),
  );
  return { alone, besideAnother };
}

async function measure(buffer: SharedArrayBuffer): Promise<Record<string, number>> {
  const session = { id: "a session", scope: "vk_app" };
  const bench = new Bench({ time: 800, warmupTime: 200 });
  for (const strategy of strategies) {
    bench.add(strategy, turn(buffer, strategy, { model }));
  }
  bench.add("weighted, session", turn(buffer, "weighted", { model, session }));
  bench.add("weighted, each key with a cooling model", turn(withCooling(), "weighted", { model }));
  await bench.run();
  return Object.fromEntries(bench.tasks.map((task) => [task.name, median(task.result)]));
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

function median(result: Bench["tasks"][number]["result"]): number {
  if (result.state !== "completed") throw new Error(`the measurement ended as ${result.state}`);
  return result.latency.p50 * 1000;
}

/** The other thread's part. */
function disturb({ buffer, stop }: { buffer: SharedArrayBuffer; stop: Int32Array }): void {
  const once = turn(buffer, "weighted", { model });
  parentPort?.postMessage("ready");
  while (Atomics.load(stop, 0) === 0) for (let count = 0; count < 1000; count++) once();
}

if (!isMainThread) disturb(workerData);
else if (process.argv[1] === fileURLToPath(import.meta.url)) await run();
