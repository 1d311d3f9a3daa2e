/** Writing to the request log's file. Statements are prepared once, for the query builder takes longer than the database. */
import type { Kysely, SqliteDatabase, SqliteStatement } from "kysely";
import { placeOf, type RowPlace, seqOf } from "./log-ids.ts";
import { Profiles } from "./log-profiles.ts";
import type { CostChange, LogEntry } from "./log-store.ts";
import type { LogTables } from "./log-tables.ts";
import { contentValues, inserts, rowValues } from "./log-values.ts";

export class LogWriter {
  readonly #db: Kysely<LogTables>;
  readonly #profiles: Profiles;
  readonly #insert: Readonly<Record<"row" | "content", SqliteStatement>>;
  readonly #delete: Readonly<Record<"row" | "content" | "profiles", SqliteStatement>>;
  readonly #setCost: SqliteStatement;
  readonly #step: Readonly<Record<"begin" | "commit" | "rollback", SqliteStatement>>;
  /** The numbers of stems. */
  readonly #writers = new Map<string, number>();

  constructor(database: SqliteDatabase, db: Kysely<LogTables>) {
    const prepare = (statement: string) => database.prepare(statement);
    this.#db = db;
    this.#profiles = new Profiles(
      prepare(inserts.profile),
      prepare("update profiles set used_from = ?, used_until = ? where number = ?"),
    );
    this.#insert = { row: prepare(inserts.row), content: prepare(inserts.content) };
    this.#delete = {
      row: prepare("delete from request_rows where seq = ?"),
      content: prepare("delete from contents where seq = ?"),
      profiles: prepare("delete from profiles where used_until <= ?"),
    };
    this.#setCost = prepare("update request_rows set cost_micro_usd = ? where seq = ?");
    this.#step = { begin: prepare("begin immediate"), commit: prepare("commit"), rollback: prepare("rollback") };
  }

  /**
   * All or none.
   *
   * @param also done in the same transaction
   * @returns how many were not there
   */
  async append(entries: readonly LogEntry[], also?: () => void): Promise<number> {
    const places = entries.map(({ row }) => placeOf(row.id));
    await this.#claim(places);
    const seqs = places.map((place) => seqOf(this.#writers.get(place.stem) ?? 0, place));
    let added = 0;
    this.#atOnce(() => {
      for (const [at, entry] of entries.entries()) {
        const seq = seqs[at] ?? 0;
        const { changes } = this.#insert.row.run(rowValues(entry, seq, this.#profiles.numberOf(entry)));
        if (Number(changes) === 0) continue;
        added++;
        if (entry.content !== null) this.#insert.content.run(contentValues(entry.content, seq));
      }
      also?.();
    });
    return added;
  }

  /** @returns how many there were */
  delete(seqs: readonly number[]): number {
    let deleted = 0;
    if (seqs.length === 0) return deleted;
    this.#atOnce(() => {
      for (const seq of seqs) {
        deleted += Number(this.#delete.row.run([seq]).changes);
        this.#delete.content.run([seq]);
      }
    });
    return deleted;
  }

  /** Deletes profiles that no row can have any more. @param oldest when the oldest row arrived. Milliseconds since 1970 */
  deleteProfiles(oldest: number): void {
    this.#delete.profiles.run([oldest]);
    this.#profiles.forget(oldest);
  }

  /** @param seqs of the changes; undefined where there is no such row */
  setCosts(changes: readonly CostChange[], seqs: readonly (number | undefined)[]): void {
    this.#atOnce(() => {
      for (const [at, { costMicroUsd }] of changes.entries()) {
        const seq = seqs[at];
        if (seq !== undefined) this.#setCost.run([costMicroUsd, seq]);
      }
    });
  }

  /** A number of its own for each stem. A number that no row has in the end does no harm. */
  async #claim(places: readonly RowPlace[]): Promise<void> {
    const missing = new Set<string>();
    for (const { stem } of places) if (!this.#writers.has(stem)) missing.add(stem);
    if (missing.size === 0) return;
    if (this.#writers.size > mostWriters) {
      this.#writers.clear();
      return this.#claim(places);
    }
    for (const stem of missing) {
      const insert = this.#db.insertInto("writers").values({ stem });
      await insert.onConflict((conflict) => conflict.column("stem").doNothing()).execute();
    }
    for (const [stem, number] of await writersOf(this.#db, [...missing])) this.#writers.set(stem, number);
  }

  /** Without a pause, so that no other call's statements get into the transaction. */
  #atOnce(work: () => void): void {
    this.#step.begin.run([]);
    try {
      work();
      this.#step.commit.run([]);
    } catch (error) {
      // Those that were new are gone again.
      this.#profiles.forget();
      try {
        this.#step.rollback.run([]);
      } catch {
        // SQLite has rolled back itself, as it does when the disk is full.
      }
      throw error;
    }
  }
}

const mostWriters = 1000;

/** Where rows of these ids are, or would be; undefined for that of a writer that never was. */
export async function seqsOf(db: Kysely<LogTables>, ids: readonly string[]): Promise<(number | undefined)[]> {
  const places = ids.map(placeOf);
  const writers = await writersOf(db, [...new Set(places.map(({ stem }) => stem))]);
  return places.map((place) => {
    const writer = writers.get(place.stem);
    return writer === undefined ? undefined : seqOf(writer, place);
  });
}

async function writersOf(db: Kysely<LogTables>, stems: readonly string[]): Promise<Map<string, number>> {
  const found = await db.selectFrom("writers").selectAll().where("stem", "in", stems).execute();
  return new Map(found.map(({ stem, number }) => [stem, number]));
}
