/** Gemini's `thinkingConfig`. */
import type { ConverseRequest } from "../../bedrock/converse.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import { budgetFor, effortFor, type ReasoningIntent, reasoningFields } from "../reasoning.ts";
import type { Thinking } from "./models.ts";

/** The longest answer of the models that think. */
const longestAnswer = 65_536;
/** The model decides for itself how long it thinks. */
const dynamicBudget = -1;

/**
 * Undefined where nothing is to be said.
 *
 * @param maxTokens of the request; thinking counts into it
 * @param notDone called when the model cannot do what is asked, and does what comes nearest
 */
export function thinkingConfig(
  intent: ReasoningIntent,
  thinking: Thinking,
  maxTokens: number | undefined,
  notDone: () => void,
): JsonObject | undefined {
  if (intent.mode === "unset") return undefined;
  const limit = maxTokens ?? longestAnswer;
  switch (thinking.kind) {
    case "none":
      if (intent.mode !== "off") notDone();
      return undefined;
    case "budget": {
      const { least, most, canBeOff } = thinking;
      if (intent.mode === "off") {
        if (!canBeOff) notDone();
        return { thinkingBudget: canBeOff ? 0 : least };
      }
      const asked = budgetFor(intent, limit);
      const thinkingBudget = asked === undefined ? dynamicBudget : Math.min(most, Math.max(least, asked));
      return { thinkingBudget, includeThoughts: intent.display !== "omitted" };
    }
    case "level": {
      if (intent.mode === "off") {
        notDone();
        return { thinkingLevel: thinking.words[0] };
      }
      const thinkingLevel = effortFor(intent, thinking.words, limit);
      return {
        ...(thinkingLevel !== undefined && { thinkingLevel }),
        includeThoughts: intent.display !== "omitted",
      };
    }
  }
}

/** The path of the client's field that asks for reasoning, or forbids it. */
export function reasoningPath({ outputConfig, additionalModelRequestFields: fields }: ConverseRequest): string {
  const name = reasoningFields.find((field) => fields?.[field] != null);
  return outputConfig?.effort !== undefined || name === undefined
    ? "outputConfig.effort"
    : `additionalModelRequestFields.${name}`;
}
