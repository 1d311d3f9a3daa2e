import type { Target } from "../dialect.ts";

/**
 * How a model reasons: `adjustable` takes `reasoning_effort`, `always` reasons whatever is asked, `none` does not, and
 * does not take reasoning back either.
 */
export type Reasoning = "adjustable" | "always" | "none";

/** Source: Mistral's page on reasoning, as of August 2026. */
const adjustable = /^mistral-(?:small-(?:latest|2603)|medium-3(?:[.-]5)?)$/;
const always = /^magistral-/;

export function reasoningOf({ model, baseModel = model }: Target): Reasoning {
  if (adjustable.test(baseModel)) return "adjustable";
  return always.test(baseModel) ? "always" : "none";
}
