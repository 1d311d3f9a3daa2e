/** How the process and its threads are: memory, processor time, and how late their event loops run. */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { Reading } from "./metrics.ts";

/** How often the loop is looked at. Milliseconds; the timer runs outside of JavaScript. */
const resolutionMs = 20;
const quantiles = [0.5, 0.99, 1] as const;

/** Of the thread that makes it. */
export class ThreadHealth {
  readonly #thread: string;
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs });

  /** @param thread its name in the labels */
  constructor(thread: string) {
    this.#thread = thread;
    this.#delay.enable();
  }

  /** Delays are those since the last reading. */
  read(): readonly Reading[] {
    const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
    const { count } = this.#delay;
    const delays = quantiles.map((quantile): Reading => {
      // The histogram holds the time between two looks, in nanoseconds.
      const late = count === 0 ? 0 : Math.max(0, this.#delay.percentile(quantile * 100) / 1e6 - resolutionMs) / 1000;
      return this.#reading("bifrost_event_loop_delay_seconds", "How late the event loop ran.", late, {
        quantile: String(quantile),
      });
    });
    this.#delay.reset();
    return [
      ...delays,
      this.#reading("bifrost_heap_used_bytes", "JavaScript heap in use.", heap),
      this.#reading(
        "bifrost_external_memory_bytes",
        "Memory outside of the heap that the thread's objects hold.",
        external,
      ),
    ];
  }

  #reading(name: string, help: string, value: number, labels: Readonly<Record<string, string>> = {}): Reading {
    return { name, help, labels: { thread: this.#thread, ...labels }, value, aggregate: "max" };
  }
}

/** How the process is, as one of its threads says. @param load what the threads of its pool do */
export function processReadings(load: {
  readonly frontEnds: number;
  /** Threads of the worker pool. */
  readonly threads: number;
  /** Tasks that wait for one. */
  readonly waiting: number;
}): readonly Reading[] {
  const { user, system } = process.cpuUsage();
  const reading = (name: string, help: string, value: number): Reading => ({
    name,
    help,
    labels: {},
    value,
    aggregate: "max",
  });
  const threads = (kind: string, value: number): Reading => ({
    ...reading("bifrost_threads", "Threads of the gateway's own, by kind.", value),
    labels: { kind },
  });
  return [
    reading("process_resident_memory_bytes", "Resident memory of the process.", process.memoryUsage.rss()),
    { ...reading("process_cpu_seconds_total", "Processor time used.", (user + system) / 1e6), type: "counter" },
    reading("process_start_time_seconds", "When the process started, since 1970.", startedAt),
    threads("front_end", load.frontEnds),
    threads("worker", load.threads),
    reading("bifrost_worker_queue_depth", "Tasks that wait for a worker.", load.waiting),
  ];
}

const startedAt = Math.round(Date.now() / 1000 - process.uptime());
