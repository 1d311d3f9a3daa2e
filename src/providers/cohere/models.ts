import type { Target } from "../dialect.ts";

/** Whether the model reasons: only then does it take `thinking`, and thinking of earlier turns. */
export function reasons({ model, baseModel = model }: Target): boolean {
  return baseModel.includes("reasoning");
}

/** The longest answer of the reasoning models, in tokens. */
export const longestAnswer = 32_000;
