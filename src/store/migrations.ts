/** The tables, as steps that each ran once on every database. A step that has been released is never changed. */
import { type Kysely, type Migration, type MigrationProvider, sql } from "kysely";

/** The tables after the last step. */
export interface Tables {
  entities: {
    kind: string;
    id: string;
    version: number;
    /** JSON. */
    document: string;
    /** JSON, of hashes and sealed values only. */
    secret: string | null;
    created_at: number;
    updated_at: number;
  };
  budget_overrides: {
    budget: string;
    /** JSON. */
    document: string;
  };
  counters: {
    id: string;
    window_start: number;
    value: number;
    counted_at: number;
    valid_until: number;
  };
}

const steps: Readonly<Record<string, Migration>> = {
  "0001_entities": {
    up: async (db: Kysely<unknown>) => {
      await db.schema
        .createTable("entities")
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("id", "text", (column) => column.notNull())
        .addColumn("version", "integer", (column) => column.notNull())
        .addColumn("document", "text", (column) => column.notNull())
        .addColumn("secret", "text")
        .addColumn("created_at", "integer", (column) => column.notNull())
        .addColumn("updated_at", "integer", (column) => column.notNull())
        .addPrimaryKeyConstraint("entities_key", ["kind", "id"])
        .execute();
    },
  },
  "0002_counters": {
    up: async (db: Kysely<unknown>) => {
      await db.schema
        .createTable("counters")
        .addColumn("id", "text", (column) => column.notNull())
        .addColumn("window_start", "integer", (column) => column.notNull())
        .addColumn("value", "integer", (column) => column.notNull())
        .addColumn("counted_at", "integer", (column) => column.notNull())
        .addColumn("valid_until", "integer", (column) => column.notNull())
        .addPrimaryKeyConstraint("counters_key", ["id", "window_start"])
        .modifyEnd(sql`without rowid`)
        .execute();
      await db.schema.createIndex("counters_valid_until").on("counters").column("valid_until").execute();
    },
  },
  "0003_budget_overrides": {
    up: async (db: Kysely<unknown>) => {
      await db.schema
        .createTable("budget_overrides")
        .addColumn("budget", "text", (column) => column.primaryKey().notNull())
        .addColumn("document", "text", (column) => column.notNull())
        .execute();
    },
  },
};

export const migrations: MigrationProvider = { getMigrations: async () => ({ ...steps }) };
