/** Entities as answers show them: never a value of a virtual key, but once. */
import { maskValue } from "../store/secrets.ts";
import type { Document } from "../store/store.ts";
import type { Shown } from "./book.ts";
import { documentOf, type EntityInForce, type SavedSecret } from "./stored.ts";

/** What is shown beside an entity's own fields; writes may repeat it, and it changes nothing. */
export const readOnlyFields = ["source", "in_force", "problem", "created_at", "updated_at", "previous_values"] as const;

/**
 * @param value of a virtual key that was just made
 * @param now milliseconds since 1970
 */
export function show(shown: Shown, now: number, value?: string): Document {
  if (shown.source === "file") {
    const { id, entity } = shown;
    return { id, ...documentOf(entity), ...valuesOfFile(entity, now), source: "file", in_force: true };
  }
  const { id, record, stored, problem } = shown;
  return {
    id,
    ...record.document,
    ...valuesOfStored(stored?.secret, now),
    ...(value !== undefined && { value }),
    source: "api",
    in_force: problem === undefined,
    ...(problem !== undefined && { problem: { path: problem.path, message: problem.message } }),
    version: record.version,
    created_at: new Date(record.createdAt).toISOString(),
    updated_at: new Date(record.updatedAt).toISOString(),
  };
}

function valuesOfFile(entity: EntityInForce, now: number): Document {
  if (!("hashed_values" in entity)) return {};
  const previous = entity.previous_values.map(({ value, valid_until: until }) => ({ mask: maskValue(value), until }));
  return { value: maskValue(entity.value), previous_values: stillValid(previous, now) };
}

function valuesOfStored(secret: SavedSecret | undefined, now: number): Document {
  if (secret === undefined) return {};
  const previous = secret.previous.map(({ mask, valid_until: until }) => ({ mask, until }));
  return { value: secret.mask, previous_values: stillValid(previous, now) };
}

function stillValid(previous: readonly { readonly mask: string; readonly until: string }[], now: number): Document[] {
  return previous
    .filter(({ until }) => Date.parse(until) > now)
    .map(({ mask, until }) => ({ value: mask, valid_until: until }));
}
