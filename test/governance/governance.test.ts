import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AdmissionRequest, Admitted } from "../../src/governance/governance.ts";
import type { TokenUsage } from "../../src/governance/prices.ts";
import type { Refusal } from "../../src/governance/refusals.ts";
import { day, identityOf, type Kit, kit, minute, spentOf, start, usedOf, type Written } from "./kit.ts";

/** A dollar for a million tokens of any kind. */
const flat = {
  model: "*",
  match_type: "wildcard" as const,
  input_cost_per_token: 0.000001,
  output_cost_per_token: 0.000001,
};
const key = { id: "vk", name: "app", value: "v", allow_all_providers: true };

const chain: Written = {
  customers: [{ id: "acme", name: "Acme", budgets: [{ max_limit: 0.03, reset_duration: "1M" }] }],
  teams: [{ id: "search", name: "Search", customer_id: "acme", budgets: [{ max_limit: 0.02, reset_duration: "1w" }] }],
  virtual_keys: [
    {
      ...key,
      team_id: "search",
      provider_configs: [{ provider: "openai", budgets: [{ max_limit: 0.005, reset_duration: "1d" }] }],
      budgets: [{ max_limit: 0.01, reset_duration: "1d" }],
      rate_limit: {
        request_max_limit: 100,
        request_reset_duration: "1m",
        token_max_limit: 20_000,
        token_reset_duration: "1m",
      },
      max_concurrency: 4,
    },
  ],
  model_limits: [
    { model_name: "gpt-4o", provider: "openai", rate_limit: { request_max_limit: 50, request_reset_duration: "1m" } },
    { model_name: "*", provider: "openai", rate_limit: { request_max_limit: 60, request_reset_duration: "1m" } },
  ],
  pricing_overrides: [flat],
};

function usage(fields: Partial<TokenUsage>): TokenUsage {
  return { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, ...fields };
}

function request({ governance }: Kit, fields: Partial<AdmissionRequest> = {}): AdmissionRequest {
  const identity = identityOf(governance.identify("v", start));
  return { identity, provider: "openai", model: "gpt-4o", inputTokens: 1000, outputTokens: 1000, ...fields };
}

function admitted(result: Admitted) {
  if (result.kind === "refused") throw new Error(result.refusal.message);
  return result.admission;
}

function refused(result: Admitted): Refusal {
  if (result.kind === "admitted") throw new Error("admitted");
  return result.refusal;
}

describe("admission", () => {
  it("reserves in every limit of the model, the provider, the key, its team and its customer", () => {
    const one = kit(chain);
    admitted(one.governance.admit(request(one), start));
    expect(usedOf(one, start)).toEqual({
      "customer:acme/budget/1M": 2000,
      "team:search/budget/1w": 2000,
      "virtual_key:vk/requests/1m": 1,
      "virtual_key:vk/tokens/1m": 2000,
      "virtual_key:vk/budget/1d": 2000,
      "virtual_key:vk/concurrency": 1,
      "provider_config:vk/openai/budget/1d": 2000,
      "model_limit:openai/gpt-4o/requests/1m": 1,
      "provider:openai/*/requests/1m": 1,
    });
  });

  it("leaves the limits of other providers and models alone", () => {
    const one = kit(chain);
    admitted(one.governance.admit(request(one, { provider: "anthropic" }), start));
    admitted(one.governance.admit(request(one, { model: "gpt-4" }), start));
    expect(usedOf(one, start)).toMatchObject({
      "provider_config:vk/openai/budget/1d": 2000,
      "model_limit:openai/gpt-4o/requests/1m": 0,
      "provider:openai/*/requests/1m": 1,
      "virtual_key:vk/requests/1m": 2,
    });
  });

  it("holds a model by every name an alias may have for it, and in any case", () => {
    const one = kit(chain);
    admitted(one.governance.admit(request(one, { model: "big", resolved: ["GPT-4o"] }), start));
    expect(usedOf(one, start)["model_limit:openai/gpt-4o/requests/1m"]).toBe(1);
  });

  it("counts limits of models and providers without a virtual key too, and requests that name no model", () => {
    const one = kit({
      model_limits: [
        { model_name: "*", rate_limit: { request_max_limit: 1, request_reset_duration: "1m" } },
        { model_name: "m", rate_limit: { request_max_limit: 1, request_reset_duration: "1m" } },
      ],
    });
    const anonymous = { identity: undefined, provider: "openai", model: undefined, inputTokens: 0, outputTokens: 0 };
    admitted(one.governance.admit(anonymous, start));
    expect(refused(one.governance.admit(anonymous, start))).toMatchObject({ kind: "rate" });
    expect(refused(one.governance.admit(anonymous, start)).message).toContain("limit of requests of all models");
  });

  it.each<[string, Written, Partial<Refusal>, string]>([
    [
      "the provider config's budget",
      {
        ...chain,
        virtual_keys:
          chain.virtual_keys?.map((one) => ({
            ...one,
            provider_configs: [{ provider: "openai", budgets: [{ max_limit: 0, reset_duration: "1d" }] }],
          })) ?? [],
      },
      { kind: "budget" },
      "The budget of the virtual key app for openai has no room for this request: $0.00 of $0.00 used per 1d.",
    ],
    [
      "the team's budget",
      {
        ...chain,
        teams: [
          { id: "search", name: "Search", customer_id: "acme", budgets: [{ max_limit: 0, reset_duration: "1w" }] },
        ],
      },
      { kind: "budget" },
      "The budget of the team Search has no room",
    ],
    [
      "the customer's budget",
      { ...chain, customers: [{ id: "acme", name: "Acme", budgets: [{ max_limit: 0, reset_duration: "1M" }] }] },
      { kind: "budget" },
      "The budget of the customer Acme has no room",
    ],
    [
      "the model's limit",
      {
        ...chain,
        model_limits: [{ model_name: "gpt-4o", rate_limit: { token_max_limit: 0, token_reset_duration: "1m" } }],
      },
      { kind: "rate", isPassing: false },
      "The limit of tokens of the model gpt-4o has no room for this request: 0 of 0 used per 1m.",
    ],
  ])("is refused by %s, in all or nothing", (_, written, expected, message) => {
    const one = kit(written);
    const refusal = refused(one.governance.admit(request(one), start));
    expect(refusal).toMatchObject(expected);
    expect(refusal.message).toContain(message);
    expect(new Set(Object.values(usedOf(one, start)))).toEqual(new Set([0]));
  });

  it("reports a limit one may wait for before a budget", () => {
    const one = kit({
      virtual_keys: [
        {
          ...key,
          budgets: [{ max_limit: 0, reset_duration: "1d" }],
          rate_limit: { request_max_limit: 0, request_reset_duration: "1m" },
        },
      ],
    });
    expect(refused(one.governance.admit(request(one), start))).toMatchObject({ kind: "rate", retryAfterMs: minute });
  });

  it("takes counts that are none for nothing", () => {
    const one = kit(chain);
    const admission = admitted(
      one.governance.admit(request(one, { inputTokens: Number.NaN, outputTokens: -4 }), start),
    );
    expect(usedOf(one, start)["virtual_key:vk/tokens/1m"]).toBe(0);
    one.governance.settle(
      admission,
      usage({ input: Number.NaN, output: 1.5, cacheRead: Number.POSITIVE_INFINITY }),
      start,
    );
    expect(Number.isSafeInteger(spentOf(one, start)["virtual_key:vk/tokens/1m"])).toBe(true);
  });
});

describe("permissions and prices at admission", () => {
  const limited: Written = {
    virtual_keys: [
      {
        ...key,
        allow_all_providers: false,
        unpriced_models: "refuse",
        provider_configs: [{ provider: "openai", allowed_models: ["gpt-4o", "house"], key_ids: ["k1"] }],
        max_concurrency: 1,
      },
    ],
  };

  it("tell the keys that may be used", () => {
    const one = kit(limited);
    expect(admitted(one.governance.admit(request(one), start)).keyIds).toEqual(new Set(["k1"]));
  });

  it.each<[Partial<AdmissionRequest>, Partial<Refusal>, string]>([
    [{ provider: "bedrock" }, { kind: "permission", what: "provider" }, "may not use the provider bedrock"],
    [{ model: "gpt-4" }, { kind: "permission", what: "model" }, 'may not use the model "gpt-4" of openai'],
    [{ model: "house" }, { kind: "unpriced" }, "The price of openai/house is unknown"],
  ])("refuse %j", (fields, expected, message) => {
    const one = kit(limited);
    const refusal = refused(one.governance.admit(request(one, fields), start));
    expect(refusal).toMatchObject(expected);
    expect(refusal.message).toContain(message);
    expect(usedOf(one, start)).toEqual({ "virtual_key:vk/concurrency": 0 });
  });

  it("let models without a price through unless the key says otherwise, and say that they are unpriced", () => {
    const one = kit({ virtual_keys: [{ ...key, budgets: [{ max_limit: 1, reset_duration: "1d" }] }] });
    const admission = admitted(one.governance.admit(request(one, { model: "house" }), start));
    const settled = one.governance.settle(admission, usage({ output: 10 }), start);
    expect(settled).toEqual({ microUsd: undefined, isFirst: true });
    expect(spentOf(one, start)).toEqual({ "virtual_key:vk/budget/1d": 0 });
  });

  it("A56: a key without a budget is not blocked by an absurd price", () => {
    const one = kit({
      virtual_keys: [key],
      pricing_overrides: [{ ...flat, input_cost_per_token: 1, output_cost_per_token: 1 }],
    });
    const admission = admitted(one.governance.admit(request(one, { inputTokens: 1e9 }), start));
    expect(one.governance.settle(admission, usage({ output: 1000 }), start).microUsd).toBe(1e9);
    admitted(one.governance.admit(request(one), start));
  });

  it("reserve for the dearest of what the model may turn out to be, and charge for what it was", () => {
    const one = kit({
      virtual_keys: [{ ...key, budgets: [{ max_limit: 1, reset_duration: "1d" }] }],
      pricing_overrides: ["cheap", "dear"].map((model, n) => ({
        model,
        input_cost_per_token: 0.000001 * 10 ** n,
        output_cost_per_token: 0.000001 * 10 ** n,
      })),
    });
    const admission = admitted(
      one.governance.admit(request(one, { model: "any", resolved: ["dear", "cheap"] }), start),
    );
    expect(usedOf(one, start)["virtual_key:vk/budget/1d"]).toBe(20_000);
    expect(one.governance.settle(admission, usage({ input: 1000 }), start, "cheap").microUsd).toBe(1000);
    expect(usedOf(one, start)["virtual_key:vk/budget/1d"]).toBe(1000);
  });
});

describe("the bill", () => {
  it("charges every level the same, cached tokens included", () => {
    const one = kit(chain);
    const admission = admitted(one.governance.admit(request(one), start));
    const settled = one.governance.settle(admission, { input: 10, output: 20, cacheRead: 30, cacheWrite: 40 }, start);
    expect(settled).toEqual({ microUsd: 100, isFirst: true });
    expect(spentOf(one, start)).toMatchObject({
      "customer:acme/budget/1M": 100,
      "team:search/budget/1w": 100,
      "virtual_key:vk/budget/1d": 100,
      "virtual_key:vk/tokens/1m": 100,
      "provider_config:vk/openai/budget/1d": 100,
    });
    expect(usedOf(one, start)["virtual_key:vk/concurrency"]).toBe(0);
  });

  it("A54: charges each token that a provider reports once, over any mixture of ends, retries and fallbacks", () => {
    const end = fc.record({
      tokens: fc.integer({ min: 0, max: 50 }),
      fallbacks: fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 2 }),
      how: fc.constantFrom("settle", "twice", "release after", "release"),
    });
    fc.assert(
      fc.property(fc.array(end, { maxLength: 15 }), (ends) => {
        const one = kit({
          virtual_keys: [
            {
              ...key,
              budgets: [{ max_limit: 1000, reset_duration: "1d" }],
              rate_limit: {
                request_max_limit: 1000,
                request_reset_duration: "1d",
                token_max_limit: 1e9,
                token_reset_duration: "1d",
              },
              max_concurrency: 3,
            },
          ],
          pricing_overrides: [flat],
        });
        const { governance } = one;
        let tokens = 0;
        let requests = 0;
        for (const { tokens: used, fallbacks, how } of ends) {
          let admission = admitted(governance.admit(request(one), start));
          const abandoned = [];
          for (const before of fallbacks) {
            const former = { admission, usage: usage({ output: before }) };
            abandoned.push(admission);
            admission = admitted(governance.admit(request(one, { provider: "anthropic" }), start, former));
            tokens += before;
          }
          if (how === "release") governance.release(admission);
          else {
            expect(governance.settle(admission, usage({ output: used }), start).isFirst).toBe(true);
            tokens += used;
          }
          if (how !== "release") requests++;
          if (how === "twice") expect(governance.settle(admission, usage({ output: 999 }), start).isFirst).toBe(false);
          if (how === "release after") governance.release(admission);
          for (const old of abandoned) governance.settle(old, usage({ output: 999 }), start);
        }
        const expected = {
          "virtual_key:vk/budget/1d": tokens,
          "virtual_key:vk/tokens/1d": tokens,
          "virtual_key:vk/requests/1d": requests,
          "virtual_key:vk/concurrency": 0,
        };
        expect(spentOf(one, start)).toEqual(expected);
        expect(usedOf(one, start)).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  it("A59: frees the slot on every path", () => {
    const one = kit({
      virtual_keys: [{ ...key, max_concurrency: 1, provider_configs: [{ provider: "bedrock", allowed_models: [] }] }],
    });
    const { governance } = one;
    const take = () => admitted(governance.admit(request(one), start));
    const first = take();
    expect(refused(governance.admit(request(one), start))).toMatchObject({
      kind: "rate",
      isPassing: true,
      retryAfterMs: 1000,
      message: "There are 1 requests running of 1 that the virtual key app may have at a time.",
    });
    governance.settle(first, usage({ output: 1 }), start);
    governance.settle(take(), usage({}), start + 400 * day);
    governance.release(take());
    const failing = take();
    const former = { admission: failing, usage: usage({}) };
    expect(refused(governance.admit(request(one, { provider: "bedrock" }), start, former)).kind).toBe("permission");
    const next = { admission: take(), usage: usage({}) };
    governance.settle(admitted(governance.admit(request(one), start, next)), usage({}), start);
    expect(usedOf(one, start)["virtual_key:vk/concurrency"]).toBe(0);
  });

  it("never lets the sum charged exceed the budget by more than one request", () => {
    const limit = 5000;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 5 }), fc.integer({ min: 0, max: 2000 })), { maxLength: 80 }),
        (steps) => {
          const one = kit({
            virtual_keys: [{ ...key, budgets: [{ max_limit: limit / 1e6, reset_duration: "1d" }] }],
            pricing_overrides: [flat],
          });
          const running: ReturnType<typeof admitted>[] = [];
          for (const [what, tokens] of steps) {
            const result = one.governance.admit(request(one), start);
            if (result.kind === "admitted") running.push(result.admission);
            const ended = what < 3 ? running.shift() : undefined;
            if (ended !== undefined) one.governance.settle(ended, usage({ output: tokens }), start);
          }
          for (const ended of running) one.governance.settle(ended, usage({ output: 2000 }), start);
          expect(spentOf(one, start)["virtual_key:vk/budget/1d"]).toBeLessThanOrEqual(limit + 2000);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("lets a budget smaller than any reservation be used up, one request at a time", () => {
    const one = kit({
      virtual_keys: [{ ...key, budgets: [{ max_limit: 0.001, reset_duration: "1d" }] }],
      pricing_overrides: [flat],
    });
    const { governance } = one;
    for (let calls = 0; calls < 10; calls++) {
      const admission = admitted(governance.admit(request(one), start));
      expect(refused(governance.admit(request(one), start))).toMatchObject({ kind: "budget", isPassing: true });
      governance.settle(admission, usage({ output: 100 }), start);
    }
    const refusal = refused(governance.admit(request(one), start));
    expect(refusal).toMatchObject({ kind: "budget", isPassing: false, retryAfterMs: day });
    expect(refusal.message).toContain("$0.001000 of $0.001000 used per 1d. It resets at 2026-09-22");
  });
});

describe("who a client is", () => {
  it("is told with words for the client when it is refused", () => {
    const { governance } = kit({ virtual_keys: [{ ...key, is_active: false }] });
    expect(governance.identify("w", start)).toMatchObject({
      refusal: { message: expect.stringContaining("is not known") },
    });
    expect(governance.identifySigner("vk", start)).toMatchObject({
      refusal: { message: "The virtual key is not active." },
    });
  });

  it("asks for keys only where there are any", () => {
    expect(kit({}).governance.hasVirtualKeys).toBe(false);
    const { governance } = kit({ virtual_keys: [key] });
    expect([governance.hasVirtualKeys, governance.isVirtualKey("v"), governance.isVirtualKey("w")]).toEqual([
      true,
      true,
      false,
    ]);
    expect([governance.secretsOf("vk", start), governance.secretsOf("other", start)]).toEqual([["v"], []]);
  });
});

describe("a model that names no provider", () => {
  const weighted: Written = {
    virtual_keys: [
      {
        ...key,
        provider_configs: [
          {
            provider: "openai",
            weight: 3,
            allowed_models: ["openai/gpt-4o"],
            budgets: [{ max_limit: 1, reset_duration: "1d" }],
          },
          { provider: "anthropic", weight: 1 },
          { provider: "bedrock", weight: 0, allowed_models: ["gpt-4o"] },
          { provider: "mock", weight: null, allowed_models: ["other"] },
        ],
      },
    ],
    pricing_overrides: [flat],
  };
  const serves = () => true;

  function choose(one: Kit, model: string, roll: number, knows?: (provider: string, model: string) => boolean) {
    return one.governance.chooseProvider(identityOf(one.governance.identify("v", start)), model, start, roll, knows);
  }

  it("goes to one by weight, with the others as fallbacks", () => {
    const one = kit(weighted);
    expect(choose(one, "gpt-4o", 0.74, serves)).toEqual({ provider: "openai", others: ["anthropic", "bedrock"] });
    expect(choose(one, "gpt-4o", 0.76, serves)).toEqual({ provider: "anthropic", others: ["openai", "bedrock"] });
  });

  it("does not go where every model is allowed but this one is not known", () => {
    const one = kit({ ...weighted, pricing_overrides: [] });
    expect(choose(one, "gpt-4o", 0.99)).toEqual({ provider: "openai", others: ["bedrock"] });
    expect(choose(one, "claude-3-5-haiku-latest", 0)).toEqual({ provider: "anthropic", others: [] });
  });

  it("goes nowhere in particular when no provider with a weight is fit", () => {
    expect(choose(kit(weighted), "other", 0, () => false)).toBeUndefined();
    expect(choose(kit({ virtual_keys: [key] }), "gpt-4o", 0, serves)).toBeUndefined();
  });

  it("does not go where a limit is exhausted", () => {
    const one = kit(weighted);
    const admission = admitted(one.governance.admit(request(one), start));
    one.governance.settle(admission, usage({ output: 1e6 }), start);
    expect(choose(one, "gpt-4o", 0, serves)).toEqual({ provider: "anthropic", others: ["bedrock"] });
  });
});

describe("how full limits are", () => {
  it("is the fullest of those that hold, in percent of what was settled", () => {
    const one = kit(chain);
    const identity = identityOf(one.governance.identify("v", start));
    expect(one.governance.usePercent(identity, "openai", "gpt-4o", start)).toMatchObject({
      budget: 0,
      tokens: 0,
      requests: 0,
    });
    const admission = admitted(one.governance.admit(request(one), start));
    admitted(one.governance.admit(request(one), start));
    one.governance.settle(admission, usage({ output: 1000 }), start);
    expect(one.governance.usePercent(identity, "openai", "gpt-4o", start)).toMatchObject({
      budget: 20,
      tokens: 5,
      requests: 2,
    });
    expect(one.governance.usePercent(identity, "anthropic", "m", start)).toMatchObject({ budget: 10, requests: 1 });
    expect(one.governance.usePercent(undefined, "bedrock", "m", start)).toMatchObject({
      budget: 0,
      tokens: 0,
      requests: 0,
    });
    expect(one.governance.usePercent(identity, "openai", "gpt-4o", start + 400 * day)).toMatchObject({ budget: 0 });
  });

  it("is never above the share that was spent, whichever budgets there are", () => {
    const budgets = fc.uniqueArray(fc.constantFrom("1h", "1d", "1w", "1M"), { minLength: 1 });
    fc.assert(
      fc.property(
        budgets,
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 0, max: 1e6 }),
        (durations, dollars, tokens) => {
          const one = kit({
            virtual_keys: [
              {
                ...key,
                budgets: durations.map((reset_duration, n) => ({ reset_duration, max_limit: dollars * (n + 1) })),
              },
            ],
            pricing_overrides: [flat],
          });
          one.governance.settle(admitted(one.governance.admit(request(one), start)), usage({ output: tokens }), start);
          const identity = identityOf(one.governance.identify("v", start));
          expect(one.governance.usePercent(identity, "openai", "m", start).budget).toBeCloseTo(
            tokens / dollars / 1e4,
            6,
          );
        },
      ),
      { numRuns: 50 },
    );
  });

  it("decides over routing rules", () => {
    const one = kit({
      ...chain,
      routing_rules: [
        { id: "low", name: "low", cel_expression: "budget_used > 15.0", targets: [{ provider: "mock", model: "m" }] },
      ],
    });
    const { governance } = one;
    const identity = identityOf(governance.identify("v", start));
    const none = new Map<string, string>();
    const input = {
      identity,
      provider: "openai",
      model: "gpt-4o",
      requestType: "converse",
      requestSize: 1000,
      headers: none,
      params: none,
      dimensions: none,
    };
    expect(governance.route(input, start, 0)).toBeUndefined();
    governance.settle(admitted(governance.admit(request(one), start)), usage({ output: 1000 }), start);
    expect(governance.route(input, start, 0)).toMatchObject({ provider: "mock", model: "m", ruleId: "low" });
    expect(governance.route({ ...input, provider: "anthropic" }, start, 0)).toBeUndefined();
    expect(governance.failedConditions).toBe(0);
  });
});
