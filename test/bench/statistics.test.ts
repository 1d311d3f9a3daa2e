import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { latenciesOf, Schedule } from "../../bench/load/schedule.ts";
import { median, quantile, quartileRange } from "../../bench/statistics.ts";

describe("many values", () => {
  test("have the middle one as their median, or the mean of the two in the middle", () => {
    expect(median([10, 9, 100])).toBe(10);
    expect(median([10, 9, 100, 11])).toBe(10.5);
    expect(median([7])).toBe(7);
    expect(median([])).toBeNaN();
  });

  test("are as noisy as their quarters lie apart, whatever one outlier does", () => {
    expect(quartileRange([10, 11, 12, 13, 14])).toBe(2);
    expect(quartileRange([10, 11, 12, 13, 1000])).toBe(2);
    expect(quartileRange([5])).toBe(0);
    expect(quartileRange([])).toBeNaN();
  });

  test("have quantiles among themselves, with so many below", () => {
    expect(quantile(new Float64Array(0), 0.5)).toBe(0);
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
        const sorted = Float64Array.from(values).sort();
        const found = quantile(sorted, q);
        expect(values).toContain(found);
        expect(sorted.filter((value) => value < found).length).toBeLessThanOrEqual(q * values.length);
        expect(sorted.filter((value) => value <= found).length).toBeGreaterThanOrEqual(Math.floor(q * values.length));
      }),
    );
  });
});

describe("a schedule", () => {
  test("has a request due every gap, and none at its end", () => {
    const schedule = new Schedule(1000, 10, 1040);
    expect(schedule.next()).toBe(1010);
    expect(schedule.take(1009.9)).toBeUndefined();
    expect([schedule.take(1035), schedule.take(1035), schedule.take(1035), schedule.take(1035)]).toEqual([
      1010,
      1020,
      1030,
      undefined,
    ]);
    expect(schedule.next()).toBeUndefined();
  });

  /** A server with one connection that needs 1 ms for each request and stands still once, for half a second. */
  function simulate(): { readonly due: number[]; readonly closed: number[] } {
    const stillFrom = 400;
    const serve = (at: number) => (at >= stillFrom && at < stillFrom + 500 ? stillFrom + 500 : at) + 1;
    const schedule = new Schedule(0, 10, 1000);
    const due: number[] = [];
    for (let free = 0, dueAt = schedule.take(2000); dueAt !== undefined; dueAt = schedule.take(2000)) {
      free = serve(Math.max(free, dueAt));
      due.push(free - dueAt);
    }
    const closed: number[] = [];
    for (let now = 0; now < 1000; ) {
      const answered = serve(now);
      closed.push(answered - now);
      now = answered + 9;
    }
    return { due, closed };
  }

  test("meets a stall with as many late requests as were due in it, where a waiting client sees one", () => {
    const { due, closed } = simulate();
    expect(due).toHaveLength(99);
    expect(closed.filter((millis) => millis > 1)).toHaveLength(1);
    expect(due.filter((millis) => millis > 1).length).toBeGreaterThan(45);
    // Half of the time it stood still, so half of all requests have waited; the client that waits does not know.
    expect(latenciesOf(due).p50).toBeGreaterThan(10_000);
    expect(latenciesOf(closed).p50).toBe(1000);
  });

  test("gives latencies in microseconds, the highest included", () => {
    const latencies = latenciesOf(Array.from({ length: 1000 }, (_, n) => n / 1000));
    expect(latencies).toEqual({ p50: 500, p99: 990, p999: 999, max: 999 });
    expect(latenciesOf([])).toEqual({ p50: 0, p99: 0, p999: 0, max: 0 });
  });
});
