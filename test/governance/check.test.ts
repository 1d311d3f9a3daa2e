import { describe, expect, it } from "vitest";
import { checkGovernance } from "../../src/governance/check.ts";
import { configured, type Written } from "./kit.ts";

function problemsOf(written: Written): string[] {
  return checkGovernance(configured(written)).map(({ path, message }) => `${path.join(".")}: ${message}`);
}

const key = { id: "vk", name: "app", value: "v" };
const target = { provider: "openai" };
const price = { input_cost_per_token: 0, output_cost_per_token: 0 };

describe("the check of the governance section", () => {
  it("finds nothing where all is well", () => {
    expect(
      problemsOf({
        customers: [{ id: "acme", name: "Acme" }],
        teams: [{ id: "search", name: "Search", customer_id: "acme" }],
        virtual_keys: [
          {
            ...key,
            team_id: "search",
            budgets: [
              { max_limit: 1, reset_duration: "1d" },
              { max_limit: 5, reset_duration: "1d", calendar_aligned: true },
              { max_limit: 9, reset_duration: "1w" },
            ],
            provider_configs: [{ provider: "openai", allowed_models: ["regex:gpt-.*"] }, { provider: "bedrock" }],
          },
          { id: "b", name: "app", value: "b", customer_id: "acme" },
        ],
        model_limits: [
          { model_name: "gpt-4o" },
          { model_name: "gpt-4o", provider: "openai" },
          { model_name: "*", provider: "openai" },
        ],
        routing_rules: [
          { id: "r1", name: "r", targets: [target] },
          {
            id: "r2",
            name: "r",
            scope: "team",
            scope_id: "search",
            cel_expression: "budget_used > 1.0",
            targets: [target],
          },
        ],
        pricing_overrides: [
          { model: "gpt-4o", ...price },
          { model: "gpt-4o", provider: "openai", ...price },
          { model: "gpt-4o*", match_type: "wildcard", ...price },
        ],
      }),
    ).toEqual([]);
  });

  it.each<[string, Written, string]>([
    [
      "a customer's id",
      {
        customers: [
          { id: "a", name: "A" },
          { id: "a", name: "B" },
        ],
      },
      "customers.1.id: stands twice",
    ],
    [
      "a team's id",
      {
        teams: [
          { id: "a", name: "A" },
          { id: "a", name: "B" },
        ],
      },
      "teams.1.id: stands twice",
    ],
    ["a virtual key's id", { virtual_keys: [key, { ...key, value: "w" }] }, "virtual_keys.1.id: stands twice"],
    [
      "a virtual key's value",
      { virtual_keys: [key, { ...key, id: "b" }] },
      "virtual_keys.1.value: another virtual key, or another value of this one, is the same",
    ],
    [
      "a value that was rotated away",
      {
        virtual_keys: [
          key,
          { ...key, id: "b", value: "w", previous_values: [{ value: "v", valid_until: "2027-01-01T00:00:00Z" }] },
        ],
      },
      "virtual_keys.1.previous_values.0.value: another virtual key, or another value of this one, is the same",
    ],
    [
      "a rule's id",
      {
        routing_rules: [
          { id: "r", name: "r", targets: [target] },
          { id: "r", name: "s", targets: [target] },
        ],
      },
      "routing_rules.1.id: stands twice",
    ],
    [
      "a provider of a virtual key",
      { virtual_keys: [{ ...key, provider_configs: [{ provider: "openai" }, { provider: "openai" }] }] },
      "virtual_keys.0.provider_configs.1.provider: stands twice",
    ],
    [
      "a budget's duration",
      {
        virtual_keys: [
          {
            ...key,
            budgets: [
              { max_limit: 1, reset_duration: "1d" },
              { max_limit: 2, reset_duration: "1d" },
            ],
          },
        ],
      },
      "virtual_keys.0.budgets.1.reset_duration: another budget has the same",
    ],
    [
      "a model with limits",
      { model_limits: [{ model_name: "gpt-4o" }, { model_name: "GPT-4o" }] },
      "model_limits.1.model_name: stands twice for this provider",
    ],
    [
      "a model with a price",
      {
        pricing_overrides: [
          { model: "m", ...price },
          { model: "M", ...price },
        ],
      },
      "pricing_overrides.1.model: stands twice for this provider",
    ],
  ])("finds what stands twice: %s", (_, written, problem) => {
    expect(problemsOf(written)).toEqual([problem]);
  });

  it("finds owners that are not there", () => {
    expect(
      problemsOf({
        teams: [{ id: "t", name: "T", customer_id: "gone" }],
        virtual_keys: [
          { ...key, team_id: "gone" },
          { ...key, id: "b", value: "w", customer_id: "gone" },
        ],
      }),
    ).toEqual([
      "teams.0.customer_id: there is no customer gone",
      "virtual_keys.0.team_id: there is no team gone",
      "virtual_keys.1.customer_id: there is no customer gone",
    ]);
  });

  it("finds a virtual key with two owners", () => {
    const owners = { customers: [{ id: "a", name: "A" }], teams: [{ id: "t", name: "T" }] };
    expect(problemsOf({ ...owners, virtual_keys: [{ ...key, team_id: "t", customer_id: "a" }] })).toEqual([
      "virtual_keys.0.customer_id: a virtual key belongs to a team or to a customer, not to both",
    ]);
  });

  it("finds patterns that are none", () => {
    const provider_configs = [
      { provider: "openai", allowed_models: ["gpt-4o", "regex:("], blacklisted_models: ["regex:[z-a]"] },
    ];
    expect(problemsOf({ virtual_keys: [{ ...key, provider_configs }] }).map((text) => text.split(": ")[0])).toEqual([
      "virtual_keys.0.provider_configs.0.allowed_models.1",
      "virtual_keys.0.provider_configs.0.blacklisted_models.0",
    ]);
  });

  it("finds conditions that cannot be compiled, with the reason", () => {
    const rules = ["budget_used >", "model.matches('(a+)+$')"].map((cel_expression, n) => ({
      id: `r${n}`,
      name: "r",
      cel_expression,
      targets: [target],
    }));
    expect(problemsOf({ routing_rules: rules })).toEqual([
      "routing_rules.0.cel_expression: Unexpected token: EOF",
      "routing_rules.1.cel_expression: matches is not available: use reMatch(text, pattern)",
    ]);
  });

  it("finds rules that can never have an effect", () => {
    const rule = { name: "r", targets: [target] };
    expect(
      problemsOf({
        routing_rules: [
          { ...rule, id: "1", scope: "team" },
          { ...rule, id: "2", scope: "virtual_key", scope_id: "gone" },
          { ...rule, id: "3", scope_id: "vk" },
          { ...rule, id: "4", targets: [{ provider: "openai", weight: 0 }] },
          { ...rule, id: "5", targets: [{ weight: 1 }] },
        ],
      }),
    ).toEqual([
      "routing_rules.0.scope_id: is required for the scope team",
      "routing_rules.1.scope_id: there is no virtual key gone",
      "routing_rules.2.scope_id: a global rule has none",
      "routing_rules.3.targets: at least one target needs a weight above 0",
      "routing_rules.4.targets.0: must name a provider, a model or a key_id",
    ]);
  });

  it("finds names of models with prices that match nothing as they are meant", () => {
    expect(
      problemsOf({
        pricing_overrides: [
          { model: "gpt-*", ...price },
          { model: "gpt", match_type: "wildcard", ...price },
          { model: "g*t*", match_type: "wildcard", ...price },
        ],
      }),
    ).toEqual([
      'pricing_overrides.0.model: has a *, which only match_type "wildcard" understands',
      "pricing_overrides.1.model: must have one *, at its end",
      "pricing_overrides.2.model: must have one *, at its end",
    ]);
  });

  it("finds more limits than there is room for", () => {
    const config = configured({
      virtual_keys: [{ ...key, max_concurrency: 1, budgets: [{ max_limit: 1, reset_duration: "1d" }] }],
    });
    expect(checkGovernance(config, 2)).toEqual([]);
    expect(checkGovernance(config, 1)).toEqual([
      { path: [], message: "has 2 limits and budgets, but there is room for 1" },
    ]);
  });

  it("tells no value of a virtual key", () => {
    const value = "sk-bf-very-secret";
    expect(
      problemsOf({
        virtual_keys: [
          { ...key, value },
          { ...key, value },
        ],
      }).join(),
    ).not.toContain(value);
  });
});
