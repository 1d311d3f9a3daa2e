/** Keys with state in a memory of their own, as one thread of the gateway has them. */
import type { Choosable } from "../../src/keys/choose.ts";
import { createKeyMemory } from "../../src/keys/layout.ts";
import type { KeyPool } from "../../src/keys/pool.ts";
import { RetryBudget } from "../../src/keys/retry-budget.ts";
import { KeyRing } from "../../src/keys/ring.ts";
import { openKeyState } from "../../src/keys/state.ts";

export function keyPool<Key extends Choosable>(keys: readonly Key[]): KeyPool<Key> {
  const state = openKeyState(createKeyMemory({ keys: 64, providers: 1, cooling: 64, sessions: 64 }));
  const places = keys.map((_, index) => index);
  const ring = new KeyRing(state, keys, places, { provider: "test", strategy: "weighted" });
  return { ring, budget: new RetryBudget(state.memory, 0) };
}
