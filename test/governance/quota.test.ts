import { describe, expect, it } from "vitest";
import { openGovernanceMemory } from "../../src/governance/layout.ts";
import { type LimitKind, Limits } from "../../src/governance/limits.ts";
import type { BudgetOverrides } from "../../src/governance/overrides.ts";
import { quotaOf } from "../../src/governance/quota.ts";
import { GovernanceRegistry } from "../../src/governance/registry.ts";
import { configured, day, start } from "./kit.ts";

const config = configured({
  virtual_keys: [
    {
      id: "vk",
      name: "app",
      value: "v",
      budgets: [{ max_limit: 0.01, reset_duration: "1d" }],
      rate_limit: { token_max_limit: 100, token_reset_duration: "1h" },
      max_concurrency: 4,
    },
  ],
});
const budget = "virtual_key:vk/budget/1d";

function kit(overrides?: BudgetOverrides) {
  const registry = new GovernanceRegistry(512);
  const { slots } = registry.assign(config);
  const limits = new Limits(config, openGovernanceMemory(registry.memory), slots, overrides);
  const of = (kind: LimitKind) => {
    const { rates, budgets } = limits.of({ kind: "virtual_key", id: "vk" });
    const found = [...rates, ...budgets].find((limit) => limit.kind === kind);
    if (found === undefined) throw new Error(`there is no limit of ${kind}`);
    return found;
  };
  const take = (kind: LimitKind, amount: number, spent?: number) => {
    const held = of(kind).counter.reserve(amount, start);
    if (held === undefined) throw new Error("there is no room");
    if (spent !== undefined) of(kind).counter.settle(held, spent);
  };
  return { limits, of, take };
}

describe("what is left of a limit", () => {
  it("is told in dollars for budgets and as counts for others", () => {
    const { of, take } = kit();
    take("budget", 2000, 1000);
    take("budget", 2000);
    take("concurrency", 1);
    expect(quotaOf(of("budget"), start)).toEqual({
      id: budget,
      holder: "virtual_key",
      holder_id: "vk",
      kind: "budget",
      max_limit: 0.01,
      override: null,
      current_usage: 0.001,
      reserved: 0.002,
      remaining: 0.007,
      reset_duration: "1d",
      calendar_aligned: false,
      resets_at: new Date(start + day).toISOString(),
    });
    expect(quotaOf(of("concurrency"), start)).toMatchObject({ max_limit: 4, reserved: 1, resets_at: null });
    expect(quotaOf(of("tokens"), start)).toMatchObject({ max_limit: 100, remaining: 100, resets_at: null });
  });

  it("counts what an override gives and takes, until it ends", () => {
    const until = start + 1000;
    const more = kit(new Map([[budget, { mode: "add", amount: 5000, until }]])).of("budget");
    expect(quotaOf(more, start)).toMatchObject({
      max_limit: 0.01,
      remaining: 0.015,
      override: { override_mode: "add", override_amount: 0.005, valid_until: new Date(until).toISOString() },
    });
    expect(quotaOf(more, until)).toMatchObject({ remaining: 0.01, override: null });
    const endless = kit(new Map([[budget, { mode: "replace", amount: 0, until: Number.POSITIVE_INFINITY }]]));
    expect(quotaOf(endless.of("budget"), start)).toMatchObject({ remaining: 0, override: { valid_until: null } });
    expect(endless.limits.find(budget)?.counter.reserve(1, start)).toBeUndefined();
  });
});
