/**
 * What the cache costs: a direct hit on the front end's thread, a semantic search among many entries of one partition, an
 * entry's memory, and building the graph again. `npx tsx bench/cache-speed.ts`, with `--large` for 100,000 entries too.
 */
import { SemanticCache } from "../src/cache/cache.ts";
import { embedLexically } from "../src/cache/lexical.ts";
import { type Ask, packMessage, readAnswer } from "../src/cache/messages.ts";
import { IndexOwner } from "../src/cache/owner.ts";
import { startOwner } from "../src/cache/owner-thread.ts";
import type { RequestFacts } from "../src/cache/partition.ts";
import { placeOf } from "../src/cache/partition.ts";
import { type SemanticCacheConfig, semanticCacheSchema } from "../src/config/cache.ts";
import { sleep } from "../test/support/wait.ts";
import { readLongest } from "./cache-owner.ts";
import { isStarted, type Part, printParts, type Row, rowsOf } from "./measure.ts";
import type { Unit } from "./report.ts";

const options = { cacheKey: "bench", ttlMs: 3_600_000, threshold: 0.8, type: "both", noStore: false } as const;
const answer = {
  output: { message: { role: "assistant", content: [{ text: "An answer of some length. ".repeat(32) }] } },
  stopReason: "end_turn",
  usage: { inputTokens: 200, outputTokens: 180, totalTokens: 380 },
  metrics: { latencyMs: 800 },
};
const words =
  "copper engine garden window planet violin harbor ladder marble carpet bridge forest copper island kettle magnet napkin orange pillow quartz ribbon saddle tunnel urchin valley walnut yellow zipper anchor basket candle dragon".split(
    " ",
  );

/** Mixes many words, so that neighbours are near and different. */
function question(index: number): string {
  const word = (shift: number) => words[(index >> shift) % words.length];
  return `What is the price of item ${index} of ${word(0)} and ${word(5)} for the ${word(10)} in the ${word(2)} shop?`;
}

function facts(text: string): RequestFacts {
  const system = [{ text: "You answer questions about a shop. Be short, be polite, and never guess. ".repeat(10) }];
  const request = { system, messages: [{ role: "user", content: [{ text }] }], inferenceConfig: { temperature: 0.2 } };
  return { virtualKey: "vk_bench", provider: "openai", model: "gpt-4o", operation: "converse", request };
}

function configFor(maxEntries: number): SemanticCacheConfig {
  const limits = { max_entries: maxEntries, max_bytes: 4 * 1024 ** 3 };
  return semanticCacheSchema.parse({ enabled: true, embedding: { timeout_ms: 10_000 }, ...limits });
}

function ownerOf(config: SemanticCacheConfig): IndexOwner {
  const { embedding, max_entries: maxEntries, max_bytes: maxBytes } = config;
  return new IndexOwner({ embedding, maxEntries, maxBytes, folder: null, key: null });
}

export const parts: readonly Part[] = [
  {
    name: "cache-lookup",
    title: "Looking into the cache",
    text:
      "A direct hit for a request of 1 KB and an answer of 1 KB that this front end has, mean CPU of its thread; and a semantic\n" +
      "hit through the owner's thread, one at a time, a partition of one entry.",
    measure: async (ms) => [...(await embedding(ms)), ...(await directHits(ms)), ...(await throughThread(ms))],
  },
  searchPart("cache-search", 10_000),
  searchPart("cache-search-large", 100_000),
  {
    name: "cache-churn",
    title: "Ten times the cache's capacity",
    text: "RSS of the process after each 2,000 entries, of which 2,000 fit.",
    study: true,
    measure: churn,
  },
];

function searchPart(name: string, count: number): Part {
  return {
    name,
    title: `Among ${count.toLocaleString("en")} entries of one partition`,
    text:
      "Through the owner's thread: message, embedding, search, gate. Entries are put one after the other while somebody else\n" +
      "asks every 10 ms; graphs are built beside, half of the time. A piece of the owner's work is what a message may have to\n" +
      "wait for. Memory is the growth of RSS, answers of 1 KB included. What else runs on the machine shows in what is slowest.",
    study: true,
    measure: (ms) => search(count, ms),
  };
}

function row(name: string, value: number, unit: Unit = "µs", better: Row["better"] = "lower"): Row {
  return { name, value, unit, better };
}

async function embedding(ms: number): Promise<Row[]> {
  const text = question(1);
  return rowsOf([{ name: "embedding a question", run: () => embedLexically(text, 384) }], ms);
}

async function directHits(ms: number): Promise<Row[]> {
  const config = configFor(1000);
  const owner = ownerOf(config);
  const cache = new SemanticCache({ config, ask: (message) => owner.handle(message) });
  const request = facts(question(1));
  const miss = await cache.lookup(request, options);
  if (miss.kind === "miss") cache.store(miss.ticket, answer);
  await cache.idle();
  const kind = (await cache.lookup(request, options)).kind;
  if (kind === "miss") throw new Error("the cache does not find what was stored");
  const whole = await cpuMicros(ms, () => cache.lookup(request, options));
  const place = await cpuMicros(ms, async () => placeOf(request, options.cacheKey, config));
  await owner.close();
  return [
    { ...row("direct hit, whole", whole, "CPU-µs"), bar: { most: 60 } },
    row("direct hit, of it canonical form and SHA-256", place, "CPU-µs"),
  ];
}

/** The same as in the gateway, without the supervisor between. */
async function throughThread(ms: number): Promise<Row[]> {
  const config = configFor(1000);
  const filename = new URL("../workers/vector-index.ts", import.meta.url).href;
  const owner = startOwner({ filename, execArgv: ["--import", "tsx"], config, folder: null, onProblem: console.error });
  try {
    const cache = new SemanticCache({ config, ask: owner.ask });
    const miss = await cache.lookup(facts(question(1)), options);
    if (miss.kind === "miss") cache.store(miss.ticket, answer);
    await cache.idle();
    const asked = facts(`Please tell me: ${question(1)}`);
    const kind = (await cache.lookup(asked, { ...options, type: "semantic" })).kind;
    const latencies = await latenciesOf(ms, () => cache.lookup(asked, { ...options, type: "semantic" }));
    const busy = await cpuMicros(ms, () => cache.lookup(asked, { ...options, type: "semantic" }), true);
    if (kind === "miss") throw new Error("the cache does not find what was stored");
    return [
      row("semantic hit through the thread, p50", latencies[0]),
      row("semantic hit through the thread, p99", latencies[1]),
      row("semantic hit through the thread, asking thread busy", busy),
    ];
  } finally {
    await owner.close();
  }
}

async function search(count: number, ms: number): Promise<Row[]> {
  const config = configFor(count);
  const filename = new URL("./cache-owner.ts", import.meta.url).href;
  const owner = startOwner({ filename, execArgv: ["--import", "tsx"], config, folder: null, onProblem: console.error });
  try {
    const before = await memory();
    readLongest(await owner.ask(new Uint8Array()));
    let put = 0;
    const asking = new Asking(owner.ask, config, () => put);
    const started = performance.now();
    for (; put < count; put++) await putOne(owner.ask, config, put);
    const filled = performance.now();
    while ((await owner.stats()).unsearched > 0) await sleep(100);
    const took = performance.now() - filled;
    const meanwhile = await asking.stop();
    const longest = readLongest(await owner.ask(new Uint8Array()));
    const after = await memory();
    const [p50, p99] = await latenciesOf(ms, (turn) => find(owner.ask, config, (turn * 7919) % count));
    let right = 0;
    const sample = 500;
    for (let turn = 0; turn < sample; turn++) if (await find(owner.ask, config, (turn * 7919) % count)) right++;
    const { bytes } = await owner.stats();
    return [
      row("put", ((filled - started) / count) * 1000),
      row("graphs built after the last put in", took / 1000, "s"),
      row("search while filled and built, p50", meanwhile[0]),
      row("search while filled and built, p99", meanwhile[1]),
      row("search while filled and built, slowest", meanwhile[2]),
      row("longest piece of work of the owner meanwhile", longest.all, "ms"),
      row("of it without waiting for a core", longest.own, "ms"),
      row("search, p50", p50),
      row("search, p99", p99),
      row("paraphrases found", (100 * right) / sample, "%", "higher"),
      row("memory of an entry, KB", (after - before) / count / 1024, "count"),
      row("of it counted against max_bytes, KB", bytes / count / 1024, "count"),
    ];
  } finally {
    await owner.close();
  }
}

/** Asks for one of the entries every 10 ms. */
class Asking {
  readonly #taken: number[] = [];
  #stopped = false;
  readonly #done: Promise<void>;

  /** @param count how many entries there are */
  constructor(ask: Ask, config: SemanticCacheConfig, count: () => number) {
    this.#done = this.#run(ask, config, count);
  }

  /** @returns as {@link latenciesOf} */
  async stop(): Promise<[number, number, number]> {
    this.#stopped = true;
    await this.#done;
    return sharesOf(this.#taken);
  }

  async #run(ask: Ask, config: SemanticCacheConfig, count: () => number): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      await sleep(10);
      const start = performance.now();
      await find(ask, config, (turn * 7919) % Math.max(1, count()));
      this.#taken.push((performance.now() - start) * 1000);
    }
  }
}

/** RSS while ten times as many entries as fit pass through. */
async function churn(): Promise<Row[]> {
  const capacity = 2000;
  const config = configFor(capacity);
  const owner = ownerOf(config);
  const rows: Row[] = [];
  for (let round = 1; round <= 10; round++) {
    for (let index = 0; index < capacity; index++) {
      await putOne((message) => owner.handle(message), config, round * capacity + index);
      if (index % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    rows.push(row(`${round} × 2,000 entries`, (await memory()) / 1024 / 1024, "MiB"));
  }
  await owner.close();
  return rows;
}

async function putOne(ask: Ask, config: SemanticCacheConfig, index: number): Promise<void> {
  const text = question(index);
  const { exact, partition } = placeOf(facts(text), "bench", config);
  const labels = { virtualKey: "vk_bench", cacheKey: "bench", provider: "openai", model: "gpt-4o", mayShow: false };
  const times = { storedAt: Date.now(), expiresAt: Date.now() + 3_600_000 };
  const entry = {
    exact,
    partition,
    answer: Buffer.from(JSON.stringify(answer)),
    ...times,
    ...labels,
    question: undefined,
    tokens: { input: 10, output: 100, cacheRead: 0, cacheWrite: 0 },
  };
  await ask(packMessage({ op: "put", entry, embed: text }));
}

async function find(ask: Ask, config: SemanticCacheConfig, index: number): Promise<boolean> {
  const text = `Please tell me: ${question(index)}`;
  const { exact, partition } = placeOf(facts(text), "bench", config);
  const semantic = { text, threshold: 0.8 };
  const message = packMessage({ op: "find", partition, exact, direct: true, isLast: true, semantic });
  return readAnswer(await ask(message)).kind === "found";
}

/** @returns the median, the 99th percentile and the longest, in µs */
async function latenciesOf(ms: number, run: (turn: number) => Promise<unknown>): Promise<[number, number, number]> {
  const taken: number[] = [];
  const end = performance.now() + ms;
  for (let turn = 0; performance.now() < end; turn++) {
    const start = performance.now();
    await run(turn);
    taken.push((performance.now() - start) * 1000);
    if (turn % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return sharesOf(taken);
}

function sharesOf(taken: number[]): [number, number, number] {
  taken.sort((a, b) => a - b);
  const at = (share: number) => taken[Math.floor(share * (taken.length - 1))] ?? Number.NaN;
  return [at(0.5), at(0.99), at(1)];
}

/** Mean CPU time of this process, or of this thread's event loop, for one turn. */
async function cpuMicros(ms: number, run: () => Promise<unknown>, thisThread = false): Promise<number> {
  for (let turn = 0; turn < 2000; turn++) await run();
  const end = performance.now() + ms;
  const cpu = process.cpuUsage();
  const loop = performance.eventLoopUtilization();
  let turns = 0;
  for (; performance.now() < end; turns++) await run();
  const used = process.cpuUsage(cpu);
  const micros = thisThread ? performance.eventLoopUtilization(loop).active * 1000 : used.user + used.system;
  return micros / turns;
}

/** RSS after a rest, and after collecting garbage where node was started with --expose-gc. */
async function memory(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return process.memoryUsage().rss;
}

if (isStarted(import.meta.url)) {
  const large = process.argv.includes("--large");
  await printParts(
    parts.filter(({ name }) => large || name !== "cache-search-large"),
    1500,
  );
}
