/** SQLite as Node has it: built in from Node 22.13 on, else by the optional package better-sqlite3. */
import type { SqliteDatabase } from "kysely";
import { StoreError } from "./store.ts";

/** What is used of `node:sqlite`, which Node 20 and its types do not have. */
interface BuiltIn {
  readonly DatabaseSync: new (
    file: string,
  ) => {
    close(): void;
    prepare(sql: string): {
      all(...parameters: readonly unknown[]): unknown[];
      iterate(...parameters: readonly unknown[]): IterableIterator<unknown>;
      run(...parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
    };
  };
}

/**
 * Opens or makes a database file.
 *
 * @throws StoreError `no_driver` naming the package when there is none; as the driver throws when the file cannot be
 * opened
 */
export async function openDatabase(file: string): Promise<SqliteDatabase> {
  const builtIn = await importBuiltIn();
  if (builtIn !== undefined) return adapt(new builtIn.DatabaseSync(file));
  const { default: BetterSqlite3 } = await importPackage();
  let database: InstanceType<typeof BetterSqlite3>;
  try {
    database = new BetterSqlite3(file);
  } catch (error) {
    // The package is there, but what was compiled for it is missing or was compiled for another Node.
    if (isLoadFailure(error)) throw noDriver(error);
    throw error;
  }
  return {
    close: () => database.close(),
    prepare: (sql) => {
      const statement = database.prepare<unknown[], unknown>(sql);
      return {
        reader: statement.reader,
        all: (parameters) => statement.all(...parameters),
        run: (parameters) => statement.run(...parameters),
        iterate: (parameters) => statement.iterate(...parameters),
      };
    },
  };
}

/** @returns undefined where Node has none, or only behind a flag */
async function importBuiltIn(): Promise<BuiltIn | undefined> {
  // By a variable: a literal is resolved by bundlers and type checkers, for which the module may not exist.
  const name = "node:sqlite";
  try {
    const module: unknown = await import(name);
    return isBuiltIn(module) ? module : undefined;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_UNKNOWN_BUILTIN_MODULE") return undefined;
    throw error;
  }
}

async function importPackage() {
  try {
    return await import("better-sqlite3");
  } catch (error) {
    throw noDriver(error);
  }
}

function adapt(database: InstanceType<BuiltIn["DatabaseSync"]>): SqliteDatabase {
  return {
    close: () => database.close(),
    prepare: (sql) => {
      const statement = database.prepare(sql);
      return {
        // Asking the statement for its columns needs Node 22.16.
        reader: /^\s*(?:select|pragma|with)\b|\breturning\b/i.test(sql),
        all: (parameters) => statement.all(...parameters),
        run: (parameters) => statement.run(...parameters),
        iterate: (parameters) => statement.iterate(...parameters),
      };
    },
  };
}

function isBuiltIn(module: unknown): module is BuiltIn {
  return typeof module === "object" && module !== null && "DatabaseSync" in module;
}

function isLoadFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ("code" in error && error.code === "ERR_DLOPEN_FAILED") || error.message.startsWith("Could not locate");
}

function noDriver(cause: unknown): StoreError {
  return new StoreError(
    "no_driver",
    `storage.kind "sqlite" needs the package better-sqlite3 on Node ${process.versions.node}, and it cannot be loaded: ` +
      "run npm install with a C++ toolchain (npm rebuild better-sqlite3 after a change of Node), use Node 22.13 or " +
      'later, or set storage.kind to "memory"',
    cause,
  );
}
