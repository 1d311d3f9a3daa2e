/** Budgets that are larger or smaller than the configuration says, for a time. */

/** By the budget's id. Plain data: travels to the threads beside the configuration. */
export type BudgetOverrides = ReadonlyMap<string, BudgetOverride>;

export interface BudgetOverride {
  readonly mode: "add" | "replace";
  /** Micro-dollars: besides the budget's own, or in the place of them. */
  readonly amount: number;
  /** Milliseconds since 1970 from which the budget's own maximum holds again; infinite for never. */
  readonly until: number;
}

/** Micro-dollars that a budget has while it is overridden. */
export function overriddenMax(max: number, { mode, amount }: BudgetOverride): number {
  return mode === "add" ? max + amount : amount;
}
