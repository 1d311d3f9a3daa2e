import { afterEach, describe, expect, test } from "vitest";
import { SemanticCache } from "../../src/cache/cache.ts";
import { type Embedder, remoteEmbedder } from "../../src/cache/embedder.ts";
import type { Ask } from "../../src/cache/messages.ts";
import { answerOf, ask, configOf, facts, type Kit, kit, optionsOf, remember } from "./kit.ts";

const capital = "What is the capital of France?";
const never = new Promise<never>(() => undefined);
const remote = { provider: "openai", embedding_model: "m", dimension: 16, timeout_ms: 30 };

const kits: Kit[] = [];
afterEach(async () => {
  for (const one of kits.splice(0)) await one.close();
});

function made(section: object): Kit {
  const one = kit(section);
  kits.push(one);
  return one;
}

/** Both questions get one vector: whether they are the same is the gate's to say. */
const constant = (vector: ArrayLike<number> = Array.from({ length: 16 }, () => 1)) =>
  remoteEmbedder(configOf({ embedding: remote }).embedding, async () => vector);

describe("with an owner that (A66)", () => {
  const owners: Record<string, Ask> = {
    "does not answer": () => never,
    "is gone": () => Promise.reject(new Error("the thread has ended")),
    "answers nonsense": async () => new Uint8Array([1, 2, 3]),
    throws: () => {
      throw new Error("it cannot be asked");
    },
  };
  test.each(Object.entries(owners))(
    "%s, a request is a miss within the cap, and its answer is kept by the front end",
    async (_name, owner) => {
      const config = configOf({ embedding: { timeout_ms: 30 } });
      const problems: string[] = [];
      const cache = new SemanticCache({ config, ask: owner, onProblem: (problem) => problems.push(problem) });
      const found = await cache.lookup(facts(capital), optionsOf(config));
      if (found.kind !== "miss") throw new Error(`it is a ${found.kind}`);
      expect(problems).toHaveLength(1);
      expect(cache.store(found.ticket, answerOf("Paris")).kind).toBe("stored");
      expect(await ask(cache, facts(capital), optionsOf(config))).toBe("direct: Paris");
    },
  );

  test("does not answer, only the first requests wait; later ones try it again", async () => {
    const config = configOf({ embedding: { timeout_ms: 20 } });
    let asked = 0;
    let ms = 0;
    const stalled: Ask = () => {
      asked++;
      return never;
    };
    const cache = new SemanticCache({ config, ask: stalled, now: () => ms });
    for (let count = 0; count < 20; count++) await cache.lookup(facts(`question ${count}`), optionsOf(config));
    expect(asked).toBe(3);
    ms += 2001;
    for (let count = 0; count < 5; count++) await cache.lookup(facts(`question ${count}`), optionsOf(config));
    expect(asked).toBe(4);
  });

  test("works again is used again", async () => {
    const { ask: working, config, clock } = made({ embedding: { timeout_ms: 20 } });
    let broken = true;
    const owner: Ask = (message) => (broken ? Promise.reject(new Error("gone")) : working(message));
    const cache = new SemanticCache({ config, ask: owner, now: clock.now });
    for (let count = 0; count < 5; count++) await cache.lookup(facts(`question ${count}`), optionsOf(config));
    broken = false;
    clock.ms += 2001;
    await remember(cache, facts(capital), optionsOf(config), "Paris");
    expect(await ask(cache, facts("what's the capital of France"), optionsOf(config))).toBe("semantic: Paris");
  });

  test("does not answer, messages to it are bounded", async () => {
    const config = configOf({ embedding: { timeout_ms: 20 } });
    let asked = 0;
    const stalled: Ask = () => {
      asked++;
      return never;
    };
    const cache = new SemanticCache({ config, ask: stalled });
    await Promise.all(
      Array.from({ length: 1000 }, (_, count) => cache.lookup(facts(`question ${count}`), optionsOf(config))),
    );
    expect(asked).toBe(512);
  });

  test("does not answer, clients that leave do not count against it", async () => {
    const config = configOf({ embedding: { timeout_ms: 10_000 } });
    let asked = 0;
    const cache = new SemanticCache({
      config,
      ask: () => {
        asked++;
        return never;
      },
    });
    for (let count = 0; count < 6; count++) {
      const leaving = new AbortController();
      const found = cache.lookup(facts(capital), optionsOf(config), leaving.signal);
      leaving.abort();
      expect((await found).kind).toBe("miss");
    }
    expect(asked).toBe(6);
  });
});

describe("with an embedder that (A66)", () => {
  const embedders: Record<string, Embedder> = {
    "does not answer": remoteEmbedder(configOf({ embedding: remote }).embedding, () => never),
    fails: remoteEmbedder(configOf({ embedding: remote }).embedding, () => Promise.reject(new Error("429"))),
    "gives another dimension": constant([1, 2]),
    "gives no numbers": constant(Array.from({ length: 16 }, () => Number.NaN)),
    "gives zeros": constant(Array.from({ length: 16 }, () => 0)),
  };
  test.each(Object.entries(embedders))(
    "%s, a request is a miss within the cap, and equal requests still hit",
    async (_name, embedder) => {
      const { front, config, problems } = made({ embedding: remote });
      const cache = front(embedder);
      const found = await cache.lookup(facts(capital), optionsOf(config));
      if (found.kind !== "miss") throw new Error(`it is a ${found.kind}`);
      expect(problems).toHaveLength(1);
      cache.store(found.ticket, answerOf("Paris"));
      await cache.idle();
      expect(await ask(front(embedder), facts(capital), optionsOf(config))).toBe("direct: Paris");
    },
  );

  test("does not answer is told to stop, and asked no more for a while", async () => {
    const { front, config } = made({ embedding: remote });
    const signals: AbortSignal[] = [];
    const cache = front({
      space: "x",
      embed: (_text, signal) => {
        signals.push(signal);
        return never;
      },
    });
    for (let count = 0; count < 10; count++) await cache.lookup(facts(`question ${count}`), optionsOf(config));
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true]);
  });

  test("gives every text the same vector, only the same question is answered", async () => {
    const { front, config } = made({ embedding: remote });
    await remember(front(constant()), facts(capital), optionsOf(config), "Paris");
    expect(await ask(front(constant()), facts("what's the capital of France"), optionsOf(config))).toBe(
      "semantic: Paris",
    );
    expect(await ask(front(constant()), facts("What is the capital of Spain?"), optionsOf(config))).toBe("miss");
    expect(await ask(front(constant()), facts("How old is the king?"), optionsOf(config))).toBe("miss");
  });

  test("is a provider is asked once for a request, and not for one that is there already", async () => {
    const { front, config } = made({ embedding: remote });
    let calls = 0;
    const counting = remoteEmbedder(config.embedding, async () => {
      calls++;
      return Array.from({ length: 16 }, (_, index) => index + 1);
    });
    await remember(front(counting), facts(capital), optionsOf(config), "Paris");
    expect(calls).toBe(1);
    expect(await ask(front(counting), facts(capital), optionsOf(config))).toBe("direct: Paris");
    expect(await ask(front(counting), facts(capital), optionsOf(config, { type: "direct" }))).toBe("direct: Paris");
    expect(calls).toBe(1);
  });

  test("there is none for, the cache serves equal requests", async () => {
    const { front, config } = made({ embedding: remote });
    await remember(front(), facts(capital), optionsOf(config), "Paris");
    expect(await ask(front(), facts(capital), optionsOf(config))).toBe("direct: Paris");
    expect(await ask(front(), facts("what's the capital of France"), optionsOf(config))).toBe("miss");
  });
});
