/** The section `semantic_cache` of the configuration file, and the durations it and its headers speak in. */
import { z } from "zod";

const unitMs = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  M: 30 * 86_400_000,
  Y: 365 * 86_400_000,
} as const;

const duration = /^(?:\d+(?:\.\d+)?(?:ms|[smhdwMY]))+$/;
const durationPart = /(\d+(?:\.\d+)?)(ms|[smhdwMY])/g;

/** The shortest and the longest time an entry may live. Milliseconds. */
export const ttlBounds = { min: 1000, max: unitMs.Y } as const;

/**
 * Reads a time to live: seconds, or numbers with units, `5m` or `1h30m`; a month has 30 days, a year 365.
 *
 * @returns milliseconds within {@link ttlBounds}; undefined for anything else
 */
export function readTtl(value: string | number): number | undefined {
  const ms = typeof value === "number" ? value * 1000 : textMs(value.trim());
  return ms !== undefined && ms >= ttlBounds.min && ms <= ttlBounds.max ? Math.round(ms) : undefined;
}

function textMs(text: string): number | undefined {
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!duration.test(text)) return undefined;
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(durationPart))
    sum += Number(amount) * unitMs[unit as keyof typeof unitMs];
  return sum;
}

const ttl = z
  .union([z.string(), z.number()])
  .refine((value) => readTtl(value) !== undefined, 'must be seconds, or a duration such as "5m": from 1 s to 1 year');

const embeddingSchema = z
  .strictObject({
    provider: z
      .string()
      .min(1)
      .default("lexical")
      .describe('"lexical" (built in), "local" (a model of your own), or the name of a configured provider.'),
    embedding_model: z.string().min(1).nullable().default(null).describe("The provider's model."),
    dimension: z.int().min(16).max(8192).default(384),
    model_path: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe("For local: a folder with model.onnx and vocab.txt; onnxruntime-node must be installed."),
    timeout_ms: z.number().min(1).max(10_000).default(300).describe("The longest that looking up may take."),
  })
  .superRefine(({ provider, model_path, embedding_model }, context) => {
    const missing = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
    if (provider === "local" && model_path === null) missing("model_path", "is needed for the provider local");
    if (provider !== "local" && provider !== "lexical" && embedding_model === null) {
      missing("embedding_model", `is needed for the provider ${provider}`);
    }
  });

/** The section as it is written. */
export const semanticCacheSchema = z.strictObject({
  enabled: z.boolean().default(false),
  default_cache_key: z
    .string()
    .max(256)
    .default("")
    .describe("The cache key of requests without x-bf-cache-key; empty: those are not cached."),
  ttl: ttl.default("5m").describe("How long an answer may be served: seconds, or a duration such as 5m."),
  threshold: z.number().min(0).max(1).default(0.8).describe("The least cosine similarity of a semantic hit."),
  conversation_history_threshold: z
    .int()
    .min(0)
    .max(10_000)
    .default(3)
    .describe("Requests with more messages than this are not cached."),
  exclude_system_prompt: z
    .boolean()
    .default(false)
    .describe("Requests may share answers over different system prompts."),
  cache_by_model: z.boolean().default(true).describe("false: an answer of another model may be served."),
  cache_by_provider: z.boolean().default(true).describe("false: an answer of another provider may be served."),
  embedding: embeddingSchema.prefault({}),
  max_entries: z.int().min(1).max(10_000_000).default(100_000),
  max_bytes: z
    .int()
    .min(65_536)
    .max(64 * 1024 ** 3)
    .default(268_435_456),
  coalesce: z.boolean().default(false).describe("Identical requests at the same time wait for the first one's answer."),
  store_tool_calls: z.boolean().default(false).describe("Answers that call tools are kept too."),
});

export type SemanticCacheConfig = z.output<typeof semanticCacheSchema>;
