/** Token counts as the families' answers tell them. */
import type { TokenUsage } from "../converse.ts";
import type { InvocationMetrics } from "./family.ts";

/** The tokens of the prompt, those read from and written to a cache included: the families count a prompt as one. */
export function promptTokens(usage: TokenUsage): number {
  return usage.inputTokens + (usage.cacheReadInputTokens ?? 0) + (usage.cacheWriteInputTokens ?? 0);
}

/** What a stream's metrics say about tokens, in Converse's terms. */
export function usageOf(metrics: InvocationMetrics): TokenUsage {
  const { inputTokenCount, outputTokenCount, cacheReadInputTokenCount = 0, cacheWriteInputTokenCount = 0 } = metrics;
  return {
    inputTokens: inputTokenCount,
    outputTokens: outputTokenCount,
    totalTokens: inputTokenCount + outputTokenCount + cacheReadInputTokenCount + cacheWriteInputTokenCount,
    cacheReadInputTokens: cacheReadInputTokenCount,
    cacheWriteInputTokens: cacheWriteInputTokenCount,
  };
}
