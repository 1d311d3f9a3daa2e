/** The numbers of the profiles that were last used. Fast path: each row asks for its own. */
import type { SqliteStatement } from "kysely";
import type { LogEntry, LogRow } from "./log-store.ts";
import type { ProfileValues } from "./log-tables.ts";
import { onlyAttempt, profileValues, textsOf } from "./log-values.ts";

/** A profile says that it is used for so long before and after what it is known to be used for. Milliseconds. */
const aroundMs = 3_600_000;

interface Known {
  readonly number: number;
  readonly values: ProfileValues;
  usedFrom: number;
  usedUntil: number;
}

/**
 * A profile that is no longer known is written once more, which is harmless. Texts may be a client's word, so that any
 * number of profiles may come, and of any size: what is remembered is bounded.
 */
export class Profiles {
  readonly #insert: SqliteStatement;
  readonly #extend: SqliteStatement;
  readonly #known = new Map<string, Known>();
  /** The last of those that are alike in what differs most: others of them are found by all that they are. */
  readonly #last = new Map<string, Known>();

  /**
   * @param insert takes `profileValues`
   * @param extend takes `used_from`, `used_until` and the number
   */
  constructor(insert: SqliteStatement, extend: SqliteStatement) {
    this.#insert = insert;
    this.#extend = extend;
  }

  /** The number of an entry's profile, which is written if need be. */
  numberOf({ row, attempts }: LogEntry): number {
    const choice = onlyAttempt(row, attempts)?.choice ?? null;
    const most = `${row.model} ${row.virtualKeyId} ${row.keyId} ${row.stopReason} ${row.status}`;
    let known = this.#last.get(most);
    if (known === undefined || !isOf(known.values, row, choice)) {
      known = this.#find(row, choice, most);
    }
    const { arrivedAt } = row;
    if (arrivedAt < known.usedFrom || arrivedAt >= known.usedUntil) {
      known.usedFrom = Math.min(known.usedFrom, arrivedAt - aroundMs);
      known.usedUntil = Math.max(known.usedUntil, arrivedAt + aroundMs);
      this.#extend.run([known.usedFrom, known.usedUntil, known.number]);
    }
    return known.number;
  }

  /** @param numbers of those that are gone; all where it is not known which */
  forget(numbers?: ReadonlySet<unknown>): void {
    for (const profiles of [this.#known, this.#last])
      for (const [key, { number }] of profiles) if (numbers?.has(number) !== false) profiles.delete(key);
  }

  #find(row: LogRow, choice: string | null, most: string): Known {
    const values = profileValues(row, choice, 0, 0);
    const key = JSON.stringify(values);
    const known = this.#known.get(key) ?? this.#write(row, choice);
    if (key.length <= longestKey) {
      remember(this.#known, key, known);
      remember(this.#last, most, known);
    }
    return known;
  }

  #write(row: LogRow, choice: string | null): Known {
    const usedFrom = row.arrivedAt - aroundMs;
    const usedUntil = row.arrivedAt + aroundMs;
    const values = profileValues(row, choice, usedFrom, usedUntil);
    return { number: Number(this.#insert.run(values).lastInsertRowid), values, usedFrom, usedUntil };
  }
}

/** Of a profile that is remembered, as JSON. UTF-16 units. */
const longestKey = 4096;
const mostKnown = 2000;

/** The one that was asked for longest ago makes room. */
function remember(profiles: Map<string, Known>, key: string, known: Known): void {
  profiles.delete(key);
  profiles.set(key, known);
  if (profiles.size > mostKnown) profiles.delete(profiles.keys().next().value ?? "");
}

function isOf(values: ProfileValues, row: LogRow, choice: string | null): boolean {
  return (
    values[2] === row.operation &&
    values[3] === (row.streams ? 1 : 0) &&
    values[4] === row.askedModel &&
    values[5] === row.provider &&
    values[6] === row.model &&
    values[7] === row.keyId &&
    values[8] === row.keyName &&
    values[9] === row.virtualKeyId &&
    values[10] === row.virtualKeyName &&
    values[11] === row.teamId &&
    values[12] === row.teamName &&
    values[13] === row.customerId &&
    values[14] === row.customerName &&
    values[15] === row.outcome &&
    values[16] === row.status &&
    values[17] === row.errorType &&
    values[18] === row.errorClass &&
    values[19] === (row.usageEstimated ? 1 : 0) &&
    values[20] === row.stopReason &&
    values[21] === row.fallbackIndex &&
    values[22] === row.attemptCount &&
    values[23] === textsOf(row.rules) &&
    values[24] === row.cacheKind &&
    values[25] === row.cacheReason &&
    values[26] === row.limit &&
    values[27] === choice
  );
}
