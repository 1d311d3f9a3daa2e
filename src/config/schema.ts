/**
 * The configuration file. Names and meaning follow Bifrost's `config.json`; every unknown field is an error.
 * `config.schema.json` is made from this (`npm run schema`), so descriptions here are what an editor shows.
 */
import { z } from "zod";
import { semanticCacheSchema } from "./cache.ts";
import { governanceSchema } from "./governance.ts";
import { observabilitySchema } from "./observability.ts";

const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, "must be the name of a header");
const headerValue = z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, "must be a header value without line breaks");
const text = z.string().min(1);
const optionalText = text.nullish();
const seconds = z.number().positive().max(86_400);
const milliseconds = z.number().min(0).max(3_600_000);

const httpUrl = z.string().refine(isPlainHttpUrl, "must be an http or https URL without user, query or fragment");
const region = z
  .string()
  .regex(/^[a-z]{2,4}(?:-[a-z]{2,16}){1,2}-\d{1,2}$/, "must be the name of an AWS region, such as us-east-1");

const clientSchema = z.strictObject({
  allow_direct_keys: z.boolean().default(false).describe("Clients may bring a provider's own credentials."),
  enforce_auth_on_inference: z.boolean().default(false).describe("Every inference call needs a virtual key."),
  required_headers: z
    .union([z.array(headerName), z.record(headerName, z.string().refine(isRule, "must be a valid regular expression"))])
    .default([])
    .describe('Headers every inference call must have: names, or {name: value}, a value being exact or "regex:…".'),
  max_request_body_size_mb: z.number().positive().max(1024).default(100),
  allowed_origins: z.array(text).default([]).describe('Origins of browser pages that may call, or "*".'),
  header_filter: z
    .strictObject({ allow: z.array(text).default([]), deny: z.array(text).default([]) })
    .prefault({})
    .describe("Which client headers may go upstream; a trailing * stands for any ending."),
});

const networkSchema = z.strictObject({
  base_url: httpUrl.nullable().default(null).describe("Origin of the provider, with a path prefix if it has one."),
  default_request_timeout_in_seconds: seconds.default(300).describe("The longest wait for an answer to begin."),
  stream_idle_timeout_in_seconds: seconds.default(300).describe("The longest silence within an answer."),
  stream_start_timeout_in_seconds: seconds
    .default(60)
    .describe("The longest wait for a stream's first content, while another key or target could be asked instead."),
  max_retries: z.int().min(0).max(20).default(2),
  retry_backoff_initial: milliseconds.default(200),
  retry_backoff_max: milliseconds.default(5000),
  max_conns_per_host: z.int().min(1).max(10_000).default(512),
  extra_headers: z.record(headerName, headerValue).default({}),
  allow_private_network: z.boolean().default(false).describe("Loopback is always allowed, metadata services never."),
  ca_cert_pem: text.nullable().default(null),
  insecure_skip_verify: z.boolean().default(false),
  proxy_url: httpUrl.nullable().default(null),
});

/** What keys of all providers have in common. */
const keyFields = {
  id: optionalText.describe("Derived from the name when it is missing."),
  name: text,
  enabled: z.boolean().default(true),
  weight: z.number().min(0).max(1_000_000).default(1),
  models: z.array(text).default(["*"]).describe('Model ids the key may serve; ["*"] means all, [] none.'),
  blacklisted_models: z.array(text).default([]).describe("Model ids it must not serve; wins over models."),
  aliases: z.record(text, text).default({}).describe("Names of your own for model ids."),
};

const bedrockKeySchema = z
  .strictObject({
    ...keyFields,
    value: optionalText.describe("A Bedrock API key; comes before the credentials of bedrock_key_config."),
    bedrock_key_config: z
      .strictObject({
        access_key: optionalText,
        secret_key: optionalText,
        session_token: optionalText,
        region: region.nullish(),
        profile: optionalText,
        role_arn: optionalText,
        external_id: optionalText,
        session_name: optionalText,
        endpoints: z
          .strictObject({
            runtime: httpUrl.nullish(),
            control: httpUrl.nullish(),
            agent_runtime: httpUrl.nullish(),
            s3: httpUrl.nullish(),
          })
          .nullish(),
      })
      .nullish(),
  })
  .superRefine((key, context) => {
    const { access_key: access, secret_key: secret } = key.bedrock_key_config ?? {};
    if (Boolean(access) === Boolean(secret)) return;
    const missing = access ? "secret_key" : "access_key";
    context.addIssue({
      code: "custom",
      path: ["bedrock_key_config", missing],
      message: "half of an access key is missing",
    });
  });

const loadBalancing = z
  .enum(["weighted", "adaptive", "least-busy", "latency"])
  .default("weighted")
  .describe("How one of several available keys is chosen.");

const bedrockSchema = z.strictObject({
  keys: z.array(bedrockKeySchema).min(1),
  load_balancing: loadBalancing,
  network_config: networkSchema.prefault({}),
});

const mockRuleSchema = z.strictObject({
  match: z
    .strictObject({
      model: optionalText.describe("A glob over the model id; * is any text."),
      text: optionalText.describe("A part of the last user text."),
    })
    .nullish(),
  answer: z.string().nullish(),
  reasoning: z.string().nullish(),
  tool_calls: z.array(z.strictObject({ name: text, input: z.record(z.string(), z.json()).nullish() })).nullish(),
  latency_ms: milliseconds.nullish(),
  chunk_delay_ms: milliseconds.nullish(),
  error: z
    .strictObject({
      status: z.int().min(400).max(599).nullish(),
      type: text.describe("A name of AWS's, such as ThrottlingException."),
      message: z.string().nullish(),
      after_chunks: z.int().min(0).nullish(),
    })
    .nullish(),
  truncate_after_chunks: z.int().min(0).nullish(),
  probability: z.number().min(0).max(1).nullish(),
});

const mockSchema = z.strictObject({ rules: z.array(mockRuleSchema).default([]) });

/** A provider with an API of its own, reached by translation. */
const translatedKeySchema = z.strictObject({
  ...keyFields,
  value: optionalText.describe('The API key; "none" where the server wants no key.'),
  azure_key_config: z
    .strictObject({
      endpoint: httpUrl.nullish().describe("https://NAME.openai.azure.com"),
      api_version: optionalText.describe(
        "Without one the v1 API is used, with one the deployments API of that version.",
      ),
    })
    .nullish(),
  vertex_key_config: z
    .strictObject({
      project_id: optionalText,
      region: z.string().regex(/^[a-z]+(?:-[a-z]+\d{1,2})?$/, "must be the name of a region, such as us-central1"),
      auth_credentials: optionalText.describe("A service account's JSON, or the path of its file."),
    })
    .nullish(),
});

const translatedSchema = z.strictObject({
  keys: z.array(translatedKeySchema).min(1),
  load_balancing: loadBalancing,
  network_config: networkSchema.prefault({}),
});

const customSchema = z.strictObject({
  base_provider_type: text.describe("Whose API the provider speaks: bedrock, mock, openai, anthropic, gemini, …"),
});

/** The whole file as it is written, without its providers, whose shape depends on their kind. */
const fileFields = {
  $schema: z.string().optional(),
  client: clientSchema.prefault({}),
  governance: governanceSchema.prefault({}),
  semantic_cache: semanticCacheSchema.prefault({}),
  observability: observabilitySchema.prefault({}),
  storage: z
    .strictObject({
      kind: z
        .enum(["sqlite", "memory"])
        .default("sqlite")
        .describe(
          "Where entities and counters are kept: bifrost.db in BIFROST_DATA_DIR, or nowhere beyond the process.",
        ),
      on_failure: z
        .enum(["serve", "refuse"])
        .default("serve")
        .describe("While the store is away: count in memory and serve, or refuse all inference."),
    })
    .prefault({}),
};

/** What a provider may be. */
export const providerSchemas = { bedrock: bedrockSchema, mock: mockSchema, translated: translatedSchema } as const;

/** The file, with providers still to be read by their own schema. */
export const fileSchema = z.strictObject({ ...fileFields, providers: z.record(text, z.unknown()).default({}) });

/** The file as an editor's schema sees it. */
export const documentedSchema = z.strictObject({
  ...fileFields,
  providers: z
    .object({ bedrock: bedrockSchema.optional(), mock: mockSchema.optional() })
    .catchall(
      z.union([
        translatedSchema.extend({ custom_provider_config: customSchema.optional() }),
        bedrockSchema.extend({ custom_provider_config: customSchema }),
        mockSchema.extend({ custom_provider_config: customSchema }),
      ]),
    )
    .prefault({}),
});

export { customSchema };

type File = z.output<typeof fileSchema>;
export type ClientConfig = z.output<typeof clientSchema>;
export type NetworkConfig = z.output<typeof networkSchema>;

/** A key with the id it goes by. */
export type Named<Key> = Omit<Key, "id"> & { readonly id: string };
type BedrockKeyConfig = Named<z.output<typeof bedrockKeySchema>>;
export type TranslatedKeyConfig = Named<z.output<typeof translatedKeySchema>>;

type Strategy = z.output<typeof loadBalancing>;

export interface BedrockConfig {
  readonly kind: "bedrock";
  readonly load_balancing: Strategy;
  readonly keys: readonly BedrockKeyConfig[];
  readonly network_config: NetworkConfig;
}

export interface TranslatedConfig {
  readonly kind: "translated";
  /** Whose API it speaks: a name of the catalogue, e.g. `openai`. */
  readonly type: string;
  readonly load_balancing: Strategy;
  readonly keys: readonly TranslatedKeyConfig[];
  readonly network_config: NetworkConfig;
}

export interface MockConfig {
  readonly kind: "mock";
  readonly rules: z.output<typeof mockSchema>["rules"];
}

export type ProviderConfig = BedrockConfig | TranslatedConfig | MockConfig;

/** The configuration as the gateway uses it. */
export type Config = Omit<File, "providers" | "$schema"> & {
  readonly providers: Readonly<Record<string, ProviderConfig>>;
};

function isPlainHttpUrl(value: string): boolean {
  if (!URL.canParse(value) || /[?#]/.test(value)) return false;
  const url = new URL(value);
  return (url.protocol === "http:" || url.protocol === "https:") && url.username === "" && url.password === "";
}

function isRule(rule: string): boolean {
  if (!rule.startsWith("regex:")) return true;
  try {
    new RegExp(rule.slice("regex:".length));
    return true;
  } catch {
    // What is wrong with it is the schema's message to tell.
    return false;
  }
}
