/** The thread of `bench/hop.ts` that stands for a front end: it does the work itself, or has a worker do it. */
import { parentPort } from "node:worker_threads";
import { Bench } from "tinybench";
import { matchOperation } from "../src/bedrock/operations.ts";
import { jobs, plainRoute } from "../src/gateway/jobs.ts";
import { Workers } from "../src/threads/off-thread.ts";
import { Peer } from "../src/threads/peer.ts";
import { sha256Hex, sha256InSlices } from "../src/upstream/sigv4.ts";
import { ownThreadCpu } from "./gateway/process.ts";
import type { HopOffers, HopSupervisorOffers, Work } from "./hop.ts";

if (parentPort === null) throw new Error("this file is a thread of bench/hop.ts");

const route = matchOperation("POST", "/model/gpt/converse");
if (route === undefined) throw new Error("there is no such operation");
const preparing = {
  route: plainRoute(route),
  asked: "gpt",
  headers: new Map<string, string>(),
  requestId: "id",
  target: { provider: "openai", kind: "openai", model: "gpt-4.1", streaming: false, seed: "id" },
  guarded: false,
};

const offers: HopOffers = {
  measure: async ({ work, bytes, ms }) => {
    const body = bodyOf(work, bytes);
    const inline = work === "hash" ? () => sha256Hex(body) : () => jobs.prepare({ body, ...preparing });
    const hop = work === "hash" ? () => sha256InSlices(body) : () => workers.run("prepare", body, preparing);
    let cpu = 0;
    let calls = 0;
    const bench = new Bench({ time: ms, warmupTime: ms / 4, iterations: 5, warmupIterations: 2, throws: true })
      .add("inline", () => {
        inline();
      })
      .add("worker", hop, {
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
    const [alone = Number.NaN, worker = Number.NaN] = bench.tasks.map(({ result }) => {
      if (result.state !== "completed") throw new Error(`the measurement ended as ${result.state}`);
      return result.latency.p50 * 1000;
    });
    return { inline: alone, worker, busy: cpu / calls };
  },
};

function bodyOf(work: Work, bytes: number): Buffer {
  if (work === "hash") return Buffer.alloc(bytes, "body");
  const turn = (content: object, role = "user") => ({ role, content: [content] });
  if (work === "image") {
    const picture = Buffer.alloc((bytes * 3) / 4, "picture").toString("base64");
    return Buffer.from(JSON.stringify({ messages: [turn({ image: { format: "png", source: { bytes: picture } } })] }));
  }
  const text = 'A sentence of a "long" conversation.\n'.repeat(100);
  const messages = Array.from({ length: Math.max(1, Math.round(bytes / text.length)) }, (_, index) =>
    turn({ text }, index % 2 === 0 ? "user" : "assistant"),
  );
  return Buffer.from(JSON.stringify({ messages: [...messages, turn({ text })] }));
}

const supervisor = new Peer<HopOffers, HopSupervisorOffers>(parentPort, offers);
const workers = new Workers((job, transfer) => supervisor.call("work", job, transfer));
