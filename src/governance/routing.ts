/** Routing rules: conditions that change where a request goes. */
import type { GovernanceConfig, RoutingRuleConfig } from "../config/governance.ts";
import { compileExpression, type Expression, type ExpressionContext } from "./expression.ts";
import type { Identity } from "./identity.ts";

export interface RouteInput {
  readonly provider: string;
  /** Without the provider's name. */
  readonly model: string;
  readonly identity: Identity | undefined;
  /** `converse`, `invoke`, … */
  readonly requestType: string;
  /** Bytes of the body. */
  readonly requestSize: number;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  /** Of the query. */
  readonly params: ReadonlyMap<string, string>;
  readonly dimensions: ReadonlyMap<string, string>;
}

/** Percent of the fullest limit of each kind; 0 when there is none. */
export interface UsePercent {
  readonly budget: number;
  readonly tokens: number;
  readonly requests: number;
}

export interface Routed {
  readonly provider: string;
  readonly model: string;
  /** Id or name of the only key that may be used; undefined: any. */
  readonly keyId: string | undefined;
  /** `provider/model`, in order, of the last rule that was met. */
  readonly fallbacks: readonly string[];
  /** The last rule that was met. */
  readonly ruleId: string;
  /** Every rule that was met, and where it sent the request. */
  readonly trail: readonly { readonly ruleId: string; readonly provider: string; readonly model: string }[];
}

interface Rule {
  readonly config: RoutingRuleConfig;
  readonly condition: Expression;
}

/** How often a request may be sent on by rules with `chain_rule`. */
const longestChain = 10;

const scopes = ["virtual_key", "team", "customer", "global"] as const;

export class Router {
  /** By `scope:id`, in the order they are tried. */
  readonly #rules = new Map<string, Rule[]>();
  /** Conditions that could not be told since the start; each counts as not met. */
  failures = 0;

  /** @throws ExpressionError for a condition that cannot be compiled */
  constructor(rules: GovernanceConfig["routing_rules"]) {
    for (const config of rules) {
      if (!config.enabled) continue;
      const key = scopeKey(config.scope, config.scope_id);
      const list = this.#rules.get(key) ?? [];
      list.push({ config, condition: compileExpression(config.cel_expression) });
      this.#rules.set(key, list);
    }
    for (const list of this.#rules.values()) list.sort((a, b) => a.config.priority - b.config.priority);
  }

  get isEmpty(): boolean {
    return this.#rules.size === 0;
  }

  /**
   * The first rule whose condition is met decides: those of the virtual key before its team's, its customer's and those
   * for all, within each by priority, then in the order of the configuration. A rule with `chain_rule` sends the request
   * through the rules again, as what it made of it, until none is met, one is met that ends it, or nothing changes.
   *
   * @param use of the limits that hold for the request at a provider; asked only where a condition asks
   * @param roll a number in [0, 1), for the weights of targets
   * @returns undefined when no rule is met
   */
  route(input: RouteInput, use: (provider: string, model: string) => UsePercent, roll: number): Routed | undefined {
    if (this.isEmpty) return undefined;
    const rules = this.#rulesFor(input.identity);
    const trail: { ruleId: string; provider: string; model: string }[] = [];
    let { provider, model } = input;
    let keyId: string | undefined;
    let met: RoutingRuleConfig | undefined;
    let rest = roll;
    while (trail.length < longestChain) {
      const rule = this.#firstMet(rules, input, provider, model, use);
      if (rule === undefined) break;
      met = rule;
      const picked = pick(rule.targets, rest);
      rest = picked.rest;
      const next = { provider: picked.target.provider ?? provider, model: picked.target.model ?? model };
      const isSame = next.provider === provider && next.model === model;
      if (picked.target.key_id !== null || next.provider !== provider) keyId = picked.target.key_id ?? undefined;
      ({ provider, model } = next);
      trail.push({ ruleId: rule.id, provider, model });
      if (!rule.chain_rule || isSame) break;
    }
    if (met === undefined) return undefined;
    return { provider, model, keyId, fallbacks: met.fallbacks, ruleId: met.id, trail };
  }

  #rulesFor(identity: Identity | undefined): readonly (readonly Rule[])[] {
    const ids = { virtual_key: identity?.id, team: identity?.team?.id, customer: identity?.customer?.id, global: null };
    const found: (readonly Rule[])[] = [];
    for (const scope of scopes) {
      const id = ids[scope];
      const list = id === undefined ? undefined : this.#rules.get(scopeKey(scope, id));
      if (list !== undefined) found.push(list);
    }
    return found;
  }

  #firstMet(
    rules: readonly (readonly Rule[])[],
    input: RouteInput,
    provider: string,
    model: string,
    use: (provider: string, model: string) => UsePercent,
  ): RoutingRuleConfig | undefined {
    let context = contextOf(input, provider, model, undefined);
    let isAsked = false;
    for (const list of rules) {
      for (const { config, condition } of list) {
        if (condition.asksUse && !isAsked) {
          context = contextOf(input, provider, model, use(provider, model));
          isAsked = true;
        }
        const isMet = condition.matches(context);
        if (isMet === true) return config;
        if (isMet === "failed") this.failures++;
      }
    }
    return undefined;
  }
}

function scopeKey(scope: RoutingRuleConfig["scope"], id: string | null): string {
  return `${scope}:${id ?? ""}`;
}

function contextOf(
  { identity, requestType, requestSize, headers, params, dimensions }: RouteInput,
  provider: string,
  model: string,
  use: UsePercent | undefined,
): ExpressionContext {
  return {
    model,
    provider,
    request_type: requestType,
    headers,
    params,
    dimensions,
    virtual_key_id: identity?.id ?? "",
    virtual_key_name: identity?.name ?? "",
    team_id: identity?.team?.id ?? "",
    team_name: identity?.team?.name ?? "",
    customer_id: identity?.customer?.id ?? "",
    customer_name: identity?.customer?.name ?? "",
    request_size: BigInt(requestSize),
    budget_used: use?.budget ?? 0,
    tokens_used: use?.tokens ?? 0,
    request: use?.requests ?? 0,
  };
}

/**
 * Picks by weight.
 *
 * @returns what was picked, and a roll for the next time: where within its share of [0, 1) the roll fell
 */
export function pick<Weighted extends { readonly weight: number }>(
  targets: readonly Weighted[],
  roll: number,
): { readonly target: Weighted; readonly rest: number } {
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  let left = roll * total;
  let last: Weighted | undefined;
  for (const target of targets) {
    if (target.weight === 0) continue;
    last = target;
    if (left < target.weight) return { target, rest: left / target.weight };
    left -= target.weight;
  }
  // Only rounding leads here, or weights that are all zero.
  const target = last ?? targets[0];
  if (target === undefined) throw new RangeError("there is nothing to pick from");
  return { target, rest: roll };
}
