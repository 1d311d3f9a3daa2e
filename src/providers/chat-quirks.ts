/** In what the servers differ that speak OpenAI's chat completions; data for the dialect `openai`. */
import type { ServiceTier } from "../bedrock/converse.ts";

export interface ChatQuirks {
  /**
   * The name of `maxTokens`. `by_model`: OpenAI's reasoning models take only `max_completion_tokens`, the others either.
   */
  readonly maxTokens: "max_tokens" | "max_completion_tokens" | "by_model";
  /** `by_model`: `developer` for OpenAI's reasoning models; elsewhere always `system`. */
  readonly systemRole: "system" | "by_model";
  /** `fold`: the model's template takes a system message only in the first place. */
  readonly systemTurns: "keep" | "fold";
  /** Several texts go as a list of parts; else they are joined, since many servers take only a string. */
  readonly textParts: boolean;
  /** Azure: the API is below `/v1`, or below the deployment's own path. */
  readonly deployments: boolean;
  /** `stream_options: {include_usage: true}` is understood. */
  readonly includeUsage: boolean;
  /** Where reasoning stands in answers, in the order of looking. */
  readonly reasoningIn: readonly ("reasoning_content" | "reasoning")[];
  /**
   * How earlier reasoning is sent back. `reasoning_content_on_calls`: on each assistant turn with calls, `""` when there
   * is none, and on no other. `none`: left out.
   */
  readonly reasoningOut: "none" | "reasoning_content_on_calls" | "reasoning_content" | "reasoning";
  /** The models that reasoning may be sent back to; others refuse the field. Undefined: all. */
  readonly reasoningOutModels: RegExp | undefined;
  /** Signed and encrypted reasoning stands in `reasoning_details`, and is sent back there (OpenRouter). */
  readonly reasoningDetails: boolean;
  /**
   * How reasoning is asked for: `effort` is `reasoning_effort`, `thinking` is `thinking: {type}` with `reasoning_effort`,
   * `object` is OpenRouter's `reasoning: {effort | max_tokens, exclude}`.
   */
  readonly reasoningAsk: "none" | "effort" | "thinking" | "object";
  /** The efforts it knows, in rising order; empty when any word may be sent. */
  readonly efforts: readonly string[];
  /** The word that switches reasoning off, where there is one. */
  readonly effortOff: "none" | undefined;
  /** Models for which it is otherwise; the first that matches counts. */
  readonly modelRules: readonly ModelRule[];
  /** How many stop sequences are taken. */
  readonly maxStops: number;
  /** `json_object` needs the schema in the system prompt, and the word JSON. */
  readonly responseFormat: "json_schema" | "json_object";
  /** `response_format` may stand beside tools; else the schema goes into the system prompt there. */
  readonly schemaBesideTools: boolean;
  /** Beside the answer that follows the schema, the model repeats calls that are not meant (GLM at Cerebras). */
  readonly repeatsCalls: boolean;
  /** `tool_choice: "required"` is understood; else `auto` with all tools. */
  readonly requiredChoice: boolean;
  /** `tool_choice` with a tool's name is understood; else only that tool is sent, and `required`. */
  readonly namedChoice: boolean;
  /** A choice other than `auto` is refused while the model thinks (DeepSeek). */
  readonly forcedChoiceStopsThinking: boolean;
  /** `strict` of a function. */
  readonly strictTools: boolean;
  readonly topK: boolean;
  /** PDF as a part `file`. */
  readonly pdf: boolean;
  /** WAV and MP3 as a part `input_audio`. */
  readonly audio: boolean;
  /** `cache_control` on content parts is passed on to Claude and Gemini. */
  readonly cacheControl: boolean;
  /** The values of `service_tier`; `default` is never sent. */
  readonly serviceTiers: readonly ServiceTier["type"][];
  /** `completion_tokens` is without the reasoning, which is to be added (xAI). */
  readonly reasoningApart: boolean;
  /** Cached tokens stand in `prompt_cache_hit_tokens` and the others in `prompt_cache_miss_tokens` (DeepSeek). */
  readonly cacheHitFields: boolean;
  /** Sent with every request. */
  readonly extra: Readonly<Record<string, string | number | boolean>>;
}

/** What is different for some models of a server. */
export interface ModelRule {
  readonly models: RegExp;
  /** As {@link ChatQuirks.efforts}; undefined: the model refuses `reasoning_effort`. */
  readonly efforts: readonly string[] | undefined;
  readonly effortOff: "none" | undefined;
  /** Sent with every request to these models. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** What most servers do: OpenAI's older models, vLLM, Together, Fireworks. */
export const commonQuirks: ChatQuirks = {
  maxTokens: "max_tokens",
  systemRole: "system",
  systemTurns: "keep",
  textParts: false,
  deployments: false,
  includeUsage: true,
  reasoningIn: ["reasoning_content", "reasoning"],
  reasoningOut: "none",
  reasoningOutModels: undefined,
  reasoningDetails: false,
  reasoningAsk: "effort",
  efforts: [],
  effortOff: undefined,
  modelRules: [],
  maxStops: 4,
  responseFormat: "json_schema",
  schemaBesideTools: true,
  repeatsCalls: false,
  requiredChoice: true,
  namedChoice: true,
  forcedChoiceStopsThinking: false,
  strictTools: false,
  topK: false,
  pdf: false,
  audio: false,
  cacheControl: false,
  serviceTiers: [],
  reasoningApart: false,
  cacheHitFields: false,
  extra: {},
};
