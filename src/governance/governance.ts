/**
 * Governance as a front end uses it: who the client is, where its request goes, whether it may, what it costs. Built
 * anew for each configuration; what was counted stays in the shared memory.
 */
import type { GovernanceConfig } from "../config/governance.ts";
import { type Identified, type Identity, VirtualKeys } from "./identity.ts";
import { type GovernanceMemory, largestAmount } from "./layout.ts";
import { type Amounts, admit, Ticket } from "./ledger.ts";
import { type HolderLimits, type Limit, Limits, modelLimitHolder } from "./limits.ts";
import type { BudgetOverrides } from "./overrides.ts";
import { isAllowed, type ProviderPermission } from "./permissions.ts";
import { type Pieces, Prices, type TokenUsage } from "./prices.ts";
import { identityRefusal, limitRefusal, permissionRefusal, type Refusal, unpricedRefusal } from "./refusals.ts";
import type { CounterSlots } from "./registry.ts";
import { pick, type Routed, type RouteInput, Router, type UsePercent } from "./routing.ts";

export interface GovernanceOptions {
  readonly config: GovernanceConfig;
  readonly memory: GovernanceMemory;
  readonly slots: CounterSlots;
  /** By default none. */
  readonly overrides?: BudgetOverrides;
  /** The kind of each configured provider, by its name: `bedrock`, `openai`, …; prices go by it. */
  readonly providerTypes: ReadonlyMap<string, string>;
  /** Random, for the digests of values; by default made here. */
  readonly salt?: string;
}

export type Known =
  | { readonly kind: "identity"; readonly identity: Identity }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export type Permit =
  /** `keyIds`: ids or names of the only keys of the provider that may be used; undefined: all. */
  | { readonly kind: "permitted"; readonly keyIds: ReadonlySet<string> | undefined }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** Where a request is to go, and for whom. */
export interface AdmissionTarget {
  readonly identity: Identity | undefined;
  readonly provider: string;
  /** As the client names it, without the provider; undefined for operations that name none. */
  readonly model: string | undefined;
  /**
   * Every id it may have upstream, by the aliases of the provider's keys; by default the model. Limits and blacklists of
   * these hold as well, and the dearest price among them is reserved.
   */
  readonly resolved?: readonly string[];
}

export interface AdmissionRequest extends AdmissionTarget {
  /** Estimated. */
  readonly inputTokens: number;
  /** The most there may be. */
  readonly outputTokens: number;
  /** What it asks for that is paid by the piece. */
  readonly pieces?: Pieces | undefined;
}

/** What a request was admitted with. Every admission is settled or released, on every path, once; more does nothing. */
export interface Admission {
  readonly request: AdmissionRequest;
  readonly ticket: Ticket;
  /** Ids or names of the only keys of the provider that may be used; undefined: all. */
  readonly keyIds: ReadonlySet<string> | undefined;
}

export type Admitted =
  | { readonly kind: "admitted"; readonly admission: Admission }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** What a target has used before the request went on to the next. */
export interface Former {
  readonly admission: Admission;
  readonly usage: TokenUsage;
}

export interface Settled {
  /** Micro-dollars; undefined when the price is unknown. */
  readonly microUsd: number | undefined;
  /** False when it had been settled or released before: nothing was charged. */
  readonly isFirst: boolean;
}

/** Providers for a model that names none, by the weights of a virtual key. */
export interface WeightedProviders {
  readonly provider: string;
  /** The others, by weight: fallbacks. */
  readonly others: readonly string[];
}

export class Governance {
  readonly prices: Prices;
  readonly #keys: VirtualKeys;
  readonly #limits: Limits;
  readonly #router: Router;
  readonly #hasModelLimits: boolean;
  /** By the name of the provider; those are configured ones. */
  readonly #found = new WeakMap<Identity, Map<string, readonly Limit[]>>();

  /**
   * @throws Error for a section that `checkGovernance` finds fault with, or whose limits have no counters
   */
  constructor({ config, memory, slots, overrides, providerTypes, salt }: GovernanceOptions) {
    this.#keys = new VirtualKeys(config, salt);
    this.#limits = new Limits(config, memory, slots, overrides);
    this.#router = new Router(config.routing_rules);
    this.#hasModelLimits = config.model_limits.length > 0;
    this.prices = new Prices(config.pricing_overrides, providerTypes);
  }

  /** Whether there is any virtual key: only then is one that is sent looked at. */
  get hasVirtualKeys(): boolean {
    return this.#keys.size > 0;
  }

  /** Whether anything can be refused: without virtual keys and limits of models, all is admitted. */
  get hasLimits(): boolean {
    return this.hasVirtualKeys || this.#hasModelLimits;
  }

  get hasRules(): boolean {
    return !this.#router.isEmpty;
  }

  /** Conditions of routing rules that could not be told. */
  get failedConditions(): number {
    return this.#router.failures;
  }

  /** @param value what the client sends as its virtual key */
  identify(value: string, now: number): Known {
    return known(this.#keys.byValue(value, now));
  }

  /** @param id the access key id of a verified signature */
  identifySigner(id: string, now: number): Known {
    return known(this.#keys.byId(id, now));
  }

  /** The secrets that a virtual key's id may sign with, the newest first; none when there is no such key. */
  secretsOf(id: string, now: number): readonly string[] {
    return this.#keys.valuesOf(id, now);
  }

  /** Whether a value is or was a virtual key's, and so no provider's credential. */
  isVirtualKey(value: string): boolean {
    return this.#keys.hasValue(value);
  }

  /** @param roll a number in [0, 1) */
  route(input: RouteInput, now: number, roll: number): Routed | undefined {
    return this.#router.route(input, (provider, model) => this.usePercent(input.identity, provider, model, now), roll);
  }

  /**
   * The provider for a model that names none: by weight, of those that the virtual key may use for it and whose limits
   * leave room. Where it allows every model of a provider, `serves` says which there are.
   *
   * @param roll a number in [0, 1)
   * @param serves by default whether the price list has the model
   * @returns undefined when the key says nothing about it
   */
  chooseProvider(
    identity: Identity,
    model: string,
    now: number,
    roll: number,
    serves: (provider: string, model: string) => boolean = (provider) => this.prices.knows(provider, model, now),
  ): WeightedProviders | undefined {
    if (identity.permissions.count === 0) return undefined;
    const fit: ProviderPermission[] = [];
    for (const permission of identity.permissions.providers) {
      if (!isAllowed(permission, model)) continue;
      if (permission.allowed.isOpen && !serves(permission.provider, model)) continue;
      if (!this.#isExhausted(identity, permission.provider, model, now)) fit.push(permission);
    }
    if (!fit.some(({ weight }) => weight > 0)) return undefined;
    const { provider } = pick(fit, roll).target;
    if (fit.length === 1) return { provider, others: [] };
    const others = fit.filter((one) => one.provider !== provider).sort((a, b) => b.weight - a.weight);
    return { provider, others: others.map((one) => one.provider) };
  }

  /** Whether a virtual key may use a provider and a model, and with which keys, apart from limits. */
  permit({ identity, provider, model, resolved }: AdmissionTarget): Permit {
    if (identity === undefined) return { kind: "permitted", keyIds: undefined };
    const permitted = identity.permissions.check(provider, model, resolved);
    if (permitted.kind === "permitted") return permitted;
    return { kind: "refused", refusal: permissionRefusal(permitted.what, provider, model) };
  }

  /**
   * Admits a request to a target: permissions first, then every limit of the model, the provider, the virtual key, its
   * team and its customer, all of them or none. Limits hold without a virtual key too.
   *
   * @param former the target that has failed before, whose admission is settled by this, also when this one is refused;
   *   the request still counts once for those whose limits hold at both
   */
  admit(request: AdmissionRequest, now: number, former?: Former): Admitted {
    const permitted = this.permit(request);
    if (permitted.kind === "refused") return this.#refuse(permitted.refusal, now, former);
    const price = this.#reserveCost(request, now);
    if (price === undefined && request.identity?.refusesUnpriced === true)
      return this.#refuse(unpricedRefusal(request.provider, request.model), now, former);
    const limits = this.#limitsFor(request);
    const kept = former?.admission.ticket.passOn(this.#amounts(former.admission, former.usage, now).amounts, limits);
    const wanted = { tokens: whole(request.inputTokens) + whole(request.outputTokens), microUsd: whole(price ?? 0) };
    const ticket = admit(limits, wanted, now, kept);
    if (ticket instanceof Ticket) return { kind: "admitted", admission: { request, ticket, keyIds: permitted.keyIds } };
    return { kind: "refused", refusal: limitRefusal(ticket) };
  }

  /**
   * Charges what was used. Of several calls, and of {@link release}, only the first does anything.
   *
   * @param usage as the provider tells it; what is known of it when the client has left
   * @param served the model as the provider knows it, where an alias has led elsewhere
   */
  settle(admission: Admission, usage: TokenUsage, now: number, served?: string): Settled {
    const { amounts, microUsd } = this.#amounts(admission, usage, now, served);
    return { microUsd, isFirst: admission.ticket.settle(amounts) };
  }

  /** Takes an admission back with which no provider was asked: not even the request counts. */
  release({ ticket }: Admission): void {
    ticket.release();
  }

  /** How full the limits are that hold for a request, by what was settled. */
  usePercent(identity: Identity | undefined, provider: string, model: string, now: number): UsePercent {
    const percent = { budget: 0, tokens: 0, requests: 0, concurrency: 0 };
    for (const { kind, counter } of this.#limitsFor({ identity, provider, model })) {
      const max = counter.maxAt(now);
      const full = max === 0 ? 100 : (counter.use(now).spent / max) * 100;
      percent[kind] = Math.max(percent[kind], full);
    }
    return percent;
  }

  #refuse(refusal: Refusal, now: number, former: Former | undefined): Admitted {
    if (former !== undefined) this.settle(former.admission, former.usage, now);
    return { kind: "refused", refusal };
  }

  /** Those first whose refusal passes soonest; within that from what is the target's own to what many share. */
  #limitsFor(target: AdmissionTarget): readonly Limit[] {
    const { identity, provider } = target;
    if (this.#hasModelLimits || identity === undefined) return this.#findLimits(target);
    // Without limits of models they are the same for every model: to look them up is most of what admission costs.
    const found = this.#found.get(identity);
    const known = found?.get(provider);
    if (known !== undefined) return known;
    const limits = this.#findLimits(target);
    if (found === undefined) this.#found.set(identity, new Map([[provider, limits]]));
    else found.set(provider, limits);
    return limits;
  }

  #findLimits({ identity, provider, model, resolved = [] }: AdmissionTarget): Limit[] {
    const holders = this.#targetHolders(identity, provider, model === undefined ? [] : [model, ...resolved]);
    for (const holder of identity?.holders ?? []) holders.push(this.#limits.of(holder));
    return [...holders.flatMap(({ rates }) => rates), ...holders.flatMap(({ budgets }) => budgets)];
  }

  /** Whether a limit that holds at the target, and not everywhere, is used up. */
  #isExhausted(identity: Identity, provider: string, model: string, now: number): boolean {
    for (const { rates, budgets } of this.#targetHolders(identity, provider, [model])) {
      for (const { counter } of rates) if (counter.isExhausted(now)) return true;
      for (const { counter } of budgets) if (counter.isExhausted(now)) return true;
    }
    return false;
  }

  #targetHolders(identity: Identity | undefined, provider: string, names: readonly string[]): HolderLimits[] {
    const holders: HolderLimits[] = [];
    if (this.#hasModelLimits) {
      for (const name of new Set(["*", ...names.map((name) => name.toLowerCase())]))
        for (const scope of [provider, null]) holders.push(this.#limits.of(modelLimitHolder(scope, name)));
    }
    if (identity !== undefined) holders.push(this.#limits.of(identity.holderAt(provider)));
    return holders;
  }

  /** The dearest of what the model may turn out to be; undefined when no price is known. */
  #reserveCost(
    { provider, model, resolved, inputTokens, outputTokens, pieces }: AdmissionRequest,
    now: number,
  ): number | undefined {
    if (model === undefined) return 0;
    if (resolved === undefined || resolved.length === 0)
      return this.prices.reserveCost(provider, model, inputTokens, outputTokens, now, pieces);
    let dearest: number | undefined;
    for (const name of resolved) {
      const cost = this.prices.reserveCost(provider, name, inputTokens, outputTokens, now, pieces);
      if (cost !== undefined) dearest = Math.max(dearest ?? 0, cost);
    }
    return dearest;
  }

  #amounts(
    { request: { provider, model } }: Admission,
    usage: TokenUsage,
    now: number,
    served = model,
  ): { readonly amounts: Amounts; readonly microUsd: number | undefined } {
    const microUsd = served === undefined ? 0 : this.prices.cost(provider, served, usage, now);
    const tokens = whole(usage.input) + whole(usage.output) + whole(usage.cacheRead) + whole(usage.cacheWrite);
    return { amounts: { tokens, microUsd: microUsd ?? 0 }, microUsd };
  }
}

function known(identified: Identified): Known {
  return identified.kind === "identity" ? identified : { kind: "refused", refusal: identityRefusal(identified.reason) };
}

/** Counts come from clients and upstreams: what is none, is nothing. */
function whole(value: number): number {
  return value > 0 ? Math.min(Math.ceil(value), largestAmount) : 0;
}
