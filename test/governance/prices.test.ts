import { calcPrice, findProvider } from "@pydantic/genai-prices";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Prices, type TokenUsage } from "../../src/governance/prices.ts";
import { configured, start, type Written } from "./kit.ts";

const types = new Map([
  ["bedrock", "bedrock"],
  ["openai", "openai"],
  ["anthropic", "anthropic"],
  ["gemini", "gemini"],
  ["proxy", "openai"],
  ["my-vllm", "vllm"],
  ["mock", "mock"],
]);

function prices(...pricing_overrides: NonNullable<Written["pricing_overrides"]>): Prices {
  return new Prices(configured({ pricing_overrides }).pricing_overrides, types);
}

function usage(fields: Partial<TokenUsage>): TokenUsage {
  return { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, ...fields };
}

const sonnet = "us.anthropic.claude-sonnet-4-20250514-v1:0";

describe("listed prices", () => {
  it("are per token, with those of the cache apart from other input", () => {
    const cost = (fields: Partial<TokenUsage>) => prices().cost("bedrock", sonnet, usage(fields), start);
    expect(cost({ input: 1000 })).toBe(3000);
    expect(cost({ output: 1000 })).toBe(15_000);
    expect(cost({ cacheRead: 1000 })).toBe(300);
    expect(cost({ cacheWrite: 1000 })).toBe(3750);
    expect(cost({ input: 1000, output: 1000, cacheRead: 1000, cacheWrite: 1000 })).toBe(22_050);
  });

  it("are found for the ids that Bedrock has for one model, also within an ARN", () => {
    const expected = prices().cost("bedrock", "amazon.nova-pro-v1:0", usage({ input: 1e6 }), start);
    expect(expected).toBe(800_000);
    for (const model of [
      "us.amazon.nova-pro-v1:0",
      "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
      "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0",
    ])
      expect(prices().knows("bedrock", model, start), model).toBe(true);
  });

  it("are those of the kind of a provider with a name of its own", () => {
    expect(prices().cost("proxy", "gpt-4o", usage({ input: 1000 }), start)).toBe(2500);
    expect(prices().cost("gemini", "gemini-2.5-pro", usage({ input: 1000 }), start)).toBe(1250);
  });

  it("rise with the length of the prompt, cached tokens counted", () => {
    const cost = (fields: Partial<TokenUsage>) => prices().cost("gemini", "gemini-2.5-pro", usage(fields), start) ?? 0;
    expect(cost({ input: 200_000, output: 1000 })).toBe(260_000);
    expect(cost({ input: 200_001, output: 1000 })).toBe(515_003);
    expect(cost({ input: 100_000, cacheRead: 100_001, output: 1000 })).toBeGreaterThan(250_000);
  });

  it("are reserved at the tier of the prompt", () => {
    expect(prices().reserveCost("gemini", "gemini-2.5-pro", 200_001, 1000, start)).toBe(515_003);
  });

  it("are reserved as if the cache wrote all of the prompt, where that is dearer", () => {
    expect(prices().reserveCost("bedrock", sonnet, 1000, 1000, start)).toBe(3750 + 15_000);
    expect(prices().reserveCost("openai", "gpt-4o", 1000, 1000, start)).toBe(2500 + 10_000);
  });

  it.each([
    ["bedrock", "no.such-model"],
    ["my-vllm", "gpt-4o"],
    ["mock", "gpt-4o"],
    ["not-configured", "gpt-4o"],
    ["openai", ""],
    ["openai", "x".repeat(100_000)],
    ["openai", "__proto__"],
  ])("of %s/%s are unknown, which is not the same as nothing", (provider, model) => {
    expect(prices().cost(provider, model.slice(0, 600), usage({ input: 1000 }), start)).toBeUndefined();
    expect(prices().reserveCost(provider, model, 1, 1, start)).toBeUndefined();
    expect(prices().knows(provider, model, start)).toBe(false);
  });

  it("are what the list itself makes of them, for all its models and any usage", () => {
    const count = fc.oneof(fc.nat({ max: 400_000 }), fc.constant(0), fc.constant(200_000));
    const cases = ["aws", "openai", "anthropic", "google"].flatMap((id) =>
      (findProvider({ providerId: id })?.models ?? []).map((model) => ({ id, model: model.id })),
    );
    const named = new Map([
      ["aws", "bedrock"],
      ["openai", "openai"],
      ["anthropic", "anthropic"],
      ["google", "gemini"],
    ]);
    const ours = prices();
    fc.assert(
      fc.property(
        fc.constantFrom(...cases),
        count,
        count,
        count,
        count,
        (one, input, output, cacheRead, cacheWrite) => {
          const total = { input_tokens: input + cacheRead + cacheWrite, output_tokens: output };
          const whole = { ...total, cache_read_tokens: cacheRead, cache_write_tokens: cacheWrite };
          const listed = calcPrice(whole, one.model, { providerId: one.id, timestamp: new Date(start) });
          const cost = ours.cost(named.get(one.id) ?? "", one.model, { input, output, cacheRead, cacheWrite }, start);
          if (listed === null) expect(cost).toBeUndefined();
          else {
            expect(cost).toBeGreaterThanOrEqual(listed.total_price * 1e6 - 1e-3);
            expect(cost).toBeLessThanOrEqual(listed.total_price * 1e6 + 1.001);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("configured prices", () => {
  const one = (fields: Partial<NonNullable<Written["pricing_overrides"]>[number]>) => ({
    model: "gpt-4o",
    input_cost_per_token: 0.000001,
    output_cost_per_token: 0.000002,
    ...fields,
  });

  it("come before listed ones, and give a price to what has none", () => {
    const found = prices(one({}), one({ model: "house-model" }));
    expect(found.cost("openai", "GPT-4o", usage({ input: 10, output: 10 }), start)).toBe(30);
    expect(found.cost("mock", "house-model", usage({ input: 10, output: 10 }), start)).toBe(30);
    expect(found.cost("openai", "gpt-4o-mini", usage({ input: 1e6 }), start)).toBe(150_000);
  });

  it("charge the cache as other input unless they say otherwise", () => {
    const plain = prices(one({}));
    const own = prices(one({ cache_read_input_token_cost: 0, cache_creation_input_token_cost: 0.000005 }));
    const used = usage({ cacheRead: 10, cacheWrite: 10 });
    expect(plain.cost("openai", "gpt-4o", used, start)).toBe(20);
    expect(own.cost("openai", "gpt-4o", used, start)).toBe(50);
    expect(own.reserveCost("openai", "gpt-4o", 10, 10, start)).toBe(70);
  });

  it("of the provider come before those for all, an exact name before a beginning, a longer beginning before a shorter", () => {
    const price = (dollars: number) => ({ input_cost_per_token: dollars / 1e6, output_cost_per_token: 0 });
    const found = prices(
      one({ model: "*", match_type: "wildcard", ...price(1) }),
      one({ model: "gpt-*", match_type: "wildcard", ...price(2) }),
      one({ model: "gpt-4o", ...price(3) }),
      one({ provider: "openai", model: "*", match_type: "wildcard", ...price(4) }),
      one({ provider: "openai", model: "gpt-4*", match_type: "wildcard", ...price(5) }),
      one({ provider: "openai", model: "gpt-4o", ...price(6) }),
    );
    const cost = (provider: string, model: string) => found.cost(provider, model, usage({ input: 1 }), start);
    expect(
      [
        ["mock", "m"],
        ["mock", "gpt-5"],
        ["mock", "gpt-4o"],
        ["openai", "gpt-4o"],
        ["openai", "gpt-4o-mini"],
        ["openai", "o3"],
      ].map(([provider = "", model = ""]) => cost(provider, model)),
    ).toEqual([1, 2, 3, 6, 5, 4]);
  });

  it("A56: that were absurd can be put right, and what was used be priced again", () => {
    const used = usage({ input: 1000, output: 100 });
    expect(prices(one({ input_cost_per_token: 1 })).cost("openai", "gpt-4o", used, start)).toBe(1_000_000_200);
    expect(prices(one({})).cost("openai", "gpt-4o", used, start)).toBe(1200);
  });
});

describe("costs", () => {
  const cheap = prices({ model: "m", input_cost_per_token: 0.0000001, output_cost_per_token: 0.00000007 });

  it("are rounded up to a micro-dollar, but not for what binary fractions are wrong by", () => {
    const cost = (input: number, output = 0) => cheap.cost("mock", "m", usage({ input, output }), start);
    expect([cost(0), cost(1), cost(10), cost(11), cost(30), cost(0, 100)]).toEqual([0, 1, 1, 2, 3, 7]);
  });

  it.each([Number.NaN, -5, Number.POSITIVE_INFINITY])("of %s tokens are nothing", (input) => {
    expect(cheap.cost("mock", "m", usage({ input }), start)).toBe(0);
  });

  it("are whole numbers that a counter can hold, whatever is counted", () => {
    const dear = prices({ model: "m", input_cost_per_token: 1, output_cost_per_token: 1 });
    fc.assert(
      fc.property(fc.double({ min: 0 }), fc.double({ min: 0 }), (input, output) => {
        const cost = dear.cost("mock", "m", usage({ input, output }), start) ?? -1;
        expect(Number.isSafeInteger(cost)).toBe(true);
        expect(cost).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it("of models whose price changes with the day are those of the day", () => {
    const found = prices();
    const cost = (now: number) => found.cost("openai", "o3", usage({ input: 1e6 }), now);
    expect(cost(Date.UTC(2025, 4, 1))).toBe(10_000_000);
    expect(cost(Date.UTC(2025, 11, 1))).toBe(2_000_000);
    expect(cost(Date.UTC(2025, 4, 1))).toBe(10_000_000);
  });
});

describe("prices that are not of tokens alone", () => {
  const of = (override: object) => prices({ model: "m", ...override });
  const tokens = { input_cost_per_token: 0.001, output_cost_per_token: 0.002 };
  const cost = (override: object, used: Partial<TokenUsage>) => of(override).cost("openai", "m", usage(used), start);

  it("rise above 128,000, 200,000 and 272,000 tokens of input, each where it has a price", () => {
    const tiers = {
      ...tokens,
      input_cost_per_token_above_200k_tokens: 0.005,
      output_cost_per_token_above_272k_tokens: 0.007,
    };
    expect(cost(tiers, { input: 200_000, output: 1 })).toBe(200_000_000 + 2000);
    expect(cost(tiers, { input: 200_001, output: 1 })).toBe(1_000_005_000 + 2000);
    expect(cost(tiers, { input: 272_001, output: 1 })).toBe(1_360_005_000 + 7000);
    const cached = {
      ...tokens,
      cache_read_input_token_cost: 0.0001,
      cache_read_input_token_cost_above_128k_tokens: 0.0002,
    };
    expect(cost(cached, { cacheRead: 128_000 })).toBe(12_800_000);
    expect(cost(cached, { cacheRead: 128_001 })).toBe(25_600_200);
    expect(of(tiers).reserveCost("openai", "m", 200_001, 1, start)).toBe(1_000_005_000 + 2000);
  });

  it("are those of batches for batches, and as outside of them where there are none", () => {
    const batch = (override: object) =>
      of(override).cost("openai", "m", usage({ input: 1000, output: 1000, cacheRead: 1000 }), start, { batch: true });
    expect(batch(tokens)).toBe(4_000_000);
    expect(batch({ ...tokens, input_cost_per_token_batches: 0.0005, output_cost_per_token_batches: 0.001 })).toBe(
      2_000_000,
    );
    expect(prices().cost("openai", "gpt-4o", usage({ input: 1000 }), start, { batch: true })).toBe(2500);
  });

  it("are for each image and each query, besides tokens or in their place", () => {
    const image = { output_cost_per_image: 0.04 };
    expect(cost(image, { input: 100, images: 3 })).toBe(120_000);
    expect(cost({ ...image, ...tokens }, { input: 100, images: 3 })).toBe(120_000 + 100_000);
    expect(cost({ input_cost_per_query: 0.002 }, { queries: 2 })).toBe(4000);
    expect(of(image).reserveCost("openai", "m", 100, 0, start, { images: 5 })).toBe(200_000);
  });

  it("are unknown, and not nothing, where what was used has none", () => {
    expect(cost(tokens, { input: 100, images: 1 })).toBeUndefined();
    expect(cost(tokens, { queries: 1 })).toBeUndefined();
    expect(cost({ output_cost_per_image: 0.04 }, { input: 100, output: 1 })).toBeUndefined();
    expect(cost({ output_cost_per_image: 0.04 }, {})).toBe(0);
    expect(of(tokens).reserveCost("openai", "m", 1, 0, start, { images: 1 })).toBeUndefined();
    expect(prices().cost("openai", "gpt-4o", usage({ input: 1, images: 1 }), start)).toBeUndefined();
  });
});
