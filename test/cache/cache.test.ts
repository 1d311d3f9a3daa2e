import { afterEach, describe, expect, test } from "vitest";
import { placeOf } from "../../src/cache/partition.ts";
import { answerOf, ask, facts, type Kit, kit, optionsOf, remember, start } from "./kit.ts";

const kits: Kit[] = [];
afterEach(async () => {
  for (const one of kits.splice(0)) await one.close();
});

function made(section: object = {}): Kit {
  const one = kit(section);
  kits.push(one);
  return one;
}

const capital = "What is the capital of France?";

describe("an answer", () => {
  test("is served again to an equal request, on every front end, as JSON of its own", async () => {
    const { front, config } = made();
    const options = optionsOf(config);
    const [one, other] = [front(), front()];
    const id = await remember(one, facts(capital), options, "Paris");
    expect(await ask(one, facts(capital), options)).toBe("direct: Paris");
    const found = await other.lookup(facts(capital), options);
    if (found.kind !== "direct") throw new Error(`it is a ${found.kind}`);
    expect(found).toMatchObject({ similarity: 1, entry: { id, provider: "bedrock", model: "claude" } });
    expect(found.entry.answer).toEqual(answerOf("Paris"));
    Object.assign(found.entry.answer, { stopReason: "spoiled" });
    expect(await other.lookup(facts(capital), options)).toMatchObject({ entry: { answer: answerOf("Paris") } });
  });

  test("keeps every character and number of its JSON", async () => {
    const { front, config } = made({ store_tool_calls: true });
    const options = optionsOf(config);
    const text = 'lone \ud800, "quoted", \u2028, 中文 😀';
    const input = { n: 1e21, z: -0.5, deep: [null, { ["__proto__"]: 1 }] };
    const content = [{ text }, { toolUse: { toolUseId: "t", name: "f", input } }];
    const answer = answerOf("", { output: { message: { role: "assistant", content } }, stopReason: "tool_use" });
    const cache = front();
    const miss = await cache.lookup(facts(capital), options);
    if (miss.kind === "miss") expect(cache.store(miss.ticket, answer).kind).toBe("stored");
    await cache.idle();
    const found = await front().lookup(facts(capital), options);
    expect("entry" in found && JSON.stringify(found.entry.answer)).toBe(JSON.stringify(answer));
  });

  test("is served to a paraphrase, and not to another question however close", async () => {
    const { front, config } = made();
    const options = optionsOf(config);
    await remember(front(), facts("How many legs does a spider have?"), options, "eight");
    const found = await front().lookup(facts("Please tell me how many legs spiders have"), options);
    expect(found).toMatchObject({ kind: "semantic" });
    expect("similarity" in found && found.similarity).toBeGreaterThan(0.8);
    for (const other of [
      "How many legs does a dog have?",
      "How many legs does a spider not have?",
      "How many eyes does a spider have?",
    ]) {
      expect(await ask(front(), facts(other), optionsOf(config, { threshold: "0" }))).toBe("miss");
    }
  });

  test("needs the threshold of the request", async () => {
    const { front, config } = made();
    await remember(front(), facts("How many legs does a spider have?"), optionsOf(config), "eight");
    const paraphrase = facts("Tell me how many legs a spider has, please. How many legs does a spider have?");
    const similar = facts("How many legs do spiders have?");
    expect(await ask(front(), similar, optionsOf(config, { threshold: "0.5" }))).toBe("semantic: eight");
    expect(await ask(front(), paraphrase, optionsOf(config, { threshold: "1" }))).toBe("miss");
  });

  test("is looked for by the kinds of hits that the request names", async () => {
    const { front, config } = made();
    await remember(front(), facts(capital), optionsOf(config), "Paris");
    const [direct, semantic] = [optionsOf(config, { type: "direct" }), optionsOf(config, { type: "semantic" })];
    expect(await ask(front(), facts("what's the capital of france"), direct)).toBe("miss");
    expect(await ask(front(), facts(capital), direct)).toBe("direct: Paris");
    expect(await ask(front(), facts(capital), semantic)).toBe("semantic: Paris");
  });

  test("replaces the one that was there", async () => {
    const { front, config } = made();
    const options = optionsOf(config);
    const cache = front();
    const misses = await Promise.all([cache.lookup(facts(capital), options), cache.lookup(facts(capital), options)]);
    for (const [index, miss] of misses.entries()) {
      if (miss.kind === "miss") cache.store(miss.ticket, answerOf(`answer ${index}`));
    }
    await cache.idle();
    expect(await ask(cache, facts(capital), options)).toBe("direct: answer 1");
    expect(await ask(front(), facts("what's the capital of France"), options)).toBe("semantic: answer 1");
  });
});

describe("an answer is not served", () => {
  test("to another virtual key, cache key, model or provider, by either kind of hit", async () => {
    const { front, config } = made();
    const options = optionsOf(config);
    await remember(front(), facts(capital, { virtualKey: "vk_a" }), options, "Paris");
    for (const type of ["direct", "semantic"]) {
      const own = optionsOf(config, { type });
      expect(await ask(front(), facts(capital, { virtualKey: "vk_a" }), own)).toBe(`${type}: Paris`);
      for (const other of [
        { virtualKey: "vk_b" },
        { virtualKey: null },
        { model: "m" },
        { provider: "p" },
        { credential: "c" },
      ]) {
        expect(await ask(front(), facts(capital, { virtualKey: "vk_a", ...other }), own)).toBe("miss");
      }
      expect(await ask(front(), facts(capital, { virtualKey: "vk_a" }), optionsOf(config, { type, key: "b" }))).toBe(
        "miss",
      );
    }
  });

  test("after its time to live, on no front end", async () => {
    const { front, config, clock } = made();
    const cache = front();
    await remember(cache, facts(capital), optionsOf(config, { ttl: "10s" }), "Paris");
    clock.ms += 9_999;
    expect(await ask(front(), facts(capital), optionsOf(config))).toBe("direct: Paris");
    expect(await ask(cache, facts(capital), optionsOf(config))).toBe("direct: Paris");
    clock.ms += 1;
    expect(await ask(cache, facts(capital), optionsOf(config))).toBe("miss");
    expect(await ask(front(), facts(capital), optionsOf(config))).toBe("miss");
    expect(await ask(front(), facts("what's the capital of France"), optionsOf(config))).toBe("miss");
  });

  test("once it was deleted, by any of its labels", async () => {
    const { front, config, owner } = made();
    const options = optionsOf(config);
    const request = facts(capital, { virtualKey: "vk_a" });
    const id = await remember(front(), request, options, "Paris");
    await remember(front(), facts(capital, { virtualKey: "vk_b" }), options, "Paris");
    const filters = [
      { id: id.slice(0, 16) },
      { cacheKey: "app", virtualKey: "vk_a" },
      { model: "claude", virtualKey: "vk_a" },
      { provider: "bedrock", virtualKey: "vk_a" },
    ];
    for (const filter of filters) {
      const cache = front();
      expect(await ask(cache, request, options)).toBe("direct: Paris");
      expect(await owner.answer({ op: "forget", filter })).toEqual({ kind: "done", count: 1 });
      cache.forget(filter);
      expect(await ask(cache, request, options)).toBe("miss");
      expect(await ask(front(), facts(capital, { virtualKey: "vk_b" }), options)).toBe("direct: Paris");
      await remember(front(), request, options, "Paris");
    }
    expect(await owner.answer({ op: "forget", filter: {} })).toEqual({ kind: "done", count: 0 });
    expect(await owner.answer({ op: "forget", filter: { id: "a" } })).toEqual({ kind: "done", count: 0 });
    expect(await owner.answer({ op: "forget", filter: { all: true } })).toEqual({ kind: "done", count: 2 });
  });

  test("and does not come back to a front end that was asking while it was deleted", async () => {
    const { front, config, owner } = made();
    const options = optionsOf(config);
    await remember(front(), facts(capital), options, "Paris");
    const cache = front();
    const asking = cache.lookup(facts(capital), options);
    cache.forget({ all: true });
    await asking;
    await owner.answer({ op: "forget", filter: { all: true } });
    expect(await ask(cache, facts(capital), options)).toBe("miss");
  });
});

describe("an answer is not kept", () => {
  const skipped = async (answer: Readonly<Record<string, unknown>>, section = {}, headers = {}) => {
    const { front, config } = made(section);
    const cache = front();
    const miss = await cache.lookup(facts(capital), optionsOf(config, headers));
    if (miss.kind !== "miss") throw new Error(`it is a ${miss.kind}`);
    const stored = cache.store(miss.ticket, answer);
    await cache.idle();
    const kept = stored.kind === "stored";
    expect((await ask(front(), facts(capital), optionsOf(config))) === "miss").toBe(!kept);
    return kept ? "stored" : stored.reason;
  };
  const call = { toolUse: { toolUseId: "t", name: "f", input: {} } };
  const withCall = { output: { message: { role: "assistant", content: [call] } } };

  test.each([
    "max_tokens",
    "model_context_window_exceeded",
    "malformed_tool_use",
    "malformed_model_output",
    "new_reason",
    undefined,
  ])("that stopped with %s", async (stopReason) =>
    expect(await skipped(answerOf("x", { stopReason }))).toBe("incomplete"),
  );

  test.each(["guardrail_intervened", "content_filtered"])("that stopped with %s", async (stopReason) => {
    expect(await skipped(answerOf("x", { stopReason }))).toBe("filtered");
  });

  test("that calls tools, unless the configuration wants it", async () => {
    expect(await skipped(answerOf("x", { stopReason: "tool_use" }))).toBe("tool_calls");
    expect(await skipped(answerOf("x", withCall))).toBe("tool_calls");
    expect(await skipped(answerOf("x", { ...withCall, stopReason: "tool_use" }), { store_tool_calls: true })).toBe(
      "stored",
    );
    expect(await skipped(answerOf("x", { ...withCall, stopReason: "max_tokens" }), { store_tool_calls: true })).toBe(
      "incomplete",
    );
  });

  test("that is empty or no answer at all", async () => {
    expect(await skipped(answerOf("x", { output: { message: { role: "assistant", content: [] } } }))).toBe("empty");
    expect(await skipped(answerOf("x", { output: null }))).toBe("empty");
    expect(await skipped({})).toBe("incomplete");
  });

  test("that is too large", async () => {
    expect(await skipped(answerOf("x".repeat(20_000)), { max_bytes: 65_536 })).toBe("too_large");
  });

  test("when the request says so, which still may be served what is there", async () => {
    expect(await skipped(answerOf("x"), {}, { "no-store": "true" })).toBe("no_store");
    const { front, config } = made();
    await remember(front(), facts(capital), optionsOf(config), "Paris");
    expect(await ask(front(), facts(capital), optionsOf(config, { "no-store": "true" }))).toBe("direct: Paris");
  });
});

describe("the cache has no part in a request", () => {
  test.each([
    ["when it is off", { enabled: false }, {}, "disabled"],
    ["without a cache key", { default_cache_key: "" }, {}, "no_cache_key"],
    ["of a longer conversation", { conversation_history_threshold: 0 }, {}, "conversation"],
    [
      "with numbers that JSON cannot tell apart",
      {},
      { additionalModelRequestFields: { seed: 2 ** 60 } },
      "unsafe_number",
    ],
  ])("%s", async (_name, section, request, reason) => {
    const { front, config } = made(section);
    expect(await front().lookup(facts(capital, {}, request), optionsOf(config))).toEqual({ kind: "bypass", reason });
  });

  test("as long as its conversation has no more turns than configured", async () => {
    const { front, config } = made({ conversation_history_threshold: 3 });
    const turn = (role: string) => ({ role, content: [{ text: "hello" }] });
    const turns = [turn("user"), turn("assistant"), turn("user"), turn("assistant"), turn("user")];
    const kindOf = async (messages: unknown) =>
      (await front().lookup(facts("", {}, { messages }), optionsOf(config))).kind;
    expect(await kindOf(turns.slice(0, 3))).toBe("miss");
    expect(await kindOf(turns.slice(0, 4))).toBe("bypass");
  });

  test("and hostile ones only miss", async () => {
    const { front, config, problems } = made();
    for (const messages of [undefined, null, "x", {}, [null], [[]], [{ role: 1, content: {} }]]) {
      expect(await ask(front(), facts("", {}, { messages }), optionsOf(config))).toBe("miss");
    }
    expect(problems).toEqual([]);
  });
});

describe("identical requests at the same time", () => {
  test("wait for the first one's answer where the configuration says so", async () => {
    const { front, config } = made({ coalesce: true });
    const options = optionsOf(config);
    const cache = front();
    const first = await cache.lookup(facts(capital), options);
    const others = [1, 2, 3].map(() => ask(cache, facts(capital), options));
    if (first.kind !== "miss") throw new Error(`it is a ${first.kind}`);
    cache.store(first.ticket, answerOf("Paris"));
    expect(await Promise.all(others)).toEqual(["direct: Paris", "direct: Paris", "direct: Paris"]);
  });

  test("go on by themselves when the first one fails, or their client leaves", async () => {
    const { front, config } = made({ coalesce: true });
    const options = optionsOf(config);
    const cache = front();
    const first = await cache.lookup(facts(capital), options);
    const leaving = new AbortController();
    const left = cache.lookup(facts(capital), options, leaving.signal);
    const other = ask(cache, facts(capital), options);
    leaving.abort();
    expect((await left).kind).toBe("miss");
    if (first.kind === "miss") cache.release(first.ticket);
    expect(await other).toBe("miss");
  });

  test("do not wait otherwise", async () => {
    const { front, config } = made();
    const cache = front();
    const asked = [1, 2].map(() => ask(cache, facts(capital), optionsOf(config)));
    expect(await Promise.all(asked)).toEqual(["miss", "miss"]);
  });
});

describe("another configuration", () => {
  test("counts from the next request on, and turning the cache off empties the front end", async () => {
    const { front, config, owner } = made();
    const cache = front();
    await remember(cache, facts(capital), optionsOf(config), "Paris");
    cache.configure({ ...config, enabled: false }, undefined);
    expect(await ask(cache, facts(capital), optionsOf(config))).toBe("bypass");
    await owner.answer({ op: "forget", filter: { all: true } });
    cache.configure(config, undefined);
    expect(await ask(cache, facts(capital), optionsOf(config))).toBe("miss");
  });

  test("of another embedder leaves entries to equal requests", async () => {
    const { front, config, owner } = made();
    await remember(front(), facts(capital), optionsOf(config), "Paris");
    const settings = { maxEntries: config.max_entries, maxBytes: config.max_bytes, folder: null, key: null };
    owner.configure({ ...settings, embedding: { ...config.embedding, dimension: 256 } });
    expect(await ask(front(), facts("what's the capital of France"), optionsOf(config))).toBe("miss");
    expect(await ask(front(), facts(capital), optionsOf(config))).toBe("direct: Paris");
    owner.configure({ ...settings, embedding: config.embedding });
    expect(await ask(front(), facts("what's the capital of France"), optionsOf(config))).toBe("semantic: Paris");
  });
});

test("what is being taken in while entries are deleted does not come back", async () => {
  const { owner, config } = made();
  const { partition, exact } = placeOf(facts(capital), "app", config);
  const labels = { virtualKey: null, cacheKey: "app", provider: "bedrock", model: "claude", mayShow: false };
  const entry = {
    ...labels,
    partition,
    exact,
    answer: Buffer.from("{}"),
    tokens: { input: 1, output: 1, cacheRead: 0, cacheWrite: 0 },
    storedAt: start,
    expiresAt: start + 60_000,
    question: undefined,
  };
  const put = owner.answer({ op: "put", entry, embed: capital });
  await owner.answer({ op: "forget", filter: { cacheKey: "app" } });
  expect(await put).toEqual({ kind: "done", count: 0 });
  expect(await owner.answer({ op: "put", entry, embed: capital })).toEqual({ kind: "done", count: 1 });
});

test("statistics count hits of front ends' own memory too", async () => {
  const { front, config, owner } = made();
  const options = optionsOf(config);
  const cache = front();
  await remember(cache, facts(capital, { virtualKey: "vk_a" }), options, "Paris");
  await ask(cache, facts(capital, { virtualKey: "vk_a" }), options);
  await ask(cache, facts(capital, { virtualKey: "vk_a" }), options);
  await ask(front(), facts("what's the capital of france", { virtualKey: "vk_a" }), options);
  await cache.idle();
  const answer = await owner.answer({ op: "stats" });
  expect(answer).toMatchObject({
    stats: {
      entries: 1,
      directHits: 2,
      semanticHits: 1,
      misses: 1,
      partitionCount: 1,
      saved: { input: 9, output: 15, cacheRead: 0, cacheWrite: 0 },
      partitions: [
        {
          virtualKey: "vk_a",
          cacheKey: "app",
          model: "claude",
          provider: "bedrock",
          entries: 1,
          directHits: 2,
          semanticHits: 1,
          misses: 1,
        },
      ],
    },
  });
});
