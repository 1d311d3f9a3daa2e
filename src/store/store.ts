/** What the gateway keeps beyond its own life, behind one interface: SQLite, memory, later PostgreSQL. */

/** The kinds of entities, named as their sections of the configuration file. */
export const entityKinds = [
  "customers",
  "teams",
  "virtual_keys",
  "model_limits",
  "routing_rules",
  "pricing_overrides",
] as const;
export type EntityKind = (typeof entityKinds)[number];

/** A value of JSON's objects. */
export type Document = Readonly<Record<string, unknown>>;

/** A row: `document` may be shown, `secret` never is. Both are JSON. */
export interface EntityRecord {
  readonly kind: EntityKind;
  readonly id: string;
  /** 1 when it is made, one more with each change. */
  readonly version: number;
  readonly document: Document;
  readonly secret: Document | null;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Milliseconds since 1970. */
  readonly updatedAt: number;
}

export interface EntityWrite {
  readonly kind: EntityKind;
  readonly id: string;
  /** The version that is replaced; 0 when there must be none. */
  readonly replaces: number;
  readonly document: Document;
  readonly secret: Document | null;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What became of a write: a conflict changes nothing and tells the version that stands there, 0 for none. */
export type Written =
  | { readonly kind: "written"; readonly record: EntityRecord }
  | { readonly kind: "conflict"; readonly version: number };

/**
 * What one budget or limit has counted in one window. Values are absolute, never differences, so that a batch may be
 * saved twice or late and the result is the same.
 */
export interface Counter {
  /** Stable over restarts: names the owner and the limit. At most 512 characters. */
  readonly id: string;
  /** The start of the window, milliseconds since 1970. */
  readonly window: number;
  /** Micro-dollars, tokens or requests: a safe integer. */
  readonly value: number;
  /** When it was counted, milliseconds since 1970. A row that was counted later wins; at the same time, the larger. */
  readonly at: number;
  /** When nobody needs it any more (the window's end, or later), milliseconds since 1970. */
  readonly until: number;
}

/** A budget's override. */
export interface SavedOverride {
  /** The budget's id: that of its counter. */
  readonly budget: string;
  readonly document: Document;
}

/**
 * A store. Every function rejects with a {@link StoreError}; a resolved write is on the disk.
 *
 * Request log rows will stand beside the two.
 */
export interface Store {
  /** All entities, or those of one kind, by kind and id. */
  listEntities(kind?: EntityKind): Promise<readonly EntityRecord[]>;
  getEntity(kind: EntityKind, id: string): Promise<EntityRecord | undefined>;
  putEntity(write: EntityWrite): Promise<Written>;
  /**
   * @param version the one that is meant
   * @returns false when there is none of this version
   */
  deleteEntity(kind: EntityKind, id: string, version: number): Promise<boolean>;

  listOverrides(): Promise<readonly SavedOverride[]>;
  /** Puts it in the place of the one there is. */
  putOverride(override: SavedOverride): Promise<void>;
  deleteOverride(budget: string): Promise<void>;

  /** Counters whose `until` lies after `now`. */
  loadCounters(now: number): Promise<readonly Counter[]>;
  /** Saves all or none of them. */
  saveCounters(batch: readonly Counter[]): Promise<void>;
  /** Forgets counters that nobody needs any more. */
  dropCounters(until: number): Promise<void>;

  /** Resolves when the store answers at all. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export type StoreFault =
  /** It did not answer, is closed, or another process holds it. The same call may succeed later. */
  | "unavailable"
  /** The disk is full or the file cannot be written. */
  | "full"
  /** The file is not a database, is damaged, or was written by a newer version. It is left as it is. */
  | "unreadable"
  /** No driver for SQLite is installed. */
  | "no_driver"
  /** Anything else. */
  | "failed";

/** Why a store could not do what it was asked. The message names the file where there is one, and holds no values. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly fault: StoreFault;

  constructor(fault: StoreFault, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.fault = fault;
  }
}

/** True when `a` must replace `b`, both being of one id and window. */
export function isNewer(a: Counter, b: Counter): boolean {
  return a.at > b.at || (a.at === b.at && a.value > b.value);
}
