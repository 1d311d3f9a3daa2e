import fc from "fast-check";
import { expect, test } from "vitest";
import { firstStop, StopWatch } from "../../src/providers/stop-sequences.ts";

const stops = fc.array(fc.stringMatching(/^[ab]{1,3}$/), { maxLength: 3 });
const pieces = fc.array(fc.stringMatching(/^[abc]{0,4}$/), { maxLength: 10 });

test("text in any pieces is cut where the whole would be", () => {
  fc.assert(
    fc.property(stops, pieces, (sequences, parts) => {
      const watch = new StopWatch(sequences);
      let shown = "";
      let stopped = false;
      for (const part of parts) {
        const step = watch.push(part);
        shown += step.text;
        stopped = step.stopped;
        if (stopped) break;
      }
      if (!stopped) shown += watch.flush();
      const whole = parts.join("");
      expect(stopped).toBe(firstStop(whole, sequences) !== undefined);
      // A longer sequence that begins earlier may still be incomplete when a shorter one within it is complete.
      if (stopped) expect(whole.startsWith(shown)).toBe(true);
      else expect(shown).toBe(whole);
      for (const sequence of sequences) expect(shown).not.toContain(sequence);
    }),
  );
});

test("the earliest one counts", () => {
  expect(firstStop("xbya", ["a", "b"])).toEqual({ at: 1, stop: "b" });
  expect(firstStop("x", ["a"])).toBeUndefined();
});
