/**
 * What the request log costs: a row on the front end, taken and packed, and in the store, unpacked, cleaned and inserted
 * into SQLite; and what a file of a million rows costs and takes to answer. `npx tsx bench/request-log.ts`.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteLog } from "../src/store/log-sqlite.ts";
import type { LogQuery, LogStore } from "../src/store/log-store.ts";
import { kept } from "../src/telemetry/log-content.ts";
import { BatchPacker } from "../src/telemetry/log-pack.ts";
import { unpackBatch } from "../src/telemetry/log-unpack.ts";
import { Redactor } from "../src/telemetry/redactor.ts";
import { RequestLog } from "../src/telemetry/request-log.ts";
import type { RequestRecord } from "../src/telemetry/request-record.ts";
import { attemptOf, recordOf } from "../test/telemetry/kit.ts";
import { type Case, isStarted, type Part, printParts, type Row, rowsOf } from "./measure.ts";

/** As front ends pack them, and as many at once as a busy one sends. */
const packedRows = 32;
const batchRows = 1024;
const text = "A question of some length about nothing in particular. ".repeat(36);

const models = ["us.anthropic.claude-sonnet-4-20250514-v1:0", "us.amazon.nova-lite-v1:0", "openai/gpt-4o-mini"];
let made = 0;

/** One after the other, as they come: of some keys and models, each with a request id of its own; one in fifty fails. */
function nextRecord(more: Partial<RequestRecord> = {}): RequestRecord {
  const n = made++;
  const model = models[n % models.length];
  const key = { id: `key-${n % 5}`, name: `main ${n % 5}` };
  const isFailed = n % 50 === 0;
  const outcome = isFailed ? { outcome: "error" as const, status: 429, errorType: "ThrottlingException" } : {};
  const attempt = attemptOf({ model, key, choice: "weighted", durationMs: 80.123 + (n % 977) / 7, ...outcome });
  return recordOf({
    id: randomUUID(),
    arrivedAt: 1_700_000_000_000 + n - ((n * 7919) % 400),
    durationMs: 81.456 + (n % 977) / 7,
    upstreamMs: attempt.durationMs,
    askedModel: model,
    model,
    key,
    ...outcome,
    identity: {
      virtualKey: { id: `vk_${n % 7}`, name: `app ${n % 7}` },
      team: { id: "search", name: "Search" },
      customer: undefined,
    },
    attempts: isFailed ? [attempt, { ...attempt, key: { id: "key-other", name: "other" } }] : [attempt],
    dimensions: new Map([["env", "prod"]]),
    ...more,
  });
}

const talkative = { content: { request: text, answer: text, logged: true, traced: false } };

export const parts: readonly Part[] = [
  {
    name: "request-log",
    title: "The request log",
    text: "A row on the front end, taken and packed, and in the store, unpacked, cleaned and inserted into SQLite; for each row.",
    measure,
  },
  {
    name: "request-log-large",
    title: "The request log with a million rows",
    text: "The thread's CPU time for each row that is unpacked, cleaned and inserted, the file's size, and how long answers take.",
    study: true,
    measure: measureLarge,
  },
];

const keeping = {
  redactor: new Redactor(["a secret of ours", "another one"]),
  sealer: undefined,
  maxContentBytes: 65_536,
};
let number = 0;

function batchOf(more: Partial<RequestRecord> = {}): Uint8Array {
  const packer = new BatchPacker();
  const packed: Uint8Array[] = [];
  for (let rows = 0; rows < batchRows; rows += packedRows) {
    for (let count = 0; count < packedRows; count++) packer.add(nextRecord(more));
    packed.push(packer.pack("log_0123456789abcdef_", number));
    number += packedRows;
  }
  return Uint8Array.from(Buffer.concat(packed));
}

function unpacked(bytes: Uint8Array) {
  return unpackBatch(bytes, keeping.redactor).map((entry) => kept(entry, keeping));
}

/** Per row; batches are flushed as they are while the gateway serves. */
const added = (name: string, to: RequestLog, more: Partial<RequestRecord> = {}): Case => {
  const records = Array.from({ length: 128 }, () => nextRecord(more));
  return {
    name,
    times: records.length,
    run: async () => {
      for (const record of records) to.add(record);
      await Promise.resolve();
    },
  };
};

async function withStore<Result>(work: (store: LogStore, file: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "bifrost-bench-log-"));
  const file = join(folder, "logs.db");
  const store = await openSqliteLog(file);
  try {
    return await work(store, file);
  } finally {
    await store.close();
    rmSync(folder, { recursive: true });
  }
}

async function measure(ms: number): Promise<Row[]> {
  const log = new RequestLog({ send: async () => "stored", onDropped: () => undefined, enabled: true });
  const off = new RequestLog({ send: async () => "stored", onDropped: () => undefined, enabled: false });
  // Enough for the time, and the first again when it was not: what is there already costs less.
  const batches = Array.from({ length: Math.ceil(ms / 4) }, () => batchOf());
  const large = Array.from({ length: Math.ceil(ms / 20) }, () => batchOf(talkative));
  const same = batchOf();
  return withStore(async (store) => {
    const rows = await rowsOf(
      [
        added("front end: add and pack", log),
        added("front end: add and pack, with 4 KB of content", log, talkative),
        added("front end: switched off", off),
        { name: "store: unpack and clean", times: batchRows, run: () => unpacked(same) },
        {
          name: "store: unpack, clean, insert",
          times: batchRows,
          run: () => store.append(unpacked(batches.pop() ?? batchOf())),
        },
        {
          name: "store: the same with 4 KB of content",
          times: batchRows,
          run: () => store.append(unpacked(large.pop() ?? batchOf(talkative))),
        },
      ],
      ms,
    );
    if (log.state.dropped > 0) throw new Error("rows were dropped, so that the figures are of less work");
    return rows;
  });
}

const largeRows = 1_000_000;
const countedRows = 100 * batchRows;

function measureLarge(): Promise<Row[]> {
  return withStore(async (store, file) => {
    const rows: Row[] = [];
    const row = (name: string, value: number, unit: Row["unit"]) => rows.push({ name, unit, better: "lower", value });
    /** CPU time of the last rows, in microseconds. */
    let spent = 0;
    for (let count = batchRows; count <= largeRows; count += batchRows) {
      const batch = batchOf();
      const before = process.cpuUsage();
      await store.append(unpacked(batch));
      const { user, system } = process.cpuUsage(before);
      spent += user + system;
      if (count % countedRows !== 0) continue;
      if (count === countedRows) row("insert: each of the first 100,000 rows", spent / countedRows, "µs");
      if (count + countedRows > largeRows) row("insert: each of the last 100,000 rows", spent / countedRows, "µs");
      spent = 0;
    }
    row("the file: each row", statSync(file).size / largeRows, "bytes");
    for (const [name, question] of await questions(store)) row(name, await bestOf(question), "ms");
    return rows;
  });
}

async function questions(store: LogStore): Promise<(readonly [string, () => Promise<unknown>])[]> {
  const newest: LogQuery = { filter: {}, sort: "arrivedAt", descending: true, limit: 50, offset: 0 };
  const { rows } = await store.list({ ...newest, offset: 500_000 });
  const [middle] = rows;
  if (middle === undefined) throw new Error("there are fewer rows than were written");
  const { id, requestId, arrivedAt } = middle;
  const hour = { from: arrivedAt, to: arrivedAt + 60_000 };
  const list = (filter: LogQuery["filter"]) => () => store.list({ ...newest, filter });
  return [
    ["by the row's id", () => store.find(id)],
    ["by the request id", () => store.find(requestId)],
    ["the newest 50", list({})],
    ["the newest 50 of a virtual key", list({ fields: { virtualKeyId: ["vk_3"] } })],
    ["the newest 50 of a virtual key that has none", list({ fields: { virtualKeyId: ["vk_none"] } })],
    ["the newest 50 of a session that has none", list({ fields: { session: ["none"] } })],
    ["the newest 50 of a minute, of 60,000 rows", list(hour)],
    ["what is in the newest 10,000", () => store.values({})],
    ["sums of a minute, of 60,000 rows", () => store.sum({ filter: hour, limit: 1 })],
    ["sums of all by model", () => store.sum({ filter: {}, group: "model", limit: 100 })],
  ];
}

/** Milliseconds. */
async function bestOf(question: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let count = 0; count < 5; count++) {
    const start = performance.now();
    await question();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

if (isStarted(import.meta.url)) await printParts(parts);
