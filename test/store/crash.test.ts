import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { openSqlite } from "../../src/store/sqlite.ts";
import { temporaryFolder } from "./databases.ts";

const writer = fileURLToPath(new URL("./writer.ts", import.meta.url));

/** Runs the writer until it has said so much, kills it in the middle of its work, and answers the last it said of each. */
async function writeUntilKilled(file: string, lines: number): Promise<ReadonlyMap<string, number>> {
  const child = spawn(process.execPath, ["--import", "tsx", writer, file], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  let errors = "";
  child.stderr.on("data", (data: Buffer) => {
    errors += data.toString();
  });
  child.stdout.on("data", (data: Buffer) => {
    said += data.toString();
    if (said.split("\n").length > lines) child.kill("SIGKILL");
  });
  const [, signal] = await once(child, "close");
  expect(errors).toBe("");
  expect(signal).toBe("SIGKILL");
  const last = new Map<string, number>();
  // A line without its end was not said.
  for (const line of said.slice(0, said.lastIndexOf("\n")).split("\n")) {
    const [name = "", round] = line.split(" ");
    last.set(name, Number(round));
  }
  return last;
}

test("a process killed while it writes loses nothing that it was told is written", { timeout: 30_000 }, async () => {
  for (const lines of [1, 7, 90]) {
    const file = join(temporaryFolder(), "bifrost.db");
    const last = await writeUntilKilled(file, lines);
    const store = await openSqlite(file);
    for (const [id, round] of last) {
      if (id === "rounds") continue;
      const record = await store.getEntity("teams", id);
      // The write that was under way may have been done, its answer only not been heard.
      expect([round, round + 1]).toContain(record?.version);
      expect(record?.document.round).toBe(record?.version);
    }
    const counted = (await store.loadCounters(0))[0]?.value ?? 0;
    expect(counted).toBeGreaterThanOrEqual(last.get("rounds") ?? 0);
    await store.putEntity({ kind: "teams", id: "after", replaces: 0, document: {}, secret: null, now: 0 });
    await store.close();
  }
});
