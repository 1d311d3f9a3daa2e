/** An owner whose folder takes a while to read. */
import { afterEach, expect, test } from "vitest";
import type { Find } from "../../src/cache/messages.ts";
import { IndexOwner } from "../../src/cache/owner.ts";
import { placeOf } from "../../src/cache/partition.ts";
import { answerOf, configOf, facts, type Kit, kit, optionsOf, remember, temporaryFolder } from "./kit.ts";

const count = 6000;
const question = (index: number) => `What is the name of item number ${index}?`;
const config = configOf();
const clean: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const one of clean.splice(0)) await one();
});

function find(text: string): Find {
  const { partition, exact } = placeOf(facts(text), "app", config);
  return { op: "find", partition, exact, direct: true, isLast: true, semantic: undefined };
}

async function filled(): Promise<[folder: string, clock: Kit["clock"]]> {
  const [folder, remove] = temporaryFolder();
  clean.push(remove);
  const one = kit({}, folder);
  const cache = one.front();
  for (let index = 0; index < count; index++) {
    const found = await cache.lookup(facts(question(index)), { ...optionsOf(config), type: "direct" });
    if (found.kind === "miss") cache.store(found.ticket, answerOf(`answer ${index}`));
    if (index % 100 === 0) await cache.idle();
  }
  await cache.idle();
  await one.owner.answer({ op: "forget", filter: { id: placeOf(facts(question(7)), "app", config).exact } });
  await one.close();
  return [folder, one.clock];
}

test("finds nothing before all is read, is not held up, and keeps what it is given meanwhile", {
  timeout: 30_000,
}, async () => {
  const [folder, clock] = await filled();
  const { embedding, max_entries, max_bytes } = config;
  const settings = { embedding, maxEntries: max_entries, maxBytes: max_bytes, folder, key: null };
  const owner = new IndexOwner(settings, clock.now);
  clean.push(() => owner.close());
  expect(await owner.answer(find(question(3)))).toEqual({ kind: "none" });
  // What a later record deletes is not found on the way there.
  for (let turn = 0; turn < 20; turn++) {
    expect(await owner.answer(find(question(7)))).toEqual({ kind: "none" });
    await new Promise((resolve) => setImmediate(resolve));
  }
  const [early, remove] = temporaryFolder();
  clean.push(remove);
  const other = kit({}, early);
  await remember(other.front(), facts("What is new?"), optionsOf(config), "this");
  const listed = await other.owner.answer(find("What is new?"));
  await other.close();
  if (listed.kind !== "found") throw new Error("there is no entry to put");
  await owner.answer({ op: "put", entry: listed.entry, embed: "What is new?" });

  const stats = await owner.answer({ op: "stats" });
  expect(stats).toMatchObject({ kind: "stats", stats: { problem: null, misses: 0 } });
  await new Promise((resolve) => setImmediate(resolve));
  expect(await owner.answer(find(question(3)))).toMatchObject({ kind: "found" });
  expect(await owner.answer(find(question(count - 1)))).toMatchObject({ kind: "found" });
  expect(await owner.answer(find("What is new?"))).toMatchObject({ kind: "found" });
  expect(await owner.answer(find(question(7)))).toEqual({ kind: "none" });
});

test("may be closed before all is read, and reads all of it the next time", { timeout: 30_000 }, async () => {
  const [folder, clock] = await filled();
  const { embedding, max_entries, max_bytes } = config;
  const settings = { embedding, maxEntries: max_entries, maxBytes: max_bytes, folder, key: null };
  await new IndexOwner(settings, clock.now).close();
  const owner = new IndexOwner(settings, clock.now);
  clean.push(() => owner.close());
  expect(await owner.answer({ op: "stats" })).toMatchObject({ kind: "stats", stats: { entries: count - 1 } });
});
