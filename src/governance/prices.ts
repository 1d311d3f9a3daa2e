/**
 * What tokens cost: overrides of the configuration, else the bundled price list (which is never updated from the
 * network: what a release was tested with is what it charges).
 */
import { calcPrice, type ModelPrice } from "@pydantic/genai-prices";
import { type PricingOverrideConfig, pricingTiers } from "../config/governance.ts";
import type { Config } from "../config/schema.ts";
import { largestAmount } from "./layout.ts";

/** Tokens as Bedrock counts them: `input` is without what the cache read or wrote. */
export interface TokenUsage extends Pieces {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

/** What is paid by the piece, besides tokens or in their place. */
export interface Pieces {
  /** Made for an answer. */
  readonly images?: number;
  /** Of Rerank. */
  readonly queries?: number;
}

export interface CostOptions {
  /** The tokens are those of a batch job. */
  readonly batch?: boolean;
}

/** USD for each token, from a number of input tokens on (all that the request sent, cached ones included). */
interface Rate {
  readonly base: number;
  /** Ascending. All tokens of a request cost what the highest tier that its input exceeds says. */
  readonly tiers: readonly { readonly above: number; readonly price: number }[];
}

interface Rates {
  /** Undefined when tokens have no price. */
  readonly tokens: TokenRates | undefined;
  /** Of a batch; where nothing is known of it, as of any other request. */
  readonly batch: TokenRates | undefined;
  /** USD for each request, however long. */
  readonly request: number;
  /** USD for each image; undefined when they have no price. */
  readonly image: number | undefined;
  /** USD for each query of Rerank; undefined when they have no price. */
  readonly query: number | undefined;
}

interface TokenRates {
  readonly input: Rate;
  readonly output: Rate;
  readonly cacheRead: Rate;
  readonly cacheWrite: Rate;
}

/**
 * The kind of each configured provider by its name: its prices are those of whose API it speaks.
 *
 * @param providers as they are configured
 */
export function providerTypesOf(providers: Config["providers"]): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(providers).map(([name, one]) => [name, one.kind === "translated" ? one.type : one.kind]),
  );
}

/** What was found, and in which minute. */
interface Looked {
  readonly rates: Rates | undefined;
  readonly minute: number;
}

/** The price list's names of providers, where they are not those of our provider table. */
const listNames: Readonly<Record<string, string>> = { bedrock: "aws", gemini: "google", vertex: "google", xai: "x-ai" };

/** Some prices depend on the day or the time of day, so a price is looked up again after this time. Milliseconds. */
const rememberedMs = 60_000;
const remembered = 2000;
/** Longer names are no model's, and need not be kept. */
const longestModel = 512;

export class Prices {
  readonly #overrides: Overrides;
  readonly #types: ReadonlyMap<string, string>;
  /** By the provider and the model. */
  readonly #found = new Map<string, Map<string, Looked>>();
  #count = 0;

  /** @param types the kind of each configured provider, by its name: `bedrock`, `openai`, … */
  constructor(overrides: readonly PricingOverrideConfig[], types: ReadonlyMap<string, string>) {
    this.#overrides = new Overrides(overrides);
    this.#types = types;
  }

  /**
   * @param now milliseconds since 1970
   * @returns micro-dollars, rounded up; undefined when the price is unknown
   */
  cost(
    provider: string,
    model: string,
    usage: TokenUsage,
    now: number,
    { batch = false }: CostOptions = none,
  ): number | undefined {
    const rates = this.#rates(provider, model, now);
    return rates && costOf(rates, batch ? rates.batch : rates.tokens, usage);
  }

  /**
   * The most a request may cost whose prompt has about so many tokens: as if the cache took none of them, or all, by
   * what is dearer.
   *
   * @param pieces what it asks for
   * @returns micro-dollars, rounded up; undefined when the price is unknown
   */
  reserveCost(
    provider: string,
    model: string,
    input: number,
    output: number,
    now: number,
    { images = 0, queries = 0 }: Pieces = none,
  ): number | undefined {
    const rates = this.#rates(provider, model, now);
    if (rates === undefined) return undefined;
    const plain = costOf(rates, rates.tokens, { input, output, cacheRead: 0, cacheWrite: 0, images, queries });
    const written = costOf(rates, rates.tokens, { input: 0, output, cacheRead: 0, cacheWrite: input, images, queries });
    return plain === undefined || written === undefined ? undefined : Math.max(plain, written);
  }

  /** Whether the price is known, which is also to say that the provider is known to have the model. */
  knows(provider: string, model: string, now: number): boolean {
    return this.#rates(provider, model, now) !== undefined;
  }

  #rates(provider: string, model: string, now: number): Rates | undefined {
    if (model.length > longestModel) return this.#overrides.find(provider, model);
    const minute = Math.floor(now / rememberedMs);
    const known = this.#found.get(provider)?.get(model);
    if (known?.minute === minute) return known.rates;
    const rates = this.#overrides.find(provider, model) ?? this.#listed(provider, model, now);
    this.#remember(provider, model, { rates, minute });
    return rates;
  }

  #remember(provider: string, model: string, looked: Looked): void {
    if (++this.#count > remembered) {
      this.#found.clear();
      this.#count = 1;
    }
    const models = this.#found.get(provider) ?? new Map<string, Looked>();
    this.#found.set(provider, models.set(model, looked));
  }

  #listed(provider: string, model: string, now: number): Rates | undefined {
    const type = this.#types.get(provider);
    // Without a provider the list would guess one by the model's name.
    if (type === undefined) return undefined;
    const providerId = listNames[type] ?? type;
    const price = calcPrice({}, modelOf(model), { providerId, timestamp: new Date(now) });
    return price === null ? undefined : listedRates(price.model_price);
  }
}

/** What is configured: the provider's own before those for all, an exact name before a beginning, the longest beginning. */
class Overrides {
  readonly #exact = new Map<string, Rates>();
  readonly #beginnings: { readonly provider: string | null; readonly beginning: string; readonly rates: Rates }[];

  constructor(overrides: readonly PricingOverrideConfig[]) {
    this.#beginnings = [];
    for (const override of overrides) {
      const { provider, match_type: type } = override;
      const model = override.model.toLowerCase();
      const rates = configuredRates(override);
      if (type === "exact") this.#exact.set(`${provider ?? "*"}/${model}`, rates);
      else this.#beginnings.push({ provider, beginning: model.replace(/\*$/, ""), rates });
    }
    this.#beginnings.sort((a, b) => b.beginning.length - a.beginning.length);
  }

  find(provider: string, model: string): Rates | undefined {
    const name = model.toLowerCase();
    for (const scope of [provider, null]) {
      const exact = this.#exact.get(`${scope ?? "*"}/${name}`);
      if (exact !== undefined) return exact;
      const begun = this.#beginnings.find((one) => one.provider === scope && name.startsWith(one.beginning));
      if (begun !== undefined) return begun.rates;
    }
    return undefined;
  }
}

function configuredRates(override: PricingOverrideConfig): Rates {
  const tokens = configuredTokens(override);
  const { input_cost_per_token_batches: input, output_cost_per_token_batches: output } = override;
  return {
    tokens,
    batch: tokens && {
      ...tokens,
      ...(input !== null && { input: flat(input), cacheRead: flat(input), cacheWrite: flat(input) }),
      ...(output !== null && { output: flat(output) }),
    },
    request: 0,
    image: override.output_cost_per_image ?? undefined,
    query: override.input_cost_per_query ?? undefined,
  };
}

function configuredTokens(override: PricingOverrideConfig): TokenRates | undefined {
  const input = configuredRate(override, "input_cost_per_token");
  const output = configuredRate(override, "output_cost_per_token");
  if (input === undefined || output === undefined) return undefined;
  return {
    input,
    output,
    cacheRead: configuredRate(override, "cache_read_input_token_cost") ?? input,
    cacheWrite: configuredRate(override, "cache_creation_input_token_cost") ?? input,
  };
}

type Tiered =
  | "input_cost_per_token"
  | "output_cost_per_token"
  | "cache_read_input_token_cost"
  | "cache_creation_input_token_cost";

const tierNames = ["above_128k_tokens", "above_200k_tokens", "above_272k_tokens"] as const;

function configuredRate(override: PricingOverrideConfig, name: Tiered): Rate | undefined {
  const base = override[name];
  if (base === null) return undefined;
  const tiers = tierNames.flatMap((tier) => {
    const price = override[`${name}_${tier}`];
    return price === null ? [] : [{ above: pricingTiers[tier], price }];
  });
  return { base, tiers };
}

/** What has no price of its own costs as much as other input. */
function listedRates(price: ModelPrice): Rates {
  const input = listedRate(price.input_mtok) ?? flat(0);
  const tokens: TokenRates = {
    input,
    output: listedRate(price.output_mtok) ?? flat(0),
    cacheRead: listedRate(price.cache_read_mtok) ?? input,
    cacheWrite: listedRate(price.cache_write_mtok) ?? input,
  };
  const query = price.rerank_searches_kcount === undefined ? undefined : thousandth(price.rerank_searches_kcount);
  return { tokens, batch: tokens, request: thousandth(price.requests_kcount), image: undefined, query };
}

function thousandth(price: ModelPrice[string]): number {
  return (typeof price === "number" ? price : (price?.base ?? 0)) / 1000;
}

function listedRate(price: ModelPrice[string]): Rate | undefined {
  if (price === undefined) return undefined;
  if (typeof price === "number") return flat(price / 1e6);
  const tiers = price.tiers.map(({ start, price: tier }) => ({ above: start, price: tier / 1e6 }));
  return { base: price.base / 1e6, tiers: tiers.sort((a, b) => a.above - b.above) };
}

function flat(base: number): Rate {
  return { base, tiers: [] };
}

const none: CostOptions & Pieces = {};

/** Undefined when something was used that has no price. Where pieces are paid for, tokens without a price are free. */
function costOf(rates: Rates, tokens: TokenRates | undefined, usage: TokenUsage): number | undefined {
  const { images = 0, queries = 0 } = usage;
  if ((images > 0 && rates.image === undefined) || (queries > 0 && rates.query === undefined)) return undefined;
  const pieces = countOf(images) * (rates.image ?? 0) + countOf(queries) * (rates.query ?? 0);
  const input = countOf(usage.input);
  const cacheRead = countOf(usage.cacheRead);
  const cacheWrite = countOf(usage.cacheWrite);
  const output = countOf(usage.output);
  const prompt = input + cacheRead + cacheWrite;
  let usd = rates.request + pieces;
  if (tokens !== undefined) {
    usd +=
      input * priceOf(tokens.input, prompt) +
      cacheRead * priceOf(tokens.cacheRead, prompt) +
      cacheWrite * priceOf(tokens.cacheWrite, prompt) +
      output * priceOf(tokens.output, prompt);
  } else if (images === 0 && queries === 0 && prompt + output > 0) return undefined;
  // A millionth of a micro-dollar is what sums of binary fractions are wrong by, and no reason to round up.
  return Math.min(Math.max(0, Math.ceil(usd * 1e6 - 1e-6)), largestAmount);
}

function priceOf({ base, tiers }: Rate, prompt: number): number {
  let price = base;
  for (const tier of tiers) if (prompt > tier.above) price = tier.price;
  return price;
}

/** Counts come from upstreams: what is none, is nothing. */
function countOf(value: number): number {
  return value > 0 && Number.isFinite(value) ? value : 0;
}

/** Of an ARN, the model's or profile's id; the list knows Bedrock's ids as they are. */
function modelOf(model: string): string {
  return model.startsWith("arn:") ? model.slice(model.lastIndexOf("/") + 1) : model;
}
