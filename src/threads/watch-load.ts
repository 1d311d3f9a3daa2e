/** A front end's look at its own load, ten times a second. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Overload, type OverloadLimits } from "../gateway/overload.ts";
import type { Logger } from "../telemetry/log.ts";

const everyMs = 100;
/** Memory is asked for less often: it takes the kernel a while to say. */
const looksPerMemory = 5;

/** The looks end with the thread. */
export function watchLoad(limits: OverloadLimits, log: Logger): Overload {
  const overload = new Overload(limits, {
    onChange: (reason) => {
      const memoryMiB = Math.round(process.memoryUsage.rss() / 1024 / 1024);
      const facts = { reason, delayMs: Math.round(overload.delayMs), memoryMiB };
      if (reason === undefined) log.info(facts, "no longer overloaded: new requests are taken again");
      else log.warn(facts, "overloaded: new requests are refused");
    },
    collect: collectGarbage,
  });
  let due = performance.now() + everyMs;
  let looks = 0;
  let memory = 0;
  setInterval(() => {
    const now = performance.now();
    if (looks++ % looksPerMemory === 0) memory = process.memoryUsage.rss();
    overload.look(now - due, memory, now);
    due = now + everyMs;
  }, everyMs).unref();
  return overload;
}

/**
 * Garbage is collected as new work comes, and none comes while it is refused for want of memory: what large bodies have
 * left would keep it refused.
 */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
}
