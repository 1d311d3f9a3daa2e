/** The limits of a configuration: who has them, what they are called, and what they count. */
import {
  type BudgetConfig,
  type GovernanceConfig,
  parseDuration,
  type RateLimitConfig,
  type VirtualKeyConfig,
} from "../config/governance.ts";
import { Counter, type CounterRule } from "./counter.ts";
import type { GovernanceMemory } from "./layout.ts";
import { type BudgetOverride, type BudgetOverrides, overriddenMax } from "./overrides.ts";
import { forever, type Period, periodOf } from "./windows.ts";

export type LimitKind = "requests" | "tokens" | "budget" | "concurrency";

/** Whose limit it is. `provider` is a model limit for all models of a provider, or of all of them. */
export interface Holder {
  readonly kind: "customer" | "team" | "virtual_key" | "provider_config" | "model_limit" | "provider";
  readonly id: string;
  /** For people. */
  readonly name: string;
}

export interface LimitRule {
  /** Stable over restarts and reloads; a change of `max` does not change it, a change of the duration does. */
  readonly id: string;
  readonly holder: Holder;
  readonly kind: LimitKind;
  /** Micro-dollars, tokens, requests, or requests at a time. */
  readonly max: number;
  /** As it is written; undefined for `concurrency`. */
  readonly duration: string | undefined;
  readonly calendarAligned: boolean;
  readonly period: Period;
}

/** A limit that counts. */
export interface Limit extends LimitRule {
  readonly counter: Counter;
}

/** Tokens may exceed their limit by a twentieth, and only with one request at a time. */
const tokenOverdraft = 0.05;

/** All limits, in no particular order. Where an id comes twice, the configuration is wrong. */
export function limitRules(config: GovernanceConfig): LimitRule[] {
  const rules: LimitRule[] = [];
  for (const customer of config.customers) addRules(rules, customerHolder(customer), customer);
  for (const team of config.teams) addRules(rules, teamHolder(team), team);
  for (const key of config.virtual_keys) {
    const holder = virtualKeyHolder(key);
    addRules(rules, holder, key);
    if (key.max_concurrency !== null) rules.push(concurrencyRule(holder, key.max_concurrency));
    for (const provider of key.provider_configs)
      addRules(rules, providerConfigHolder(key, provider.provider), provider);
  }
  for (const limit of config.model_limits) addRules(rules, modelLimitHolder(limit.provider, limit.model_name), limit);
  return rules;
}

export function customerHolder({ id, name }: { readonly id: string; readonly name: string }): Holder {
  return { kind: "customer", id, name: `the customer ${name}` };
}

export function teamHolder({ id, name }: { readonly id: string; readonly name: string }): Holder {
  return { kind: "team", id, name: `the team ${name}` };
}

export function virtualKeyHolder({ id, name }: Pick<VirtualKeyConfig, "id" | "name">): Holder {
  return { kind: "virtual_key", id, name: `the virtual key ${name}` };
}

export function providerConfigHolder(key: Pick<VirtualKeyConfig, "id" | "name">, provider: string): Holder {
  return { kind: "provider_config", id: `${key.id}/${provider}`, name: `the virtual key ${key.name} for ${provider}` };
}

/** Models are compared without case. */
export function modelLimitHolder(provider: string | null, model: string): Holder {
  const id = `${provider ?? "*"}/${model.toLowerCase()}`;
  if (model === "*")
    return { kind: "provider", id, name: provider === null ? "all models" : `the provider ${provider}` };
  return { kind: "model_limit", id, name: provider === null ? `the model ${model}` : `the model ${provider}/${model}` };
}

interface Limited {
  readonly budgets: readonly BudgetConfig[];
  readonly rate_limit: RateLimitConfig | null;
}

function addRules(rules: LimitRule[], holder: Holder, { budgets, rate_limit: rate }: Limited): void {
  if (rate !== null) {
    addRule(rules, holder, "requests", rate.request_max_limit, rate.request_reset_duration, false);
    addRule(rules, holder, "tokens", rate.token_max_limit, rate.token_reset_duration, false);
  }
  for (const { max_limit: max, reset_duration: duration, calendar_aligned: aligned } of budgets)
    addRule(rules, holder, "budget", Math.round(max * 1e6), duration, aligned);
}

function addRule(
  rules: LimitRule[],
  holder: Holder,
  kind: LimitKind,
  max: number | null,
  written: string | null,
  calendarAligned: boolean,
): void {
  if (max === null || written === null) return;
  const duration = parseDuration(written);
  if (duration === undefined) throw new RangeError(`${written} is no duration`);
  const id = `${holder.kind}:${holder.id}/${kind}/${written}${calendarAligned ? "/calendar" : ""}`;
  const period = periodOf(duration, calendarAligned);
  rules.push({ id, holder, kind, max, duration: written, calendarAligned, period });
}

function concurrencyRule(holder: Holder, max: number): LimitRule {
  const id = `${holder.kind}:${holder.id}/concurrency`;
  return { id, holder, kind: "concurrency", max, duration: undefined, calendarAligned: false, period: forever };
}

/** A holder's limits, those first whose refusal a client may wait for. */
export interface HolderLimits {
  readonly rates: readonly Limit[];
  readonly budgets: readonly Limit[];
}

const none: HolderLimits = { rates: [], budgets: [] };

/** The limits of a configuration, each with its counter. */
export class Limits {
  /** By the kind and the id of the holder. */
  readonly #holders = new Map<Holder["kind"], Map<string, { readonly rates: Limit[]; readonly budgets: Limit[] }>>();

  readonly #byId = new Map<string, Limit>();

  /**
   * @param slots by the id of the limit
   * @throws Error when a limit has none: the slots are of another configuration
   */
  constructor(
    config: GovernanceConfig,
    memory: GovernanceMemory,
    slots: ReadonlyMap<string, number>,
    overrides: BudgetOverrides = new Map(),
  ) {
    for (const rule of limitRules(config)) {
      const slot = slots.get(rule.id);
      if (slot === undefined) throw new Error(`the limit ${rule.id} has no counter`);
      const { kind, id } = rule.holder;
      const ofKind =
        this.#holders.get(kind) ?? new Map<string, { readonly rates: Limit[]; readonly budgets: Limit[] }>();
      this.#holders.set(kind, ofKind);
      const holder = ofKind.get(id) ?? { rates: [], budgets: [] };
      ofKind.set(id, holder);
      const list = rule.kind === "budget" ? holder.budgets : holder.rates;
      const counter = new Counter(memory, slot, counterRule(rule, overrides.get(rule.id)));
      const limit = { ...rule, counter };
      list.push(limit);
      this.#byId.set(rule.id, limit);
    }
  }

  /** By its own id. */
  find(id: string): Limit | undefined {
    return this.#byId.get(id);
  }

  of({ kind, id }: Pick<Holder, "kind" | "id">): HolderLimits {
    return this.#holders.get(kind)?.get(id) ?? none;
  }
}

export function counterRule({ kind, max, period }: LimitRule, override?: BudgetOverride): CounterRule {
  switch (kind) {
    case "budget": {
      const other = override && { ...override, max: overriddenMax(max, override) };
      return { max, period, overdraft: Number.POSITIVE_INFINITY, override: other };
    }
    case "tokens":
      return { max, period, overdraft: Math.floor(max * tokenOverdraft) };
    case "requests":
    case "concurrency":
      return { max, period, overdraft: 0 };
  }
}
