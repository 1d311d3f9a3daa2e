/** A store that ends with the process: for tests, and for `storage.kind: "memory"`. */
import {
  type Counter,
  type EntityKind,
  type EntityRecord,
  type EntityWrite,
  entityKinds,
  isNewer,
  type SavedOverride,
  type Store,
  type Written,
} from "./store.ts";

export class MemoryStore implements Store {
  readonly #entities = new Map<EntityKind, Map<string, EntityRecord>>(entityKinds.map((kind) => [kind, new Map()]));
  readonly #counters = new Map<string, Counter>();
  readonly #overrides = new Map<string, SavedOverride>();

  async listEntities(kind?: EntityKind): Promise<readonly EntityRecord[]> {
    const kinds = kind === undefined ? [...entityKinds].sort() : [kind];
    return kinds.flatMap((one) => [...this.#of(one).values()].sort((a, b) => (a.id < b.id ? -1 : 1)));
  }

  async getEntity(kind: EntityKind, id: string): Promise<EntityRecord | undefined> {
    return this.#of(kind).get(id);
  }

  async putEntity({ kind, id, replaces, document, secret, now }: EntityWrite): Promise<Written> {
    const standing = this.#of(kind).get(id);
    const version = standing?.version ?? 0;
    if (version !== replaces) return { kind: "conflict", version };
    const record: EntityRecord = structuredClone({
      kind,
      id,
      version: version + 1,
      document,
      secret,
      createdAt: standing?.createdAt ?? now,
      updatedAt: now,
    });
    this.#of(kind).set(id, record);
    return { kind: "written", record };
  }

  async deleteEntity(kind: EntityKind, id: string, version: number): Promise<boolean> {
    return this.#of(kind).get(id)?.version === version && this.#of(kind).delete(id);
  }

  async listOverrides(): Promise<readonly SavedOverride[]> {
    return [...this.#overrides.values()];
  }

  async putOverride(override: SavedOverride): Promise<void> {
    this.#overrides.set(override.budget, structuredClone(override));
  }

  async deleteOverride(budget: string): Promise<void> {
    this.#overrides.delete(budget);
  }

  async loadCounters(now: number): Promise<readonly Counter[]> {
    return [...this.#counters.values()].filter(({ until }) => until > now);
  }

  async saveCounters(batch: readonly Counter[]): Promise<void> {
    for (const counter of batch) {
      const key = `${counter.window} ${counter.id}`;
      const standing = this.#counters.get(key);
      if (standing === undefined || isNewer(counter, standing)) this.#counters.set(key, { ...counter });
    }
  }

  async dropCounters(until: number): Promise<void> {
    for (const [key, counter] of this.#counters) if (counter.until <= until) this.#counters.delete(key);
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {}

  #of(kind: EntityKind): Map<string, EntityRecord> {
    const entities = this.#entities.get(kind);
    if (entities === undefined) throw new Error(`there is no kind of entity ${String(kind)}`);
    return entities;
  }
}
