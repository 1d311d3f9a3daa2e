import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ask, Clock, facts, kit, optionsOf, remember, temporaryFolder } from "./kit.ts";

let folder = "";
let clean: () => void = () => undefined;
beforeEach(() => {
  [folder, clean] = temporaryFolder();
});
afterEach(() => clean());

const names = () => readdirSync(join(folder, "cache")).sort();
const pathOf = (name = "") => join(folder, "cache", name);
const question = (index: number) => `What is the name of item number ${index}?`;

/** Runs a gateway's cache from start to end. */
async function life<T>(
  run: (one: ReturnType<typeof kit>) => Promise<T>,
  section: object = {},
  clock = new Clock(),
): Promise<T> {
  const one = kit(section, folder, clock);
  try {
    return await run(one);
  } finally {
    await one.close();
  }
}

/** Stores one answer for each index, in a life of its own. */
function fill(...indexes: number[]): Promise<void> {
  return life(async ({ front, config }) => {
    const cache = front();
    for (const index of indexes) await remember(cache, facts(question(index)), optionsOf(config), `answer ${index}`);
  });
}

/** What a new life finds, by index. */
function found(...indexes: number[]): Promise<string[]> {
  return life(async ({ front, config }) => {
    const cache = front();
    const answers: string[] = [];
    for (const index of indexes) answers.push(await ask(cache, facts(question(index)), optionsOf(config)));
    return answers;
  });
}

function problem(): Promise<string | null> {
  return life(async ({ owner }) => {
    const answer = await owner.answer({ op: "stats" });
    return answer.kind === "stats" ? answer.stats.problem : null;
  });
}

describe("after a restart", () => {
  test("answers are found by equal requests and by paraphrases (A60)", async () => {
    await fill(1, 2);
    expect(await found(1, 2, 3)).toEqual(["direct: answer 1", "direct: answer 2", "miss"]);
    await life(async ({ front, config }) => {
      const paraphrase = facts("Please tell me the name of item number 2");
      expect(await ask(front(), paraphrase, optionsOf(config))).toBe("semantic: answer 2");
    });
  });

  test("what was replaced, deleted or is over stays so", async () => {
    const clock = new Clock();
    await life(
      async ({ front, config, owner }) => {
        const cache = front();
        await remember(cache, facts(question(1)), optionsOf(config), "answer 1");
        const id = await remember(cache, facts(question(2)), optionsOf(config), "answer 2");
        await remember(cache, facts(question(3)), optionsOf(config, { ttl: "10s" }), "answer 3");
        await owner.answer({ op: "forget", filter: { id } });
      },
      {},
      clock,
    );
    clock.ms += 10_000;
    await life(
      async ({ front, config }) => {
        const asked = [1, 2, 3].map((index) => ask(front(), facts(question(index)), optionsOf(config)));
        expect(await Promise.all(asked)).toEqual(["direct: answer 1", "miss", "miss"]);
      },
      {},
      clock,
    );
  });

  test("what was evicted stays so", async () => {
    const section = { max_entries: 5 };
    await life(async ({ front, config }) => {
      const cache = front();
      for (let index = 0; index < 50; index++)
        await remember(cache, facts(question(index)), optionsOf(config), `answer ${index}`);
    }, section);
    const indexes = Array.from({ length: 50 }, (_, index) => index);
    const answers = await found(...indexes);
    expect(answers.filter((answer) => answer !== "miss")).toEqual(
      [45, 46, 47, 48, 49].map((index) => `direct: answer ${index}`),
    );
  });

  test("files are for their owner alone", async () => {
    await fill(1);
    const { statSync } = await import("node:fs");
    expect(statSync(pathOf(names()[0])).mode & 0o777).toBe(0o600);
  });
});

describe("a file that (A67)", () => {
  test("is not the cache's is put aside, and the others are read", async () => {
    await fill(1);
    writeFileSync(pathOf("cache-000000002.log"), "SQLite format 3\0 and more");
    writeFileSync(pathOf("cache-000000003.log"), "");
    writeFileSync(pathOf("notes.txt"), "somebody's");
    expect(await problem()).toMatch(/not a file of the cache/);
    expect(names()).toEqual([
      "cache-000000001.log",
      "cache-000000002.log.damaged",
      "cache-000000003.log.damaged",
      "notes.txt",
    ]);
    expect(await problem()).toBeNull();
    expect(await found(1)).toEqual(["direct: answer 1"]);
  });

  test("has a wrong byte is put aside with everything older, and the process serves", async () => {
    await fill(1);
    await fill(2);
    await fill(3);
    const bytes = readFileSync(pathOf("cache-000000002.log"));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(pathOf("cache-000000002.log"), bytes);
    expect(await found(1, 2, 3)).toEqual(["miss", "miss", "direct: answer 3"]);
    await fill(2);
    expect(await found(1, 2, 3)).toEqual(["miss", "direct: answer 2", "direct: answer 3"]);
  });

  test("is cut anywhere, being the newest, keeps what is whole, again and again", async () => {
    await fill(1, 2);
    const path = pathOf("cache-000000001.log");
    const whole = readFileSync(path);
    for (let cut = 16; cut < whole.length; cut += 97) {
      writeFileSync(path, whole.subarray(0, cut));
      const [first, second] = await found(1, 2);
      expect(second).toBe("miss");
      const [again] = await found(1);
      expect(again).toBe(first);
    }
  });

  test("is cut, being an older one, is put aside", async () => {
    await fill(1, 2);
    await fill(3);
    const path = pathOf("cache-000000001.log");
    truncateSync(path, readFileSync(path).length - 5);
    expect(await found(1, 2, 3)).toEqual(["miss", "miss", "direct: answer 3"]);
    expect(names()).toContain("cache-000000001.log.damaged");
  });

  test("is damaged in any byte never gives a wrong answer, and never stops the start", async () => {
    await fill(1);
    const whole = readFileSync(pathOf("cache-000000001.log"));
    for (let at = 0; at < whole.length; at += 41) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ 0xff;
      writeFileSync(pathOf("cache-000000001.log"), bytes);
      expect(await found(1)).toEqual(["miss"]);
    }
    expect(names().filter((name) => name.endsWith(".damaged")).length).toBeLessThanOrEqual(2);
  });
});

test("a folder that cannot be used makes a cache in memory", async () => {
  writeFileSync(join(folder, "cache"), "a file where the folder should be");
  await life(async ({ front, config, owner }) => {
    const cache = front();
    await remember(cache, facts(question(1)), optionsOf(config), "answer 1");
    expect(await ask(front(), facts(question(1)), optionsOf(config))).toBe("direct: answer 1");
    expect(await owner.answer({ op: "stats" })).toMatchObject({
      stats: { problem: expect.stringMatching(/cannot be written/) },
    });
  });
});
