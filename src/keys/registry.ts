/** Where in the shared memory the keys of a configuration have their state. The supervisor decides; threads are told. */
import { createHash } from "node:crypto";
import type { ProviderConfig } from "../config/schema.ts";
import { assignSlots, newlyOwned } from "../config/slots.ts";
import { createKeyMemory, openKeyMemory, resetKey, resetProvider } from "./layout.ts";

/** Plain data: travels to the threads with the configuration. */
export interface KeySlots {
  /** By {@link keyIdentity}. */
  readonly keys: ReadonlyMap<string, number>;
  /** By provider name. */
  readonly providers: ReadonlyMap<string, number>;
}

type KeyConfig = Extract<ProviderConfig, { readonly keys: readonly unknown[] }>["keys"][number];

/**
 * What makes a key the same key after a reload: its provider, its id and its credential. Weights, models and aliases may
 * change without its state being lost; a renewed credential begins anew.
 */
export function keyIdentity(provider: string, key: KeyConfig): string {
  const {
    id,
    name: _name,
    weight: _weight,
    models: _models,
    blacklisted_models: _black,
    aliases: _aliases,
    ...own
  } = key;
  const { enabled: _enabled, ...credential } = own;
  const digest = createHash("sha256").update(JSON.stringify(credential)).digest("base64url").slice(0, 16);
  return `${provider}/${id}/${digest}`;
}

const nouns = "keys or providers";

export class KeyRegistry {
  readonly memory = createKeyMemory();
  readonly #opened = openKeyMemory(this.memory);
  #slots: { keys: Map<string, number>; providers: Map<string, number> } = { keys: new Map(), providers: new Map() };

  /**
   * Gives every key and provider its place; who had one keeps it, and with it the state.
   *
   * @throws RangeError when there are more keys or providers than there is room for
   */
  assign(providers: Readonly<Record<string, ProviderConfig>>): KeySlots {
    const identities = Object.entries(providers).flatMap(([name, provider]) =>
      "keys" in provider ? provider.keys.map((key) => keyIdentity(name, key)) : [],
    );
    const { capacities } = this.#opened;
    const keys = assignSlots(this.#slots.keys, identities, capacities.keys, nouns);
    const names = assignSlots(this.#slots.providers, Object.keys(providers), capacities.providers, nouns);
    for (const slot of newlyOwned(this.#slots.keys, keys)) resetKey(this.#opened, slot);
    for (const slot of newlyOwned(this.#slots.providers, names)) resetProvider(this.#opened, slot);
    this.#slots = { keys, providers: names };
    return this.#slots;
  }
}
