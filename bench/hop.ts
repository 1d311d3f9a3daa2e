/**
 * What work on a large body costs a front end: done inline, and by a worker over the same threads and messages as in the
 * gateway. The thresholds of `src/gateway/off-thread.ts` come from here.
 */
import { Moved, Peer } from "../src/threads/peer.ts";
import { type NamedJob, startWorkerPool } from "../src/threads/worker-pool.ts";
import { startTypescript } from "../test/keys/typescript-worker.ts";
import type { Part, Row } from "./measure.ts";

/** `hash`: SHA-256, all at once, or slice by slice. `image`, `text`: Converse to OpenAI's chat, of one picture, or of a long conversation. */
export type Work = "hash" | "image" | "text";

/** What the front end's stand-in offers. */
export interface HopOffers {
  readonly measure: (what: { readonly work: Work; readonly bytes: number; readonly ms: number }) => Promise<HopFigures>;
}

export interface HopSupervisorOffers {
  readonly work: (job: NamedJob) => Promise<Moved<unknown>>;
}

/** Microseconds. */
export interface HopFigures {
  /** Median, the front end standing still. */
  readonly inline: number;
  /** Median from call to answer, the front end free to do other things. */
  readonly worker: number;
  /** Mean CPU time of the front end's thread for the call and its answer. */
  readonly busy: number;
}

const kib = 1024;
const sizes = [64 * kib, 128 * kib, 512 * kib, 2048 * kib, 20 * 1024 * kib];
const works = {
  hash: "SHA-256",
  image: "translate, a picture",
  text: "translate, a long conversation",
} as const;

export const parts: readonly Part[] = [
  {
    name: "worker-hop",
    title: "Work on a large body, by size",
    text:
      "Inline on the front end's own thread, and otherwise: translated by a worker (front end, supervisor, piscina and back), or\n" +
      "hashed in slices of 512 KiB with other work between them. What is done inline holds up every other request of its thread\n" +
      'for all of that time; of what goes to a worker, only "front end busy" does, most of it for a copy in slices of a MiB.\n' +
      "`src/gateway/off-thread.ts` sends bodies to a worker from 128 KiB on; `src/upstream/sigv4.ts` hashes those from 512 KiB on\n" +
      "in slices.",
    measure,
  },
];

/** @param ms how long each case is measured */
async function measure(ms: number): Promise<Row[]> {
  const pool = startWorkerPool(1, (error) => {
    throw error;
  });
  const thread = startTypescript(new URL("./hop-front-end.ts", import.meta.url).href, undefined);
  try {
    const frontEnd = new Peer<HopSupervisorOffers, HopOffers>(thread, {
      work: async (job) => {
        const done = await pool.run(job);
        const bytes = typeof done === "object" && done !== null && "bytes" in done ? done.bytes : undefined;
        return new Moved(
          done,
          bytes instanceof Uint8Array && bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : [],
        );
      },
    });
    const failed = new Promise<never>((_resolve, reject) => thread.once("error", reject));
    const rows: Row[] = [];
    for (const work of ["hash", "image", "text"] as const) {
      for (const bytes of sizes) {
        const { inline, worker, busy } = await Promise.race([frontEnd.call("measure", { work, bytes, ms }), failed]);
        const size = bytes < 1024 * kib ? `${bytes / kib} KiB` : `${bytes / kib / kib} MiB`;
        const name = `${works[work]}, ${size}`;
        rows.push(
          { name: `${name}, inline`, unit: "µs", better: "lower", value: inline },
          { name: `${name}, otherwise, until done`, unit: "µs", better: "lower", value: worker },
          { name: `${name}, otherwise, front end busy`, unit: "CPU-µs", better: "lower", value: busy },
        );
      }
    }
    return rows;
  } finally {
    await thread.terminate();
    await pool.close();
  }
}
