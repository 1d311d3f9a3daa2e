/** What a client says about which key it wants: sessions, pins, and the names its keys have for models. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { stream } from "../support/answers.ts";
import type { FakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames } from "../support/frames.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { ask, badKey, byKey, down, errorOf, keyOf, pool, startKeyedBedrock, throttled } from "../support/keys.ts";
import { send } from "../support/raw-http.ts";
import { sleep } from "../support/wait.ts";

const names = ["a", "b", "c", "d", "east", "west", "off", "picky", "s1", "s2", "s3", "n1", "n2"];
const arn = (id: string) => `arn:aws:bedrock:us-east-1::foundation-model/${id}`;

let fake: FakeBedrock;
let gateway: RunningGateway;

beforeAll(async () => {
  fake = await startKeyedBedrock(names);
  const { url } = fake;
  const everywhere = { region: "us-east-1", endpoints: { agent_runtime: url } };
  gateway = await startGateway({
    config: {
      providers: {
        bedrock: pool(
          url,
          {
            n1: {
              bedrock_key_config: everywhere,
              aliases: { Ranker: arn("cohere.rerank-v3-5:0"), film: "amazon.reel" },
            },
            n2: { weight: 0, bedrock_key_config: everywhere, aliases: { film: arn("amazon.reel-v2:0") } },
          },
          {},
          {},
        ),
        sticky: pool(url, { a: {}, b: {}, c: {}, d: {} }, { stream_start_timeout_in_seconds: 30 }),
        failing: pool(url, { s1: {}, s2: {}, s3: {} }),
        pinned: pool(url, {
          east: { id: "west" },
          west: { id: "id-of-west", weight: 0 },
          off: { enabled: false },
          picky: { models: ["only-this"], aliases: { nickname: "real.model" } },
        }),
      },
    },
    env: { BIFROST_FRONTENDS: "2" },
    withoutH2: true,
  });
}, 60_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

describe("x-bf-session-id", () => {
  // Every request is a new connection, so that both front ends get some.
  const sessionAsk = (id: string, more: Readonly<Record<string, string>> = {}, model = "sticky/m") =>
    ask(gateway, model, { "x-bf-session-id": id, connection: "close", ...more });
  const keyFor = async (id: string, more: Readonly<Record<string, string>> = {}, model = "sticky/m") => {
    const answer = await sessionAsk(id, more, model);
    expect(answer.status).toBe(200);
    return String(answer.headers["x-bifrost-key"]);
  };
  const sessions = (prefix: string) => Array.from({ length: 20 }, (_, index) => `${prefix}-${index}`);
  const keysFor = (ids: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    Promise.all(ids.map((id) => keyFor(id, more)));

  test("keeps its key, for all models and on both front ends; other sessions have others", async () => {
    const ids = sessions("kept");
    const first = await keysFor(ids);
    expect(new Set(first).size).toBeGreaterThan(1);
    for (let round = 0; round < 5; round++) expect(await keysFor(ids)).toEqual(first);
    expect(await Promise.all(ids.map((id) => keyFor(id, {}, "sticky/other-model")))).toEqual(first);
  });

  test("is another session for another client", async () => {
    const ids = sessions("scoped");
    const [one, two] = [await keysFor(ids, { "x-bf-vk": "sk-bf-one" }), await keysFor(ids, { "x-bf-vk": "sk-bf-two" })];
    expect(two).not.toEqual(one);
    expect(await keysFor(ids, { "x-bf-vk": "sk-bf-one" })).toEqual(one);
  });

  test("is forgotten after x-bf-session-ttl without a request, and kept by each request", async () => {
    const [brief, long] = [sessions("brief"), sessions("long")];
    const ttl = { "x-bf-session-ttl": "2" };
    const [briefly, lasting] = await Promise.all([
      keysFor(brief, { "x-bf-session-ttl": "2s" }),
      keysFor(long, { "x-bf-session-ttl": "1h30m" }),
    ]);
    for (let round = 0; round < 2; round++) {
      await sleep(1200);
      expect(await keysFor(brief, ttl)).toEqual(briefly);
    }
    await sleep(2300);
    expect(await keysFor(brief, ttl)).not.toEqual(briefly);
    expect(await keysFor(long)).toEqual(lasting);
  });

  test("is bound by a stream as well, once it is complete", async () => {
    fake.when("streamed", () => stream(converseFrames()));
    for (const id of sessions("streamed").slice(0, 5)) {
      const answer = await ask(gateway, "sticky/streamed", { "x-bf-session-id": id }, "converse-stream");
      expect(await keyFor(id)).toBe(answer.headers["x-bifrost-key"]);
      expect(await keyFor(id)).toBe(answer.headers["x-bifrost-key"]);
    }
  });

  test.each([
    ["is throttled", "m1", () => throttled("1")],
    ["fails", "m2", down],
    ["has its credential refused", "m3", badKey],
  ])("leaves a key that %s, and stays with the next one", async (_what, model, trouble) => {
    const id = `moved-${model}`;
    const before = await keyFor(id, {}, `failing/${model}`);
    fake.when(model, byKey({ [before]: trouble }));
    const after = await keyFor(id, {}, `failing/${model}`);
    expect(after).not.toBe(before);
    fake.reset();
    // The key that was left is well again.
    await sleep(model === "m1" ? 1200 : 0);
    for (let round = 0; round < 6; round++) expect(await keyFor(id, {}, `failing/${model}`)).toBe(after);
  });

  test.each([
    ["x-bf-session-id", { "x-bf-session-id": "x".repeat(256) }],
    ["x-bf-session-ttl", { "x-bf-session-id": "x", "x-bf-session-ttl": "soon" }],
    ["x-bf-session-ttl", { "x-bf-session-id": "x", "x-bf-session-ttl": "0" }],
    ["x-bf-session-ttl", { "x-bf-session-id": "x", "x-bf-session-ttl": "8d" }],
  ])("that cannot be kept is refused: %s", async (header, headers) => {
    const { status, type, message } = errorOf(await ask(gateway, "sticky/m", headers));
    expect([status, type]).toEqual([400, "ValidationException"]);
    expect(message).toContain(header);
    expect(fake.requests).toEqual([]);
  });
});

describe("a pin", () => {
  test.each([
    [{ "x-bf-api-key-id": "id-of-west" }, "west"],
    [{ "x-bf-api-key": "west" }, "west"],
    // The id of one key is the name of the other.
    [{ "x-bf-api-key-id": "west" }, "east"],
    [{ "x-bf-api-key-id": "west", "x-bf-api-key": "west" }, "east"],
    [{ "x-bf-api-key": "picky" }, "picky"],
  ])("%j takes that key and no other", async (headers, name) => {
    const model = name === "picky" ? "only-this" : "m";
    for (let round = 0; round < 5; round++) {
      expect((await ask(gateway, `pinned/${model}`, headers)).headers["x-bifrost-key"]).toBe(name);
    }
    fake.when(model, () => throttled());
    expect((await ask(gateway, `pinned/${model}`, headers)).status).toBe(429);
    expect(new Set(fake.requests.map(keyOf))).toEqual(new Set([name]));
    expect(fake.requests).toHaveLength(6);
  });

  test.each([
    ["x-bf-api-key", "nobody", "no key"],
    ["x-bf-api-key-id", "off2", "no key"],
    ["x-bf-api-key", "off", "not enabled"],
    ["x-bf-api-key", "picky", "does not serve"],
    // A key of another provider.
    ["x-bf-api-key", "n1", "no key"],
  ])("%s: %s is refused with the reason", async (header, value, reason) => {
    const { status, type, message } = errorOf(await ask(gateway, "pinned/m", { [header]: value }));
    expect([status, type]).toEqual([400, "ValidationException"]);
    expect(message).toMatch(new RegExp(`^${header}: .*${reason}`));
    expect(fake.requests).toEqual([]);
  });
});

describe("an alias", () => {
  test("of a key's own, without regard to case, goes into the path and into x-bifrost-model", async () => {
    const answer = await ask(gateway, "pinned/NickName");
    // The others serve any model, under the name it has.
    expect(["real.model", "NickName"]).toContain(answer.headers["x-bifrost-model"]);
    const picky = await ask(gateway, "pinned/NickName", { "x-bf-api-key": "picky" });
    expect(picky).toMatchObject({ status: 200, headers: { "x-bifrost-model": "real.model" } });
    expect(fake.requests.at(-1)?.label).toBe("real.model");
  });

  test("is written into the body of Rerank, and every other byte stays", async () => {
    const body =
      '{ "queries":[{"type":"TEXT","textQuery":{"text":"é"}}],\n "sources" : [],\t"rerankingConfiguration":' +
      '{"type":"BEDROCK_RERANKING_MODEL","bedrockRerankingConfiguration":{"numberOfResults":1e0,' +
      '"modelConfiguration":{"modelArn" : "ranker"}}}}';
    const answer = await send(gateway.url, "/bedrock/rerank", { body });
    expect(answer.status).toBe(200);
    expect(fake.requests.at(-1)?.body.toString()).toBe(body.replace('"ranker"', `"${arn("cohere.rerank-v3-5:0")}"`));
  });

  test("is written into the body of StartAsyncInvoke, each key's own, also behind the provider's name", async () => {
    const bodyOf = (model: string) =>
      `{"modelId":"${model}","modelInput":{"modelId":"stays","n":1.0},"outputDataConfig":{"s3OutputDataConfig":{"s3Uri":"s3://b"}}}`;
    fake.when("StartAsyncInvoke", (request) =>
      keyOf(request) === "n1" ? throttled("5") : { kind: "unary", status: 200, headers: {}, body: Buffer.from("{}") },
    );
    for (const asked of ["film", "bedrock/film"]) {
      const answer = await send(gateway.url, "/bedrock/async-invoke", { body: bodyOf(asked) });
      expect(answer).toMatchObject({ status: 200, headers: { "x-bifrost-model": arn("amazon.reel-v2:0") } });
    }
    expect(fake.requests.map(({ body }) => body.toString())).toEqual([
      bodyOf("amazon.reel"),
      bodyOf(arn("amazon.reel-v2:0")),
      bodyOf(arn("amazon.reel-v2:0")),
    ]);
  });
});
