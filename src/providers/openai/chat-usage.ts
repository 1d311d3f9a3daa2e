/** Token counts in all their spellings. */
import { defined } from "../../bedrock/defined.ts";
import { isJsonObject, type JsonObject } from "../../bedrock/json.ts";
import { objectOf } from "../answer.ts";
import type { ChatQuirks } from "../chat-quirks.ts";
import { countOf, type UsageReport } from "../usage.ts";

/**
 * The usage in an answer or in an event of a stream; undefined when there is none.
 *
 * - OpenAI: cached and written tokens are a part of `prompt_tokens`, reasoning of `completion_tokens`.
 * - Groq: also in `x_groq.usage`, on streams of the past only there.
 * - DeepSeek: the prompt is the sum of `prompt_cache_hit_tokens` and `prompt_cache_miss_tokens`.
 * - xAI: reasoning is not a part of `completion_tokens`, and more may be cached than the prompt has.
 */
export function readChatUsage(body: JsonObject, quirks: ChatQuirks): UsageReport | undefined {
  const usage = isJsonObject(body.usage) ? body.usage : objectOf(body.x_groq).usage;
  if (!isJsonObject(usage)) return undefined;
  const prompt = countOf(usage.prompt_tokens);
  const completion = countOf(usage.completion_tokens);
  const details = objectOf(usage.prompt_tokens_details);
  const hit = quirks.cacheHitFields ? countOf(usage.prompt_cache_hit_tokens) : undefined;
  const cached = hit ?? countOf(details.cached_tokens) ?? countOf(usage.cached_tokens);
  const written = countOf(details.cache_write_tokens);
  const miss = quirks.cacheHitFields ? countOf(usage.prompt_cache_miss_tokens) : undefined;
  const input = miss ?? without(prompt, (cached ?? 0) + (written ?? 0));
  const reasoning = quirks.reasoningApart ? countOf(objectOf(usage.completion_tokens_details).reasoning_tokens) : 0;
  return defined({
    inputTokens: input,
    outputTokens: completion === undefined ? undefined : completion + (reasoning ?? 0),
    cacheReadTokens: cached,
    cacheWriteTokens: written,
  });
}

/** A part that is larger than the whole cannot be a part of it. */
function without(whole: number | undefined, part: number): number | undefined {
  if (whole === undefined) return undefined;
  return part <= whole ? whole - part : whole;
}
