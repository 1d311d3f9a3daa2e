/** Gemini's `usageMetadata`. */
import type { ServiceTier } from "../../bedrock/converse.ts";
import { isJsonObject, type JsonValue } from "../../bedrock/json.ts";
import { countOf, type UsageReport } from "../usage.ts";

/**
 * The counts of one chunk; Vertex sends some without any. Google leaves out zeros. Cached tokens are a part of the
 * prompt's, those of its own tools are not; thoughts are not a part of the candidates'.
 */
export function usageReport(metadata: JsonValue | undefined): UsageReport {
  if (!isJsonObject(metadata)) return {};
  const prompt = countOf(metadata.promptTokenCount);
  if (prompt === undefined) return {};
  const cached = countOf(metadata.cachedContentTokenCount);
  const tools = countOf(metadata.toolUsePromptTokenCount) ?? 0;
  const candidates = countOf(metadata.candidatesTokenCount) ?? 0;
  const thoughts = countOf(metadata.thoughtsTokenCount) ?? 0;
  return {
    inputTokens: Math.max(0, prompt - (cached ?? 0)) + tools,
    outputTokens: candidates + thoughts,
    ...(cached !== undefined && { cacheReadTokens: cached }),
  };
}

const tiers: Readonly<Record<string, ServiceTier["type"]>> = {
  standard: "default",
  flex: "flex",
  priority: "priority",
  ON_DEMAND: "default",
  ON_DEMAND_FLEX: "flex",
  ON_DEMAND_PRIORITY: "priority",
  PROVISIONED_THROUGHPUT: "reserved",
};

/** The tier that served the request: `serviceTier` on the Gemini API, `trafficType` on Vertex. */
export function tierServed(metadata: JsonValue | undefined): ServiceTier["type"] | undefined {
  if (!isJsonObject(metadata)) return undefined;
  for (const word of [metadata.serviceTier, metadata.trafficType]) {
    if (typeof word === "string" && Object.hasOwn(tiers, word)) return tiers[word];
  }
  return undefined;
}
