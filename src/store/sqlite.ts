/** The store in one SQLite file. Its calls block the thread: it lives in a thread of its own. */
import { type Kysely, type SqliteDatabase, sql } from "kysely";
import { migrations, type Tables } from "./migrations.ts";
import { describeFault } from "./sqlite-faults.ts";
import { openFile, prepareDatabase } from "./sqlite-open.ts";
import {
  type Counter,
  type Document,
  type EntityKind,
  type EntityRecord,
  type EntityWrite,
  entityKinds,
  type SavedOverride,
  type Store,
  StoreError,
  type Written,
} from "./store.ts";

/** Rows of one statement; SQLite takes at most 32,766 parameters. */
const rowsPerInsert = 1000;

type Row = Tables["entities"];

/**
 * Opens or makes the store's file, and brings its tables up to date.
 *
 * @param file its folder is made when it is missing
 * @throws StoreError `no_driver`; `unreadable` for a file that is no database or of a newer version, which is left as it
 * is; `full`; `unavailable` when another process holds it
 */
export async function openSqlite(file: string): Promise<Store> {
  return openSqliteDatabase(await openFile(file), file);
}

/** As {@link openSqlite}, with a database that is open already and is closed by the store. */
export async function openSqliteDatabase(database: SqliteDatabase, file: string): Promise<Store> {
  return new SqliteStore(await prepareDatabase<Tables>(database, file, migrations, "full"), file);
}

class SqliteStore implements Store {
  readonly #db: Kysely<Tables>;
  readonly #file: string;
  #closed = false;

  constructor(db: Kysely<Tables>, file: string) {
    this.#db = db;
    this.#file = file;
  }

  listEntities(kind?: EntityKind): Promise<readonly EntityRecord[]> {
    return this.#run(async (db) => {
      const all = db.selectFrom("entities").selectAll().orderBy("kind").orderBy("id");
      const rows = await (kind === undefined ? all : all.where("kind", "=", kind)).execute();
      return rows.flatMap((row) => this.#read(row) ?? []);
    });
  }

  getEntity(kind: EntityKind, id: string): Promise<EntityRecord | undefined> {
    return this.#run(async (db) => {
      const query = db.selectFrom("entities").selectAll().where("kind", "=", kind).where("id", "=", id);
      const row = await query.executeTakeFirst();
      return row && this.#read(row);
    });
  }

  putEntity({ kind, id, replaces, document, secret, now }: EntityWrite): Promise<Written> {
    return this.#run(async (db) => {
      const values = {
        version: replaces + 1,
        document: JSON.stringify(document),
        secret: secret === null ? null : JSON.stringify(secret),
        updated_at: now,
      };
      const query =
        replaces === 0
          ? db
              .insertInto("entities")
              .values({ kind, id, created_at: now, ...values })
              .onConflict((conflict) => conflict.columns(["kind", "id"]).doNothing())
              .returningAll()
          : db
              .updateTable("entities")
              .set(values)
              .where("kind", "=", kind)
              .where("id", "=", id)
              .where("version", "=", replaces)
              .returningAll();
      const row = await query.executeTakeFirst();
      const record = row && this.#read(row);
      if (record !== undefined) return { kind: "written", record };
      const standing = db.selectFrom("entities").select("version").where("kind", "=", kind).where("id", "=", id);
      return { kind: "conflict", version: (await standing.executeTakeFirst())?.version ?? 0 };
    });
  }

  deleteEntity(kind: EntityKind, id: string, version: number): Promise<boolean> {
    return this.#run(async (db) => {
      const query = db
        .deleteFrom("entities")
        .where("kind", "=", kind)
        .where("id", "=", id)
        .where("version", "=", version);
      return (await query.executeTakeFirst()).numDeletedRows > 0n;
    });
  }

  listOverrides(): Promise<readonly SavedOverride[]> {
    return this.#run(async (db) => {
      const rows = await db.selectFrom("budget_overrides").selectAll().execute();
      return rows.map(({ budget, document }) => ({ budget, document: this.#parse(document, `budget ${budget}`) }));
    });
  }

  putOverride({ budget, document }: SavedOverride): Promise<void> {
    return this.#run(async (db) => {
      const text = JSON.stringify(document);
      await db
        .insertInto("budget_overrides")
        .values({ budget, document: text })
        .onConflict((conflict) => conflict.column("budget").doUpdateSet({ document: text }))
        .execute();
    });
  }

  deleteOverride(budget: string): Promise<void> {
    return this.#run(async (db) => {
      await db.deleteFrom("budget_overrides").where("budget", "=", budget).execute();
    });
  }

  loadCounters(now: number): Promise<readonly Counter[]> {
    return this.#run((db) =>
      db
        .selectFrom("counters")
        .select(["id", "window_start as window", "value", "counted_at as at", "valid_until as until"])
        .where("valid_until", ">", now)
        .execute(),
    );
  }

  saveCounters(batch: readonly Counter[]): Promise<void> {
    return this.#run((db) =>
      db.transaction().execute(async (transaction) => {
        for (let start = 0; start < batch.length; start += rowsPerInsert) {
          const rows = batch.slice(start, start + rowsPerInsert).map(({ id, window, value, at, until }) => ({
            id,
            window_start: window,
            value,
            counted_at: at,
            valid_until: until,
          }));
          await transaction
            .insertInto("counters")
            .values(rows)
            .onConflict((conflict) =>
              conflict
                .columns(["id", "window_start"])
                .doUpdateSet((eb) => ({
                  value: eb.ref("excluded.value"),
                  counted_at: eb.ref("excluded.counted_at"),
                  valid_until: eb.ref("excluded.valid_until"),
                }))
                .where(sql<boolean>`(excluded.counted_at, excluded.value) > (counters.counted_at, counters.value)`),
            )
            .execute();
        }
      }),
    );
  }

  dropCounters(until: number): Promise<void> {
    return this.#run(async (db) => {
      await db.deleteFrom("counters").where("valid_until", "<=", until).execute();
    });
  }

  ping(): Promise<void> {
    return this.#run(async (db) => {
      await sql`select 1`.execute(db);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#db.destroy();
  }

  async #run<Result>(work: (db: Kysely<Tables>) => Promise<Result>): Promise<Result> {
    if (this.#closed) throw new StoreError("unavailable", `${this.#file} is closed`);
    try {
      return await work(this.#db);
    } catch (error) {
      throw describeFault(error, this.#file);
    }
  }

  /** @returns undefined for a kind that only another version knows */
  #read({ kind, id, version, document, secret, created_at: createdAt, updated_at: updatedAt }: Row) {
    const known = entityKinds.find((one) => one === kind);
    if (known === undefined) return undefined;
    const at = `${kind} ${id}`;
    const record: EntityRecord = {
      kind: known,
      id,
      version,
      document: this.#parse(document, at),
      secret: secret === null ? null : this.#parse(secret, at),
      createdAt,
      updatedAt,
    };
    return record;
  }

  #parse(text: string, at: string): Document {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // The parser's message shows the text, which must not get into a log.
      value = undefined;
    }
    if (isDocument(value)) return value;
    throw new StoreError("unreadable", `${this.#file}: the row of ${at} does not hold JSON`);
  }
}

function isDocument(value: unknown): value is Document {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
