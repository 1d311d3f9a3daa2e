/** The owner's thread dies while the cache is in use. */
import { readdirSync, statSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { SemanticCache } from "../../src/cache/cache.ts";
import { type OwnerThread, startOwner } from "../../src/cache/owner-thread.ts";
import { until } from "../support/wait.ts";
import { ask, configOf, facts, optionsOf, remember, temporaryFolder } from "./kit.ts";

const config = configOf({ embedding: { timeout_ms: 5000 } });
const options = optionsOf(config);
const clean: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const one of clean.splice(0)) await one();
});

test("costs no request: those are misses, and another thread takes over with what was on the disk", {
  timeout: 30_000,
}, async () => {
  const [folder, remove] = temporaryFolder();
  const problems: string[] = [];
  const thread: OwnerThread = startOwner({
    filename: new URL("../support/dying-owner.ts", import.meta.url).href,
    execArgv: ["--import", "tsx"],
    config,
    folder,
    onProblem: (problem) => problems.push(problem),
  });
  clean.push(() => thread.close(), remove);
  const front = () => new SemanticCache({ config, ask: thread.ask, onProblem: (problem) => problems.push(problem) });
  await remember(front(), facts("What is the capital of France?"), options, "Paris");
  await until("the entry on the disk", () =>
    readdirSync(`${folder}/cache`).some((name) => statSync(`${folder}/cache/${name}`).size > 100),
  );

  const cache = front();
  const asking = Array.from({ length: 20 }, (_, at) => ask(cache, facts(`What is the name of item ${at}?`), options));
  await expect(thread.ask(new Uint8Array(1))).rejects.toThrow();
  expect(new Set(await Promise.all(asking))).toEqual(new Set(["miss"]));

  await until("the new thread's answer", async () => {
    const found = await ask(front(), facts("what's the capital of France"), options);
    return found === "semantic: Paris";
  });
  await remember(front(), facts("What is the capital of Spain?"), options, "Madrid");
  expect(await ask(front(), facts("What is the capital of Spain?"), options)).toBe("direct: Madrid");
});
