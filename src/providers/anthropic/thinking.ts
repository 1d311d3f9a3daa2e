/** What the request says about thinking, in the way the model takes it, and what follows for the other parameters. */
import type { JsonObject } from "../../bedrock/json.ts";
import type { Prepared } from "../prepared.ts";
import { budgetFor, effortFor, type ReasoningIntent, reasoningFields } from "../reasoning.ts";
import type { ClaudeModel } from "./models.ts";

export interface Thinking {
  /** `thinking` of the body. */
  readonly thinking?: JsonObject;
  /** `output_config.effort` of the body. */
  readonly effort?: string;
  readonly maxTokens: number;
  /** The model is told to think, and refuses what does not go with that. */
  readonly active: boolean;
  /** What the client asked for cannot be had from this model, or not together with the rest of the request. */
  readonly refused: boolean;
}

/** Anthropic's least budget. */
const leastBudget = 1024;
/** A budget for a client that wants thinking and does not say how much. */
const usualShare = 0.5;

/**
 * @param manual whether the request allows thinking with a budget, which goes neither with a forced choice of tools nor
 *   with calls that were made without thinking
 */
export function planThinking({ reasoning, inference }: Prepared, model: ClaudeModel, manual: boolean): Thinking {
  const maxTokens = inference.maxTokens ?? model.maxTokens;
  const idle = { maxTokens, active: false, refused: false };
  if (reasoning.mode === "unset") return idle;
  if (reasoning.mode === "off") return { ...idle, ...turnOff(reasoning, model, maxTokens) };
  if (model.thinking === "none" || (model.thinking === "budget" && !manual)) return { ...idle, refused: true };
  if (model.thinking === "budget") return { ...idle, active: true, ...withBudget(reasoning, model, maxTokens) };
  const effort = effortFor(reasoning, model.efforts, maxTokens);
  // Who asks for thinking in the older way expects to read it, and newer models show it only on request.
  const display = reasoning.display ?? (model.hidesThinking && reasoning.mode === "on" ? "summarized" : undefined);
  return {
    ...idle,
    active: true,
    thinking: { type: "adaptive", ...(display !== undefined && { display }) },
    ...(effort !== undefined && { effort }),
  };
}

/** Without thinking, effort ends at `high`. */
function turnOff(intent: ReasoningIntent, model: ClaudeModel, maxTokens: number): Partial<Thinking> {
  const words = model.efforts.filter((word) => word !== "xhigh" && word !== "max");
  const effort = words.length === 0 ? undefined : effortFor(intent, words, maxTokens);
  const said = effort !== undefined && { effort };
  if (model.off === "omit") return { ...said, refused: effort === undefined && intent.effort !== undefined };
  if (model.off === "never") return { effort: effort ?? "low", refused: true };
  return { ...said, thinking: { type: model.off } };
}

/** The budget is a part of `max_tokens`, and has to be less. Where the client's is not, it comes on top. */
function withBudget(intent: ReasoningIntent, model: ClaudeModel, maxTokens: number): Partial<Thinking> {
  const asked = Math.max(leastBudget, budgetFor(intent, maxTokens) ?? Math.round(maxTokens * usualShare));
  const ceiling = Math.max(model.maxTokens, maxTokens);
  const longest = asked < maxTokens ? maxTokens : Math.min(ceiling, maxTokens + asked);
  const { display } = intent;
  const effort = intent.effort === undefined ? undefined : effortFor(intent, model.efforts, maxTokens);
  return {
    thinking: {
      type: "enabled",
      budget_tokens: Math.max(leastBudget, Math.min(asked, longest - 1)),
      ...(display !== undefined && { display }),
    },
    maxTokens: longest,
    ...(effort !== undefined && model.efforts.length > 0 && { effort }),
  };
}

/** The paths of what the client said about thinking. */
export function thinkingPaths(effort: string | undefined, fields: JsonObject = {}): readonly string[] {
  const own = reasoningFields.filter((name) => fields[name] != null && (name !== "output_config" || hasEffort(fields)));
  const paths = own.map((name) => `additionalModelRequestFields.${name}`);
  return effort === undefined ? paths : ["outputConfig.effort", ...paths];
}

function hasEffort({ output_config: config }: JsonObject): boolean {
  return typeof config === "object" && config !== null && "effort" in config && config.effort != null;
}
