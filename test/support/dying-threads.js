/**
 * Loaded into a gateway with NODE_OPTIONS: its threads die on a test's order. An order is a file in DYING_THREADS whose
 * name is the thread's and whose text is the deed. A request that says `worker, exit` or `front end, throw` is one as well:
 * for the worker as it writes the encoded request, for the front end as it looks through the body.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { isMainThread, workerData } from "node:worker_threads";

const deeds = {
  exit: () => process.exit(3),
  throw: () => {
    throw new Error("thrown on order");
  },
  hoard: () => {
    const hoarded = [];
    for (;;) hoarded.push(Array.from({ length: 1_000_000 }, Math.random));
  },
};

function nameOfThread() {
  const file = basename(process.argv[1] ?? "", ".js");
  if (file === "front-end") return `front-end-${workerData.index}`;
  if (file === "log-thread") return `log-${workerData.role}`;
  return file === "store-thread" ? "store" : "worker";
}

if (!isMainThread && process.env.DYING_THREADS !== undefined) {
  const order = join(process.env.DYING_THREADS, nameOfThread());
  setInterval(() => {
    if (!existsSync(order)) return;
    const deed = deeds[readFileSync(order, "utf8")];
    if (deed === undefined) return;
    rmSync(order);
    deed();
  }, 20).unref();

  const obey = (text, order) => {
    const [, deed] = order.exec(text) ?? [];
    if (deed !== undefined) deeds[deed]();
  };
  if (nameOfThread() === "worker") {
    const { encode } = TextEncoder.prototype;
    TextEncoder.prototype.encode = function (text) {
      obey(text, /worker, (exit|throw)/);
      return encode.call(this, text);
    };
  } else {
    const { includes } = Buffer.prototype;
    Buffer.prototype.includes = function (...asked) {
      obey(this.toString("latin1", 0, 4096), /front end, (throw)/);
      return includes.apply(this, asked);
    };
  }
}
