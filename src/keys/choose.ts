/** Which of a provider's keys serves a request: fit first, then by weight. */

/** What a key says about itself in the configuration, as far as choosing goes. */
export interface Choosable {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly weight: number;
  /** `["*"]` allows everything, `[]` nothing. */
  readonly models: readonly string[];
  /** Wins over `models`. */
  readonly blacklisted_models: readonly string[];
  /** Friendly name to model id, compared without case; an alias counts as a model of the key. */
  readonly aliases: Readonly<Record<string, string>>;
}

/** True when the key is in service and may serve the model; `undefined` stands for operations without a model. */
export function isFit(key: Choosable, model: string | undefined): boolean {
  if (!key.enabled) return false;
  if (model === undefined) return true;
  const name = model.toLowerCase();
  if (lists(key.blacklisted_models, name)) return false;
  return lists(key.models, name) || aliasOf(key, name) !== undefined;
}

/** The model id the key calls by this name: its alias, or the name itself. */
export function resolveAlias(key: Choosable, model: string): string {
  return aliasOf(key, model.toLowerCase()) ?? model;
}

/**
 * Picks one key by weight.
 *
 * @param roll a number in [0, 1)
 * @returns undefined when there is no key. Keys of weight 0 are taken only when no other is left.
 */
export function pickByWeight<K extends Choosable>(keys: readonly K[], roll: number): K | undefined {
  let total = 0;
  for (const key of keys) total += key.weight;
  if (total === 0) return keys[Math.floor(roll * keys.length)];
  let rest = roll * total;
  let last: K | undefined;
  for (const key of keys) {
    if (key.weight === 0) continue;
    last = key;
    if (rest < key.weight) break;
    rest -= key.weight;
  }
  return last;
}

function aliasOf(key: Choosable, name: string): string | undefined {
  for (const alias in key.aliases) if (alias.toLowerCase() === name) return key.aliases[alias];
  return undefined;
}

function lists(patterns: readonly string[], name: string): boolean {
  for (const pattern of patterns) if (pattern === "*" || pattern.toLowerCase() === name) return true;
  return false;
}
