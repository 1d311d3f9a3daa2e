import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { placeOf } from "../../src/store/log-ids.ts";
import { unpackBatch } from "../../src/telemetry/log-unpack.ts";
import { Redactor } from "../../src/telemetry/redactor.ts";
import { type BatchFate, type LogBatch, RequestLog, type RequestLogOptions } from "../../src/telemetry/request-log.ts";
import { recordOf } from "./kit.ts";

const redactor = new Redactor([]);

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function kit(fates: BatchFate[] = [], options: Partial<RequestLogOptions> = {}) {
  const written: string[] = [];
  const rowIds: string[] = [];
  const batches: LogBatch[] = [];
  const lost: number[] = [];
  const log = new RequestLog({
    enabled: true,
    onDropped: (rows) => lost.push(rows),
    send: async (batch) => {
      batches.push(batch);
      const fate = fates.shift() ?? "stored";
      if (fate !== "stored") return fate;
      for (const { row } of unpackBatch(batch.bytes, redactor)) {
        written.push(row.requestId);
        rowIds.push(row.id);
      }
      return fate;
    },
    ...options,
  });
  const add = (...ids: string[]): void => {
    for (const id of ids) log.add(recordOf({ id }));
  };
  return { log, add, written, rowIds, batches, lost };
}

describe("a front end's request log", () => {
  test("sends rows together, within its time", async () => {
    const { add, written, batches, log } = kit();
    add("a", "b");
    await vi.advanceTimersByTimeAsync(199);
    expect(written).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(written).toEqual(["a", "b"]);
    expect(batches).toHaveLength(1);
    expect(log.state).toEqual({ dropped: 0, waiting: 0 });
  });

  test("begins ids anew before their numbers are too many", async () => {
    const { add, rowIds } = kit([], { rowsOfPrefix: 40 });
    for (let n = 0; n < 100; n++) add(`${n}`);
    await vi.advanceTimersByTimeAsync(200);
    expect(new Set(rowIds).size).toBe(100);
    const places = rowIds.map(placeOf);
    expect(new Set(places.map(({ stem }) => stem)).size).toBe(3);
    expect(Math.max(...places.map(({ number }) => number))).toBeLessThan(40);
  });

  test("does not wait with a whole batch", async () => {
    const { add, written } = kit([], { batchRows: 3 });
    add("a", "b", "c");
    await vi.advanceTimersByTimeAsync(0);
    expect(written).toEqual(["a", "b", "c"]);
  });

  test("has no timer while there is nothing to send", async () => {
    const { add } = kit();
    expect(vi.getTimerCount()).toBe(0);
    add("a");
    await vi.advanceTimersByTimeAsync(200);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("sends a batch that was not taken again, as it was, before what came later", async () => {
    const { add, written, rowIds, batches, lost } = kit(["later", "later"]);
    add("a");
    await vi.advanceTimersByTimeAsync(200);
    add("b");
    await vi.advanceTimersByTimeAsync(2000);
    expect(written).toEqual(["a", "b"]);
    expect(batches[0]).toBe(batches[2]);
    expect(new Set(rowIds).size).toBe(2);
    expect(lost).toEqual([]);
  });

  test("a call that fails is a batch that was not taken", async () => {
    const { add, written, log } = kit([], { retryMs: 100 });
    const send = vi.fn().mockRejectedValueOnce(new Error("gone"));
    const failing = kit([], { send, retryMs: 100 });
    send.mockResolvedValue("stored");
    failing.add("a");
    await vi.advanceTimersByTimeAsync(299);
    expect(failing.log.state.waiting).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(failing.log.state).toEqual({ dropped: 0, waiting: 0 });
    add("b");
    await vi.advanceTimersByTimeAsync(200);
    expect([written, log.state.waiting]).toEqual([["b"], 0]);
  });

  test("drops and counts what finds no room, and takes rows again when there is some", async () => {
    const { log, add, written, lost } = kit(["later"], { mostRows: 3, retryMs: 1000 });
    add("a");
    await vi.advanceTimersByTimeAsync(200);
    add("b", "c", "d", "e");
    expect(log.state).toEqual({ dropped: 2, waiting: 3 });
    expect(lost).toEqual([1, 1]);
    await vi.advanceTimersByTimeAsync(1500);
    add("f");
    await vi.advanceTimersByTimeAsync(200);
    expect(written).toEqual(["a", "b", "c", "f"]);
    expect(log.state).toEqual({ dropped: 2, waiting: 0 });
  });

  test("drops rows whose content is too much together, and gives the room back", async () => {
    const { log, written } = kit([], { mostContent: 10 });
    const content = { request: "123456", answer: undefined, logged: true, traced: false };
    const add = (id: string) => log.add(recordOf({ id, content }));
    add("a");
    add("b");
    log.add(recordOf({ id: "c" }));
    log.add(recordOf({ id: "d", content: { ...content, logged: false } }));
    expect(log.state).toEqual({ dropped: 1, waiting: 3 });
    await vi.advanceTimersByTimeAsync(200);
    add("e");
    await vi.advanceTimersByTimeAsync(200);
    expect(written).toEqual(["a", "c", "d", "e"]);
  });

  test("drops a batch that can never be written, and goes on", async () => {
    const { log, add, written, lost } = kit(["never"]);
    add("a", "b");
    await vi.advanceTimersByTimeAsync(200);
    add("c");
    await vi.advanceTimersByTimeAsync(200);
    expect([written, lost, log.state.dropped]).toEqual([["c"], [2], 2]);
  });

  test("takes nothing while it is off", async () => {
    const { log, add, written } = kit([], { enabled: false });
    add("a");
    log.enable(true);
    add("b");
    log.enable(false);
    add("c");
    await vi.advanceTimersByTimeAsync(200);
    expect(written).toEqual(["b"]);
  });

  test("writes what waits before it ends", async () => {
    const { log, add, written } = kit(["later"]);
    add("a", "b");
    await log.stop(2000);
    expect(written).toEqual(["a", "b"]);
    add("c");
    await vi.advanceTimersByTimeAsync(1000);
    expect(written).toEqual(["a", "b"]);
  });

  test("ends in time though nothing is taken, and counts what is lost", async () => {
    vi.useRealTimers();
    const send = () => new Promise<BatchFate>(() => undefined);
    const { log, add, lost } = kit([], { send });
    add("a", "b");
    await log.stop(30);
    expect(lost).toEqual([2]);
    expect(log.state).toEqual({ dropped: 2, waiting: 0 });
  });
});
