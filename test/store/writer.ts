/** A process that writes until it is killed, and says what it was told is written. Its argument is the file. */
import { writeSync } from "node:fs";
import { openSqlite } from "../../src/store/sqlite.ts";

const file = process.argv[2];
if (file === undefined) throw new Error("which file?");
const store = await openSqlite(file);
for (let round = 1; ; round++) {
  for (const id of ["a", "b", "c"]) {
    const document = { round, filler: "x".repeat(2000) };
    const written = await store.putEntity({
      kind: "teams",
      id,
      replaces: round - 1,
      document,
      secret: null,
      now: round,
    });
    if (written.kind !== "written") throw new Error(`round ${round} met version ${written.version}`);
    // At once, past every buffer of ours.
    writeSync(1, `${id} ${round}\n`);
  }
  await store.saveCounters([{ id: "rounds", window: 0, value: round, at: round, until: Number.MAX_SAFE_INTEGER }]);
  writeSync(1, `rounds ${round}\n`);
}
