/** One of the request log's threads: it writes rows and deletes old ones, or looks through them, and delays nobody else. */
import { setImmediate as turn } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import type { FoundLog, LogStore } from "../store/log-store.ts";
import { openLogStore } from "../store/open.ts";
import { Sealer } from "../store/secrets.ts";
import { type Keeping, kept, openContent } from "../telemetry/log-content.ts";
import { unpackBatch } from "../telemetry/log-unpack.ts";
import { Redactor } from "../telemetry/redactor.ts";
import type { LogOffers, LogRules, LogThreadStart } from "./log.ts";
import { Peer } from "./peer.ts";
import { asResult } from "./store-result.ts";

/** How often old rows are looked for, and how many are deleted before others have their turn. */
const sweepEveryMs = 30_000;
const sweepRows = 500;

const dayMs = 86_400_000;

if (parentPort === null) throw new Error("the request log has a thread of its own");
const start = workerData as LogThreadStart;
const sealer = start.encryptionKey === undefined ? undefined : new Sealer(start.encryptionKey);
let opening: Promise<LogStore> | undefined;
let rules = start.rules;
let keeping = keepingOf(rules);
let sweeping = false;

function keepingOf({ secrets, maxContentBytes }: LogRules): Keeping {
  return { redactor: new Redactor(secrets), sealer, maxContentBytes };
}

/** A log that could not be opened is tried again with the next call. */
function opened(): Promise<LogStore> {
  opening ??= openLogStore(start.store).catch((error: unknown) => {
    opening = undefined;
    throw error;
  });
  return opening;
}

const answer = <Value>(work: (log: LogStore) => Promise<Value>) => asResult(async () => work(await opened()));

/** In small steps, so that whoever writes or asks meanwhile waits for one of them. */
async function sweep(): Promise<void> {
  if (sweeping) return;
  sweeping = true;
  try {
    const log = await opened();
    for (;;) {
      const { retentionDays, maxRows } = rules;
      const went = await log.sweep({
        before: Date.now() - retentionDays * dayMs,
        mostRows: maxRows,
        step: sweepRows,
      });
      if (went < sweepRows) break;
      await turn();
    }
  } catch {
    // The rows that wait to be written meet the same fault, and it is told then.
  } finally {
    sweeping = false;
  }
}

function readable(found: FoundLog | undefined): FoundLog | undefined {
  const content = found?.entry.content;
  if (found === undefined || content === null || content === undefined) return found;
  const { entry } = found;
  return { ...found, entry: { ...entry, content: openContent(entry.row.id, content, sealer) } };
}

const offers: LogOffers = {
  configure: (changed) => {
    rules = changed;
    keeping = keepingOf(changed);
    void sweep();
  },
  append: (batch) =>
    answer((log) => log.append(unpackBatch(batch, keeping.redactor).map((entry) => kept(entry, keeping)))),
  find: (id) => answer(async (log) => readable(await log.find(id))),
  list: (query) => answer((log) => log.list(query)),
  sum: (query) => answer((log) => log.sum(query)),
  latency: (query) => answer((log) => log.latency(query)),
  values: (filter) => answer((log) => log.values(filter)),
  remove: (ids) => answer((log) => log.remove(ids)),
  setCosts: (changes) => answer((log) => log.setCosts(changes)),
  close: () => answer((log) => log.close()),
};

if (start.role === "write") setInterval(() => void sweep(), sweepEveryMs).unref();
new Peer<LogOffers, object>(parentPort, offers);
