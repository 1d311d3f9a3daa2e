/** Who a client is: the virtual key whose value it sends, or by whose id it signs. */
import { hash, randomBytes } from "node:crypto";
import type { GovernanceConfig, VirtualKeyConfig } from "../config/governance.ts";
import { customerHolder, type Holder, providerConfigHolder, teamHolder, virtualKeyHolder } from "./limits.ts";
import { Permissions } from "./permissions.ts";

/** A virtual key with whom it belongs to. Holds no secret. */
export interface Identity {
  readonly id: string;
  readonly name: string;
  readonly team: Named | undefined;
  /** The key's own, or its team's. */
  readonly customer: Named | undefined;
  readonly permissions: Permissions;
  readonly refusesUnpriced: boolean;
  /** Whether what it asks and is answered is kept; undefined leaves it to the configuration. */
  readonly keepsContent: boolean | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt: number | undefined;
  /** Whose limits hold for each of its requests: its own, its team's, its customer's. */
  readonly holders: readonly Holder[];
  /** Whose limits hold besides at a provider. */
  holderAt(provider: string): Holder;
}

export interface Named {
  readonly id: string;
  readonly name: string;
}

export type Identified =
  | { readonly kind: "identity"; readonly identity: Identity }
  | { readonly kind: "refused"; readonly reason: "unknown" | "inactive" | "expired" };

interface Entry {
  readonly identity: Identity;
  readonly isActive: boolean;
  readonly values: readonly { readonly value: string; readonly validUntil: number }[];
}

interface Credential {
  readonly entry: Entry;
  readonly validUntil: number;
}

/** A value of which only the SHA-256, in hexadecimal, is known. Nothing can be signed with it. */
interface HashedValue {
  readonly sha256: string;
  /** ISO 8601; null while it is the key's present value. */
  readonly valid_until: string | null;
}

type Configured = VirtualKeyConfig & { readonly hashed_values?: readonly HashedValue[] };

export class VirtualKeys {
  readonly #byId = new Map<string, Entry>();
  /** By the digest of the value. What is compared here is no secret, and its digest cannot be chosen: the salt is ours. */
  readonly #byDigest = new Map<string, Credential>();
  /** By the hash, where nothing else is known of a value. */
  readonly #byHash = new Map<string, Credential>();
  /**
   * Those that were asked for, by the value itself: a digest takes longer than all else that is done to identify. What
   * is unknown is not kept, so that nobody can fill it.
   */
  readonly #asked = new Map<string, Credential>();
  readonly #salt: string;

  /**
   * @param salt random, of this process
   * @throws Error for a pattern that is none
   */
  constructor(config: GovernanceConfig, salt = randomBytes(32).toString("base64")) {
    this.#salt = salt;
    const teams = new Map(config.teams.map((team) => [team.id, team]));
    const customers = new Map(config.customers.map((customer) => [customer.id, customer]));
    const keys: readonly Configured[] = config.virtual_keys;
    for (const key of keys) {
      const entry = entryOf(key, teams, customers);
      this.#byId.set(key.id, entry);
      for (const { value, validUntil } of entry.values) this.#byDigest.set(this.#digest(value), { entry, validUntil });
      for (const { sha256: known, valid_until: until } of key.hashed_values ?? [])
        this.#byHash.set(known, { entry, validUntil: until === null ? Number.POSITIVE_INFINITY : Date.parse(until) });
    }
  }

  get size(): number {
    return this.#byId.size;
  }

  /**
   * Takes the same time whatever the value has in common with one that is known.
   *
   * @param now milliseconds since 1970
   */
  byValue(value: string, now: number): Identified {
    const found = this.#find(value);
    if (found === undefined || now >= found.validUntil) return { kind: "refused", reason: "unknown" };
    return identified(found.entry, now);
  }

  byId(id: string, now: number): Identified {
    const entry = this.#byId.get(id);
    return entry === undefined ? { kind: "refused", reason: "unknown" } : identified(entry, now);
  }

  /** The values a client may have signed with, the newest first; none when the id is no virtual key's. */
  valuesOf(id: string, now: number): readonly string[] {
    return (this.#byId.get(id)?.values ?? []).filter(({ validUntil }) => now < validUntil).map(({ value }) => value);
  }

  /** Also true for values that are no longer valid: they are no provider's key. */
  hasValue(value: string): boolean {
    return this.#find(value) !== undefined;
  }

  #find(value: string): Credential | undefined {
    const asked = this.#asked.get(value);
    if (asked !== undefined) return asked;
    const digested = this.#byDigest.get(this.#digest(value));
    const found = digested ?? (this.#byHash.size === 0 ? undefined : this.#byHash.get(hash("sha256", value, "hex")));
    if (found !== undefined) {
      if (this.#asked.size >= mostAsked) this.#asked.clear();
      this.#asked.set(value, found);
    }
    return found;
  }

  #digest(value: string): string {
    return hash("sha256", this.#salt + value, "base64");
  }
}

/** What a few thousand clients use at the same time. */
const mostAsked = 10_000;

function identified({ identity, isActive }: Entry, now: number): Identified {
  if (!isActive) return { kind: "refused", reason: "inactive" };
  if (identity.expiresAt !== undefined && now >= identity.expiresAt) return { kind: "refused", reason: "expired" };
  return { kind: "identity", identity };
}

function entryOf(
  key: VirtualKeyConfig,
  teams: ReadonlyMap<string, GovernanceConfig["teams"][number]>,
  customers: ReadonlyMap<string, GovernanceConfig["customers"][number]>,
): Entry {
  const team = teams.get(key.team_id ?? "");
  const customer = customers.get(key.customer_id ?? team?.customer_id ?? "");
  const holders = [virtualKeyHolder(key)];
  if (team !== undefined) holders.push(teamHolder(team));
  if (customer !== undefined) holders.push(customerHolder(customer));
  const atProviders = new Map(
    key.provider_configs.map(({ provider }) => [provider, providerConfigHolder(key, provider)]),
  );
  return {
    identity: {
      id: key.id,
      name: key.name,
      team: team && { id: team.id, name: team.name },
      customer: customer && { id: customer.id, name: customer.name },
      permissions: new Permissions(key),
      refusesUnpriced: key.unpriced_models === "refuse",
      keepsContent: key.disable_content_logging === null ? undefined : !key.disable_content_logging,
      expiresAt: key.expires_at === null ? undefined : Date.parse(key.expires_at),
      holders,
      holderAt: (provider) => atProviders.get(provider) ?? providerConfigHolder(key, provider),
    },
    isActive: key.is_active,
    values: [
      { value: key.value, validUntil: Number.POSITIVE_INFINITY },
      ...key.previous_values.map(({ value, valid_until: until }) => ({ value, validUntil: Date.parse(until) })),
    ],
  };
}
