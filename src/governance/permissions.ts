/** Which providers, models and keys a virtual key may use. */
import type { ProviderPermissionConfig, VirtualKeyConfig } from "../config/governance.ts";
import { ModelList } from "./models.ts";

/** What a virtual key may do at a provider. */
export interface ProviderPermission {
  readonly provider: string;
  /** For models that name no provider; 0: only as a fallback. */
  readonly weight: number;
  readonly allowed: ModelList;
  readonly blacklisted: ModelList;
  /** Ids or names of the provider's keys; undefined: all. */
  readonly keyIds: ReadonlySet<string> | undefined;
}

export type Permitted =
  | { readonly kind: "permitted"; readonly keyIds: ReadonlySet<string> | undefined }
  | { readonly kind: "forbidden"; readonly what: "provider" | "model" };

export class Permissions {
  readonly #allowAll: boolean;
  readonly #providers: ReadonlyMap<string, ProviderPermission>;

  /** @throws Error for a pattern that is none */
  constructor({
    allow_all_providers,
    provider_configs,
  }: Pick<VirtualKeyConfig, "allow_all_providers" | "provider_configs">) {
    this.#allowAll = allow_all_providers;
    this.#providers = new Map(provider_configs.map((config) => [config.provider, permissionOf(config)]));
  }

  /** How many providers it names. */
  get count(): number {
    return this.#providers.size;
  }

  /** In the order of the configuration. */
  get providers(): Iterable<ProviderPermission> {
    return this.#providers.values();
  }

  /**
   * @param model as the client names it, without the provider; undefined for operations that name none
   * @param resolved what aliases of the provider's keys may make of it: none of them may be blacklisted either
   */
  check(provider: string, model: string | undefined, resolved: readonly string[] = []): Permitted {
    const permission = this.#providers.get(provider);
    if (permission === undefined) {
      return this.#allowAll ? permittedAll : { kind: "forbidden", what: "provider" };
    }
    if (model !== undefined && !isAllowed(permission, model, resolved)) return { kind: "forbidden", what: "model" };
    return permission.keyIds === undefined ? permittedAll : { kind: "permitted", keyIds: permission.keyIds };
  }
}

const permittedAll: Permitted = { kind: "permitted", keyIds: undefined };

/** Blacklists win, and what cannot be looked up in one is taken to be on it. */
export function isAllowed(
  { allowed, blacklisted }: ProviderPermission,
  model: string,
  resolved: readonly string[] = [],
): boolean {
  for (const name of [model, ...resolved]) if (blacklisted.cannotTell(name) || blacklisted.has(name)) return false;
  return allowed.has(model);
}

function permissionOf(config: ProviderPermissionConfig): ProviderPermission {
  const { provider, weight, allowed_models, blacklisted_models, key_ids } = config;
  return {
    provider,
    weight: weight ?? 0,
    allowed: new ModelList(allowed_models, provider),
    blacklisted: new ModelList(blacklisted_models, provider),
    keyIds: key_ids.includes("*") ? undefined : new Set(key_ids),
  };
}
