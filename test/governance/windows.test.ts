import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseDuration } from "../../src/config/governance.ts";
import { forever, isWithin, type Period, periodOf, spanOf } from "../../src/governance/windows.ts";
import { day, minute, start } from "./kit.ts";

function period(written: string, calendarAligned: boolean): Period {
  const duration = parseDuration(written);
  if (duration === undefined) throw new Error(`${written} is no duration`);
  return periodOf(duration, calendarAligned);
}

/** Begin and end of the window that a time is in. */
function windowOf(written: string, time: string): [string, string] {
  const one = period(written, true);
  const begin = one.startAt(Date.parse(time));
  const told = (ms: number) => new Date(ms).toISOString().replace(":00.000Z", "Z");
  return [told(begin), told(one.endOf(begin))];
}

const times = fc.integer({ min: Date.UTC(1980, 0, 1), max: Date.UTC(2150, 0, 1) });
const durations = fc.constantFrom("30s", "5m", "1h", "1d", "3d", "1w", "2w", "1M", "5M", "1Q", "2Q", "1Y", "3Y");

describe("calendar windows", () => {
  it.each([
    ["1d", "2026-02-28T23:59:59.999Z", "2026-02-28T00:00Z", "2026-03-01T00:00Z"],
    ["1w", "2026-11-22T12:00:00Z", "2026-11-16T00:00Z", "2026-11-23T00:00Z"],
    ["1w", "2026-11-23T00:00:00Z", "2026-11-23T00:00Z", "2026-11-30T00:00Z"],
    ["1M", "2028-02-29T12:00:00Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z"],
    ["1M", "2026-12-31T23:59:59.999Z", "2026-12-01T00:00Z", "2027-01-01T00:00Z"],
    ["1Q", "2026-11-22T12:00:00Z", "2026-10-01T00:00Z", "2027-01-01T00:00Z"],
    ["1Y", "2026-11-22T12:00:00Z", "2026-01-01T00:00Z", "2027-01-01T00:00Z"],
    ["6M", "2026-08-01T00:00:00Z", "2026-07-01T00:00Z", "2027-01-01T00:00Z"],
    ["2Y", "2027-08-01T00:00:00Z", "2026-01-01T00:00Z", "2028-01-01T00:00Z"],
    ["1h", "2026-11-22T12:34:56Z", "2026-11-22T12:00Z", "2026-11-22T13:00Z"],
    ["5m", "2026-11-22T12:34:56Z", "2026-11-22T12:30Z", "2026-11-22T12:35Z"],
  ])("%s at %s", (written, time, begin, end) => {
    expect(windowOf(written, time)).toEqual([begin, end]);
  });

  it("A55: know of no change of daylight saving time, wherever the gateway runs", () => {
    const zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
    const changes = [
      "2026-03-29T00:59:59.999Z",
      "2026-03-29T01:00:00Z",
      "2026-11-01T05:30:00Z",
      "2026-11-01T06:30:00Z",
    ];
    const script = fileURLToPath(new URL("./zones.ts", import.meta.url));
    const args = ["--import", "tsx", script, zones.join(","), changes.join(",")];
    const windows: { offset: number; found: [number, number][] }[] = JSON.parse(
      execFileSync(process.execPath, args, { encoding: "utf8" }),
    );
    // The process did change its zone.
    expect(new Set(windows.map(({ offset }) => offset)).size).toBe(zones.length);
    for (const { found } of windows) expect(found).toEqual(windows[0]?.found);
    for (const [begin, end] of windows[0]?.found.filter((_, index) => index % 5 === 0) ?? [])
      expect(end - begin).toBe(day);
  });

  it("A55: contain their time, touch each other and do not depend on where in them one asks", () => {
    fc.assert(
      fc.property(
        durations,
        times,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (written, now, part) => {
          const one = period(written, true);
          const begin = one.startAt(now);
          const end = one.endOf(begin);
          expect(begin).toBeLessThanOrEqual(now);
          expect(end).toBeGreaterThan(now);
          expect(one.startAt(begin + Math.floor(part * (end - begin)))).toBe(begin);
          expect(one.startAt(end)).toBe(end);
        },
      ),
    );
  });
});

describe("rolling windows", () => {
  it("begin with the use and last for their duration, months for 30 days", () => {
    expect(period("1M", false).startAt(start)).toBe(start);
    expect(period("1M", false).endOf(start)).toBe(start + 30 * day);
    expect(period("1Q", false).endOf(start)).toBe(start + 90 * day);
    expect(period("1Y", false).endOf(start)).toBe(start + 365 * day);
  });
});

describe("a time within a window", () => {
  it("is anything from its begin to just before its end", () => {
    const one = period("1h", false);
    expect(isWithin(spanOf(one, start), start)).toBe(true);
    expect(isWithin(spanOf(one, start), start + 60 * minute - 1)).toBe(true);
    expect(isWithin(spanOf(one, start), start + 60 * minute)).toBe(false);
  });

  it("may be a little before its begin, since clocks differ, but not where the clock was set", () => {
    const short = period("30s", false);
    expect(isWithin(spanOf(short, start), start - minute)).toBe(true);
    expect(isWithin(spanOf(short, start), start - minute - 1)).toBe(false);
    const long = period("1d", false);
    expect(isWithin(spanOf(long, start), start - day)).toBe(true);
    expect(isWithin(spanOf(long, start), start - day - 1)).toBe(false);
  });

  it("is any, in a window without an end", () => {
    for (const now of [0, start, Number.MAX_SAFE_INTEGER])
      expect(isWithin(spanOf(forever, forever.startAt(start)), now)).toBe(true);
  });
});
