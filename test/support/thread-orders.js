/**
 * Loaded into a gateway with NODE_OPTIONS: its threads do what a test orders. An order is a file in THREAD_ORDERS whose
 * name is the thread's and whose text is the deed. A request that says `worker, exit` or `front end, throw` is one as well:
 * for the worker as it writes the encoded request, for the front end as it looks through the body.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { isMainThread, workerData } from "node:worker_threads";

const seconds = 4;
const kept = [];

const deeds = {
  exit: () => process.exit(3),
  throw: () => {
    throw new Error("thrown on order");
  },
  /** The event loop comes late for some seconds. */
  stall: () => {
    const end = performance.now() + seconds * 1000;
    const timer = setInterval(() => {
      const until = performance.now() + 400;
      while (performance.now() < until);
      if (performance.now() > end) clearInterval(timer);
    }, 50);
  },
  /** It takes up memory for some seconds. */
  swell: () => {
    for (let count = 0; count < 6; count++) kept.push(Buffer.alloc(64 * 1024 * 1024, 1));
    setTimeout(() => kept.splice(0), seconds * 1000);
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

if (!isMainThread && process.env.THREAD_ORDERS !== undefined) {
  const order = join(process.env.THREAD_ORDERS, nameOfThread());
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
    const encode = Reflect.get(TextEncoder.prototype, "encode");
    TextEncoder.prototype.encode = function (text) {
      obey(text, /worker, (exit|throw)/);
      return encode.call(this, text);
    };
  } else {
    const includes = Reflect.get(Buffer.prototype, "includes");
    Buffer.prototype.includes = function (...asked) {
      obey(this.toString("latin1", 0, 4096), /front end, (throw)/);
      return includes.apply(this, asked);
    };
  }
}
