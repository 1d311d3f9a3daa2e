/** How the client's wish for reasoning is put to the server. */
import type { JsonObject } from "../../bedrock/json.ts";
import type { ChatQuirks } from "../chat-quirks.ts";
import { effortFor, type ReasoningIntent } from "../reasoning.ts";
import type { Abilities } from "./models.ts";

export interface Thinking {
  /** For the body. */
  readonly fields: JsonObject;
  /** The model certainly does not reason. */
  readonly isOff: boolean;
  /** False when the wish, or a part of it, has no equivalent. */
  readonly isCarried: boolean;
}

/** A budget is measured against the longest answer; without a limit, against this many tokens. */
const longestAnswer = 32_000;

export interface ThinkingFacts {
  readonly intent: ReasoningIntent;
  readonly maxTokens: number | undefined;
  readonly hasTools: boolean;
  /** The client set `temperature` or `topP`. */
  readonly hasSampling: boolean;
}

export function askForReasoning(facts: ThinkingFacts, quirks: ChatQuirks, model: Abilities): Thinking {
  switch (quirks.reasoningAsk) {
    case "none":
      return { fields: {}, isOff: false, isCarried: facts.intent.mode === "unset" };
    case "effort":
      return askByEffort(facts, model);
    case "thinking":
      return askByThinking(facts, model);
    case "object":
      return askByObject(facts, model);
  }
}

function askByEffort(facts: ThinkingFacts, model: Abilities): Thinking {
  const { mode, display } = facts.intent;
  const { efforts, effortOff, offByDefault, effortBesideTools } = model;
  const wantsNone = mode === "unset" || mode === "off";
  if (efforts === undefined) return { fields: {}, isOff: true, isCarried: wantsNone };
  if (facts.hasTools && effortBesideTools === "none") {
    return { fields: { reasoning_effort: "none" }, isOff: true, isCarried: wantsNone };
  }
  if (facts.hasTools && effortBesideTools === "absent") {
    const isCarried = mode === "unset" || (mode === "off" && offByDefault);
    return { fields: {}, isOff: offByDefault, isCarried };
  }
  if (mode === "unset") {
    // Said in so many words where something depends on it.
    const fields: JsonObject = offByDefault && facts.hasSampling ? { reasoning_effort: "none" } : {};
    return { fields, isOff: offByDefault, isCarried: true };
  }
  if (mode === "off") {
    if (effortOff === undefined) return { fields: {}, isOff: false, isCarried: false };
    return { fields: { reasoning_effort: effortOff }, isOff: effortOff === "none", isCarried: true };
  }
  const effort = effortOf(facts, efforts) ?? (offByDefault ? "medium" : undefined);
  const fields: JsonObject = effort === undefined ? {} : { reasoning_effort: effort };
  // OpenAI's own models never show their reasoning here.
  return { fields, isOff: false, isCarried: display !== "omitted" || model.isReasoner };
}

/** DeepSeek. */
function askByThinking(facts: ThinkingFacts, { efforts = [] }: Abilities): Thinking {
  const { mode, display } = facts.intent;
  if (mode === "unset") return { fields: {}, isOff: false, isCarried: true };
  if (mode === "off") return { fields: { thinking: { type: "disabled" } }, isOff: true, isCarried: true };
  const effort = effortOf(facts, efforts);
  return {
    fields: { thinking: { type: "enabled" }, ...(effort !== undefined && { reasoning_effort: effort }) },
    isOff: false,
    isCarried: display !== "omitted",
  };
}

/** OpenRouter. */
function askByObject(facts: ThinkingFacts, { efforts = [] }: Abilities): Thinking {
  const { mode, budget, effort: asked, display } = facts.intent;
  if (mode === "unset") return { fields: {}, isOff: false, isCarried: true };
  if (mode === "off") return { fields: { reasoning: { effort: "none" } }, isOff: true, isCarried: true };
  const effort = effortOf(facts, efforts);
  const amount: JsonObject =
    asked === undefined && budget !== undefined
      ? { max_tokens: budget }
      : effort === undefined
        ? { enabled: true }
        : { effort };
  return {
    fields: { reasoning: { ...amount, ...(display === "omitted" && { exclude: true }) } },
    isOff: false,
    isCarried: true,
  };
}

function effortOf({ intent, maxTokens = longestAnswer }: ThinkingFacts, words: readonly string[]): string | undefined {
  return effortFor(intent, words, maxTokens);
}
