/**
 * Ids of tool calls. Bedrock allows 1 to 64 of `[a-zA-Z0-9_.:-]`, others less: an id that does not fit is replaced by
 * a digest of it, so that a call and its result stay together without anything being remembered.
 */
import { digest } from "./digest.ts";

export interface IdRule {
  /** Matches the ids that may stay as they are. */
  readonly fits: RegExp;
  /** Stands before the digest in a replaced id. */
  readonly prefix: string;
  /** Characters of the digest, at most 32. */
  readonly length: number;
}

/** OpenAI and its likes: at most 40 characters (a 400 otherwise). */
export const openaiIds: IdRule = { fits: /^[\w.:-]{1,40}$/, prefix: "call_", length: 24 };

/** Mistral: exactly nine letters or digits. */
export const mistralIds: IdRule = { fits: /^[a-zA-Z0-9]{9}$/, prefix: "", length: 9 };

/** Anthropic: neither dots nor colons. */
export const anthropicIds: IdRule = { fits: /^[\w-]{1,64}$/, prefix: "toolu_", length: 24 };

/** Whatever Bedrock allows: Gemini, Cohere. */
export const bedrockIds: IdRule = { fits: /^[\w.:-]{1,64}$/, prefix: "tooluse_", length: 22 };

/** The id as the target takes it; unchanged where it fits. */
export function sendableId(id: string, rule: IdRule): string {
  return rule.fits.test(id) ? id : rule.prefix + digest(id, rule.length);
}

/**
 * The id of a call in an answer, as the client may see it: the provider's own where Bedrock allows it, else one made
 * from the request's seed and the call's number, the same each time the answer is read.
 *
 * @param given what the provider called it; may be missing, empty or of another type
 */
export function clientId(given: unknown, seed: string, number: number): string {
  if (typeof given === "string" && bedrockIds.fits.test(given)) return given;
  const named = typeof given === "string" ? given : "";
  return bedrockIds.prefix + digest(`${seed}\n${number}\n${named}`, bedrockIds.length);
}
