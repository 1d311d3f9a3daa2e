/** The semantic cache at its limits: far more answers than fit, and an owner's thread that dies. */
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { converseAnswer, json } from "../support/answers.ts";
import { findableMs, member, outcome, ownGateways, post, said, teach } from "../support/cached.ts";
import { loading } from "../support/module-hook.ts";
import { send, userTurn } from "../support/raw-http.ts";
import { rssOf } from "../support/reader.ts";
import { inParallel, sleep, until } from "../support/wait.ts";

const model = "vendor.model-v1:0";
const mib = 1024 * 1024;

describe("the semantic cache", { timeout: 120_000 }, () => {
  const on = ownGateways("cache-limits");
  const start = (section: object, env: Readonly<Record<string, string>>) =>
    on.start(section, { BIFROST_FRONTENDS: "2", ...env });

  const says = (text: string) =>
    json({ ...converseAnswer, output: { message: { role: "assistant", content: [{ text }] } } });

  test("A68 with ten times as many answers as fit, memory stays flat and evicted ones never return", async () => {
    const capacity = 200;
    // One front end: each keeps as many of its own, which may be older than what the owner has.
    const gateway = await start({ max_entries: capacity, embedding: { timeout_ms: 5000 } }, { BIFROST_FRONTENDS: "1" });
    const question = (index: number) => userTurn(`What is the name of item number ${index}?`);
    const sizes: number[] = [];
    for (let turn = 0; turn < 10; turn++) {
      const indexes = Array.from({ length: capacity }, (_, at) => turn * capacity + at);
      await inParallel(indexes, 8, async (index) => {
        on.fake.queue(says("An answer that takes up room. ".repeat(2000)));
        const answer = await post(gateway, model, question(index));
        expect([answer.status, outcome(answer)]).toEqual([200, "miss"]);
      });
      // The fake remembers what it was asked.
      on.fake.reset();
      await sleep(findableMs);
      sizes.push(rssOf(gateway.pid));
    }
    // Kept by the owner and by one front end, what passed through in the last five rounds would be more than 110 MiB.
    const [before, after] = [Math.max(...sizes.slice(3, 5)), Math.min(...sizes.slice(8))];
    expect(after - before, `MiB: ${sizes.map((size) => Math.round(size / mib)).join(", ")}`).toBeLessThan(50 * mib);

    const stats: unknown = JSON.parse((await send(gateway.url, "/api/cache", { method: "GET" })).body.toString());
    expect(member(stats, "entries")).toBe(capacity);
    expect(member(stats, "evicted")).toBe(9 * capacity);
    const reading = { headers: { "x-bf-cache-no-store": "true" } };
    for (let index = 0; index < 9 * capacity; index += 150) {
      const reworded = userTurn(`Please tell me the name of item number ${index}`);
      for (const body of [question(index), question(index), reworded])
        expect(outcome(await post(gateway, model, body, reading)), `item ${index}`).toBe("miss");
    }
    for (let index = 9 * capacity; index < 10 * capacity; index += 20)
      expect(outcome(await post(gateway, model, question(index), reading)), `item ${index}`).toBe("direct");
  });

  test("A66 goes on when the thread that owns the indexes dies: misses, then what was saved, and nothing wrong", async () => {
    const owner = pathToFileURL(join(import.meta.dirname, "../../dist/workers/vector-index.js")).href;
    // In the place of the owner's task: the same one, in a thread that ends when it is sent certain words.
    const dying = join(on.folder, "dying-owner.mjs");
    writeFileSync(
      dying,
      `import run from ${JSON.stringify(owner)};
       export default (task) => (Buffer.from(task.message).includes("and now die") ? process.exit(1) : run(task));`,
    );
    const replaced = loading({ files: { "/dist/workers/vector-index.js": dying } });
    const gateway = await start({ embedding: { timeout_ms: 1000 } }, replaced);
    on.fake.queue(says("Paris."));
    await teach(gateway, model, userTurn("What is the capital of France?"));
    await until("the entry on the disk", () =>
      readdirSync(join(on.folder, "cache")).some((name) => statSync(join(on.folder, "cache", name)).size > 100),
    );
    const reading = { headers: { "x-bf-cache-no-store": "true" } };
    const reworded = userTurn("what's the capital of France");
    for (let time = 0; time < 2; time++) {
      expect(
        outcome(
          await post(gateway, model, reworded, { headers: { ...reading.headers, "x-bf-cache-type": "semantic" } }),
        ),
      ).toBe("semantic");
      const texts = Array.from({ length: 30 }, (_, at) =>
        at === 10 ? "and now die" : `Tell me about item ${time}-${at}.`,
      );
      const answers = await Promise.all(texts.map((text) => post(gateway, model, userTurn(text), reading)));
      for (const answer of answers) expect([answer.status, outcome(answer)]).toEqual([200, "miss"]);
      await until(
        "the next owner",
        async () => {
          const asked = await post(gateway, model, reworded, {
            headers: { ...reading.headers, "x-bf-cache-type": "semantic" },
          });
          expect(asked.status).toBe(200);
          if (outcome(asked) !== "semantic") return false;
          expect(said(asked)).toBe("Paris.");
          return true;
        },
        20_000,
      );
      for (const other of ["What is the capital of Spain?", "Tell me about item 0-3."])
        expect(outcome(await post(gateway, model, userTurn(other), reading))).toBe("miss");
    }
    await teach(gateway, model, userTurn("What is the capital of Italy?"));
    expect(outcome(await post(gateway, model, userTurn("What is the capital of Italy?"), reading))).toBe("direct");
    expect(gateway.logs.some(({ problem }) => String(problem).includes("worker exited with code: 1"))).toBe(true);
    expect(await gateway.stop()).toBe(0);
  });
});
