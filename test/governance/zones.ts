/** Prints, for each time zone of the first argument, the windows of the times in the second. Run as a process of its own. */
import { parseDuration } from "../../src/config/governance.ts";
import { periodOf } from "../../src/governance/windows.ts";

const [zones = "", times = ""] = process.argv.slice(2);
const windows = zones.split(",").map((zone) => {
  process.env.TZ = zone;
  const offset = new Date(2026, 6, 1).getTimezoneOffset();
  const found = times.split(",").flatMap((time) =>
    ["1d", "1w", "1M", "1Q", "1Y"].map((written) => {
      const duration = parseDuration(written);
      if (duration === undefined) throw new Error(`${written} is no duration`);
      const period = periodOf(duration, true);
      const begin = period.startAt(Date.parse(time));
      return [begin, period.endOf(begin)];
    }),
  );
  return { offset, found };
});
console.log(JSON.stringify(windows));
