/** Writing to the request log's file. Statements are prepared once, for the query builder takes longer than the database. */
import type { Kysely, SqliteDatabase, SqliteStatement } from "kysely";
import { placeOf, seqOf } from "./log-ids.ts";
import { Profiles } from "./log-profiles.ts";
import type { CostChange, LogEntry } from "./log-store.ts";
import { type LogTables, rowColumns } from "./log-tables.ts";
import { contentValues, inserts, rowsAtOnce, rowValues } from "./log-values.ts";

export class LogWriter {
  readonly #db: Kysely<LogTables>;
  readonly #profiles: Profiles;
  readonly #insert: Readonly<Record<"row" | "rows" | "content", SqliteStatement>>;
  readonly #delete: Readonly<Record<"row" | "content" | "profiles", SqliteStatement>>;
  readonly #setCost: SqliteStatement;
  readonly #step: Readonly<Record<"begin" | "commit" | "rollback", SqliteStatement>>;
  /** The numbers of stems. */
  #writers = new Map<string, number>();

  constructor(database: SqliteDatabase, db: Kysely<LogTables>) {
    const prepare = (statement: string) => database.prepare(statement);
    this.#db = db;
    this.#profiles = new Profiles(
      prepare(inserts.profile),
      prepare("update profiles set used_from = ?, used_until = ? where number = ?"),
    );
    this.#insert = { row: prepare(inserts.row), rows: prepare(inserts.rows), content: prepare(inserts.content) };
    this.#delete = {
      row: prepare("delete from request_rows where seq = ?"),
      content: prepare("delete from contents where seq = ?"),
      profiles: prepare(
        `delete from profiles where number in (
          select number from profiles
          where used_until <= coalesce((select min(arrived_at) from request_rows), ${Number.MAX_SAFE_INTEGER})
          limit ?
        ) returning number`,
      ),
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
    const seqs = await this.#places(entries.map(({ row }) => row.id));
    return this.#atOnce(() => {
      let added = 0;
      let values: unknown[] = [];
      const insertRest = (): void => {
        for (let at = 0; at < values.length; at += rowColumns.length)
          added += changesOf(this.#insert.row, values.slice(at, at + rowColumns.length));
        values = [];
      };
      for (const [at, entry] of entries.entries()) {
        const seq = seqs[at];
        if (seq === undefined) throw new Error("a row of the request log has no place");
        const own = rowValues(entry, seq, this.#profiles.numberOf(entry));
        if (entry.content === null) {
          values.push(...own);
          if (values.length < rowsAtOnce * own.length) continue;
          added += changesOf(this.#insert.rows, values);
          values = [];
          continue;
        }
        insertRest();
        const isNew = changesOf(this.#insert.row, own) > 0;
        if (!isNew) continue;
        added++;
        this.#insert.content.run(contentValues(entry.content, seq));
      }
      insertRest();
      also?.();
      return added;
    });
  }

  /** @returns how many there were */
  delete(seqs: readonly number[]): number {
    if (seqs.length === 0) return 0;
    return this.#atOnce(() => {
      let deleted = 0;
      for (const seq of seqs) {
        deleted += changesOf(this.#delete.row, [seq]);
        this.#delete.content.run([seq]);
      }
      return deleted;
    });
  }

  /** Deletes profiles that no row can have any more, no more than so many. */
  deleteProfiles(most: number): void {
    const numbers = this.#delete.profiles.all([most]).map(numberIn);
    if (numbers.length > 0) this.#profiles.forget(new Set(numbers));
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

  /** Where the rows of these ids go. A writer that no row has in the end does no harm. */
  async #places(ids: readonly string[]): Promise<number[]> {
    if (this.#writers.size > mostWriters) this.#writers = new Map();
    const writers = this.#writers;
    const places = ids.map(placeOf);
    const missing = new Set<string>();
    for (const { stem } of places) if (!writers.has(stem)) missing.add(stem);
    for (const stem of missing) {
      const insert = this.#db.insertInto("writers").values({ stem });
      await insert.onConflict((conflict) => conflict.column("stem").doNothing()).execute();
    }
    if (missing.size > 0)
      for (const [stem, number] of await writersOf(this.#db, [...missing])) writers.set(stem, number);
    return places.map((place) => {
      const writer = writers.get(place.stem);
      if (writer === undefined) throw new Error("a writer of the request log has no number");
      return seqOf(writer, place);
    });
  }

  /** Without a pause, so that no other call's statements get into the transaction. */
  #atOnce<Result>(work: () => Result): Result {
    this.#step.begin.run([]);
    try {
      const result = work();
      this.#step.commit.run([]);
      return result;
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

function changesOf(statement: SqliteStatement, values: readonly unknown[]): number {
  return Number(statement.run(values).changes);
}

function numberIn(row: unknown): unknown {
  return typeof row === "object" && row !== null && "number" in row ? row.number : undefined;
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
