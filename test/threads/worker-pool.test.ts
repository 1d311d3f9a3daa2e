import { afterEach, describe, expect, test } from "vitest";
import { jobs } from "../../src/gateway/jobs.ts";
import { startWorkerPool, type WorkerPool } from "../../src/threads/worker-pool.ts";
import { rejection } from "../support/wait.ts";

const pools: WorkerPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

function start(threads = 1, options?: Parameters<typeof startWorkerPool>[2]): { pool: WorkerPool; deaths: unknown[] } {
  const deaths: unknown[] = [];
  const pool = startWorkerPool(threads, (error) => deaths.push(error), options);
  pools.push(pool);
  return { pool, deaths };
}

const body = (text: string): Uint8Array => new TextEncoder().encode(text);
const async = JSON.stringify({ modelId: "provider/model", more: "x".repeat(1000) });

describe("a job", { timeout: 30_000 }, () => {
  test("gives in a worker what it gives here, and takes its body's memory along", async () => {
    const { pool } = start();
    const bytes = body(async);
    const here = jobs.model({ body: body(async) });
    expect(await pool.run({ name: "model", job: { body: bytes } })).toBe(here);
    expect(here).toBe("provider/model");
    expect(bytes.length).toBe(0);
  });

  test("gives bytes back that are its own", async () => {
    const { pool } = start();
    const text = JSON.stringify({ messages: [{ role: "user", content: [{ text: "hi" }] }] });
    const done = await pool.run({ name: "strip", job: { body: body(text) } });
    expect(done).toEqual({ bytes: body(text) });
    // Nothing to do: the body itself comes back.
    expect(await pool.run({ name: "strip", job: { body: body("no JSON") } })).toEqual({ bytes: body("no JSON") });
  });

  test("that fails is that job's failure, and the next one is done", async () => {
    const { pool, deaths } = start();
    // Without its other members it throws.
    expect(await rejection(pool.run({ name: "prepare", job: { body: body("{}") } }))).toBeInstanceOf(Error);
    expect(await pool.run({ name: "model", job: { body: body(async) } })).toBe("provider/model");
    expect(deaths).toEqual([]);
  });
});

describe("a worker that dies", { timeout: 60_000 }, () => {
  const lethal = { filename: new URL("./lethal-tasks.ts", import.meta.url).href, execArgv: ["--import", "tsx"] };
  const job = (what: string) => ({ name: "model", job: { body: body(what) } }) as const;

  test.each(["exit", "hoard"])("of %s fails its own job alone, and another takes its place", async (deed) => {
    const { pool } = start(1, { tasks: lethal, heapMib: 64 });
    expect(await pool.run(job("fine"))).toBe("fine");
    const dying = rejection(pool.run(job(deed)));
    const waiting = pool.run(job("waiting"));
    expect(await dying).toBeInstanceOf(Error);
    expect(await waiting).toBe("waiting");
    expect(await pool.run(job("later"))).toBe("later");
  });
});
