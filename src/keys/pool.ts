/** The configured keys of a provider, with what all threads know of them. */
import type { Choosable } from "./choose.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { KeyRing } from "./ring.ts";

export interface KeyPool<Key extends Choosable> {
  readonly ring: KeyRing<Key>;
  readonly budget: RetryBudget;
}
