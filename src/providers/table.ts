/** The table of providers: where each is, how it is asked, and which dialect it speaks. Data; adding one is adding a row. */
import { type ChatQuirks, commonQuirks } from "./chat-quirks.ts";
import type { DialectName, Target } from "./dialect.ts";

/** How a key goes into the request. `google-oauth` is a bearer token made from a service account. */
export type AuthScheme = "bearer" | "x-api-key" | "x-goog-api-key" | "api-key" | "google-oauth";

export interface ProviderRow {
  readonly dialect: DialectName;
  /** Without the API's own path. Undefined when only the operator knows it, or (Vertex) the region decides. */
  readonly baseUrl: string | undefined;
  /** The version part that begins the API's path: `/v1`. A `base_url` may end with it. */
  readonly apiPrefix: string;
  readonly auth: AuthScheme;
  /** A server that may be open: without a key, or with the key `none`, no credential is sent. */
  readonly keyOptional: boolean;
  /** Where the key is found when nothing is configured. */
  readonly environment: string | undefined;
  /** Only for the dialect `openai`. */
  readonly chat: ChatQuirks;
}

const many = Number.POSITIVE_INFINITY;

/** A server that speaks OpenAI's chat completions under `/v1` with a bearer key. */
function openaiLike(
  baseUrl: string | undefined,
  environment: string | undefined,
  chat: Partial<ChatQuirks> = {},
): ProviderRow {
  return {
    dialect: "openai",
    baseUrl,
    apiPrefix: "/v1",
    auth: "bearer",
    keyOptional: false,
    environment,
    chat: { ...commonQuirks, ...chat },
  };
}

const openaiChat = {
  maxTokens: "by_model",
  systemRole: "by_model",
  textParts: true,
  strictTools: true,
  pdf: true,
  audio: true,
  serviceTiers: ["priority", "flex"],
} as const satisfies Partial<ChatQuirks>;

// Templates of open models raise an error for a system message that is not the first.
const localChat = {
  systemTurns: "fold",
  reasoningAsk: "effort",
  topK: true,
  maxStops: many,
} as const satisfies Partial<ChatQuirks>;

function otherDialect(dialect: DialectName, row: Omit<ProviderRow, "dialect" | "keyOptional" | "chat">): ProviderRow {
  return { dialect, keyOptional: false, chat: commonQuirks, ...row };
}

const rows = {
  openai: openaiLike("https://api.openai.com", "OPENAI_API_KEY", openaiChat),
  azure: {
    ...openaiLike(undefined, "AZURE_OPENAI_API_KEY", { ...openaiChat, deployments: true }),
    apiPrefix: "/openai",
    auth: "api-key",
  },
  groq: openaiLike("https://api.groq.com/openai", "GROQ_API_KEY", {
    reasoningIn: ["reasoning"],
    reasoningOut: "reasoning",
    reasoningOutModels: /gpt-oss|qwen3/i,
    modelRules: [
      // Without it the reasoning stands in the text, between tags.
      { models: /qwen3/i, efforts: ["default"], effortOff: "none", extra: { reasoning_format: "parsed" } },
      { models: /gpt-oss/i, efforts: ["low", "medium", "high"], effortOff: undefined },
      { models: /(?:)/, efforts: undefined, effortOff: undefined },
    ],
    schemaBesideTools: false,
    serviceTiers: ["priority", "flex"],
  }),
  ollama: {
    ...openaiLike("http://127.0.0.1:11434", undefined, {
      ...localChat,
      reasoningIn: ["reasoning", "reasoning_content"],
      // Ollama does not know the field, and leaves the choice to the model whatever is asked.
      requiredChoice: false,
      namedChoice: false,
    }),
    keyOptional: true,
  },
  vllm: { ...openaiLike(undefined, undefined, localChat), keyOptional: true },
  sglang: { ...openaiLike(undefined, undefined, localChat), keyOptional: true },
  openrouter: openaiLike("https://openrouter.ai/api", "OPENROUTER_API_KEY", {
    reasoningIn: ["reasoning", "reasoning_content"],
    textParts: true,
    reasoningOut: "reasoning",
    reasoningDetails: true,
    reasoningAsk: "object",
    efforts: ["minimal", "low", "medium", "high", "xhigh"],
    strictTools: true,
    topK: true,
    pdf: true,
    audio: true,
    cacheControl: true,
  }),
  deepseek: openaiLike("https://api.deepseek.com", "DEEPSEEK_API_KEY", {
    reasoningIn: ["reasoning_content"],
    reasoningOut: "reasoning_content_on_calls",
    reasoningAsk: "thinking",
    efforts: ["low", "medium", "high", "max"],
    maxStops: 16,
    responseFormat: "json_object",
    forcedChoiceStopsThinking: true,
    cacheHitFields: true,
  }),
  xai: openaiLike("https://api.x.ai", "XAI_API_KEY", {
    maxTokens: "max_completion_tokens",
    reasoningIn: ["reasoning_content"],
    reasoningOut: "reasoning_content",
    efforts: ["low", "medium", "high"],
    effortOff: "none",
    modelRules: [
      { models: /^grok-4\.[6-9]/, efforts: ["low", "medium", "high", "xhigh"], effortOff: "none" },
      { models: /^grok-4\.5/, efforts: ["low", "medium", "high"], effortOff: undefined },
      {
        models: /^grok-(?:2|3(?!-mini)|4(?!\.)|4\.20(?!-multi-agent)|code)/,
        efforts: undefined,
        effortOff: undefined,
      },
    ],
    // Refused by Grok's reasoning models: the gateway cuts the text itself.
    maxStops: 0,
    reasoningApart: true,
  }),
  together: openaiLike("https://api.together.xyz", "TOGETHER_API_KEY", {
    reasoningIn: ["reasoning_content", "reasoning"],
    topK: true,
  }),
  fireworks: openaiLike("https://api.fireworks.ai/inference", "FIREWORKS_API_KEY", {
    topK: true,
    // Without it a prompt that is too long is cut off silently.
    extra: { context_length_exceeded_behavior: "error" },
  }),
  cerebras: openaiLike("https://api.cerebras.ai", "CEREBRAS_API_KEY", {
    reasoningIn: ["reasoning"],
    reasoningOut: "reasoning",
    reasoningOutModels: /gpt-oss|glm|qwen/i,
    efforts: ["low", "medium", "high"],
    repeatsCalls: true,
  }),
  perplexity: {
    ...openaiLike("https://api.perplexity.ai", "PERPLEXITY_API_KEY", {
      systemTurns: "fold",
      efforts: ["minimal", "low", "medium", "high"],
      maxStops: 0,
      topK: true,
    }),
    apiPrefix: "",
  },
  nebius: openaiLike("https://api.tokenfactory.nebius.com", "NEBIUS_API_KEY", { topK: true }),
  huggingface: openaiLike("https://router.huggingface.co", "HF_TOKEN"),
  anthropic: otherDialect("anthropic", {
    baseUrl: "https://api.anthropic.com",
    apiPrefix: "/v1",
    auth: "x-api-key",
    environment: "ANTHROPIC_API_KEY",
  }),
  gemini: otherDialect("gemini", {
    baseUrl: "https://generativelanguage.googleapis.com",
    apiPrefix: "/v1beta",
    auth: "x-goog-api-key",
    environment: "GEMINI_API_KEY",
  }),
  vertex: otherDialect("gemini", {
    baseUrl: undefined,
    apiPrefix: "/v1beta1",
    auth: "google-oauth",
    environment: undefined,
  }),
  mistral: otherDialect("mistral", {
    baseUrl: "https://api.mistral.ai",
    apiPrefix: "/v1",
    auth: "bearer",
    environment: "MISTRAL_API_KEY",
  }),
  cohere: otherDialect("cohere", {
    baseUrl: "https://api.cohere.com",
    apiPrefix: "/v2",
    auth: "bearer",
    environment: "COHERE_API_KEY",
  }),
} as const satisfies Record<string, ProviderRow>;

/** The rows by base provider type. */
export const providerTable: Readonly<Record<string, ProviderRow>> = rows;

/** A base provider type, as `base_provider_type` names it. */
export type ProviderKind = keyof typeof rows;

export const providerKinds: readonly ProviderKind[] = Object.keys(rows).filter(isProviderKind);

export function isProviderKind(name: string): name is ProviderKind {
  return Object.hasOwn(rows, name);
}

/** The row of a provider type; undefined for an unknown one. */
export function providerRow(kind: string): ProviderRow | undefined {
  return isProviderKind(kind) ? rows[kind] : undefined;
}

/** The dialect a model of this provider speaks: on Vertex, Claude has its own. Undefined for an unknown provider type. */
export function dialectNameFor({
  kind,
  model,
  baseModel,
}: Pick<Target, "kind" | "model" | "baseModel">): DialectName | undefined {
  if (kind === "vertex" && /(?:^|\/)claude-/.test(baseModel ?? model)) return "anthropic";
  return providerRow(kind)?.dialect;
}

/** The quirks of a chat-completions server; those of most for an unknown one. */
export function chatQuirksOf(kind: string): ChatQuirks {
  return providerRow(kind)?.chat ?? commonQuirks;
}

/**
 * The base URL in front of a dialect's path, without a slash at its end: the configured one, which may end with the API's
 * version (`https://api.openai.com/v1`), else the provider's own. Undefined when there is none.
 *
 * @param region of Vertex; must be a region's name, since it becomes a part of the host
 */
export function baseUrlFor(kind: string, configured: string | null | undefined, region?: string): string | undefined {
  const row = providerRow(kind);
  if (configured != null && configured !== "") {
    const base = configured.replace(/\/+$/, "");
    const endings = kind === "azure" ? ["/openai/v1", "/openai"] : [row?.apiPrefix ?? ""];
    const ending = endings.find((candidate) => candidate !== "" && base.endsWith(candidate));
    return ending === undefined ? base : base.slice(0, -ending.length);
  }
  return kind === "vertex" && region !== undefined ? vertexOrigin(region) : row?.baseUrl;
}

/** The path of an API call below the base URL: the provider's version prefix and the call's own path. */
export function apiPath(kind: string, path: string): string {
  return `${providerRow(kind)?.apiPrefix ?? "/v1"}${path}`;
}

/** The header that carries the key. */
export function authHeader(scheme: AuthScheme, key: string): readonly [name: string, value: string] {
  switch (scheme) {
    case "bearer":
    case "google-oauth":
      return ["authorization", `Bearer ${key}`];
    case "x-api-key":
    case "x-goog-api-key":
    case "api-key":
      return [scheme, key];
  }
}

/** Vertex AI's host: global, a multi-region, or a region's own. Undefined when the name is no region. */
function vertexOrigin(region: string): string | undefined {
  if (region === "global") return "https://aiplatform.googleapis.com";
  if (region === "eu" || region === "us") return `https://aiplatform.${region}.rep.googleapis.com`;
  return /^[a-z]+-[a-z]+\d{1,2}$/.test(region) ? `https://${region}-aiplatform.googleapis.com` : undefined;
}

/** The path that lists a provider's models; undefined where there is none. */
export function modelsPath(kind: string): string | undefined {
  if (kind === "vertex" || kind === "perplexity") return undefined;
  if (kind === "cohere") return "/v1/models?page_size=1000";
  if (kind === "anthropic") return apiPath(kind, "/models?limit=1000");
  if (kind === "gemini") return apiPath(kind, "/models?pageSize=1000");
  return apiPath(kind, kind === "azure" ? "/v1/models" : "/models");
}
