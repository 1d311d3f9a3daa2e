import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { governanceSchema, parseDuration } from "../../src/config/governance.ts";

function problemsOf(section: unknown): string[] {
  const result = governanceSchema.safeParse(section);
  return result.success
    ? []
    : result.error.issues.flatMap((issue) =>
        issue.code === "unrecognized_keys"
          ? issue.keys.map((key) => [...issue.path, key].join("."))
          : [issue.path.join(".")],
      );
}

describe("the governance section", () => {
  it("may be empty", () => {
    expect(governanceSchema.parse({})).toEqual({
      customers: [],
      teams: [],
      virtual_keys: [],
      routing_rules: [],
      model_limits: [],
      pricing_overrides: [],
    });
  });

  it("takes entities as the documentation shows them", () => {
    const budgets = [{ max_limit: 100, reset_duration: "1M", calendar_aligned: true }];
    const rate_limit = {
      request_max_limit: 100,
      request_reset_duration: "1m",
      token_max_limit: 100_000,
      token_reset_duration: "1m",
    };
    expect(
      problemsOf({
        customers: [{ id: "acme", name: "Acme", budgets, rate_limit: null }],
        teams: [{ id: "search", name: "Search", customer_id: "acme", budgets: [], rate_limit: null }],
        virtual_keys: [
          {
            id: "vk_app",
            name: "app",
            value: "sk-bf-1",
            is_active: true,
            expires_at: null,
            team_id: "search",
            customer_id: null,
            allow_all_providers: false,
            provider_configs: [
              {
                provider: "openai",
                weight: 1,
                allowed_models: ["*"],
                blacklisted_models: [],
                key_ids: ["*"],
                budgets: [],
                rate_limit: null,
              },
            ],
            budgets: [{ max_limit: 10, reset_duration: "1d" }],
            rate_limit,
            max_concurrency: null,
            unpriced_models: "allow",
          },
        ],
        model_limits: [{ model_name: "gpt-4o", provider: "openai", budgets: [], rate_limit: null }],
        routing_rules: [
          {
            id: "r1",
            name: "cheap when low",
            enabled: true,
            priority: 0,
            scope: "global",
            scope_id: null,
            cel_expression: "budget_used > 80.0",
            targets: [{ provider: "openai", model: "gpt-4o-mini", key_id: null, weight: 1 }],
            fallbacks: ["anthropic/claude-3-5-haiku-latest"],
            chain_rule: false,
          },
        ],
        pricing_overrides: [
          {
            provider: "openai",
            model: "gpt-4o",
            match_type: "exact",
            input_cost_per_token: 0.0000025,
            output_cost_per_token: 0.00001,
            cache_read_input_token_cost: null,
            cache_creation_input_token_cost: null,
          },
        ],
      }),
    ).toEqual([]);
  });

  it("gives a virtual key what it does not say: active, without end, without any provider", () => {
    const [key] = governanceSchema.parse({ virtual_keys: [{ id: "vk", name: "app", value: "v" }] }).virtual_keys;
    expect(key).toMatchObject({
      is_active: true,
      expires_at: null,
      allow_all_providers: false,
      provider_configs: [],
      previous_values: [],
      unpriced_models: "allow",
    });
  });

  it.each([
    [{ budgets: [] }, "budgets"],
    [{ customers: [{ id: "a", name: "A", budget: { max_limit: 1, reset_duration: "1d" } }] }, "customers.0.budget"],
    [{ virtual_keys: [{ id: "vk", name: "app", value: "v", budget: {} }] }, "virtual_keys.0.budget"],
    [{ virtual_keys: [{ id: "vk", name: "app" }] }, "virtual_keys.0.value"],
    [{ virtual_keys: [{ id: "vk", name: "app", value: "two words" }] }, "virtual_keys.0.value"],
    [{ virtual_keys: [{ id: "v/k", name: "app", value: "v" }] }, "virtual_keys.0.id"],
    [{ virtual_keys: [{ id: "vk", name: "app", value: "v", expires_at: "tomorrow" }] }, "virtual_keys.0.expires_at"],
    [{ virtual_keys: [{ id: "vk", name: "app", value: "v", max_concurrency: 0 }] }, "virtual_keys.0.max_concurrency"],
    [{ routing_rules: [{ id: "r", name: "r", targets: [] }] }, "routing_rules.0.targets"],
    [{ pricing_overrides: [{ model: "m" }] }, "pricing_overrides.0.input_cost_per_token"],
    [{ pricing_overrides: [{ model: "m", input_cost_per_token: 0.1 }] }, "pricing_overrides.0.output_cost_per_token"],
    [
      { pricing_overrides: [{ model: "m", output_cost_per_image: 1, input_cost_per_token_batches: 0.1 }] },
      "pricing_overrides.0.input_cost_per_token",
    ],
    [
      {
        pricing_overrides: [
          {
            model: "m",
            input_cost_per_token: 0.1,
            output_cost_per_token: 0.1,
            cache_read_input_token_cost_above_200k_tokens: 0.1,
          },
        ],
      },
      "pricing_overrides.0.cache_read_input_token_cost_above_200k_tokens",
    ],
    [
      { pricing_overrides: [{ model: "m", input_cost_per_token: -1, output_cost_per_token: 0 }] },
      "pricing_overrides.0.input_cost_per_token",
    ],
  ])("refuses %j at its path", (section, path) => {
    expect(problemsOf(section)).toEqual([path]);
  });

  it("refuses half a limit, and one that limits nothing", () => {
    const team = (rate_limit: unknown) => problemsOf({ teams: [{ id: "t", name: "T", rate_limit }] });
    expect(team({ token_max_limit: 10 })).toEqual(["teams.0.rate_limit.token_reset_duration"]);
    expect(team({ token_max_limit: 10, token_reset_duration: "1m", request_reset_duration: "1m" })).toEqual([
      "teams.0.rate_limit.request_max_limit",
    ]);
    expect(team({})).toEqual(["teams.0.rate_limit"]);
  });

  it("takes quarters for budgets only", () => {
    const budgets = [{ max_limit: 1, reset_duration: "1Q" }];
    const rate_limit = { request_max_limit: 1, request_reset_duration: "1Q" };
    expect(problemsOf({ teams: [{ id: "t", name: "T", budgets, rate_limit }] })).toEqual([
      "teams.0.rate_limit.request_reset_duration",
    ]);
  });
});

describe("durations", () => {
  it.each([
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
    ["1w", 604_800_000],
    ["1M", 30 * 86_400_000],
    ["1Q", 90 * 86_400_000],
    ["1Y", 365 * 86_400_000],
  ])("%s", (written, milliseconds) => {
    expect(parseDuration(written)?.milliseconds).toBe(milliseconds);
  });

  it.each(["", "1", "d", "0d", "-1d", "1.5d", "1 d", "1D", "01d", "11Y", "999999999Y", "1d1h", "1e3s", "1constructor"])(
    "are not %j",
    (written) => {
      expect(parseDuration(written)).toBeUndefined();
    },
  );

  it("are never longer than ten years, whatever is written", () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 12 }),
        fc.nat(),
        fc.constantFrom("s", "m", "h", "d", "w", "M", "Q", "Y"),
        (junk, count, unit) => {
          for (const written of [junk, `${count}${unit}`]) {
            const found = parseDuration(written);
            if (found === undefined) continue;
            expect(found.milliseconds).toBeGreaterThan(0);
            expect(found.milliseconds).toBeLessThanOrEqual(3650 * 86_400_000);
          }
        },
      ),
    );
  });
});
