/** Opening one of the store's SQLite files: its folder, its settings, its tables. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Kysely, type MigrationProvider, Migrator, SqliteAdapter, type SqliteDatabase, SqliteDialect } from "kysely";
import { openDatabase } from "./sqlite-driver.ts";
import { describeFault } from "./sqlite-faults.ts";
import { StoreError } from "./store.ts";

/** How long another process may hold the file before a call gives up. Milliseconds. */
const busyTimeoutMs = 1000;

/** Lets all steps of a migration, and the note that they ran, be one transaction. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class TransactionalDialect extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}

/**
 * Opens or makes a file.
 *
 * @param file its folder is made when it is missing
 * @throws StoreError `no_driver`; `unreadable`, `full`, `unavailable`
 */
export async function openFile(file: string): Promise<SqliteDatabase> {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    return await openDatabase(file);
  } catch (error) {
    throw describeFault(error, file);
  }
}

/**
 * Sets a database up and brings its tables up to date. It is closed when that fails.
 *
 * @param synchronous `full`: what was answered as written survives the loss of power; `normal`: that of the process
 * @throws StoreError as {@link openFile}; `unreadable` also for a file of a newer version, which is left as it is
 */
export async function prepareDatabase<Tables>(
  database: SqliteDatabase,
  file: string,
  migrations: MigrationProvider,
  synchronous: "full" | "normal",
): Promise<Kysely<Tables>> {
  const settings = [
    `pragma busy_timeout = ${busyTimeoutMs}`,
    "pragma journal_mode = wal",
    `pragma synchronous = ${synchronous}`,
    // What is deleted, such as the hash of a key, leaves no trace in the file.
    "pragma secure_delete = on",
  ];
  try {
    for (const setting of settings) {
      const statement = database.prepare(setting);
      if (statement.reader) statement.all([]);
      else statement.run([]);
    }
  } catch (error) {
    database.close();
    throw describeFault(error, file);
  }
  const db = new Kysely<Tables>({ dialect: new TransactionalDialect({ database }) });
  const { error } = await new Migrator({ db, provider: migrations }).migrateToLatest();
  if (error === undefined) return db;
  await db.destroy();
  if (!isNewerFile(error)) throw describeFault(error, file);
  const message = `${file} was written by a newer version of the gateway; it is left as it is`;
  throw new StoreError("unreadable", message, error);
}

/** Kysely's words for a step that ran on the file and is not known here. */
function isNewerFile(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("corrupted migrations");
}
