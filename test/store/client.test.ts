import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MessageChannel, type MessagePort, type Worker } from "node:worker_threads";
import { describe, expect, onTestFinished, test } from "vitest";
import type { StoreSettings } from "../../src/store/open.ts";
import { StoreError } from "../../src/store/store.ts";
import { StoreClient, type StoreClientOptions, type StoreThread } from "../../src/threads/store.ts";
import { startTypescript } from "../keys/typescript-worker.ts";
import { rejection, sleep, until } from "../support/wait.ts";
import { counter, entity, temporaryFolder } from "./databases.ts";

type Problems = (StoreError | undefined)[];

/** A client of a real thread, and the threads it has started. */
function realClient(settings: StoreSettings, options: Partial<StoreClientOptions> = {}) {
  const threads: Worker[] = [];
  const problems: Problems = [];
  const start = (): StoreThread => {
    const file = new URL("../../src/threads/store-thread.ts", import.meta.url).href;
    const thread = startTypescript(file, settings);
    threads.push(thread);
    return thread;
  };
  const client = new StoreClient({ start, onHealth: (problem) => problems.push(problem), ...options });
  onTestFinished(() => client.close().catch(() => undefined));
  return { client, threads, problems };
}

/** What the client sends to a store that does nothing by itself. */
interface Call {
  readonly id: number;
  readonly name: string;
}

/** A client of a store that answers only when the test says so. */
function hangingClient(options: Partial<StoreClientOptions> = {}) {
  const problems: Problems = [];
  const calls: Call[] = [];
  const ends: ((code: number) => void)[] = [];
  let far: MessagePort | undefined;
  let starts = 0;
  const start = (): StoreThread => {
    const { port1, port2 } = new MessageChannel();
    starts++;
    far = port2;
    port2.on("message", (call: Call) => calls.push(call));
    onTestFinished(() => port2.close());
    return {
      postMessage: (message) => port1.postMessage(message),
      on: (event, listener) => port1.on(event, listener),
      once: (event, listener) => event === "exit" && ends.push(listener as (code: number) => void),
      terminate: async () => {
        port1.close();
      },
    };
  };
  const client = new StoreClient({
    start,
    onHealth: (problem) => problems.push(problem),
    timeoutMs: 50,
    openTimeoutMs: 50,
    // The test asks, not the clock.
    pingEveryMs: 1_000_000,
    restartMs: 20,
    ...options,
  });
  onTestFinished(() => client.close().catch(() => undefined));
  const answer = (value: unknown): void => {
    for (const { id } of calls.splice(0)) far?.postMessage({ kind: "return", id, value: { ok: true, value } });
  };
  const refuse = (fault: string, message: string): void => {
    const value = { ok: false, fault, message, cause: undefined };
    for (const { id } of calls.splice(0)) far?.postMessage({ kind: "return", id, value });
  };
  return { client, problems, calls, answer, refuse, ends, starts: () => starts };
}

describe("the store's thread", { timeout: 20_000 }, () => {
  test("keeps entities and counters in a file, past its own end", async () => {
    const dataDir = temporaryFolder();
    const first = realClient({ kind: "sqlite", dataDir });
    const batch = [counter("ä", { value: Number.MAX_SAFE_INTEGER, window: 1_800_000_000_000 }), counter("b")];
    expect(await first.client.putEntity(entity("a", { secret: { hash: "x" } }))).toMatchObject({ kind: "written" });
    expect(await first.client.putEntity(entity("a"))).toEqual({ kind: "conflict", version: 1 });
    await first.client.saveCounters(batch);
    await first.client.close();
    const second = realClient({ kind: "sqlite", dataDir });
    expect(await second.client.listEntities()).toMatchObject([{ id: "a", secret: { hash: "x" } }]);
    expect(await second.client.listEntities("customers")).toEqual([]);
    expect(await second.client.getEntity("teams", "a")).toMatchObject({ version: 1 });
    expect(await second.client.getEntity("teams", "b")).toBeUndefined();
    expect(await second.client.loadCounters(0)).toEqual(expect.arrayContaining(batch));
    await second.client.dropCounters(Number.MAX_SAFE_INTEGER);
    expect(await second.client.loadCounters(0)).toEqual([]);
    expect(await second.client.deleteEntity("teams", "a", 1)).toBe(true);
    expect(second.client.problem).toBeUndefined();
    expect(readdirSync(dataDir)).toContain("bifrost.db");
  });

  test("tells what is wrong with the file, and opens it once that is mended", async () => {
    const dataDir = temporaryFolder();
    const file = join(dataDir, "bifrost.db");
    writeFileSync(file, "not a database at all, but long enough to look at".repeat(40));
    const { client, problems } = realClient({ kind: "sqlite", dataDir });
    const error = await rejection(client.listEntities());
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ fault: "unreadable", message: expect.stringContaining(file) });
    expect(client.problem?.fault).toBe("unreadable");
    writeFileSync(file, "");
    await until("the file to be opened", () => problems.at(-1) === undefined && problems.length > 1);
    expect(await client.listEntities()).toEqual([]);
  });

  test("is started again when it has died, and what was written is there", async () => {
    const { client, threads, problems } = realClient(
      { kind: "sqlite", dataDir: temporaryFolder() },
      { restartMs: 50, pingEveryMs: 50 },
    );
    await client.putEntity(entity("a"));
    await threads[0]?.terminate();
    await until("the death to be noticed", () => problems.length > 0);
    await until("another thread", async () => client.problem === undefined, 10_000);
    expect(threads).toHaveLength(2);
    expect(await client.listEntities()).toHaveLength(1);
    expect(problems.map((problem) => problem?.message)).toEqual(["the store's thread has ended", undefined]);
  });

  test("keeps nothing when it is told to stay in memory", async () => {
    const dataDir = temporaryFolder();
    const { client } = realClient({ kind: "memory", dataDir });
    await client.putEntity(entity("a"));
    expect(await client.listEntities()).toHaveLength(1);
    expect(readdirSync(dataDir)).toEqual([]);
  });
});

describe("a store that hangs", () => {
  test("does not hang who calls it", async () => {
    const { client, problems } = hangingClient();
    const calls = [
      client.ping(),
      client.listEntities(),
      client.putEntity(entity("a")),
      client.saveCounters([counter("c")]),
      client.loadCounters(0),
    ];
    for (const call of calls) {
      expect(await rejection(call)).toMatchObject({
        name: "StoreError",
        fault: "unavailable",
        message: "the store did not answer within 50 ms",
      });
    }
    expect(client.problem?.fault).toBe("unavailable");
    expect(problems).toHaveLength(1);
  });

  test("is not sent anything more until it has answered", async () => {
    const { client, calls, answer, problems } = hangingClient();
    await rejection(client.ping());
    for (let index = 0; index < 100; index++) {
      expect(await rejection(client.saveCounters([counter("c")]))).toMatchObject({ fault: "unavailable" });
    }
    await until("the one call to arrive", () => calls.length > 0);
    expect(calls.map(({ name }) => name)).toEqual(["ping"]);
    answer(undefined);
    await sleep(20);
    const again = client.ping();
    await until("the next call", () => calls.length > 0);
    answer(undefined);
    await again;
    expect(client.problem).toBeUndefined();
    expect(problems.map((problem) => problem?.fault)).toEqual(["unavailable", undefined]);
  });

  test("has the longer time while it opens", async () => {
    const { client, calls, answer } = hangingClient({ timeoutMs: 20, openTimeoutMs: 2000 });
    const first = client.ping();
    await sleep(100);
    await until("the call", () => calls.length > 0);
    answer(undefined);
    await first;
    expect(await rejection(client.ping())).toMatchObject({ message: "the store did not answer within 20 ms" });
  });

  test("does not keep the gateway from ending", async () => {
    const { client } = hangingClient();
    await rejection(client.ping());
    expect(await rejection(client.close())).toMatchObject({ fault: "unavailable" });
    expect(await rejection(client.ping())).toMatchObject({ message: "the store is closed" });
  });

  test("and then dies is forgotten with what it owed", async () => {
    const { client, ends, calls, answer, starts } = hangingClient();
    await rejection(client.ping());
    ends[0]?.(1);
    await until("another thread", () => starts() === 2);
    calls.splice(0);
    const ping = client.ping();
    await until("the call", () => calls.length > 0);
    answer(undefined);
    await ping;
    expect(client.problem).toBeUndefined();
  });
});

describe("a store that fails", () => {
  test("to write is not well because it can be read", async () => {
    const { client, calls, answer, refuse, problems } = hangingClient({ timeoutMs: 500, openTimeoutMs: 500 });
    const save = rejection(client.saveCounters([counter("c")]));
    await until("the call", () => calls.length > 0);
    refuse("full", "its disk is full");
    expect(await save).toMatchObject({ fault: "full" });
    const ping = client.ping();
    await until("the call", () => calls.length > 0);
    answer(undefined);
    await ping;
    expect(client.problem?.fault).toBe("full");
    const again = client.saveCounters([counter("c")]);
    await until("the call", () => calls.length > 0);
    answer(undefined);
    await again;
    expect(problems.map((problem) => problem?.fault)).toEqual(["full", undefined]);
  });

  test("at one thing is not given up for it", async () => {
    const { client, calls, refuse, problems } = hangingClient({ timeoutMs: 500, openTimeoutMs: 500 });
    const put = rejection(client.putEntity(entity("a")));
    await until("the call", () => calls.length > 0);
    refuse("failed", "the store failed");
    expect(await put).toMatchObject({ fault: "failed" });
    expect(problems).toEqual([]);
  });
});
