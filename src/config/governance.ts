/**
 * The `governance` section: who may call, what it may cost, and where a request goes. What depends on more than one
 * entity is checked by `checkGovernance` of `src/governance/check.ts`.
 */
import { z } from "zod";

const text = z.string().min(1).max(256);
const nullableText = text.nullable().default(null);

/** Also an AWS access key id, and a part of a counter's id; so no slash. */
const id = z.string().regex(/^[\w.+=@:-]{1,128}$/, "must consist of 1 to 128 letters, digits and . _ + = @ : -");
const nullableId = id.nullable().default(null);
const provider = z
  .string()
  .regex(/^[\w.-]{1,128}$/, "must be a provider's name: letters, digits, dots, dashes and underscores");

const millisecondsOf = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  M: 30 * 86_400_000,
  Q: 90 * 86_400_000,
  Y: 365 * 86_400_000,
} as const;

export type DurationUnit = keyof typeof millisecondsOf;

/** A duration as it is written, taken apart. */
export interface Duration {
  readonly count: number;
  readonly unit: DurationUnit;
  /** Where no calendar is asked for: a month has 30 days, a quarter 90, a year 365. */
  readonly milliseconds: number;
}

/** Ten years. Milliseconds. */
const longest = 10 * millisecondsOf.Y;

/** Takes `30s`, `5m`, `1h`, `1d`, `1w`, `1M`, `1Q`, `1Y` apart; undefined for what is none, or longer than ten years. */
export function parseDuration(written: string): Duration | undefined {
  const [, digits, unit] = /^([1-9]\d{0,8})([smhdwMQY])$/.exec(written) ?? [];
  if (digits === undefined || !isUnit(unit)) return undefined;
  const count = Number(digits);
  const milliseconds = count * millisecondsOf[unit];
  return milliseconds <= longest ? { count, unit, milliseconds } : undefined;
}

function isUnit(unit: string | undefined): unit is DurationUnit {
  return unit !== undefined && Object.hasOwn(millisecondsOf, unit);
}

const budgetDuration = z
  .string()
  .refine(
    (written) => parseDuration(written) !== undefined,
    "must be a duration such as 30s, 5m, 1h, 1d, 1w, 1M, 1Q or 1Y, of ten years at most",
  );
const limitDuration = z.string().refine((written) => {
  const unit = parseDuration(written)?.unit;
  return unit !== undefined && unit !== "Q";
}, "must be a duration such as 30s, 5m, 1h, 1d, 1w, 1M or 1Y, of ten years at most");

const budgetSchema = z.strictObject({
  max_limit: z.number().min(0).max(1e9).describe("USD."),
  reset_duration: budgetDuration,
  calendar_aligned: z
    .boolean()
    .default(false)
    .describe("Windows begin with the day, week (Monday), month, quarter or year in UTC, not with the first use."),
});

const count = z.int().min(0).max(1e15).nullable().default(null);

const rateLimitSchema = z
  .strictObject({
    request_max_limit: count,
    request_reset_duration: limitDuration.nullable().default(null),
    token_max_limit: count,
    token_reset_duration: limitDuration.nullable().default(null),
  })
  .superRefine((limit, context) => {
    for (const what of ["request", "token"] as const) {
      const max = limit[`${what}_max_limit`];
      const duration = limit[`${what}_reset_duration`];
      if ((max === null) === (duration === null)) continue;
      const missing = max === null ? `${what}_max_limit` : `${what}_reset_duration`;
      context.addIssue({ code: "custom", path: [missing], message: "half of a limit is missing" });
    }
    if (limit.request_max_limit === null && limit.token_max_limit === null)
      context.addIssue({ code: "custom", path: [], message: "must limit requests, tokens or both" });
  });

/** What every holder of limits has. */
const limited = {
  budgets: z.array(budgetSchema).max(8).default([]),
  rate_limit: rateLimitSchema.nullable().default(null),
};

const customerSchema = z.strictObject({ id, name: text, ...limited });
const teamSchema = z.strictObject({ id, name: text, customer_id: nullableId, ...limited });

const models = z.array(z.string().min(1).max(512));

const providerConfigSchema = z.strictObject({
  provider,
  weight: z
    .number()
    .min(0)
    .max(1_000_000)
    .nullable()
    .default(1)
    .describe("For models that name no provider; 0 and null: only as a fallback."),
  allowed_models: models
    .default(["*"])
    .describe('Model ids, provider/model, "regex:…" (RE2, whole id, without case) or "*"; [] allows nothing.'),
  blacklisted_models: models.default([]).describe("In the same notation; wins over allowed_models."),
  key_ids: z.array(text).default(["*"]).describe('Ids or names of the provider\'s keys; ["*"] all, [] none.'),
  ...limited,
});

const secret = z.string().regex(/^[\x21-\x7e]{1,512}$/, "must be 1 to 512 visible ASCII characters");
const instant = z.iso.datetime({ offset: true, error: "must be a time such as 2027-01-31T12:00:00Z" });

const virtualKeySchema = z.strictObject({
  id,
  name: text,
  description: z.string().max(1024).nullable().default(null),
  value: secret.describe("What clients send. Also the secret access key of those who sign with the id."),
  previous_values: z
    .array(z.strictObject({ value: secret, valid_until: instant }))
    .max(8)
    .default([])
    .describe("Values that a rotation replaced, each valid for a time of grace."),
  is_active: z.boolean().default(true),
  expires_at: instant.nullable().default(null),
  team_id: nullableId,
  customer_id: nullableId,
  allow_all_providers: z.boolean().default(false).describe("Also providers that provider_configs does not name."),
  provider_configs: z.array(providerConfigSchema).max(64).default([]),
  ...limited,
  max_concurrency: z.int().min(1).max(1_000_000).nullable().default(null),
  unpriced_models: z.enum(["allow", "refuse"]).default("allow").describe("Models whose price is unknown."),
  disable_content_logging: z
    .boolean()
    .nullable()
    .default(null)
    .describe("What the request log keeps of content: false keeps it, true does not, null as the log's own setting."),
});

const modelLimitSchema = z.strictObject({
  id: nullableId,
  model_name: text.describe('A model id, or "*" for every model.'),
  provider: provider.nullable().default(null).describe("Null: wherever the model is called."),
  ...limited,
});

const routingRuleSchema = z.strictObject({
  id,
  name: text,
  description: z.string().max(1024).nullable().default(null),
  enabled: z.boolean().default(true),
  priority: z.int().min(-1_000_000).max(1_000_000).default(0).describe("Within a scope; low ones come first."),
  scope: z.enum(["global", "customer", "team", "virtual_key"]).default("global"),
  scope_id: nullableId,
  cel_expression: z.string().max(4096).default("").describe("Empty: always."),
  targets: z
    .array(
      z.strictObject({
        provider: provider.nullable().default(null),
        model: nullableText,
        key_id: nullableText,
        weight: z.number().min(0).max(1_000_000).default(1),
      }),
    )
    .min(1)
    .max(32),
  fallbacks: z.array(text).max(10).default([]).describe("provider/model, in order."),
  chain_rule: z.boolean().default(false).describe("Rules are tried again for what this one made of the request."),
});

const perToken = z.number().min(0).max(1).nullable().default(null);
const perPiece = z.number().min(0).max(1000).nullable().default(null);
const asInput = "Null: as other input.";
const asBelow = "USD, for all tokens of a request whose input is longer. Null: as below that.";

/** By the number of input tokens above which they hold. */
export const pricingTiers = { above_128k_tokens: 128_000, above_200k_tokens: 200_000, above_272k_tokens: 272_000 };

const tokenPrices = {
  input_cost_per_token: perToken.describe("USD. Null: tokens have no price."),
  output_cost_per_token: perToken.describe("USD. Null: tokens have no price."),
  cache_read_input_token_cost: perToken.describe(asInput),
  cache_creation_input_token_cost: perToken.describe(asInput),
  input_cost_per_token_above_128k_tokens: perToken.describe(asBelow),
  input_cost_per_token_above_200k_tokens: perToken.describe(asBelow),
  input_cost_per_token_above_272k_tokens: perToken.describe(asBelow),
  output_cost_per_token_above_128k_tokens: perToken.describe(asBelow),
  output_cost_per_token_above_200k_tokens: perToken.describe(asBelow),
  output_cost_per_token_above_272k_tokens: perToken.describe(asBelow),
  cache_read_input_token_cost_above_128k_tokens: perToken.describe(asBelow),
  cache_read_input_token_cost_above_200k_tokens: perToken.describe(asBelow),
  cache_read_input_token_cost_above_272k_tokens: perToken.describe(asBelow),
  cache_creation_input_token_cost_above_128k_tokens: perToken.describe(asBelow),
  cache_creation_input_token_cost_above_200k_tokens: perToken.describe(asBelow),
  cache_creation_input_token_cost_above_272k_tokens: perToken.describe(asBelow),
  input_cost_per_token_batches: perToken.describe("USD. Null: as outside of batches."),
  output_cost_per_token_batches: perToken.describe("USD. Null: as outside of batches."),
};
const tokenPriceNames = Object.keys(tokenPrices) as (keyof typeof tokenPrices)[];

const pricingOverrideSchema = z
  .strictObject({
    id: nullableId,
    provider: provider.nullable().default(null).describe("Null: for every provider."),
    model: text,
    match_type: z.enum(["exact", "wildcard"]).default("exact").describe("wildcard: the model ends with *."),
    ...tokenPrices,
    output_cost_per_image: perPiece.describe("USD, for each image an answer has. Null: images have no price."),
    input_cost_per_query: perPiece.describe("USD, for each query of Rerank. Null: queries have no price."),
  })
  .superRefine((price, context) => {
    const missing = (["input_cost_per_token", "output_cost_per_token"] as const).filter((name) => price[name] === null);
    const others = tokenPriceNames.filter((name) => price[name] !== null);
    for (const name of others) {
      const base = tokenPriceNames.find((one) => name.startsWith(`${one}_above_`));
      if (base === undefined || price[base] !== null) continue;
      context.addIssue({ code: "custom", path: [name], message: `needs ${base} beside it` });
    }
    const hasPieces = price.output_cost_per_image !== null || price.input_cost_per_query !== null;
    if (missing.length === 0 || (hasPieces && others.length === 0)) return;
    context.addIssue({ code: "custom", path: missing.slice(0, 1), message: "is required" });
  });

/** The entities by the name of their section, for the management API, which writes one at a time. */
export const governanceEntities = {
  customers: customerSchema,
  teams: teamSchema,
  virtual_keys: virtualKeySchema,
  model_limits: modelLimitSchema,
  routing_rules: routingRuleSchema,
  pricing_overrides: pricingOverrideSchema,
} as const;

export const governanceSchema = z.strictObject({
  customers: z.array(customerSchema).default([]),
  teams: z.array(teamSchema).default([]),
  virtual_keys: z.array(virtualKeySchema).default([]),
  routing_rules: z.array(routingRuleSchema).default([]),
  model_limits: z.array(modelLimitSchema).default([]),
  pricing_overrides: z.array(pricingOverrideSchema).default([]),
});

export type GovernanceConfig = z.output<typeof governanceSchema>;
export type VirtualKeyConfig = z.output<typeof virtualKeySchema>;
export type ProviderPermissionConfig = z.output<typeof providerConfigSchema>;
export type RoutingRuleConfig = z.output<typeof routingRuleSchema>;
export type PricingOverrideConfig = z.output<typeof pricingOverrideSchema>;
export type BudgetConfig = z.output<typeof budgetSchema>;
export type RateLimitConfig = z.output<typeof rateLimitSchema>;
