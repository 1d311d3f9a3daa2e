/** What every account of a request has in common: how it came out, and what it used. */

export type Outcome = "success" | "error" | "cancelled";

/** Tokens as Bedrock counts them: `inputTokens` leaves out what was read from or written to a cache. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadInputTokens?: number;
  readonly cacheWriteInputTokens?: number;
  /** Made for the answer, where it has any. */
  readonly images?: number;
}
