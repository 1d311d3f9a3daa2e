/** The tables of the request log, as steps that each ran once on every database. A step that has been released is never changed. */
import { type Kysely, type Migration, type MigrationProvider, sql } from "kysely";

/** Columns with what SQLite calls their types. */
const firstRequest = `id text not null, request_id text not null, request_hash integer not null,
  arrived_at integer not null, duration_ms real not null, upstream_ms real not null, first_event_ms real,
  operation text not null, streams integer not null, asked_model text, provider text, model text, key_id text,
  key_name text, virtual_key_id text, virtual_key_name text, team_id text, team_name text, customer_id text,
  customer_name text, outcome text not null, status integer not null, error_type text, error_class text, message text,
  input_tokens integer, output_tokens integer, cache_read_tokens integer, cache_write_tokens integer,
  total_tokens integer, usage_estimated integer not null, cost_micro_usd integer, stop_reason text,
  fallback_index integer not null, attempt_count integer not null, rules text not null, cache_kind text,
  cache_reason text, cache_similarity real, cache_entry_id text, limit_name text, dimensions text not null,
  session text, trace_id text, span_id text`;
const firstAttempt = `provider text not null, model text, key_id text not null, key_name text not null,
  fallback_index integer not null, started_after_ms real not null, duration_ms real not null, status integer not null,
  outcome text not null, error_type text, error_class text, choice text, span_id text`;

const profile = `number integer primary key, used_from integer not null, used_until integer not null, operation text not null,
  streams integer not null, asked_model text, provider text, model text, key_id text, key_name text,
  virtual_key_id text, virtual_key_name text, team_id text, team_name text, customer_id text, customer_name text,
  outcome text not null, status integer not null, error_type text, error_class text, usage_estimated integer not null,
  stop_reason text, fallback_index integer not null, attempt_count integer not null, rules text not null,
  cache_kind text, cache_reason text, limit_name text, choice text`;
const row = `seq integer primary key, profile integer not null, arrived_at integer not null, duration_ms real not null,
  upstream_ms real not null, first_event_ms real, request_id text not null, request_hash integer not null, message text,
  input_tokens integer, output_tokens integer, cache_read_tokens integer, cache_write_tokens integer,
  cost_micro_usd integer, cache_similarity real, cache_entry_id text, dimensions text, session text, trace_id text,
  span_id text, attempt_start_ms real, attempt_ms real, attempt_span_id text, attempts text`;

const view = `create view requests as
  select r.*, p.*, w.stem,
    r.input_tokens + r.output_tokens + r.cache_read_tokens + r.cache_write_tokens as total_tokens
  from request_rows r
  left join profiles p on p.number = r.profile
  left join writers w on w.number = r.seq >> 32`;

const steps: Readonly<Record<string, Migration>> = {
  "0001_requests": {
    up: async (db) => {
      // Numbers are not used again, so that a part of a request that was deleted never becomes another's.
      await run(db, [
        `create table requests (seq integer primary key autoincrement, ${firstRequest})`,
        `create table attempts (seq integer not null, position integer not null, ${firstAttempt},
          primary key (seq, position)) without rowid`,
        contents,
        "create unique index requests_id on requests (id)",
        "create index requests_request_hash on requests (request_hash)",
        "create index requests_arrived_at on requests (arrived_at, id)",
        "create index requests_virtual_key on requests (virtual_key_id, arrived_at) where virtual_key_id is not null",
        "create index requests_session on requests (session) where session is not null",
      ]);
    },
  },
  "0002_profiles": {
    up: async (db) => {
      await run(db, [
        // Rows are carried over afterwards, some at a time, for it may take minutes.
        "drop index requests_id",
        "drop index requests_request_hash",
        "drop index requests_virtual_key",
        "drop index requests_session",
        "alter table requests rename to old_requests",
        "alter table attempts rename to old_attempts",
        "alter table contents rename to old_contents",
        contents,
        // The number is the upper part of a row's own, which must be one that JavaScript can hold.
        "create table writers (number integer primary key check (number < 2097152), stem text not null unique)",
        `create table profiles (${profile})`,
        "create index profiles_used_until on profiles (used_until)",
        `create table request_rows (${row})`,
        // With the profile, so that what is chosen by it alone is chosen from the index.
        "create index request_rows_arrived_at on request_rows (arrived_at, profile)",
        // Request ids come in any order: an index on them alone would have every row write a page of its own, the more
        // rows there are. So some neighbours have a part of the index to themselves; a search goes through the parts.
        `create index request_rows_request on request_rows (seq >> 11, request_hash)`,
        "create index request_rows_session on request_rows (session, arrived_at) where session is not null",
        view,
      ]);
      const old = await sql`select 1 from old_requests limit 1`.execute(db);
      if (old.rows.length === 0)
        await run(db, ["drop table old_requests", "drop table old_attempts", "drop table old_contents"]);
    },
  },
};

/** Apart, so that looking through many rows does not read what is large in them. */
const contents = "create table contents (seq integer primary key, request text, answer text, sealed integer not null)";

async function run(db: Kysely<unknown>, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export const logMigrations: MigrationProvider = { getMigrations: async () => ({ ...steps }) };
