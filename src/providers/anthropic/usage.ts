/** Anthropic's counts and words about an answer as Converse's. */
import type { ServiceTier, StopReason } from "../../bedrock/converse.ts";
import { defined } from "../../bedrock/defined.ts";
import type { JsonObject, JsonValue } from "../../bedrock/json.ts";
import { listOf, objectOf } from "../answer.ts";
import { countOf, type UsageReport } from "../usage.ts";

/**
 * Reads `usage`. Input is without what was read from the cache or written to it, as in Converse. Where the API has
 * compacted the conversation on its way, the counts at the top are without that.
 */
export function readUsage(value: JsonValue | undefined): UsageReport {
  const usage = objectOf(value);
  const iterations = listOf(usage.iterations).map(objectOf);
  const compacted = iterations.some((iteration) => iteration.type === "compaction");
  const counted = compacted ? iterations.filter(({ type }) => type === "compaction" || type === "message") : [usage];
  const inputTokens = sumOf(counted, "input_tokens");
  const outputTokens = sumOf(counted, "output_tokens");
  const cacheReadTokens = sumOf(counted, "cache_read_input_tokens");
  const cacheWriteTokens = sumOf(counted, "cache_creation_input_tokens");
  const cacheDetails = readDetails(objectOf(usage.cache_creation));
  return defined({ inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, cacheDetails });
}

function sumOf(usages: readonly JsonObject[], name: string): number | undefined {
  const counts = usages.map((usage) => countOf(usage[name])).filter((count) => count !== undefined);
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
}

function readDetails(creation: JsonObject): UsageReport["cacheDetails"] {
  const details = [
    { ttl: "1h", inputTokens: countOf(creation.ephemeral_1h_input_tokens) ?? 0 },
    { ttl: "5m", inputTokens: countOf(creation.ephemeral_5m_input_tokens) ?? 0 },
  ] as const;
  const written = details.filter(({ inputTokens }) => inputTokens > 0);
  return written.length === 0 ? undefined : written;
}

/** The tier that served the request; undefined for one that Converse has no word for. */
export function readTier(value: JsonValue | undefined): ServiceTier["type"] | undefined {
  const tier = objectOf(value).service_tier;
  if (tier === "priority") return "priority";
  return tier === "standard" ? "default" : undefined;
}

const stopReasons: Readonly<Record<string, StopReason>> = {
  end_turn: "end_turn",
  tool_use: "tool_use",
  max_tokens: "max_tokens",
  stop_sequence: "stop_sequence",
  model_context_window_exceeded: "model_context_window_exceeded",
  refusal: "content_filtered",
};

/** `pause_turn`, `compaction` and whatever is new end a turn: the client may go on from there. */
export function readStopReason(word: string): StopReason {
  return Object.hasOwn(stopReasons, word) ? (stopReasons[word] ?? "end_turn") : "end_turn";
}
