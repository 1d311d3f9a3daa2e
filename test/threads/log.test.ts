import { EventEmitter } from "node:events";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { afterEach, describe, expect, test } from "vitest";
import { StoreError } from "../../src/store/store.ts";
import { LogClient, type LogOffers, type LogRules } from "../../src/threads/log.ts";
import { Peer } from "../../src/threads/peer.ts";
import type { StoreThread } from "../../src/threads/store.ts";
import { asResult, type StoreResult } from "../../src/threads/store-result.ts";
import { rejection, until } from "../support/wait.ts";

const rules: LogRules = { secrets: ["s"], maxContentBytes: 1, retentionDays: 1, maxRows: 1 };
const never = new Promise<never>(() => undefined);
const open: { close: () => void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** A thread without one: what it answers is the test's. */
class FakeThread extends EventEmitter implements StoreThread {
  readonly #port: MessagePort;

  constructor(offers: Partial<LogOffers>) {
    super();
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    open.push(port1, port2);
    new Peer(port2, { ...offers });
    port1.on("message", (message: unknown) => this.emit("message", message));
  }

  postMessage(message: unknown): void {
    this.#port.postMessage(message);
  }

  async terminate(): Promise<void> {
    this.emit("exit", 1);
  }
}

function kit(offers: Partial<LogOffers>, timeoutMs = 1000, readsWhereItWrites = false) {
  const health: (string | undefined)[] = [];
  const started: { thread: FakeThread; role: string; rules: LogRules }[] = [];
  const client = new LogClient({
    rules,
    readsWhereItWrites,
    start: (role, present) => {
      const thread = new FakeThread(offers);
      started.push({ thread, role, rules: present });
      return thread;
    },
    onHealth: (problem) => health.push(problem?.message),
    timeoutMs,
    restartMs: 5,
  });
  return { client, health, started };
}

const failing = (fault: StoreError["fault"]) => () =>
  asResult<never>(() => Promise.reject(new StoreError(fault, `it is ${fault}`, new Error("why"))));

describe("the request log, seen from the supervisor", () => {
  test("tells what became of a batch: another try helps, or it does not", async () => {
    const fates: StoreError["fault"][] = ["unavailable", "full", "unreadable", "failed"];
    for (const fault of fates) {
      const { client, health } = kit({ append: failing(fault) });
      expect(await client.append(new Uint8Array())).toBe(fault === "failed" ? "never" : "later");
      expect(health).toEqual([`it is ${fault}`]);
    }
  });

  test("reports a problem once, and its end", async () => {
    const results: StoreResult<void>[] = [];
    const { client, health } = kit({ append: async () => results.shift() ?? { ok: true, value: undefined } });
    const bad: StoreResult<void> = { ok: false, fault: "full", message: "the disk is full", cause: undefined };
    results.push(bad, bad);
    const fates = [];
    for (let count = 0; count < 4; count++) fates.push(await client.append(new Uint8Array()));
    expect(fates).toEqual(["later", "later", "stored", "stored"]);
    expect(health).toEqual(["the disk is full", undefined]);
  });

  test("does not wait for ever for a thread that hangs", async () => {
    const { client } = kit({ append: () => never, find: () => never }, 20);
    expect(await client.append(new Uint8Array())).toBe("later");
    expect(await rejection(client.find("a"))).toMatchObject({ name: "StoreError", fault: "unavailable" });
  });

  test("starts a thread that has died again, with the rules that hold by then", async () => {
    const { client, started } = kit({ find: async () => ({ ok: true, value: undefined }), append: () => never });
    const appending = client.append(new Uint8Array());
    const changed = { ...rules, maxRows: 7 };
    started[0]?.thread.emit("error", new Error("out of memory"));
    started[0]?.thread.emit("exit", 1);
    client.configure(changed);
    expect(await appending).toBe("later");
    expect(await client.append(new Uint8Array())).toBe("later");
    await until("the next thread", () => started.length === 2);
    expect(started[1]).toMatchObject({ role: "write", rules: changed });
  });

  test("reads in a thread of its own, from the first question on, so that rows do not wait for answers", async () => {
    const stored = async () => ({ ok: true, value: undefined }) as const;
    const { client, started } = kit({ append: stored, find: () => never }, 50);
    expect(started.map(({ role }) => role)).toEqual(["write"]);
    const asking = rejection(client.find("a"));
    expect(await client.append(new Uint8Array())).toBe("stored");
    expect(await asking).toMatchObject({ fault: "unavailable" });
    expect(started.map(({ role }) => role)).toEqual(["write", "read"]);
    const memory = kit({ append: stored, find: stored }, 50, true);
    await memory.client.find("a");
    expect(memory.started.map(({ role }) => role)).toEqual(["write"]);
  });

  test("closes in time, and answers nothing after", async () => {
    const { client, started } = kit({ close: () => never });
    await client.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(started).toHaveLength(1);
    expect(await rejection(client.find("a"))).toMatchObject({ fault: "unavailable" });
  });
});
