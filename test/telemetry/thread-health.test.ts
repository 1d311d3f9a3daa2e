import { expect, test } from "vitest";
import { processReadings, ThreadHealth } from "../../src/telemetry/thread-health.ts";
import { sleep } from "../support/wait.ts";

test("a thread that was held up says how long, once", async () => {
  const health = new ThreadHealth("front-end-1");
  await sleep(60);
  const until = performance.now() + 300;
  while (performance.now() < until);
  await sleep(60);
  const worst = () =>
    health.read().find(({ name, labels }) => name === "bifrost_event_loop_delay_seconds" && labels.quantile === "1");
  const held = worst();
  expect(held?.labels.thread).toBe("front-end-1");
  expect(held?.value).toBeGreaterThan(0.2);
  expect(worst()?.value).toBeLessThan(0.2);
});

test("memory, processor time, threads and the queue are told in their units", () => {
  const value = (name: string, kind?: string) =>
    processReadings({ frontEnds: 3, threads: 2, waiting: 7 }).find(
      (one) => one.name === name && (kind === undefined || one.labels.kind === kind),
    )?.value;
  expect(value("process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
  expect(value("process_cpu_seconds_total")).toBeGreaterThan(0);
  expect(Math.abs((value("process_start_time_seconds") ?? 0) - Date.now() / 1000)).toBeLessThan(3600);
  expect(value("bifrost_threads", "front_end")).toBe(3);
  expect(value("bifrost_threads", "worker")).toBe(2);
  expect(value("bifrost_worker_queue_depth")).toBe(7);
});
