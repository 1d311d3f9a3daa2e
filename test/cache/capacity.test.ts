import { describe, expect, test } from "vitest";
import { Journal } from "../../src/cache/journal.ts";
import type { OwnerStats } from "../../src/cache/messages.ts";
import { ask, facts, type Kit, kit, optionsOf, remember, temporaryFolder } from "./kit.ts";

const question = (index: number) => `What is the name of item number ${index}?`;

async function statsOf({ owner }: Kit): Promise<OwnerStats> {
  const answer = await owner.answer({ op: "stats" });
  if (answer.kind !== "stats") throw new Error("these are no statistics");
  return answer.stats;
}

describe("with ten times as many entries as fit (A68)", () => {
  test("the owner stays within its number, keeps the newest, and evicted ones never return", async () => {
    const one = kit({ max_entries: 300 });
    const options = optionsOf(one.config);
    const cache = one.front();
    for (let index = 0; index < 3000; index++) {
      await remember(cache, facts(question(index)), options, `answer ${index}`);
      // Time for the graph to be built, as between requests.
      if (index % 300 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await statsOf(one)).toMatchObject({ entries: 300, evicted: 2700 });
    const fresh = one.front();
    for (let index = 0; index < 2700; index += 50)
      expect(await ask(fresh, facts(question(index)), options)).toBe("miss");
    for (let index = 2700; index < 3000; index += 10) {
      const paraphrase = facts(`Please tell me the name of item number ${index}`);
      expect(await ask(fresh, paraphrase, options)).toBe(`semantic: answer ${index}`);
    }
    await one.close();
  }, 30_000);

  test("the owner stays within its bytes", async () => {
    const one = kit({ max_bytes: 200_000 });
    const cache = one.front();
    for (let index = 0; index < 500; index++) {
      await remember(cache, facts(question(index)), optionsOf(one.config), "x".repeat(index % 7 === 0 ? 9000 : 100));
      expect((await statsOf(one)).bytes).toBeLessThanOrEqual(200_000);
    }
    expect((await statsOf(one)).entries).toBeGreaterThan(10);
    await one.close();
  });

  test("what is used stays, on a front end's own hits as well", async () => {
    const one = kit({ max_entries: 20 });
    const options = optionsOf(one.config);
    const cache = one.front();
    await remember(cache, facts(question(0)), options, "answer 0");
    for (let index = 1; index < 200; index++) {
      await remember(cache, facts(question(index)), options, `answer ${index}`);
      expect(await ask(cache, facts(question(0)), options)).toBe("direct: answer 0");
      await cache.idle();
    }
    expect(await ask(one.front(), facts(question(0)), options)).toBe("direct: answer 0");
    await one.close();
  });

  test("a smaller limit drops what is too much", async () => {
    const one = kit();
    const cache = one.front();
    for (let index = 0; index < 50; index++) await remember(cache, facts(question(index)), optionsOf(one.config), "x");
    const { embedding, max_bytes } = one.config;
    one.owner.configure({ embedding, maxEntries: 10, maxBytes: max_bytes, folder: null, key: null });
    expect(await statsOf(one)).toMatchObject({ entries: 10, evicted: 40 });
    await one.close();
  });
});

test("the disk holds what is alive and not much more", async () => {
  const [folder, clean] = temporaryFolder();
  const journal = new Journal(folder, (problem) => {
    throw new Error(problem);
  });
  const none = journal.loading(
    () => true,
    () => undefined,
  );
  expect([...none]).toEqual([]);
  const record = Buffer.alloc(1024 * 1024, 7);
  for (let count = 0; count < 20; count++) journal.append([1, record]);
  await journal.flush();
  expect(journal.bytes).toBeGreaterThan(20 * 1024 * 1024);
  for (let oldest = journal.oldest; oldest !== undefined; oldest = journal.oldest) journal.remove(oldest);
  expect(journal.bytes).toBeLessThan(9 * 1024 * 1024);
  await journal.close();
  const next = new Journal(folder, () => undefined);
  const steps = next.loading(
    () => true,
    () => undefined,
  );
  expect([...steps]).toHaveLength(4);
  await next.close();
  clean();
});
