import { afterEach, describe, expect, test } from "vitest";
import { SemanticCache } from "../../src/cache/cache.ts";
import { type OwnerThread, startOwner } from "../../src/cache/owner-thread.ts";
import { until } from "../support/wait.ts";
import { ask, configOf, facts, optionsOf, remember, temporaryFolder } from "./kit.ts";

const config = configOf({ embedding: { timeout_ms: 5000 } });
const options = optionsOf(config);
const task = {
  filename: new URL("../../workers/vector-index.ts", import.meta.url).href,
  execArgv: ["--import", "tsx"],
};
const capital = "What is the capital of France?";

const threads: OwnerThread[] = [];
const folders: (() => void)[] = [];
afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.close();
  for (const clean of folders.splice(0)) clean();
});

function start(folder: string | null, problems: string[] = []): OwnerThread {
  const thread = startOwner({ ...task, config, folder, onProblem: (problem) => problems.push(problem) });
  threads.push(thread);
  return thread;
}

describe("the owner's thread", { timeout: 30_000 }, () => {
  test("serves several front ends, keeps entries over a restart, and deletes them", async () => {
    const [folder, clean] = temporaryFolder();
    folders.push(clean);
    const first = start(folder);
    const [one, other] = [first, first].map((thread) => new SemanticCache({ config, ask: thread.ask }));
    if (one === undefined || other === undefined) throw new Error("there are no front ends");
    await remember(one, facts(capital), options, "Paris");
    expect(await ask(other, facts("what's the capital of France"), options)).toBe("semantic: Paris");
    await first.close();
    const second = start(folder);
    const cache = new SemanticCache({ config, ask: second.ask });
    expect(await ask(cache, facts(capital), options)).toBe("direct: Paris");
    expect(await second.stats()).toMatchObject({ entries: 1, problem: null, directHits: 1 });
    expect(await second.forget({ cacheKey: "app" })).toBe(1);
    expect(await ask(new SemanticCache({ config, ask: second.ask }), facts(capital), options)).toBe("miss");
  });

  test("takes another configuration with the next message", async () => {
    const thread = start(null);
    const cache = new SemanticCache({ config, ask: thread.ask });
    for (const text of ["one", "two", "three"]) await remember(cache, facts(text), options, text);
    thread.configure(configOf({ max_entries: 2 }));
    expect(await thread.stats()).toMatchObject({ entries: 2, maxEntries: 2 });
  });

  test("saves by itself, between messages", async () => {
    const [folder, clean] = temporaryFolder();
    folders.push(clean);
    const thread = start(folder);
    await remember(new SemanticCache({ config, ask: thread.ask }), facts(capital), options, "Paris");
    const { readdirSync, statSync } = await import("node:fs");
    await until("the entry on the disk", () => {
      const [name] = readdirSync(`${folder}/cache`);
      return name !== undefined && statSync(`${folder}/cache/${name}`).size > 100;
    });
  });

  test("refuses what is no message, and goes on", async () => {
    const thread = start(null);
    for (const bytes of [new Uint8Array(), new Uint8Array([1]), new Uint8Array([0x91, 0xa3, 0x66, 0x6f, 0x6f])]) {
      await expect(thread.ask(bytes)).rejects.toThrow();
    }
    expect(await thread.stats()).toMatchObject({ entries: 0 });
  });
});
