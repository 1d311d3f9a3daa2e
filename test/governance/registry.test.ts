import { describe, expect, it } from "vitest";
import { GovernanceRegistry } from "../../src/governance/registry.ts";
import { configured, day, identityOf, kit, minute, spentOf, start, usedOf, type Written } from "./kit.ts";

const written: Written = {
  customers: [{ id: "acme", name: "Acme", budgets: [{ max_limit: 10, reset_duration: "1M", calendar_aligned: true }] }],
  virtual_keys: [
    {
      id: "vk",
      name: "app",
      value: "secret",
      customer_id: "acme",
      allow_all_providers: true,
      rate_limit: { token_max_limit: 10_000, token_reset_duration: "1m" },
      max_concurrency: 5,
    },
  ],
  pricing_overrides: [{ model: "m", input_cost_per_token: 0.000001, output_cost_per_token: 0.00001 }],
};

const budgetId = "customer:acme/budget/1M/calendar";
const tokensId = "virtual_key:vk/tokens/1m";
const concurrencyId = "virtual_key:vk/concurrency";

function request({ governance }: ReturnType<typeof kit>) {
  const identity = identityOf(governance.identify("secret", start));
  return { identity, provider: "openai", model: "m", inputTokens: 100, outputTokens: 200 };
}

function call(one: ReturnType<typeof kit>, now: number) {
  const admitted = one.governance.admit(request(one), now);
  if (admitted.kind === "refused") throw new Error(admitted.refusal.message);
  return (output: number) =>
    one.governance.settle(admitted.admission, { input: 100, output, cacheRead: 0, cacheWrite: 0 }, now);
}

const usage = { input: 100, output: 50, cacheRead: 0, cacheWrite: 0 };

describe("the registry", () => {
  it("tells what has changed, once, without what is only reserved", () => {
    const one = kit(written);
    const settle = call(one, start);
    expect(one.registry.exportCounters(start)).toEqual([]);
    settle(50);
    call(one, start);
    const month = Date.UTC(2026, 8, 1);
    expect(one.registry.exportCounters(start + 5).sort((a, b) => a.id.localeCompare(b.id))).toEqual([
      { id: budgetId, window: month, value: 600, at: start + 5, until: Date.UTC(2026, 9, 1) },
      { id: tokensId, window: start, value: 150, at: start + 5, until: start + minute },
    ]);
    expect(one.registry.exportCounters(start + 6)).toEqual([]);
  });

  it("puts everything back after a restart, where its window still runs", () => {
    const before = kit(written);
    call(before, start)(50);
    const saved = before.registry.exportCounters(start);
    const after = kit(written);
    expect(after.registry.importCounters(saved, start + 1000)).toBe(2);
    expect(spentOf(after, start + 1000)).toEqual({ [budgetId]: 600, [tokensId]: 150, [concurrencyId]: 0 });
    const later = kit(written);
    expect(later.registry.importCounters(saved, start + minute)).toBe(1);
    expect(spentOf(later, start + minute)).toEqual({ [budgetId]: 600, [tokensId]: 0, [concurrencyId]: 0 });
    const muchLater = kit(written);
    expect(muchLater.registry.importCounters(saved, start + 60 * day)).toBe(0);
  });

  it("takes no row that is nonsense, or of a limit that is gone", () => {
    const one = kit(written);
    const rows = [
      { id: "customer:gone/budget/1d", window: start, value: 1 },
      { id: tokensId, window: Number.NaN, value: 1 },
      { id: tokensId, window: start, value: -1 },
      { id: tokensId, window: start, value: 1.5 },
      { id: tokensId, window: start, value: Number.POSITIVE_INFINITY },
    ];
    expect(one.registry.importCounters(rows, start)).toBe(0);
    expect(one.registry.importCounters([{ id: tokensId, window: start, value: 7 }], start, [budgetId])).toBe(0);
    expect(spentOf(one, start)[tokensId]).toBe(0);
  });

  it("keeps what was counted through reloads that leave the limit, whatever its height", () => {
    const one = kit(written);
    call(one, start)(50);
    const virtual_keys = written.virtual_keys?.map((key) => ({
      ...key,
      rate_limit: { token_max_limit: 200, token_reset_duration: "1m" },
    }));
    const raised = { ...written, virtual_keys };
    const next = kit(raised, one.registry);
    expect(spentOf(next, start)).toMatchObject({ [budgetId]: 600, [tokensId]: 150 });
    const refused = next.governance.admit(request(next), start);
    expect(refused).toMatchObject({ kind: "refused", refusal: { kind: "rate", spent: 150 } });
  });

  it("begins with nothing where a limit is new, and says which those are", () => {
    const registry = new GovernanceRegistry(512);
    expect(registry.assign(configured(written)).fresh).toEqual([budgetId, tokensId, concurrencyId]);
    expect(registry.assign(configured(written)).fresh).toEqual([]);
    const [customer] = written.customers ?? [];
    const other = {
      ...written,
      customers: [{ ...customer, id: "acme", name: "Acme", budgets: [{ max_limit: 1, reset_duration: "1d" }] }],
    };
    expect(registry.assign(configured(other)).fresh).toEqual(["customer:acme/budget/1d"]);
  });

  it("lets requests of the old configuration end in it, and not in the new", () => {
    const one = kit(written);
    const settle = call(one, start);
    const next = kit(
      { virtual_keys: written.virtual_keys?.map((key) => ({ ...key, customer_id: null })) },
      one.registry,
    );
    expect(usedOf(next, start)).toEqual({ [tokensId]: 300, [concurrencyId]: 1 });
    settle(50);
    expect(usedOf(next, start)).toEqual({ [tokensId]: 150, [concurrencyId]: 0 });
  });

  it("gives a limit that comes back a fresh counter", () => {
    const one = kit(written);
    call(one, start)(50);
    kit({}, one.registry);
    const again = kit(written, one.registry);
    expect(spentOf(again, start)).toEqual({ [budgetId]: 0, [tokensId]: 0, [concurrencyId]: 0 });
  });

  it("refuses more limits than it has room for, and stays as it was", () => {
    const one = kit(written);
    call(one, start)(50);
    const virtual_keys = Array.from({ length: 513 }, (_, n) => ({
      id: `k${n}`,
      name: "k",
      value: `k${n}`,
      max_concurrency: 1,
    }));
    expect(() => one.registry.assign(configured({ virtual_keys }))).toThrow(RangeError);
    expect(one.governance.admit(request(one), start).kind).toBe("admitted");
    expect(one.governance.prices.cost("openai", "m", usage, start)).toBe(600);
    expect(one.registry.exportCounters(start)).toHaveLength(2);
  });
});
