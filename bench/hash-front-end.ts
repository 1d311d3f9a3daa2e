/** The thread of `bench/hash.ts` that stands for a front end: it hashes bodies itself, or has the supervisor see to it. */
import { parentPort } from "node:worker_threads";
import { Bench } from "tinybench";
import { Peer } from "../src/threads/peer.ts";
import { sha256Hex } from "../src/upstream/sigv4.ts";
import { ownThreadCpu } from "./gateway/process.ts";
import type { HashOffers, HashSupervisorOffers } from "./hash.ts";

if (parentPort === null) throw new Error("this file is a thread of bench/hash.ts");

const offers: HashOffers = {
  measure: async ({ bytes, ms }) => {
    const body = Buffer.alloc(bytes, "body");
    let cpu = 0;
    let calls = 0;
    const bench = new Bench({ time: ms, warmupTime: ms / 4, iterations: 10, warmupIterations: 5, throws: true })
      .add("inline", () => sha256Hex(body))
      .add("worker", () => supervisor.call("hash", body), {
        beforeAll: (mode) => {
          if (mode === "run") cpu = -ownThreadCpu();
        },
        beforeEach: () => {
          calls++;
        },
        afterAll: (mode) => {
          if (mode === "run") cpu += ownThreadCpu();
          else calls = 0;
        },
      });
    await bench.run();
    const [inline = Number.NaN, worker = Number.NaN] = bench.tasks.map(({ result }) => {
      if (result.state !== "completed") throw new Error(`the measurement ended as ${result.state}`);
      return result.latency.p50 * 1000;
    });
    return { inline, worker, busy: cpu / calls };
  },
};

const supervisor = new Peer<HashOffers, HashSupervisorOffers>(parentPort, offers);
