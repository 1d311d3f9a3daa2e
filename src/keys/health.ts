/** What `GET /api/keys/health` tells of each key. */
import type { Choosable } from "./choose.ts";
import { degradedRate } from "./circuit.ts";
import { type KeyState, keyWaits } from "./state.ts";
import { tickOf } from "./waits.ts";

/**
 * `refused`: its credential; `cooling`: the whole key, for an exhausted quota; `open`, `probing`: its circuit; `degraded`:
 * in service with more than a few errors of late. A key of which only some models cool down is as healthy as it is with
 * the others.
 */
export type KeyStateName = "healthy" | "degraded" | "open" | "probing" | "cooling" | "refused" | "disabled";

export interface KeyHealth {
  readonly id: string;
  readonly name: string;
  readonly state: KeyStateName;
  /** In words; undefined for a healthy key. */
  readonly why: string | undefined;
  readonly inFlight: number;
  /** From 0 to 1, of late, with four assumed successes. */
  readonly errorRate: number;
  /** Milliseconds per output token, twenty assumed before the first; undefined when no answer has been measured. */
  readonly msPerToken: number | undefined;
  /** Milliseconds until the whole key is tried again; 0 when it is in service. */
  readonly coolDownMs: number;
  readonly coolingModels: readonly { readonly model: string; readonly remainingMs: number }[];
  /** Successful attempts since the key is known. */
  readonly served: number;
  /** Its part of what the provider's keys have served, from 0 to 1. */
  readonly share: number;
}

/** A key and where its state lies. */
export interface PlacedKey<K> {
  readonly key: K;
  readonly slot: number;
  readonly generation: number;
}

export function keyHealth(state: KeyState, keys: readonly PlacedKey<Choosable>[], now: number): readonly KeyHealth[] {
  const { stats, cooling } = state;
  const total = keys.reduce((sum, { slot }) => sum + stats.served(slot), 0);
  return keys.map(({ key, slot, generation }): KeyHealth => {
    const served = stats.served(slot);
    return {
      id: key.id,
      name: key.name,
      ...standing(state, key, slot, now),
      inFlight: stats.inFlight(slot),
      errorRate: stats.errorRate(slot, now),
      msPerToken: stats.unitTime(slot) || undefined,
      coolingModels: cooling.modelsOf(slot, generation, now),
      served,
      share: total === 0 ? 0 : served / total,
    };
  });
}

function standing(
  state: KeyState,
  key: Choosable,
  slot: number,
  now: number,
): Pick<KeyHealth, "state" | "why" | "coolDownMs"> {
  if (!key.enabled) return { state: "disabled", why: "The configuration disables it.", coolDownMs: 0 };
  const { credential, payment } = keyWaits(state, slot, now);
  if (credential > 0) {
    return { state: "refused", why: "The upstream refused its credential.", coolDownMs: credential };
  }
  if (payment > 0) return { state: "cooling", why: "Its quota is exhausted.", coolDownMs: payment };
  const phase = state.circuit.phase(slot, tickOf(now));
  const untilProbe = state.circuit.untilProbe(slot, now) ?? 0;
  if (phase === "probing") {
    return { state: "probing", why: "One request finds out whether it works again.", coolDownMs: 0 };
  }
  if (phase === "open" || phase === "due") {
    const why =
      "Too many of its late attempts failed; the next request after this time finds out whether it works again.";
    return { state: "open", why, coolDownMs: untilProbe };
  }
  const errorRate = state.stats.errorRate(slot, now);
  if (errorRate < degradedRate) return { state: "healthy", why: undefined, coolDownMs: 0 };
  return { state: "degraded", why: `${Math.round(errorRate * 100)} % of its late attempts failed.`, coolDownMs: 0 };
}
