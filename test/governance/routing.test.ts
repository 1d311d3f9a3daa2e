import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pick, type Routed, type RouteInput, Router, type UsePercent } from "../../src/governance/routing.ts";
import { configured, identityOf, kit, start, type Written } from "./kit.ts";

type Rule = NonNullable<Written["routing_rules"]>[number];

const base: Written = {
  customers: [{ id: "acme", name: "Acme" }],
  teams: [{ id: "search", name: "Search", customer_id: "acme" }],
  virtual_keys: [{ id: "vk", name: "app", value: "v", team_id: "search" }],
};
const identity = identityOf(kit(base).governance.identify("v", start));
const unused: UsePercent = { budget: 0, tokens: 0, requests: 0 };

const input: RouteInput = {
  provider: "bedrock",
  model: "claude",
  identity,
  requestType: "converse",
  requestSize: 1000,
  headers: new Map(),
  params: new Map(),
  dimensions: new Map(),
};

let count = 0;
function rule(fields: Partial<Rule> = {}): Rule {
  return { id: `r${count++}`, name: "rule", targets: [{ provider: "openai", model: "gpt-4o" }], ...fields };
}

function router(...rules: Rule[]): Router {
  return new Router(configured({ ...base, routing_rules: rules }).routing_rules);
}

function route(rules: Rule[], changes: Partial<RouteInput> = {}, use = unused, roll = 0): Routed | undefined {
  return router(...rules).route({ ...input, ...changes }, () => use, roll);
}

describe("routing rules", () => {
  it("without one that is met change nothing", () => {
    expect(route([])).toBeUndefined();
    expect(route([rule({ cel_expression: "model == 'other'" })])).toBeUndefined();
    expect(route([rule({ enabled: false })])).toBeUndefined();
  });

  it("tell the target, its fallbacks and the way there", () => {
    const fallbacks = ["anthropic/claude-3-5-haiku-latest"];
    expect(
      route([rule({ id: "cheap", fallbacks, targets: [{ provider: "openai", model: "mini", key_id: "k1" }] })]),
    ).toEqual({
      provider: "openai",
      model: "mini",
      keyId: "k1",
      fallbacks,
      ruleId: "cheap",
      trail: [{ ruleId: "cheap", provider: "openai", model: "mini" }],
    });
  });

  it("leave of the request what a target does not name", () => {
    expect(route([rule({ targets: [{ provider: "openai" }] })])).toMatchObject({ provider: "openai", model: "claude" });
    expect(route([rule({ targets: [{ model: "nova" }] })])).toMatchObject({ provider: "bedrock", model: "nova" });
    expect(route([rule({ targets: [{ key_id: "k" }] })])).toMatchObject({
      provider: "bedrock",
      model: "claude",
      keyId: "k",
    });
  });

  it("are tried by scope, then priority, then order", () => {
    const rules = [
      rule({ id: "global", priority: -5 }),
      rule({ id: "customer", scope: "customer", scope_id: "acme", priority: -5 }),
      rule({ id: "team-2", scope: "team", scope_id: "search", priority: 2 }),
      rule({ id: "team-1", scope: "team", scope_id: "search", priority: 1 }),
      rule({ id: "key-1a", scope: "virtual_key", scope_id: "vk", priority: 1 }),
      rule({ id: "key-1b", scope: "virtual_key", scope_id: "vk", priority: 1 }),
    ];
    const order: (string | undefined)[] = [];
    for (let left = rules; left.length > 0; ) {
      const met = route(left)?.ruleId;
      order.push(met);
      left = left.filter(({ id }) => id !== met);
    }
    expect(order).toEqual(["key-1a", "key-1b", "team-1", "team-2", "customer", "global"]);
  });

  it("of another key, team or customer are not tried, and without a key only those for all", () => {
    const scoped = (["virtual_key", "team", "customer"] as const).map((scope) => rule({ scope, scope_id: "other" }));
    expect(route(scoped)).toBeUndefined();
    const own = [rule({ scope: "virtual_key", scope_id: "vk" }), rule({ id: "all" })];
    expect(route(own, { identity: undefined })?.ruleId).toBe("all");
  });

  it("ask how full limits are only where a condition does, for the target as it is then", () => {
    const asked: string[] = [];
    const use = (provider: string, model: string) => {
      asked.push(`${provider}/${model}`);
      return { budget: provider === "bedrock" ? 85 : 10, tokens: 0, requests: 0 };
    };
    const plain = rule({ cel_expression: "model == 'other'" });
    router(plain).route(input, use, 0);
    expect(asked).toEqual([]);
    const rules = [
      plain,
      rule({ id: "low", cel_expression: "budget_used > 80.0", chain_rule: true }),
      rule({ cel_expression: "budget_used > 50.0" }),
    ];
    expect(router(...rules).route(input, use, 0)).toMatchObject({ provider: "openai", ruleId: "low" });
    expect(asked).toEqual(["bedrock/claude", "openai/gpt-4o"]);
  });

  it("with a condition that cannot be told are not met, and counted", () => {
    const rules = router(rule({ cel_expression: "int(headers['x-n']) > 1" }), rule({ id: "next" }));
    expect(rules.route({ ...input, headers: new Map([["x-n", "many"]]) }, () => unused, 0)?.ruleId).toBe("next");
    expect(rules.failures).toBe(1);
    expect(rules.route(input, () => unused, 0)?.ruleId).toBe("next");
    expect(rules.failures).toBe(1);
  });

  it("with a condition that cannot be compiled are refused", () => {
    expect(() => router(rule({ cel_expression: "model ==" }))).toThrow();
  });
});

describe("chains of rules", () => {
  it("go on with what the last rule made of the request, to one that ends them", () => {
    const rules = [
      rule({
        id: "1",
        cel_expression: "model == 'claude'",
        chain_rule: true,
        targets: [{ model: "nova" }],
        fallbacks: ["a/b"],
      }),
      rule({
        id: "2",
        cel_expression: "model == 'nova'",
        targets: [{ provider: "openai", model: "mini" }],
        fallbacks: ["c/d"],
      }),
      rule({ id: "3", cel_expression: "model == 'mini'", targets: [{ model: "never" }] }),
    ];
    expect(route(rules)).toMatchObject({ provider: "openai", model: "mini", ruleId: "2", fallbacks: ["c/d"] });
    expect(route(rules)?.trail.map(({ ruleId }) => ruleId)).toEqual(["1", "2"]);
  });

  it("end where no rule is met any more, and where nothing changes", () => {
    const once = rule({ id: "1", cel_expression: "model == 'claude'", chain_rule: true, targets: [{ model: "nova" }] });
    expect(route([once])).toMatchObject({ model: "nova", trail: [{ ruleId: "1" }] });
    const same = rule({ id: "same", chain_rule: true, targets: [{ model: "nova" }] });
    expect(route([same])?.trail).toHaveLength(2);
  });

  it("end after ten steps when they go in circles", () => {
    const rules = [
      rule({ cel_expression: "model == 'claude'", chain_rule: true, targets: [{ model: "nova" }] }),
      rule({ cel_expression: "model == 'nova'", chain_rule: true, targets: [{ model: "claude" }] }),
    ];
    expect(route(rules)?.trail).toHaveLength(10);
    expect(route(rules)?.model).toBe("claude");
  });

  it("forget a key that belongs to another provider", () => {
    const rules = [
      rule({
        cel_expression: "model == 'claude'",
        chain_rule: true,
        targets: [{ provider: "bedrock", model: "nova", key_id: "k" }],
      }),
      rule({ cel_expression: "model == 'nova'", targets: [{ provider: "openai" }] }),
    ];
    expect(route(rules)).toMatchObject({ provider: "openai", model: "nova", keyId: undefined });
  });
});

describe("targets by weight", () => {
  const targets = [
    { model: "a", weight: 3 },
    { model: "none", weight: 0 },
    { model: "b", weight: 1 },
  ];

  it("get their share of rolls", () => {
    const share = (model: string) =>
      Array.from({ length: 400 }, (_, n) => route([rule({ targets })], {}, unused, n / 400)?.model).filter(
        (found) => found === model,
      ).length;
    expect([share("a"), share("b"), share("none")]).toEqual([300, 100, 0]);
  });

  it("are independent from step to step of a chain, though there is one roll", () => {
    const rules = [
      rule({ cel_expression: "model == 'claude'", chain_rule: true, targets: ["x", "y"].map((model) => ({ model })) }),
      rule({ cel_expression: "model == 'x' || model == 'y'", targets: ["1", "2"].map((provider) => ({ provider })) }),
    ];
    const found = Array.from({ length: 400 }, (_, n) => {
      const routed = route(rules, {}, unused, n / 400);
      return `${routed?.model}${routed?.provider}`;
    });
    expect(["x1", "x2", "y1", "y2"].map((name) => found.filter((one) => one === name).length)).toEqual([
      100, 100, 100, 100,
    ]);
  });

  it("are one of those with a weight, whatever the roll", () => {
    const weights = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(weights, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (list, roll) => {
        const all = list.map((weight) => ({ weight }));
        const { target, rest } = pick(all, roll);
        expect(all).toContain(target);
        if (list.some((weight) => weight > 0)) expect(target.weight).toBeGreaterThan(0);
        expect(rest).toBeGreaterThanOrEqual(0);
        expect(rest).toBeLessThan(1);
      }),
    );
    expect(() => pick([], 0)).toThrow(RangeError);
  });
});
