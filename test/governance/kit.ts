/** Governance over fresh memory, for its tests. */
import type { z } from "zod";
import { type GovernanceConfig, governanceSchema } from "../../src/config/governance.ts";
import { Counter } from "../../src/governance/counter.ts";
import { Governance, type Known } from "../../src/governance/governance.ts";
import type { Identity } from "../../src/governance/identity.ts";
import { createGovernanceMemory, type GovernanceMemory, openGovernanceMemory } from "../../src/governance/layout.ts";
import { type Limit, type LimitKind, limitRules } from "../../src/governance/limits.ts";
import { GovernanceRegistry } from "../../src/governance/registry.ts";
import { forever, type Period, periodOf } from "../../src/governance/windows.ts";

export type Written = z.input<typeof governanceSchema>;

/** A time like any other. */
export const start = 1_790_000_000_050;
export const minute = 60_000;
export const day = 86_400_000;

export function configured(written: Written): GovernanceConfig {
  return governanceSchema.parse(written);
}

export function freshMemory(): GovernanceMemory {
  return openGovernanceMemory(createGovernanceMemory(512));
}

export const oneMinute: Period = periodOf({ count: 1, unit: "m", milliseconds: minute }, false);

/** A limit over a slot of the memory. */
export function limitOf(
  memory: GovernanceMemory,
  slot: number,
  kind: LimitKind,
  max: number,
  period: Period = kind === "concurrency" ? forever : oneMinute,
): Limit {
  const overdraft = { budget: Number.POSITIVE_INFINITY, tokens: Math.floor(max / 20), requests: 0, concurrency: 0 }[
    kind
  ];
  return {
    id: `limit-${slot}`,
    holder: { kind: "virtual_key", id: "vk", name: "the virtual key app" },
    kind,
    max,
    duration: kind === "concurrency" ? undefined : "1m",
    calendarAligned: false,
    period,
    counter: new Counter(memory, slot, { max, overdraft, period }),
  };
}

export interface Kit {
  readonly governance: Governance;
  readonly registry: GovernanceRegistry;
  readonly config: GovernanceConfig;
}

const providerTypes = new Map(["bedrock", "openai", "anthropic", "mock"].map((name) => [name, name]));

export function kit(written: Written, registry = new GovernanceRegistry(512)): Kit {
  const config = configured(written);
  const { slots } = registry.assign(config);
  const memory = openGovernanceMemory(registry.memory);
  const governance = new Governance({ config, memory, slots, providerTypes, salt: "of the tests" });
  return { governance, registry, config };
}

export function identityOf(known: Known): Identity {
  if (known.kind === "refused") throw new Error(known.refusal.message);
  return known.identity;
}

/** What has been settled, by the limit's id. */
export function spentOf({ config, registry }: Kit, now: number): Record<string, number> {
  return usesOf({ config, registry }, now, "spent");
}

/** What has been settled and reserved, by the limit's id. */
export function usedOf({ config, registry }: Kit, now: number): Record<string, number> {
  return usesOf({ config, registry }, now, "used");
}

function usesOf({ config, registry }: Omit<Kit, "governance">, now: number, what: "spent" | "used") {
  const memory = openGovernanceMemory(registry.memory);
  const { slots } = registry.assign(config);
  return Object.fromEntries(
    limitRules(config).map(({ id, max, period }) => {
      const counter = new Counter(memory, slots.get(id) ?? 0, { max, period, overdraft: 0 });
      return [id, counter.use(now)[what]];
    }),
  );
}
