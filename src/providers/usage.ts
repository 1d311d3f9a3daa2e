/** Token counts, as providers report them and as Converse wants them. */
import type { CacheTtl, TokenUsage } from "../bedrock/converse.ts";

/** What a provider said of the usage so far. Each number stands alone: none is a part of another. */
export interface UsageReport {
  /** Without cached tokens. */
  readonly inputTokens?: number;
  /** With the reasoning. */
  readonly outputTokens?: number;
  readonly cacheReadTokens?: number;
  readonly cacheWriteTokens?: number;
  /** Parts of `cacheWriteTokens`; Bedrock lists `1h` before `5m`. */
  readonly cacheDetails?: readonly { readonly ttl: CacheTtl; readonly inputTokens: number }[];
}

const charactersPerToken = 4;

/** Tokens of a text, roughly: for usage that nobody reports. */
export function tokensOfCharacters(characters: number): number {
  return Math.ceil(characters / charactersPerToken);
}

/** A number from a provider's JSON: undefined when it is none. */
export function countOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? Math.max(0, Math.round(value)) : undefined;
}

/**
 * Converse's usage. Some providers report more cached than prompt tokens, or more reasoning than output; so nothing is
 * taken below zero, and the total is our own sum.
 *
 * @param estimate for the two numbers Converse requires, where the provider did not say
 */
export function usageOf(
  report: UsageReport,
  estimate: { readonly inputTokens: number; readonly outputTokens: number },
): { readonly usage: TokenUsage; readonly estimated: boolean } {
  const inputTokens = countOf(report.inputTokens) ?? estimate.inputTokens;
  const outputTokens = countOf(report.outputTokens) ?? estimate.outputTokens;
  const cacheRead = countOf(report.cacheReadTokens);
  const cacheWrite = countOf(report.cacheWriteTokens);
  return {
    usage: {
      inputTokens,
      outputTokens,
      totalTokens: inputTokens + outputTokens + (cacheRead ?? 0) + (cacheWrite ?? 0),
      ...(cacheRead !== undefined && { cacheReadInputTokens: cacheRead }),
      ...(cacheWrite !== undefined && { cacheWriteInputTokens: cacheWrite }),
      ...(report.cacheDetails !== undefined && { cacheDetails: report.cacheDetails }),
    },
    estimated: report.inputTokens === undefined || report.outputTokens === undefined,
  };
}

/** What a later report says replaces what an earlier one said; what it does not mention stays. */
export function mergeUsage(earlier: UsageReport, later: UsageReport): UsageReport {
  const merged: { -readonly [name in keyof UsageReport]: UsageReport[name] } = { ...earlier };
  if (later.inputTokens !== undefined) merged.inputTokens = later.inputTokens;
  if (later.outputTokens !== undefined) merged.outputTokens = later.outputTokens;
  if (later.cacheReadTokens !== undefined) merged.cacheReadTokens = later.cacheReadTokens;
  if (later.cacheWriteTokens !== undefined) merged.cacheWriteTokens = later.cacheWriteTokens;
  if (later.cacheDetails !== undefined) merged.cacheDetails = later.cacheDetails;
  return merged;
}
