/** How much a client may: budgets, tokens, requests and requests at a time, over two front ends. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { converseAnswer, failure, json, stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames } from "../support/frames.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { answerUsd, governedConfig, type Quota, quotaOf } from "../support/governed.ts";
import { errorOf, type Lane, openLanes } from "../support/keys.ts";
import { type RawAnswer, send, userTurn } from "../support/raw-http.ts";
import { sleep, until } from "../support/wait.ts";

const model = "vendor.model-v1:0";
const day = { reset_duration: "1d" };
const tokens = (max: number) => ({ rate_limit: { token_max_limit: max, token_reset_duration: "1d" } });
const many = tokens(1_000_000_000);
const all = { allow_all_providers: true };

const governance = {
  customers: [{ id: "acme", name: "Acme", budgets: [{ ...day, max_limit: 1000 }] }],
  teams: [{ id: "search", name: "Search", customer_id: "acme", budgets: [{ ...day, max_limit: 10 * answerUsd }] }],
  virtual_keys: [
    { ...all, id: "budget", name: "budget", value: "sk-bf-budget", team_id: "search" },
    { ...all, id: "tokens", name: "tokens", value: "sk-bf-tokens", ...tokens(1000) },
    { ...all, id: "places", name: "places", value: "sk-bf-places", max_concurrency: 2 },
    { ...all, id: "crowd", name: "crowd", value: "sk-bf-crowd", max_concurrency: 8 },
    {
      ...all,
      id: "exact",
      name: "exact",
      value: "sk-bf-exact",
      rate_limit: { ...many.rate_limit, request_max_limit: 1_000_000, request_reset_duration: "1d" },
    },
    {
      ...all,
      id: "few",
      name: "few",
      value: "sk-bf-few",
      rate_limit: { request_max_limit: 2, request_reset_duration: "1h" },
    },
    { ...all, id: "absurd", name: "absurd", value: "sk-bf-absurd", ...many },
  ],
  model_limits: [
    {
      model_name: "vendor.scarce",
      provider: "bedrock",
      rate_limit: { request_max_limit: 1, request_reset_duration: "1h" },
    },
  ],
};

describe("limits", { timeout: 60_000 }, () => {
  let fake: FakeBedrock;
  let gateway: RunningGateway;
  let lanes: Lane[] = [];

  beforeAll(async () => {
    fake = await startFakeBedrock();
    const network = { max_retries: 2, retry_backoff_initial: 1, retry_backoff_max: 5 };
    gateway = await startGateway({
      config: governedConfig(fake, governance, { network }),
      env: { BIFROST_FRONTENDS: "2" },
      withoutH2: true,
    });
    lanes = await openLanes(gateway, 2, 8);
  }, 60_000);
  beforeEach(() => fake.reset());
  afterEach(() => expect(fake.violations).toEqual([]));
  afterAll(async () => {
    for (const lane of lanes) lane.close();
    await gateway?.stop();
    await fake?.[Symbol.asyncDispose]();
  }, 30_000);

  const slowly = (ms: number) => async () => {
    await sleep(ms);
    return json(converseAnswer);
  };

  /** A request that may answer as much as the fake does. */
  function converse(
    value: string,
    more: {
      readonly headers?: Readonly<Record<string, string>>;
      readonly signal?: AbortSignal;
      readonly to?: string;
      readonly action?: string;
    } = {},
  ): Promise<RawAnswer> {
    const { headers, signal, to = model, action = "converse" } = more;
    return send(gateway.url, `/bedrock/model/${encodeURIComponent(to)}/${action}`, {
      body: userTurn("hi", { inferenceConfig: { maxTokens: 6 } }),
      headers: { "x-bf-vk": value, ...headers },
      ...(signal !== undefined && { signal }),
    });
  }

  /** As many at once as there are, in turns of both front ends. */
  function flood(value: string, count: number): Promise<RawAnswer[]> {
    return Promise.all(Array.from({ length: count }, () => converse(value)));
  }

  async function quota(value: string, kind: string): Promise<Quota> {
    const found = (await quotaOf(gateway, value)).find((limit) => limit.kind === kind);
    if (found === undefined) throw new Error(`${value} has no limit of ${kind}`);
    return found;
  }

  test("200 requests at once over two front ends never spend a team's budget and more than one request beyond", async () => {
    fake.when(model, slowly(50));
    const answers = await flood("sk-bf-budget", 200);
    let served = answers.filter(({ status }) => status === 200).length;
    expect(served).toBeGreaterThan(0);
    expect(served).toBeLessThanOrEqual(11);
    const refused = answers.find(({ status }) => status !== 200);
    if (refused === undefined) throw new Error("nothing was refused");
    expect(errorOf(refused)).toMatchObject({ status: 400, type: "ServiceQuotaExceededException" });
    for (;;) {
      const { status } = await converse("sk-bf-budget");
      if (status !== 200) break;
      served++;
    }
    expect(refused.headers["x-bifrost-limit"]).toBe("budget");
    expect(Number(refused.headers["x-bifrost-limit-remaining"])).toBeLessThan(10 * answerUsd);
    expect(served).toBeGreaterThanOrEqual(10);
    expect(served).toBeLessThanOrEqual(11);
    expect(fake.requests).toHaveLength(served);
    const team = (await quotaOf(gateway, "sk-bf-budget")).find(({ holder }) => holder === "team");
    expect(team?.current_usage).toBeCloseTo(served * answerUsd, 6);
    expect(team?.reserved).toBe(0);
    expect(errorOf(await converse("sk-bf-budget")).message).toMatch(/budget of .*Search.* resets at/);
  });

  test("A57 of tokens let through at most five in a hundred beyond, whichever front end is asked", async () => {
    fake.when(model, slowly(20));
    let served = 0;
    for (let round = 0; round < 4; round++) {
      for (const { status, headers } of await flood("sk-bf-tokens", 100)) {
        if (status === 200) served++;
        else {
          expect(status).toBe(429);
          expect(Number(headers["retry-after"])).toBeGreaterThan(0);
        }
      }
    }
    expect(18 * served).toBeLessThanOrEqual(1050);
    expect(18 * served).toBeGreaterThan(900);
    expect((await quota("sk-bf-tokens", "tokens")).current_usage).toBe(18 * served);
  });

  test("of requests at a time hold over both front ends", async () => {
    let running = 0;
    let most = 0;
    fake.when(model, async () => {
      most = Math.max(most, ++running);
      await sleep(100);
      running--;
      return json(converseAnswer);
    });
    const answers = await flood("sk-bf-crowd", 200);
    expect(most).toBe(8);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(8);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
  });

  test("A59 of requests at a time are free again however a request has ended", async () => {
    const both = async (begin: () => Promise<unknown>) => {
      const running = [begin(), begin()];
      await until("two requests upstream", () => fake.requests.length >= 2);
      const third = await converse("sk-bf-places", { to: "vendor.other" });
      expect(errorOf(third)).toMatchObject({ status: 429, type: "ThrottlingException" });
      expect(third.headers["retry-after"]).toBe("1");
      await Promise.allSettled(running);
      await until("free places", async () => (await quota("sk-bf-places", "concurrency")).remaining === 2);
      fake.reset();
    };
    // An answer, an error, a lost connection, a client that leaves, a deadline; then the same for streams.
    fake.when(model, slowly(300));
    await both(() => converse("sk-bf-places"));
    fake.when(model, async () => {
      await sleep(300);
      return failure(400, "ValidationException", "no");
    });
    await both(() => converse("sk-bf-places"));
    fake.when(model, slowly(10_000));
    await both(() => converse("sk-bf-places", { signal: AbortSignal.timeout(500) }));
    fake.when(model, slowly(10_000));
    await both(() => converse("sk-bf-places", { headers: { "x-bf-timeout-ms": "500" } }));
    const frames = converseFrames();
    for (const ending of ["end", "destroy", "hang"] as const) {
      fake.when(model, stream([frames[0] ?? Buffer.alloc(0), 300, ...frames.slice(1)], ending));
      await both(() => converse("sk-bf-places", { action: "converse-stream", signal: AbortSignal.timeout(1500) }));
    }
  });

  test("A54 are charged what providers report, once, whatever ids clients choose and however attempts go", async () => {
    const id = { "x-request-id": "the-same-for-all" };
    const spent = async () => (await quota("sk-bf-exact", "tokens")).current_usage;
    const asked = async () => (await quota("sk-bf-exact", "requests")).current_usage;
    const down = failure(503, "ServiceUnavailableException", "Try later.");
    // Repeated twice, then served.
    fake.queue(down, down, json(converseAnswer));
    expect((await converse("sk-bf-exact", { headers: id })).status).toBe(200);
    expect([await spent(), await asked()]).toEqual([18, 1]);
    // Served by its fallback.
    fake.when("vendor.broken", down);
    const fallback = { ...id, "x-bf-fallbacks": `bedrock/${model}` };
    expect((await converse("sk-bf-exact", { headers: fallback, to: "vendor.broken" })).status).toBe(200);
    expect([await spent(), await asked()]).toEqual([36, 2]);
    // Refused, by all targets.
    expect((await converse("sk-bf-exact", { headers: id, to: "vendor.broken" })).status).toBe(503);
    expect([await spent(), await asked()]).toEqual([36, 3]);
    // Many at once.
    const answers = await Promise.all(Array.from({ length: 50 }, () => converse("sk-bf-exact", { headers: id })));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect([await spent(), await asked()]).toEqual([36 + 50 * 18, 53]);
    // A stream that tells its usage.
    const before = await told();
    expect((await converse("sk-bf-exact", { headers: id, action: "converse-stream" })).status).toBe(200);
    const reported = (await told()) - before;
    expect(reported).toBeGreaterThan(0);
    expect([await spent(), await asked()]).toEqual([36 + 50 * 18 + reported, 54]);
    // Gone before the answer: what the prompt may have cost, no more than once.
    fake.when(model, slowly(10_000));
    await Promise.allSettled([converse("sk-bf-exact", { headers: id, signal: AbortSignal.timeout(200) })]);
    await until("its end", async () => (await quota("sk-bf-exact", "tokens")).reserved === 0);
    const prompt = (await spent()) - (36 + 50 * 18 + reported);
    expect(prompt).toBeGreaterThan(0);
    expect(prompt).toBeLessThan(60);
    expect(await asked()).toBe(55);
    expect((await quota("sk-bf-exact", "requests")).reserved).toBe(0);
  });

  async function told(): Promise<number> {
    return (await gateway.metric("bifrost_input_tokens_total")) + (await gateway.metric("bifrost_output_tokens_total"));
  }

  test("of requests are told with the time to wait", async () => {
    expect((await flood("sk-bf-few", 2)).map(({ status }) => status)).toEqual([200, 200]);
    const refused = await converse("sk-bf-few");
    expect(errorOf(refused)).toMatchObject({ status: 429, type: "ThrottlingException" });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(3500);
    expect(Number(refused.headers["retry-after"])).toBeLessThanOrEqual(3600);
  });

  test("of models hold for clients without a virtual key too, and a fallback may have room", async () => {
    const ask = (headers: Readonly<Record<string, string>> = {}) =>
      send(gateway.url, "/bedrock/model/vendor.scarce/converse", { body: userTurn("hi"), headers });
    expect((await ask()).status).toBe(200);
    expect(errorOf(await ask())).toMatchObject({ status: 429, type: "ThrottlingException" });
    const elsewhere = await ask({ "x-bf-fallbacks": `bedrock/${model}` });
    expect([elsewhere.status, elsewhere.headers["x-bifrost-fallback-index"]]).toEqual([200, "1"]);
  });

  test("of money bind no key without a budget, however absurd a price is", async () => {
    const price = { model: "vendor.absurd", input_cost_per_token: 1, output_cost_per_token: 1 };
    await using fresh = await startGateway({
      config: governedConfig(fake, { ...governance, pricing_overrides: [price] }),
      withoutH2: true,
    });
    const path = "/bedrock/model/vendor.absurd/converse";
    for (let round = 0; round < 3; round++)
      expect(
        (await send(fresh.url, path, { body: userTurn("hi"), headers: { "x-bf-vk": "sk-bf-absurd" } })).status,
      ).toBe(200);
    expect(await fresh.metric("bifrost_cost_total")).toBe(3 * 18);
    expect(await fresh.metric("bifrost_unpriced_requests_total")).toBe(0);
    await send(fresh.url, "/bedrock/model/vendor.unknown/converse", { body: userTurn("hi") });
    expect(await fresh.metric("bifrost_unpriced_requests_total")).toBe(1);
    expect(fresh.output()).toContain("The price of bedrock/vendor.unknown is unknown");
  });
});
