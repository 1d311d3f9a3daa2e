/** From an entity as the configuration knows it to a row of the store, and back. */
import { z } from "zod";
import { type GovernanceConfig, governanceEntities, type VirtualKeyConfig } from "../config/governance.ts";
import { generateValue, hashValue, maskValue, type Sealer } from "../store/secrets.ts";
import type { Document, EntityKind, EntityRecord } from "../store/store.ts";
import { type Fault, faultsOf } from "./faults.ts";

/** A value of which only the hash is known. */
export interface HashedValue {
  /** Hexadecimal. */
  readonly sha256: string;
  /** ISO 8601; null while it is the key's present value. */
  readonly valid_until: string | null;
}

/**
 * A virtual key in force. Where its values are kept as hashes only they stand in `hashed_values`, and `value` is one
 * that nobody has, so that nothing is ever signed with it.
 */
export type VirtualKeyInForce = VirtualKeyConfig & { readonly hashed_values: readonly HashedValue[] };

type Identified<Entity> = Omit<Entity, "id"> & { readonly id: string };

/** The `governance` section as it is in force: every entity has an id. */
export interface GovernanceInForce extends GovernanceConfig {
  virtual_keys: VirtualKeyInForce[];
  model_limits: Identified<GovernanceConfig["model_limits"][number]>[];
  pricing_overrides: Identified<GovernanceConfig["pricing_overrides"][number]>[];
}

/** An entity in force, of one kind. */
export type InForceOf<Kind extends EntityKind> = GovernanceInForce[Kind][number];
export type EntityInForce = { [Kind in EntityKind]: InForceOf<Kind> }[EntityKind];

const savedValue = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Encrypted for `virtual_keys/<id>`; null where there was no encryption key. */
  sealed: z.string().nullable(),
  mask: z.string(),
});

const secretSchema = z.strictObject({
  ...savedValue.shape,
  previous: z.array(z.strictObject({ ...savedValue.shape, valid_until: z.iso.datetime() })),
});

type SavedValue = z.output<typeof savedValue>;
/** What a virtual key's row keeps beside its document. */
export type SavedSecret = z.output<typeof secretSchema>;

/** More earlier values than this are not kept: a rotation is refused until one of them has run out. */
export const mostPrevious = 8;

/** A row that was understood. */
export interface StoredEntity<Kind extends EntityKind = EntityKind> {
  readonly record: EntityRecord;
  readonly kind: Kind;
  readonly entity: EntityInForce;
  /** Of a virtual key. */
  readonly secret: SavedSecret | undefined;
}

export type ReadRow =
  | { readonly ok: true; readonly stored: StoredEntity }
  | { readonly ok: false; readonly record: EntityRecord; readonly faults: readonly Fault[] };

/** Reads a row. One that another version wrote, or another encryption key sealed, may have faults. */
export function readRow(record: EntityRecord, sealer: Sealer | undefined): ReadRow {
  const { kind, id, document } = record;
  if (kind !== "virtual_keys") {
    const read = readEntity(kind, id, document);
    return read.ok
      ? { ok: true, stored: { record, kind, entity: read.entity, secret: undefined } }
      : { ok: false, record, faults: read.faults };
  }
  const secret = secretSchema.safeParse(record.secret);
  if (!secret.success) return { ok: false, record, faults: [{ path: "value", message: "its hash is missing" }] };
  const read = readVirtualKey(id, document, valuesOf(id, secret.data, sealer));
  return read.ok
    ? { ok: true, stored: { record, kind, entity: read.entity, secret: secret.data } }
    : { ok: false, record, faults: read.faults };
}

export type Read<Entity> =
  | { readonly ok: true; readonly entity: Entity }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** Reads what a client or a row says of an entity; its id is known from elsewhere. */
export function readEntity(kind: EntityKind, id: string, document: Document): Read<EntityInForce> {
  if (kind === "virtual_keys") return readVirtualKey(id, document, unknowable());
  const parsed = governanceEntities[kind].safeParse({ ...document, id });
  if (!parsed.success) return { ok: false, faults: faultsOf(parsed.error) };
  return { ok: true, entity: { ...parsed.data, id } };
}

interface Values {
  readonly value: string;
  readonly previous: VirtualKeyConfig["previous_values"];
  readonly hashed: readonly HashedValue[];
}

function readVirtualKey(id: string, document: Document, values: Values): Read<VirtualKeyInForce> {
  const parsed = governanceEntities.virtual_keys.safeParse({ ...document, id, value: values.value });
  if (!parsed.success) return { ok: false, faults: faultsOf(parsed.error) };
  return {
    ok: true,
    entity: { ...parsed.data, id, previous_values: values.previous, hashed_values: values.hashed },
  };
}

function unknowable(): Values {
  return { value: generateValue(), previous: [], hashed: [] };
}

function valuesOf(id: string, secret: SavedSecret, sealer: Sealer | undefined): Values {
  const value = open(id, secret, sealer);
  const previous: VirtualKeyConfig["previous_values"] = [];
  const hashed: HashedValue[] = value === undefined ? [{ sha256: secret.sha256, valid_until: null }] : [];
  for (const earlier of secret.previous) {
    const opened = open(id, earlier, sealer);
    const { sha256, valid_until } = earlier;
    if (opened === undefined) hashed.push({ sha256, valid_until });
    else previous.push({ value: opened, valid_until });
  }
  return { value: value ?? generateValue(), previous, hashed };
}

function open(id: string, { sealed, sha256 }: SavedValue, sealer: Sealer | undefined): string | undefined {
  const value = sealed === null ? undefined : sealer?.open(sealed, ownerOf(id));
  // What does not have the hash is not the value that was given out.
  return value !== undefined && hashValue(value) === sha256 ? value : undefined;
}

/** What a row keeps of a value. */
export function saveValue(id: string, value: string, sealer: Sealer | undefined): SavedValue {
  return { sha256: hashValue(value), sealed: sealer?.seal(value, ownerOf(id)) ?? null, mask: maskValue(value) };
}

function ownerOf(id: string): string {
  return `virtual_keys/${id}`;
}

/** What a row says of an entity: all of it, with defaults, but neither its id nor any value. */
export function documentOf(entity: EntityInForce): Document {
  const hidden = new Set(["id", "value", "previous_values", "hashed_values"]);
  return Object.fromEntries(Object.entries(entity).filter(([name]) => !hidden.has(name)));
}
