/** The numbers of the profiles that were last used. Fast path: each row asks for its own. */
import type { SqliteStatement } from "kysely";
import type { LogEntry, LogRow } from "./log-store.ts";
import { onlyAttempt, profileValues } from "./log-values.ts";

/** A profile says for so long ahead that it is used. Milliseconds. */
const aheadMs = 3_600_000;

interface Known {
  readonly number: number;
  usedUntil: number;
}

interface Recent {
  /** Any that has it: texts of one batch are the same objects, and quickly compared. */
  row: LogRow;
  readonly choice: string | null;
  readonly known: Known;
}

/**
 * A profile that is no longer known is written once more, which is harmless. All texts may be a client's word, so that
 * any number of profiles may come, and of any size: what is remembered is bounded.
 */
export class Profiles {
  readonly #insert: SqliteStatement;
  readonly #extend: SqliteStatement;
  readonly #known = new Map<string, Known>();
  /** Looked through first, the last used at the front. */
  #recent: Recent[] = [];

  /** @param insert takes `profileValues` @param extend takes `used_until` and the number */
  constructor(insert: SqliteStatement, extend: SqliteStatement) {
    this.#insert = insert;
    this.#extend = extend;
  }

  /** The number of an entry's profile, which is written if need be. */
  numberOf({ row, attempts }: LogEntry): number {
    const choice = onlyAttempt(row, attempts)?.choice ?? null;
    const known = this.#recentOf(row, choice) ?? this.#find(row, choice);
    if (row.arrivedAt >= known.usedUntil) {
      known.usedUntil = row.arrivedAt + aheadMs;
      this.#extend.run([known.usedUntil, known.number]);
    }
    return known.number;
  }

  /** Forgets those that say that they were used until then at most. Milliseconds since 1970. */
  forget(until = Number.POSITIVE_INFINITY): void {
    for (const [key, { usedUntil }] of this.#known) if (usedUntil <= until) this.#known.delete(key);
    this.#recent = this.#recent.filter(({ known }) => known.usedUntil > until);
  }

  #recentOf(row: LogRow, choice: string | null): Known | undefined {
    const all = this.#recent;
    for (let at = 0; at < all.length; at++) {
      const one = all[at];
      if (one === undefined || one.choice !== choice || !isSame(one.row, row)) continue;
      one.row = row;
      for (let behind = at; behind > 0; behind--) all[behind] = all[behind - 1] ?? one;
      all[0] = one;
      return one.known;
    }
    return undefined;
  }

  #find(row: LogRow, choice: string | null): Known {
    const key = JSON.stringify(profileValues(row, choice, 0));
    const known = this.#known.get(key) ?? this.#write(row, choice);
    // The oldest makes room.
    this.#known.delete(key);
    if (key.length <= longestKey) this.#known.set(key, known);
    if (this.#known.size > mostKnown) this.#known.delete(this.#known.keys().next().value ?? "");
    if (key.length <= longestKey) this.#recent = [{ row, choice, known }, ...this.#recent.slice(0, mostRecent - 1)];
    return known;
  }

  #write(row: LogRow, choice: string | null): Known {
    const usedUntil = row.arrivedAt + aheadMs;
    const { lastInsertRowid } = this.#insert.run(profileValues(row, choice, usedUntil));
    return { number: Number(lastInsertRowid), usedUntil };
  }
}

/** UTF-16 units. */
const longestKey = 4096;
const mostKnown = 2000;
const mostRecent = 16;

/** What differs most comes first. */
function isSame(a: LogRow, b: LogRow): boolean {
  return (
    a.model === b.model &&
    a.virtualKeyId === b.virtualKeyId &&
    a.keyId === b.keyId &&
    a.askedModel === b.askedModel &&
    a.status === b.status &&
    a.operation === b.operation &&
    a.stopReason === b.stopReason &&
    a.streams === b.streams &&
    a.provider === b.provider &&
    a.keyName === b.keyName &&
    a.virtualKeyName === b.virtualKeyName &&
    a.teamId === b.teamId &&
    a.teamName === b.teamName &&
    a.customerId === b.customerId &&
    a.customerName === b.customerName &&
    a.outcome === b.outcome &&
    a.errorType === b.errorType &&
    a.errorClass === b.errorClass &&
    a.usageEstimated === b.usageEstimated &&
    a.fallbackIndex === b.fallbackIndex &&
    a.attemptCount === b.attemptCount &&
    a.cacheKind === b.cacheKind &&
    a.cacheReason === b.cacheReason &&
    a.limit === b.limit &&
    isSameList(a.rules, b.rules)
  );
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((text, at) => text === b[at]));
}
