import { describe, expect, test } from "vitest";
import { eventLoopDelay } from "../../../bench/gateway/footprint.ts";
import { judge, type SoakSample } from "../../../bench/gateway/soak.ts";

function soak(mib: (slice: number) => number, more: (slice: number) => Partial<SoakSample> = () => ({})): SoakSample[] {
  return Array.from({ length: 60 }, (_, n) => ({
    minutes: n + 1,
    mib: mib(n),
    openFiles: 200,
    requests: 10_000,
    errors: 0,
    ...more(n),
  }));
}

describe("a soak", () => {
  test("is flat when memory breathes", () => {
    expect(judge(soak((n) => 200 + (n % 7) * 3))).toBe("flat");
  });

  test("may fill its caches in the first quarter", () => {
    expect(judge(soak((n) => 150 + Math.min(n, 15) * 10))).toBe("flat");
  });

  test("grows when each slice leaves something behind", () => {
    expect(judge(soak((n) => 200 + n))).toBe("growing");
  });

  test("grows when sockets are left open", () => {
    expect(
      judge(
        soak(
          () => 200,
          (n) => ({ openFiles: 200 + 5 * n }),
        ),
      ),
    ).toBe("growing");
  });

  test("fails when a request does", () => {
    expect(
      judge(
        soak(
          () => 200,
          (n) => ({ errors: n === 30 ? 1 : 0 }),
        ),
      ),
    ).toBe("failing");
  });
});

describe("the event loop's delay", () => {
  test("is found where a metric tells its 99th percentile, and the highest counts", () => {
    const page =
      'nodejs_eventloop_lag_p50_seconds 9\nnodejs_eventloop_lag_p99_seconds{thread="1"} 0.002\nnodejs_eventloop_lag_p99_seconds{thread="2"} 0.004\n';
    expect(eventLoopDelay(page)).toBe(0.004);
    expect(eventLoopDelay('bifrost_event_loop_delay_seconds{quantile="0.99"} 0.001\n')).toBe(0.001);
  });

  test("is unknown where none does", () => {
    expect(eventLoopDelay("bifrost_requests_total 5\n# HELP event_loop p99\n")).toBeUndefined();
  });
});
