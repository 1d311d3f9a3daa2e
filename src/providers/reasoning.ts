/**
 * What the client wants of the model's reasoning, whichever way it says so: `outputConfig.effort`, or one of the model
 * families' own parameters in `additionalModelRequestFields`. A target takes an effort or a budget; each can be had
 * from the other.
 */
import type { OutputConfig } from "../bedrock/converse.ts";
import type { JsonObject, JsonValue } from "../bedrock/json.ts";
import { readBoolean, readCount, readObject, readText, readWord } from "../bedrock/reading.ts";

export interface ReasoningIntent {
  /** `unset` leaves it to the model; `adaptive` lets the model decide for each answer. */
  readonly mode: "unset" | "off" | "on" | "adaptive";
  /** `minimal`, `low`, `medium`, `high`, `xhigh` or `max`; a model may know others. */
  readonly effort?: string;
  /** Tokens. */
  readonly budget?: number;
  /** Claude's `thinking.display`: `summarized` or `omitted`. */
  readonly display?: string;
}

/** Names in `additionalModelRequestFields` that are read here. */
export const reasoningFields = [
  "thinking",
  "reasoning_config",
  "reasoningConfig",
  "output_config",
  "reasoning_effort",
  "reasoning",
] as const;

const path = "additionalModelRequestFields";
const claudeFields = new Set(["type", "budget_tokens", "token_budget", "display"]);
const novaFields = new Set(["type", "maxReasoningEffort", "budgetTokens"]);
const objectFields = new Set(["effort", "max_tokens", "enabled", "exclude"]);
/** `format` is the answer's schema, which prepare.ts reads. */
const outputFields = new Set(["effort", "format"]);

/**
 * Reads the intent. Claude's `thinking` wins over Nova's `reasoningConfig`, both over a bare effort; an effort in
 * `outputConfig` wins over the others.
 *
 * @throws BedrockError ValidationException when a known field has the wrong shape
 */
export function readReasoning(outputConfig: OutputConfig | undefined, fields: JsonObject | undefined): ReasoningIntent {
  const own = readOwnFields(fields ?? {});
  const effort = outputConfig?.effort ?? own.effort;
  if (effort === undefined) return own;
  if (effort === "none") return { mode: "off" };
  // `outputConfig.effort` beside thinking that is off only limits how much the model writes.
  return { ...own, effort, mode: own.mode === "unset" ? "on" : own.mode };
}

function readOwnFields(fields: JsonObject): ReasoningIntent {
  const found: ReasoningIntent[] = [];
  for (const name of ["thinking", "reasoning_config"] as const) {
    const value = fields[name];
    if (value != null) found.push(readClaude(value, `${path}.${name}`));
  }
  if (fields.reasoningConfig != null) found.push(readNova(fields.reasoningConfig, `${path}.reasoningConfig`));
  if (fields.reasoning != null) found.push(readObjectForm(fields.reasoning, `${path}.reasoning`));
  if (fields.output_config != null) {
    const { effort } = readObject(fields.output_config, `${path}.output_config`, outputFields);
    if (effort != null) found.push({ mode: "unset", effort: readText(effort, `${path}.output_config.effort`) });
  }
  if (fields.reasoning_effort != null) {
    found.push({ mode: "unset", effort: readText(fields.reasoning_effort, `${path}.reasoning_effort`) });
  }
  const merged: { mode: ReasoningIntent["mode"]; effort?: string; budget?: number; display?: string } = {
    mode: "unset",
  };
  for (const { mode, effort, budget, display } of found) {
    if (merged.mode === "unset") merged.mode = mode;
    if (effort !== undefined) merged.effort ??= effort;
    if (budget !== undefined) merged.budget ??= budget;
    if (display !== undefined) merged.display ??= display;
  }
  return merged;
}

/** `{type: enabled, budget_tokens}`, `{type: adaptive, display?}`, `{type: disabled}`; Cohere's budget is `token_budget`. */
function readClaude(value: JsonValue, at: string): ReasoningIntent {
  const { type, budget_tokens, token_budget, display } = readObject(value, at, claudeFields);
  const word = readWord(type, `${at}.type`, ["enabled", "adaptive", "disabled", "between_tools"]);
  // The models that cannot be kept from thinking between calls have a word of their own for `disabled`.
  if (word === "disabled" || word === "between_tools") return { mode: "off" };
  return {
    mode: word === "adaptive" ? "adaptive" : "on",
    ...(token_budget != null && { budget: readCount(token_budget, `${at}.token_budget`) }),
    ...(budget_tokens != null && { budget: readCount(budget_tokens, `${at}.budget_tokens`) }),
    ...(display != null && { display: readText(display, `${at}.display`) }),
  };
}

/** `{type: enabled | disabled, maxReasoningEffort, budgetTokens}`. */
function readNova(value: JsonValue, at: string): ReasoningIntent {
  const { type, maxReasoningEffort: effort, budgetTokens: budget } = readObject(value, at, novaFields);
  if (type != null && readWord(type, `${at}.type`, ["enabled", "disabled"]) === "disabled") return { mode: "off" };
  return {
    mode: "on",
    ...(effort != null && { effort: readText(effort, `${at}.maxReasoningEffort`) }),
    ...(budget != null && { budget: readCount(budget, `${at}.budgetTokens`) }),
  };
}

/** `{effort}` or `{max_tokens}`: OpenRouter, and OpenAI's Responses. */
function readObjectForm(value: JsonValue, at: string): ReasoningIntent {
  const { effort, max_tokens: budget, enabled, exclude } = readObject(value, at, objectFields);
  if (enabled != null && !readBoolean(enabled, `${at}.enabled`)) return { mode: "off" };
  const hidden = exclude != null && readBoolean(exclude, `${at}.exclude`);
  return {
    ...(hidden && { display: "omitted" }),
    mode: "on",
    ...(effort != null && { effort: readText(effort, `${at}.effort`) }),
    ...(budget != null && { budget: readCount(budget, `${at}.max_tokens`) }),
  };
}

const scale: readonly string[] = ["minimal", "low", "medium", "high", "xhigh", "max"];
const shares: Readonly<Record<string, number>> = {
  minimal: 0.1,
  low: 0.2,
  medium: 0.5,
  high: 0.8,
  xhigh: 0.8,
  max: 0.8,
};

/**
 * The effort as one of the target's words: the client's own where it is among them, the nearest lower one otherwise
 * (or the lowest). A budget is measured against the longest answer. Undefined when the client named neither.
 *
 * @param words of minimal, low, medium, high, xhigh, max; in rising order. None: the target takes any word
 * @param maxTokens the longest answer asked for, or the model's limit
 */
export function effortFor(intent: ReasoningIntent, words: readonly string[], maxTokens: number): string | undefined {
  const asked = intent.effort ?? effortOfBudget(intent.budget, maxTokens);
  if (asked === undefined || words.length === 0 || words.includes(asked)) return asked;
  const rank = scale.indexOf(asked);
  // A word of the model's own that we do not know: the target says what it thinks of it.
  if (rank === -1) return asked;
  const lower = words.filter((word) => scale.indexOf(word) <= rank);
  return lower.at(-1) ?? words[0];
}

/** Tokens for reasoning: the client's budget, or a share of the longest answer by effort. Undefined without either. */
export function budgetFor(intent: ReasoningIntent, maxTokens: number): number | undefined {
  if (intent.budget !== undefined) return intent.budget;
  if (intent.effort === undefined) return undefined;
  return Math.round(maxTokens * (shares[intent.effort] ?? 0.5));
}

function effortOfBudget(budget: number | undefined, maxTokens: number): string | undefined {
  if (budget === undefined) return undefined;
  const share = budget / maxTokens;
  if (share <= 0.2) return "low";
  return share <= 0.5 ? "medium" : "high";
}
