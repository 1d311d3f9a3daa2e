/** The entities this gateway knows: the file's and the store's, and how they are changed. */
import type { GovernanceConfig } from "../config/governance.ts";
import { generateValue, type Sealer } from "../store/secrets.ts";
import {
  type Document,
  type EntityKind,
  type EntityRecord,
  type EntityWrite,
  entityKinds,
  type Store,
  StoreError,
} from "../store/store.ts";
import { AdminFailure, invalid } from "./failure.ts";
import type { Fault } from "./faults.ts";
import { kinds } from "./kinds.ts";
import {
  type Credential,
  credentialsOf,
  type Merged,
  type MergeProblem,
  mergeEntities,
  referencesOf,
} from "./merge.ts";
import {
  documentOf,
  type EntityInForce,
  type GovernanceInForce,
  mostPrevious,
  type ReadRow,
  readEntity,
  readRow,
  type SavedSecret,
  type StoredEntity,
  saveValue,
} from "./stored.ts";

export interface BookServices {
  readonly store: Store;
  /** From `BIFROST_ENCRYPTION_KEY`; without one, values of virtual keys are kept as hashes only. */
  readonly sealer: Sealer | undefined;
  /** Told after every change. What is in force is in force everywhere when it resolves. */
  readonly applied: (inForce: GovernanceInForce) => void | Promise<void>;
  /** Told of what goes wrong where no client can be. */
  readonly onFault: (error: unknown) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** An entity as it is shown. */
export type Shown =
  | { readonly source: "file"; readonly kind: EntityKind; readonly id: string; readonly entity: EntityInForce }
  | {
      readonly source: "api";
      readonly kind: EntityKind;
      readonly id: string;
      readonly record: EntityRecord;
      /** Undefined for a row that this version does not understand. */
      readonly stored: StoredEntity | undefined;
      /** Why it is not in force. */
      readonly problem: Fault | undefined;
    };

/** An entity that was written, with the value of a virtual key that was made for it. */
export interface Changed {
  readonly shown: Shown;
  readonly value: string | undefined;
}

/** A virtual key, found by one of its values. */
export interface Found {
  readonly key: GovernanceInForce["virtual_keys"][number];
  readonly credential: Credential;
}

/** Changes come one after the other: each sees what the one before has left. */
export class EntityBook {
  readonly #services: BookServices;
  #file: GovernanceConfig;
  #rows = new Map<string, ReadRow>();
  #merged: Merged;
  #hashes: { readonly of: Merged | undefined; readonly found: ReadonlyMap<string, Found> } = {
    of: undefined,
    found: new Map(),
  };
  #stale = false;
  #busy: Promise<unknown> = Promise.resolve();

  private constructor(services: BookServices, file: GovernanceConfig, rows: Map<string, ReadRow>) {
    this.#services = services;
    this.#file = file;
    this.#rows = rows;
    this.#merged = this.#merge(file, rows);
  }

  /**
   * Reads what the store has.
   *
   * @throws StoreError (as a rejection)
   */
  static async open(services: BookServices, file: GovernanceConfig): Promise<EntityBook> {
    return new EntityBook(services, file, await readRows(services));
  }

  /** What is in force. */
  get inForce(): GovernanceInForce {
    return this.#merged.inForce;
  }

  /** Stored entities that are not in force, and why. */
  get problems(): readonly MergeProblem[] {
    const unread = [...this.#rows.values()].flatMap((row) => (row.ok ? [] : [problemOf(row)]));
    return [...unread, ...this.#merged.problems];
  }

  /**
   * Takes the section of a changed configuration file. Nobody is told: the caller has a whole configuration to apply.
   *
   * @returns what is in force now
   */
  useFile(file: GovernanceConfig): Promise<GovernanceInForce> {
    return this.#alone(async () => {
      this.#merged = this.#merge(file, this.#rows);
      this.#file = file;
      return this.inForce;
    });
  }

  /** Reads the store again, as after it was away, and applies what has changed. */
  refresh(): Promise<void> {
    return this.#alone(async () => {
      await this.#read();
      await this.#apply();
    });
  }

  /** By id. */
  list(kind: EntityKind): Shown[] {
    const shown = new Map<string, Shown>();
    for (const row of this.#rows.values()) {
      const { id, kind: own } = recordOf(row);
      if (own === kind) shown.set(id, this.#show(row));
    }
    for (const [id, entity] of this.#merged.file[kind]) shown.set(id, { source: "file", kind, id, entity });
    return [...shown.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  find(kind: EntityKind, id: string): Shown | undefined {
    const entity = this.#merged.file[kind].get(id);
    if (entity !== undefined) return { source: "file", kind, id, entity };
    const row = this.#rows.get(keyOf(kind, id));
    return row && this.#show(row);
  }

  /** The virtual key in force that has a value with this hash, whether or not it may be used. */
  findByHash(sha256: string): Found | undefined {
    if (this.#hashes.of !== this.#merged) this.#hashes = { of: this.#merged, found: indexHashes(this.inForce) };
    return this.#hashes.found.get(sha256);
  }

  /** @throws AdminFailure, StoreError (as a rejection) */
  create(kind: EntityKind, id: string, document: Document): Promise<Changed> {
    return this.#change(async () => {
      if (this.find(kind, id) !== undefined) {
        this.refuseFile(kind, id);
        throw new AdminFailure("conflict", `There is a ${kinds[kind].singular} with the id ${id} already.`, "id");
      }
      const value = kind === "virtual_keys" ? generateValue() : undefined;
      const secret = value === undefined ? null : { ...saveValue(id, value, this.#services.sealer), previous: [] };
      return { shown: await this.#write({ kind, id, replaces: 0, document, secret }), value };
    });
  }

  /**
   * Puts another document in the place of what `change` is given.
   *
   * @throws AdminFailure, StoreError (as a rejection)
   */
  replace(
    kind: EntityKind,
    id: string,
    version: number | undefined,
    change: (record: EntityRecord) => Document,
  ): Promise<Changed> {
    return this.#change(async () => {
      const record = this.#own(kind, id, version);
      const document = change(record);
      const shown = await this.#write({ kind, id, replaces: record.version, document, secret: record.secret });
      return { shown, value: undefined };
    });
  }

  /**
   * Gives a virtual key another value.
   *
   * @param graceMs how long the present value stays valid; 0 ends it and all earlier ones at once
   * @throws AdminFailure, StoreError (as a rejection)
   */
  rotate(id: string, graceMs: number): Promise<Changed> {
    return this.#change(async () => {
      const { stored, record } = this.#ownRow("virtual_keys", id);
      const { sealer, now } = this.#services;
      if (stored?.secret === undefined)
        throw new AdminFailure("conflict", "The stored virtual key cannot be read: delete it and create another.");
      const value = generateValue();
      const secret: SavedSecret = {
        ...saveValue(id, value, sealer),
        previous: previousAfter(stored.secret, graceMs, now()),
      };
      const { kind, version: replaces, document } = record;
      return { shown: await this.#write({ kind, id, replaces, document, secret }), value };
    });
  }

  /** @throws AdminFailure, StoreError (as a rejection) */
  remove(kind: EntityKind, id: string): Promise<void> {
    return this.#change(async () => {
      const record = this.#own(kind, id, undefined);
      const user = this.#userOf(kind, id);
      if (user !== undefined)
        throw new AdminFailure("in_use", `The ${kinds[kind].singular} ${id} is in use by ${user}.`);
      if (!(await this.#stored(this.#services.store.deleteEntity(kind, id, record.version))))
        throw this.#changedBehind();
      const rows = new Map(this.#rows);
      rows.delete(keyOf(kind, id));
      await this.#take(rows);
    });
  }

  async #write(write: Omit<EntityWrite, "now">): Promise<Shown> {
    const { kind, id, replaces, document } = write;
    const now = this.#services.now();
    const read = readEntity(kind, id, document);
    if (!read.ok) throw invalid(read.faults);
    const row = { ...write, document: documentOf(read.entity), now };
    // Looked at as a whole before it is written: what is stored should also be in force.
    const standing = this.#rows.get(keyOf(kind, id));
    const createdAt = standing === undefined ? now : recordOf(standing).createdAt;
    this.#tryOut({ ...row, version: replaces + 1, createdAt, updatedAt: now });
    const written = await this.#stored(this.#services.store.putEntity(row));
    if (written.kind === "conflict") throw this.#changedBehind();
    const rows = new Map(this.#rows);
    rows.set(keyOf(kind, id), readRow(written.record, this.#services.sealer));
    await this.#take(rows);
    const shown = this.find(kind, id);
    if (shown === undefined) throw new Error("an entity that was written is not there");
    return shown;
  }

  #tryOut(record: EntityRecord): void {
    const rows = new Map(this.#rows);
    rows.set(keyOf(record.kind, record.id), readRow(record, this.#services.sealer));
    const before = new Set(this.#merged.problems.map(({ kind, id }) => keyOf(kind, id)));
    const { problems, faults } = this.#merge(this.#file, rows);
    const own = problems.filter(({ kind, id }) => kind === record.kind && id === record.id);
    if (own.length > 0) throw invalid(own);
    if (faults.length > this.#merged.faults.length) throw invalid(faults);
    const other = problems.find(({ kind, id }) => !before.has(keyOf(kind, id)));
    if (other === undefined) return;
    const message = `The change would put the ${kinds[other.kind].singular} ${other.id} out of force: ${other.path}: ${other.message}.`;
    throw new AdminFailure("in_use", message);
  }

  /** @throws AdminFailure when it is not there, the file's, or of another version */
  #own(kind: EntityKind, id: string, version: number | undefined): EntityRecord {
    const { record } = this.#ownRow(kind, id);
    if (version === undefined || version === record.version) return record;
    const message = `The ${kinds[kind].singular} ${id} was changed in the meantime: its version is ${record.version}.`;
    throw new AdminFailure("conflict", message, "version");
  }

  #ownRow(kind: EntityKind, id: string) {
    this.refuseFile(kind, id);
    const shown = this.find(kind, id);
    if (shown === undefined || shown.source === "file") throw notFound(kind, id);
    return shown;
  }

  /** @throws AdminFailure for an entity of the configuration file */
  refuseFile(kind: EntityKind, id: string): void {
    if (!this.#merged.file[kind].has(id)) return;
    const message = `The ${kinds[kind].singular} ${id} comes from the configuration file: change it there.`;
    throw new AdminFailure("read_only", message);
  }

  /** Who names an entity, for people. */
  #userOf(kind: EntityKind, id: string): string | undefined {
    for (const other of entityKinds) {
      const candidates = [
        ...this.#merged.file[other].values(),
        ...[...this.#rows.values()].flatMap((row) => (row.ok && row.stored.kind === other ? [row.stored.entity] : [])),
      ];
      for (const entity of candidates) {
        if (referencesOf(entity).some((one) => one.kind === kind && one.id === id))
          return `the ${kinds[other].singular} ${entity.id}`;
      }
    }
    return undefined;
  }

  #show(row: ReadRow): Shown {
    const record = recordOf(row);
    const { kind, id } = record;
    const problem = row.ok ? this.#merged.problems.find((one) => one.kind === kind && one.id === id) : problemOf(row);
    return { source: "api", kind, id, record, stored: row.ok ? row.stored : undefined, problem };
  }

  #merge(file: GovernanceConfig, rows: ReadonlyMap<string, ReadRow>): Merged {
    const stored = [...rows.values()].flatMap((row) => (row.ok ? [row.stored] : []));
    return mergeEntities(file, stored);
  }

  async #take(rows: Map<string, ReadRow>): Promise<void> {
    this.#merged = this.#merge(this.#file, rows);
    this.#rows = rows;
    await this.#apply();
  }

  /** What is stored is stored, and its value is told only once: a fault here must not take the answer away. */
  async #apply(): Promise<void> {
    try {
      await this.#services.applied(this.inForce);
    } catch (error) {
      this.#services.onFault(error);
    }
  }

  async #read(): Promise<void> {
    const rows = await readRows(this.#services);
    this.#merged = this.#merge(this.#file, rows);
    this.#rows = rows;
    this.#stale = false;
  }

  #change<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#alone(async () => {
      if (this.#stale) {
        await this.#read();
        await this.#apply();
      }
      return work();
    });
  }

  /** After a write of which nobody knows what became, the store has to be read again. */
  async #stored<Result>(write: Promise<Result>): Promise<Result> {
    try {
      return await write;
    } catch (error) {
      if (error instanceof StoreError) this.#stale = true;
      throw error;
    }
  }

  #changedBehind(): AdminFailure {
    this.#stale = true;
    return new AdminFailure("conflict", "Somebody else has changed it in the meantime: read it again.");
  }

  #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#busy.then(work);
    // Who asked is told; the next one begins all the same.
    this.#busy = done.catch(() => undefined);
    return done;
  }
}

export function notFound(kind: EntityKind, id: string): AdminFailure {
  return new AdminFailure("not_found", `There is no ${kinds[kind].singular} with the id ${id}.`);
}

async function readRows({ store, sealer }: BookServices): Promise<Map<string, ReadRow>> {
  const records = await store.listEntities();
  return new Map(records.map((record) => [keyOf(record.kind, record.id), readRow(record, sealer)]));
}

/** Values that are still valid, and the one that is replaced. */
function previousAfter(secret: SavedSecret, graceMs: number, now: number): SavedSecret["previous"] {
  if (graceMs === 0) return [];
  const valid = secret.previous.filter(({ valid_until: until }) => Date.parse(until) > now);
  if (valid.length >= mostPrevious) {
    const way = "wait for one of them to end, or rotate without grace, which ends them all";
    throw new AdminFailure("conflict", `${mostPrevious} earlier values are still valid: ${way}.`, "grace_period");
  }
  const { sha256, sealed, mask } = secret;
  return [{ sha256, sealed, mask, valid_until: new Date(now + graceMs).toISOString() }, ...valid];
}

function indexHashes({ virtual_keys: keys }: GovernanceInForce): Map<string, Found> {
  return new Map(
    keys.flatMap((key) =>
      credentialsOf(key).map((credential): [string, Found] => [credential.sha256, { key, credential }]),
    ),
  );
}

function recordOf(row: ReadRow): EntityRecord {
  return row.ok ? row.stored.record : row.record;
}

function problemOf({ record, faults }: Extract<ReadRow, { ok: false }>): MergeProblem {
  const { kind, id } = record;
  const [first] = faults;
  return { kind, id, path: first?.path ?? "", message: first?.message ?? "cannot be read" };
}

function keyOf(kind: EntityKind, id: string): string {
  return `${kind}/${id}`;
}
