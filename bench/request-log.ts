/**
 * What the request log costs: a row on the front end, taken and packed, and in the store, unpacked, cleaned and inserted
 * into SQLite. `npx tsx bench/request-log.ts`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteLog } from "../src/store/log-sqlite.ts";
import { kept } from "../src/telemetry/log-content.ts";
import { packable, packBatch, unpackBatch } from "../src/telemetry/log-pack.ts";
import { Redactor } from "../src/telemetry/redactor.ts";
import { RequestLog } from "../src/telemetry/request-log.ts";
import { attemptOf, recordOf } from "../test/telemetry/kit.ts";
import { type Case, isStarted, type Part, printParts, type Row, rowsOf } from "./measure.ts";

const batchRows = 128;
const key = { id: "vk_app", name: "app" };
const text = "A question of some length about nothing in particular. ".repeat(36);

const plain = recordOf({
  id: "0190c2a1-7d2b-7c3e-9f00-3f1a2b4c5d6e",
  askedModel: "us.anthropic.claude-sonnet-4-20250514-v1:0",
  model: "us.anthropic.claude-sonnet-4-20250514-v1:0",
  identity: { virtualKey: key, team: { id: "search", name: "Search" }, customer: undefined },
  attempts: [attemptOf({ model: "us.anthropic.claude-sonnet-4-20250514-v1:0" })],
  dimensions: new Map([["env", "prod"]]),
});
const talkative = recordOf({ ...plain, content: { request: text, answer: text, logged: true, traced: false } });

export const parts: readonly Part[] = [
  {
    name: "request-log",
    title: "The request log",
    text: "A row on the front end, taken and packed, and in the store, unpacked, cleaned and inserted into SQLite; for each row.",
    measure,
  },
];

const keeping = {
  redactor: new Redactor(["a secret of ours", "another one"]),
  sealer: undefined,
  maxContentBytes: 65_536,
};
let number = 0;

function times(rows: number, once: () => void): () => void {
  return () => {
    for (let count = 0; count < rows; count++) once();
  };
}

function batchOf(one: typeof plain): Uint8Array {
  const rows = Array.from({ length: batchRows }, () => packable(one));
  const bytes = packBatch("log_bench_", number, rows);
  number += batchRows;
  return bytes;
}

/** Per row; batches are flushed as they are while the gateway serves. */
const added = (name: string, to: RequestLog, one: typeof plain): Case => ({
  name,
  times: batchRows,
  run: async () => {
    times(batchRows, () => to.add(one))();
    await Promise.resolve();
  },
});

async function measure(ms: number): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "bifrost-bench-log-"));
  const store = await openSqliteLog(join(folder, "logs.db"));
  const log = new RequestLog({ send: async () => "stored", onDropped: () => undefined, enabled: true });
  const off = new RequestLog({ send: async () => "stored", onDropped: () => undefined, enabled: false });
  try {
    const cases: Case[] = [
      added("front end: add and pack", log, plain),
      added("front end: add and pack, with 4 KB of content", log, talkative),
      added("front end: switched off", off, plain),
      { name: "store: unpack", times: batchRows, run: () => unpackBatch(batchOf(plain)) },
      {
        name: "store: unpack, clean, insert",
        times: batchRows,
        run: () => store.append(unpackBatch(batchOf(plain)).map((entry) => kept(entry, keeping))),
      },
      {
        name: "store: the same with 4 KB of content",
        times: batchRows,
        run: () => store.append(unpackBatch(batchOf(talkative)).map((entry) => kept(entry, keeping))),
      },
    ];
    const rows = await rowsOf(cases, ms);
    if (log.state.dropped > 0) throw new Error("rows were dropped, so that the figures are of less work");
    return rows;
  } finally {
    await store.close();
    rmSync(folder, { recursive: true });
  }
}

if (isStarted(import.meta.url)) await printParts(parts);
