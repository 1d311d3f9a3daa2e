/** What entities have used of their limits, and what is left to a virtual key. */
import {
  customerHolder,
  type Holder,
  type Limit,
  type Limits,
  modelLimitHolder,
  providerConfigHolder,
  teamHolder,
  virtualKeyHolder,
} from "../governance/limits.ts";
import { type QuotaEntry, quotaOf } from "../governance/quota.ts";
import { hashValue } from "../store/secrets.ts";
import type { Document } from "../store/store.ts";
import { bearerOf } from "./access.ts";
import type { EntityBook } from "./book.ts";
import { AdminFailure } from "./failure.ts";
import type { LimitedKind } from "./kinds.ts";
import type { GovernanceInForce } from "./stored.ts";

/** @param now milliseconds since 1970 */
export function usageOf(book: EntityBook, kind: LimitedKind, id: string, limits: Limits, now: number): Document {
  return { id, limits: limitsOf(book, kind, id, limits).map((limit) => quotaOf(limit, now)) };
}

/** An entity's limits with their counters. */
export function limitsOf(book: EntityBook, kind: LimitedKind, id: string, limits: Limits): readonly Limit[] {
  const entities: readonly GovernanceInForce[LimitedKind][number][] = book.inForce[kind];
  const entity = entities.find((one) => one.id === id);
  // What is not in force counts nothing.
  return entity === undefined ? [] : limitsOfAll(holdersOf(entity), limits);
}

/**
 * What is left by the virtual key's own limits, its team's and its customer's.
 *
 * @param headers lower-case names; the virtual key stands in `x-bf-vk`, or is a bearer token
 * @param now milliseconds since 1970
 * @throws AdminFailure
 */
export function ownQuota(
  book: EntityBook,
  headers: ReadonlyMap<string, string>,
  limits: Limits,
  now: number,
): Document {
  const value = headers.get("x-bf-vk") ?? bearerOf(headers);
  const found = value === undefined ? undefined : book.findByHash(hashValue(value));
  if (found === undefined || now >= found.credential.validUntil) {
    const message = "Send a virtual key that is known as x-bf-vk or as a bearer token.";
    throw new AdminFailure("unauthorized", message, null, [["www-authenticate", "Bearer"]]);
  }
  const { key } = found;
  if (!key.is_active) throw new AdminFailure("forbidden", "The virtual key is not active.");
  if (key.expires_at !== null && now >= Date.parse(key.expires_at))
    throw new AdminFailure("forbidden", "The virtual key has expired.");
  const { teams, customers } = book.inForce;
  const team = teams.find(({ id }) => id === key.team_id);
  const customer = customers.find(({ id }) => id === (key.customer_id ?? team?.customer_id));
  const owners = [key, team, customer].filter((owner) => owner !== undefined);
  const { id, name, expires_at } = key;
  const uses: QuotaEntry[] = limitsOfAll(owners.flatMap(holdersOf), limits).map((limit) => quotaOf(limit, now));
  return { virtual_key: { id, name, expires_at }, limits: uses };
}

function holdersOf(entity: GovernanceInForce[LimitedKind][number]): Holder[] {
  if ("model_name" in entity) return [modelLimitHolder(entity.provider, entity.model_name)];
  if (!("hashed_values" in entity)) return ["customer_id" in entity ? teamHolder(entity) : customerHolder(entity)];
  const atProviders = entity.provider_configs.map(({ provider }) => providerConfigHolder(entity, provider));
  return [virtualKeyHolder(entity), ...atProviders];
}

function limitsOfAll(holders: readonly Holder[], limits: Limits): Limit[] {
  return holders.flatMap((holder) => {
    const { rates, budgets } = limits.of(holder);
    return [...rates, ...budgets];
  });
}
