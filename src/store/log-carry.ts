/**
 * Rows of a file whose tables were those of the first step, carried over into the present ones. The newest come first,
 * some at a time, so that whoever writes or asks meanwhile waits for a few of them only.
 */
import { type Kysely, type SqliteDatabase, sql } from "kysely";
import type { LogAttempt } from "./log-store.ts";
import type { ContentTable, LogTables } from "./log-tables.ts";
import { type RequestColumns, readContent, readOutcome, readRow } from "./log-values.ts";
import type { LogWriter } from "./log-writer.ts";

interface FirstRequest extends RequestColumns {
  readonly id: string;
  readonly seq: number;
}

interface FirstAttempt {
  readonly seq: number;
  readonly provider: string;
  readonly model: string | null;
  readonly key_id: string;
  readonly key_name: string;
  readonly fallback_index: number;
  readonly started_after_ms: number;
  readonly duration_ms: number;
  readonly status: number;
  readonly outcome: string;
  readonly error_type: string | null;
  readonly error_class: string | null;
  readonly choice: string | null;
  readonly span_id: string | null;
}

const rowsAtOnce = 200;

/** Whether there may be such rows. */
export async function hasOldRows(db: Kysely<LogTables>): Promise<boolean> {
  const found = await sql`select 1 from sqlite_master where name = 'old_requests'`.execute(db);
  return found.rows.length > 0;
}

/**
 * Carries some rows over.
 *
 * @returns how many rows that is more; undefined when there are none left, and their tables are gone
 */
export async function carryOver(
  database: SqliteDatabase,
  db: Kysely<LogTables>,
  writer: LogWriter,
): Promise<number | undefined> {
  const { rows } = await sql<FirstRequest>`
    select * from old_requests order by arrived_at desc, id desc limit ${rowsAtOnce}`.execute(db);
  if (rows.length === 0) {
    for (const table of oldTables) await sql`drop table ${sql.table(table)}`.execute(db);
    return undefined;
  }
  const seqs = sql.join(rows.map(({ seq }) => seq));
  const attempts = await sql<FirstAttempt>`
    select * from old_attempts where seq in (${seqs}) order by seq, position`.execute(db);
  const contents = await sql<ContentTable>`select * from old_contents where seq in (${seqs})`.execute(db);
  const attemptsOf = new Map<number, LogAttempt[]>(rows.map(({ seq }) => [seq, []]));
  for (const attempt of attempts.rows) attemptsOf.get(attempt.seq)?.push(readAttempt(attempt));
  const contentOf = new Map(contents.rows.map((content) => [content.seq, readContent(content)]));
  const entries = rows.map((row) => ({
    row: readRow(row.id, row),
    attempts: attemptsOf.get(row.seq) ?? [],
    content: contentOf.get(row.seq) ?? null,
  }));
  const deletes = oldTables.map((table) => database.prepare(`delete from ${table} where seq = ?`));
  return writer.append(entries, () => {
    for (const { seq } of rows) for (const one of deletes) one.run([seq]);
  });
}

const oldTables = ["old_attempts", "old_contents", "old_requests"] as const;

function readAttempt(table: FirstAttempt): LogAttempt {
  return {
    provider: table.provider,
    model: table.model,
    keyId: table.key_id,
    keyName: table.key_name,
    fallbackIndex: table.fallback_index,
    startedAfterMs: table.started_after_ms,
    durationMs: table.duration_ms,
    status: table.status,
    outcome: readOutcome(table.outcome),
    errorType: table.error_type,
    errorClass: table.error_class,
    choice: table.choice,
    spanId: table.span_id,
  };
}
