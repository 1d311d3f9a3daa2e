import { describe, expect, test } from "vitest";
import { mostWaiting, Workers } from "../../src/threads/off-thread.ts";
import type { NamedJob } from "../../src/threads/worker-pool.ts";
import { rejection } from "../support/wait.ts";

const mib = 1024 * 1024;

function start() {
  const sent: { named: NamedJob; transfer: readonly ArrayBuffer[]; finish: (value: unknown) => void }[] = [];
  const workers = new Workers(
    (named, transfer) => new Promise((finish) => sent.push({ named, transfer, finish: (value) => finish(value) })),
  );
  return { workers, sent };
}

describe("a body on its way to a worker", () => {
  test("is a copy of its own, whole, while the original stays", async () => {
    const { workers, sent } = start();
    const body = Buffer.alloc(3 * mib + 5);
    for (let at = 0; at < body.length; at++) body[at] = at % 251;
    const done = workers.run("model", body, {});
    await expect.poll(() => sent.length).toBe(1);
    const [{ named, transfer, finish } = { named: undefined, transfer: [], finish: () => undefined }] = sent;
    expect(Buffer.compare(named?.job.body ?? Buffer.alloc(0), body)).toBe(0);
    expect(transfer).toEqual([named?.job.body.buffer]);
    expect(body.length).toBe(3 * mib + 5);
    finish("model");
    expect(await done).toBe("model");
  });
});

describe("when much waits for the workers", () => {
  test("more is refused with a word on when to come again, and taken once there is room", async () => {
    const { workers, sent } = start();
    const small = Buffer.from("{}");
    const waiting = Array.from({ length: mostWaiting.jobs }, () => workers.run("model", small, {}));
    await expect.poll(() => sent.length).toBe(mostWaiting.jobs);
    expect(await rejection(workers.run("model", small, {}))).toMatchObject({
      type: "ThrottlingException",
      retryAfterSeconds: 1,
    });
    expect(sent.length).toBe(mostWaiting.jobs);
    for (const { finish } of sent) finish(undefined);
    await Promise.all(waiting);
    const next = workers.run("model", small, {});
    await expect.poll(() => sent.length).toBe(mostWaiting.jobs + 1);
    sent.at(-1)?.finish("taken");
    expect(await next).toBe("taken");
  });

  test("answers are worked on all the same: they have been paid for", async () => {
    const { workers, sent } = start();
    const small = Buffer.from("{}");
    const waiting = Array.from({ length: mostWaiting.jobs }, () => workers.run("model", small, {}));
    const facts = workers.run("facts", small, { operation: "Converse" });
    await expect.poll(() => sent.length).toBe(mostWaiting.jobs + 1);
    for (const { finish } of sent) finish(undefined);
    await Promise.all([...waiting, facts]);
  });

  test("a job that fails makes room as well", async () => {
    const workers = new Workers(() => Promise.reject(new Error("the worker died")));
    const small = Buffer.from("{}");
    for (let count = 0; count < 2 * mostWaiting.jobs; count++) {
      expect(String(await rejection(workers.run("model", small, {})))).toContain("the worker died");
    }
  });
});
