/** What is in force: the entities of the configuration file, and those of the store beside them. */
import type { GovernanceConfig } from "../config/governance.ts";
import { checkGovernance, type GovernanceProblem } from "../governance/check.ts";
import { hashValue } from "../store/secrets.ts";
import { type EntityKind, entityKinds } from "../store/store.ts";
import { type Fault, pathOf } from "./faults.ts";
import { kinds } from "./kinds.ts";
import type { EntityInForce, GovernanceInForce, InForceOf, StoredEntity, VirtualKeyInForce } from "./stored.ts";

export interface EntityName {
  readonly kind: EntityKind;
  readonly id: string;
}

/** Why an entity of the store is not in force. */
export interface MergeProblem extends EntityName, Fault {}

export interface Merged {
  readonly inForce: GovernanceInForce;
  /** A stored entity with a problem is not in force. The file's entities have none: they were checked as it was read. */
  readonly problems: readonly MergeProblem[];
  /** What is wrong with the whole, and with no stored entity in particular. */
  readonly faults: readonly Fault[];
  /** The file's entities by their ids, those included that the file leaves to us. */
  readonly file: { readonly [Kind in EntityKind]: ReadonlyMap<string, InForceOf<Kind>> };
}

/**
 * The file wins: a stored entity with the id or the value of one of the file's is not in force. Nor is one that
 * {@link checkGovernance} finds fault with, such as a virtual key whose team is not there: it would be held to fewer
 * limits than was meant.
 *
 * @param file a section that was checked
 * @param stored rows that were understood, in any order
 */
export function mergeEntities(file: GovernanceConfig, stored: readonly StoredEntity[]): Merged {
  const fromFile = identify(file);
  const problems: MergeProblem[] = [];
  // Of two stored entities that clash, the one that was there first stays.
  let accepted = withoutClashes(fromFile, [...stored].sort(byAge), problems);
  for (;;) {
    const inForce = assemble(fromFile, accepted);
    const faults = checkGovernance(inForce);
    const wrong = faultsOfStored(faults, inForce, accepted);
    if (wrong.length === 0) return { inForce, problems, faults: faults.map(faultOf), file: byId(fromFile) };
    problems.push(...wrong);
    // What is left may name what has gone, so it is looked at again.
    accepted = accepted.filter(({ record }) => !wrong.some((one) => isNamed(one, record)));
  }
}

function byAge({ record: a }: StoredEntity, { record: b }: StoredEntity): number {
  return a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1);
}

function withoutClashes(
  file: GovernanceInForce,
  candidates: readonly StoredEntity[],
  problems: MergeProblem[],
): StoredEntity[] {
  const ids = new Set(entityKinds.flatMap((kind) => file[kind].map(({ id }) => `${kind}/${id}`)));
  const owners = new Map<string, string>();
  for (const key of file.virtual_keys) for (const { sha256 } of credentialsOf(key)) owners.set(sha256, key.id);
  return candidates.filter(({ kind, entity }) => {
    const { id } = entity;
    const credentials = "hashed_values" in entity ? credentialsOf(entity) : [];
    const owner = credentials.map(({ sha256 }) => owners.get(sha256)).find((found) => found !== undefined);
    if (ids.has(`${kind}/${id}`)) {
      const message = `the configuration file has a ${kinds[kind].singular} with the id ${id} too, and wins`;
      problems.push({ kind, id, path: "id", message });
      return false;
    }
    if (owner !== undefined) {
      problems.push({ kind, id, path: "value", message: `the virtual key ${owner} has the same value` });
      return false;
    }
    for (const { sha256 } of credentials) owners.set(sha256, id);
    return true;
  });
}

/** Which entities one names. */
export function referencesOf(entity: EntityInForce): EntityName[] {
  const references: EntityName[] = [];
  const add = (kind: EntityKind, id: string | null): void => {
    if (id !== null) references.push({ kind, id });
  };
  if ("team_id" in entity) add("teams", entity.team_id);
  if ("customer_id" in entity) add("customers", entity.customer_id);
  if ("scope" in entity && entity.scope !== "global") add(scopeKinds[entity.scope], entity.scope_id);
  return references;
}

const scopeKinds = { customer: "customers", team: "teams", virtual_key: "virtual_keys" } as const;

/** A value by which a virtual key is found. */
export interface Credential {
  /** Hexadecimal. */
  readonly sha256: string;
  /** Milliseconds since 1970; infinite for the present value. */
  readonly validUntil: number;
}

/** The hashes of all values of a virtual key. */
export function credentialsOf(key: VirtualKeyInForce): Credential[] {
  const hashed = key.hashed_values.map(({ sha256, valid_until: until }) => ({ sha256, validUntil: timeOf(until) }));
  const previous = key.previous_values.map(({ value, valid_until: until }) => ({
    sha256: hashValue(value),
    validUntil: timeOf(until),
  }));
  // Where the present value is known by its hash, `value` is nobody's.
  const isHashed = key.hashed_values.some(({ valid_until: until }) => until === null);
  const present = isHashed ? [] : [{ sha256: hashValue(key.value), validUntil: Number.POSITIVE_INFINITY }];
  return [...present, ...previous, ...hashed];
}

function timeOf(instant: string | null): number {
  return instant === null ? Number.POSITIVE_INFINITY : Date.parse(instant);
}

/** The file's section with an id for every entity: that of a model limit or a price is made from what it is for. */
function identify(file: GovernanceConfig): GovernanceInForce {
  return {
    ...file,
    virtual_keys: file.virtual_keys.map((key) => ({ ...key, hashed_values: [] })),
    model_limits: withIds(file.model_limits, ({ provider, model_name: model }) => `${provider ?? "any"}:${model}`),
    pricing_overrides: withIds(file.pricing_overrides, ({ provider, model }) => `${provider ?? "any"}:${model}`),
  };
}

function withIds<Entity extends { readonly id: string | null }>(
  entities: readonly Entity[],
  natural: (entity: Entity) => string,
): (Omit<Entity, "id"> & { readonly id: string })[] {
  const taken = new Set(entities.flatMap(({ id }) => id ?? []));
  return entities.map((entity) => {
    if (entity.id !== null) return { ...entity, id: entity.id };
    const base = natural(entity)
      .replace(/[^\w.+=@:-]/g, "-")
      .slice(0, 120);
    let id = base;
    for (let count = 2; taken.has(id); count++) id = `${base}-${count}`;
    taken.add(id);
    return { ...entity, id };
  });
}

function assemble(file: GovernanceInForce, stored: readonly StoredEntity[]): GovernanceInForce {
  const of = <Kind extends EntityKind>(kind: Kind): InForceOf<Kind>[] => [
    ...file[kind],
    ...stored.filter((one) => one.kind === kind).map(({ entity }) => entity as InForceOf<Kind>),
  ];
  return {
    customers: of("customers"),
    teams: of("teams"),
    virtual_keys: of("virtual_keys"),
    routing_rules: of("routing_rules"),
    model_limits: of("model_limits"),
    pricing_overrides: of("pricing_overrides"),
  };
}

/** Of the faults of the whole, those of stored entities, one for each. */
function faultsOfStored(
  faults: readonly GovernanceProblem[],
  inForce: GovernanceInForce,
  stored: readonly StoredEntity[],
): MergeProblem[] {
  const found = new Map<string, MergeProblem>();
  for (const { path, message } of faults) {
    const [section, index, ...rest] = path;
    const kind = entityKinds.find((one) => one === section);
    if (kind === undefined || typeof index !== "number") continue;
    const id = inForce[kind][index]?.id;
    const own = stored.find((one) => one.kind === kind && one.record.id === id);
    const name = `${kind}/${id}`;
    if (own === undefined || found.has(name)) continue;
    found.set(name, { kind, id: own.record.id, path: pathOf(rest), message });
  }
  return [...found.values()];
}

function faultOf({ path, message }: GovernanceProblem): Fault {
  return { path: pathOf(path), message };
}

function byId(file: GovernanceInForce): Merged["file"] {
  const of = <Kind extends EntityKind>(kind: Kind): ReadonlyMap<string, InForceOf<Kind>> =>
    new Map(file[kind].map((entity) => [entity.id, entity]));
  return {
    customers: of("customers"),
    teams: of("teams"),
    virtual_keys: of("virtual_keys"),
    routing_rules: of("routing_rules"),
    model_limits: of("model_limits"),
    pricing_overrides: of("pricing_overrides"),
  };
}

function isNamed(name: EntityName, other: EntityName): boolean {
  return name.kind === other.kind && name.id === other.id;
}
