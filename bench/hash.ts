/**
 * What the SHA-256 of a request body costs on a front end, and when the supervisor has a worker do it: the same threads
 * and messages as in the gateway. `npx tsx bench/hash.ts`.
 */
import { Worker } from "node:worker_threads";
import { Peer } from "../src/threads/peer.ts";
import { startWorkerPool } from "../src/threads/worker-pool.ts";
import { isStarted, type Part, printParts, type Row } from "./measure.ts";

/** What the front end's stand-in offers. */
export interface HashOffers {
  readonly measure: (what: { readonly bytes: number; readonly ms: number }) => Promise<HashFigures>;
}

export interface HashSupervisorOffers {
  readonly hash: (body: Uint8Array) => Promise<string>;
}

/** Microseconds. */
export interface HashFigures {
  /** Median, the front end standing still. */
  readonly inline: number;
  /** Median from call to answer, the front end free to do other things. */
  readonly worker: number;
  /** Mean CPU time of the front end's thread for the call and its answer. */
  readonly busy: number;
}

const kib = 1024;
const sizes = [64 * kib, 128 * kib, 256 * kib, 512 * kib, 1024 * kib, 2048 * kib, 8192 * kib];

export const parts: readonly Part[] = [
  {
    name: "worker-hop",
    title: "The hop to a worker, by size",
    text:
      "SHA-256 of a body on the front end's own thread, and by a worker: front end, supervisor, piscina and back. A body hashed\n" +
      'inline holds up every other request of its thread for all of that time; of one that goes to a worker, only "front end\n' +
      'busy" does. `src/threads/front-end.ts` sends bodies from 512 KiB to a worker.',
    measure,
  },
];

async function measure(ms: number): Promise<Row[]> {
  const pool = startWorkerPool(1);
  const thread = startThread(new URL("./hash-front-end.ts", import.meta.url));
  try {
    const frontEnd = new Peer<HashSupervisorOffers, HashOffers>(thread, { hash: (body) => pool.hash(body) });
    const failed = new Promise<never>((_resolve, reject) => thread.once("error", reject));
    const rows: Row[] = [];
    for (const bytes of sizes) {
      const { inline, worker, busy } = await Promise.race([frontEnd.call("measure", { bytes, ms }), failed]);
      const size = bytes < 1024 * kib ? `${bytes / kib} KiB` : `${bytes / kib / kib} MiB`;
      rows.push(
        { name: `${size}, inline`, unit: "µs", better: "lower", value: inline },
        { name: `${size}, worker, until the answer`, unit: "µs", better: "lower", value: worker },
        { name: `${size}, worker, front end busy`, unit: "CPU-µs", better: "lower", value: busy },
      );
    }
    return rows;
  } finally {
    await thread.terminate();
    await pool.close();
  }
}

/** A thread of TypeScript. tsx serves the main thread only unless it is asked inside the other one (Node 20). */
function startThread(file: URL): Worker {
  const [tsx, entry] = [import.meta.resolve("tsx/esm/api"), file.href].map((url) => JSON.stringify(url));
  return new Worker(`import(${tsx}).then(({ tsImport }) => tsImport(${entry}, ${entry}))`, { eval: true });
}

if (isStarted(import.meta.url)) await printParts(parts);
