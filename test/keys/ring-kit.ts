/** Rings over fresh memory, for the tests of keys. */
import type { Choosable } from "../../src/keys/choose.ts";
import { createKeyMemory, type KeyCapacities } from "../../src/keys/layout.ts";
import { type ChoiceRequest, KeyRing, type Refusal } from "../../src/keys/ring.ts";
import { type KeyState, openKeyState } from "../../src/keys/state.ts";
import type { Strategy } from "../../src/keys/strategies.ts";

/** A time like any other. */
export const start = 1_790_000_000_050;
export const model = "us.amazon.nova-pro-v1:0";
export const measured = { ms: 500, outputTokens: 80 };

export function key(id: string, fields: Partial<Choosable> = {}): Choosable {
  return {
    id,
    name: id.toUpperCase(),
    enabled: true,
    weight: 1,
    models: ["*"],
    blacklisted_models: [],
    aliases: {},
    ...fields,
  };
}

export interface Kit {
  readonly ring: KeyRing<Choosable>;
  readonly state: KeyState;
  readonly buffer: SharedArrayBuffer;
}

export function kit(
  keys: readonly Choosable[],
  strategy: Strategy = "weighted",
  capacities: Partial<KeyCapacities> = {},
): Kit {
  const buffer = createKeyMemory(capacities);
  return ringOver(buffer, keys, strategy);
}

/** A ring of another thread, as it were. */
export function ringOver(buffer: SharedArrayBuffer, keys: readonly Choosable[], strategy: Strategy = "weighted"): Kit {
  const state = openKeyState(buffer);
  const slots = keys.map((_, index) => index);
  return { ring: new KeyRing(state, keys, slots, { provider: "bedrock", strategy }), state, buffer };
}

/** Chooses and expects an attempt. */
export function attemptOf(
  ring: KeyRing<Choosable>,
  request: Partial<ChoiceRequest<Choosable>> = {},
  now = start,
  roll = 0,
) {
  const choice = ring.choose({ model, ...request }, now, roll);
  if (choice.kind === "refusal") throw new Error(`refused: ${choice.reason}`);
  return choice;
}

/** Chooses and expects a refusal. */
export function refusalOf(
  ring: KeyRing<Choosable>,
  request: Partial<ChoiceRequest<Choosable>> = {},
  now = start,
): Refusal<Choosable> {
  const choice = ring.choose({ model, ...request }, now, 0);
  if (choice.kind === "attempt") throw new Error(`the key ${choice.key.id} was chosen`);
  return choice;
}
