/**
 * Names of OpenTelemetry's semantic conventions. HTTP, server and service: version 1.37.0, stable. Generative AI: the
 * registry of open-telemetry/semantic-conventions-genai (docs/registry/attributes/gen-ai.md), which went on from 1.41.0
 * of the common conventions and is in development; where it has no name, Bifrost's (`gen_ai.usage.cost`,
 * `gen_ai.dimension.…`) or one that begins with `bifrost.`.
 */
export const attribute = {
  serviceName: "service.name",
  serviceVersion: "service.version",
  serviceInstance: "service.instance.id",

  httpMethod: "http.request.method",
  httpRoute: "http.route",
  httpStatus: "http.response.status_code",
  errorType: "error.type",
  serverAddress: "server.address",
  serverPort: "server.port",

  operation: "gen_ai.operation.name",
  provider: "gen_ai.provider.name",
  requestModel: "gen_ai.request.model",
  requestStream: "gen_ai.request.stream",
  responseModel: "gen_ai.response.model",
  finishReasons: "gen_ai.response.finish_reasons",
  timeToFirstChunk: "gen_ai.response.time_to_first_chunk",
  inputTokens: "gen_ai.usage.input_tokens",
  outputTokens: "gen_ai.usage.output_tokens",
  cacheReadTokens: "gen_ai.usage.cache_read.input_tokens",
  cacheWriteTokens: "gen_ai.usage.cache_creation.input_tokens",
  conversation: "gen_ai.conversation.id",

  cost: "gen_ai.usage.cost",
  dimension: "gen_ai.dimension.",

  requestId: "bifrost.request_id",
  outcome: "bifrost.outcome",
  configuredProvider: "bifrost.provider",
  keyId: "bifrost.key.id",
  keyName: "bifrost.key.name",
  virtualKeyId: "bifrost.virtual_key.id",
  virtualKeyName: "bifrost.virtual_key.name",
  teamName: "bifrost.team.name",
  customerName: "bifrost.customer.name",
  fallbackIndex: "bifrost.fallback_index",
  attempts: "bifrost.attempts",
  rules: "bifrost.routing_rules",
  limit: "bifrost.limit",
  errorClass: "bifrost.error_type",
  usageEstimated: "bifrost.usage_estimated",
  cacheKind: "bifrost.cache.kind",
  cacheReason: "bifrost.cache.reason",
  cacheSimilarity: "bifrost.cache.similarity",
  requestContent: "bifrost.request.body",
  answerContent: "bifrost.response.body",
} as const;

/** Well-known values of `gen_ai.provider.name`, by the type of a provider; any other type is its own name. */
export const providerNames: ReadonlyMap<string, string> = new Map([
  ["bedrock", "aws.bedrock"],
  ["azure", "azure.ai.openai"],
  ["gemini", "gcp.gemini"],
  ["vertex", "gcp.vertex_ai"],
  ["mistral", "mistral_ai"],
  ["xai", "x_ai"],
]);

/** Values of `gen_ai.operation.name`, by the AWS operation; those that ask no model have none. */
export const operationNames: ReadonlyMap<string, string> = new Map([
  ["Converse", "chat"],
  ["ConverseStream", "chat"],
  ["InvokeModel", "generate_content"],
  ["InvokeModelWithResponseStream", "generate_content"],
  ["CountTokens", "count_tokens"],
  ["Rerank", "rerank"],
  ["ApplyGuardrail", "apply_guardrail"],
]);
