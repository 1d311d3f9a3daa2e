/** The request log in one SQLite file. Its calls block the thread: it lives in a thread of its own. */
import { setImmediate as turn } from "node:timers/promises";
import { type Kysely, type SqlBool, type SqliteDatabase, sql } from "kysely";
import { carryOver, hasOldRows } from "./log-carry.ts";
import { apartBy, columnOf, conditionsOf, sums, upTo, withRequestId } from "./log-conditions.ts";
import { idOf } from "./log-ids.ts";
import { valuesOf } from "./log-memory.ts";
import { logMigrations } from "./log-migrations.ts";
import {
  type CostChange,
  type FoundLog,
  type LogEntry,
  type LogFilter,
  type LogLatency,
  type LogPage,
  type LogQuery,
  type LogStore,
  type LogSum,
  type LogValues,
  mostCounted,
  newestLookedAt,
  type SumQuery,
  type Sweep,
} from "./log-store.ts";
import type { LogTables } from "./log-tables.ts";
import { readAttempts, readContent, readRow } from "./log-values.ts";
import { LogWriter, seqsOf } from "./log-writer.ts";
import { describeFault } from "./sqlite-faults.ts";
import { openFile, prepareDatabase } from "./sqlite-open.ts";
import { StoreError } from "./store.ts";

/**
 * Opens or makes the request log's file.
 *
 * @throws StoreError as for the store's own file
 */
export async function openSqliteLog(file: string): Promise<LogStore> {
  return openSqliteLogDatabase(await openFile(file), file);
}

/** As {@link openSqliteLog}, with a database that is open already and is closed by the log. */
export async function openSqliteLogDatabase(database: SqliteDatabase, file: string): Promise<LogStore> {
  // The loss of power may cost the last rows, but never the file.
  const db = await prepareDatabase<LogTables>(database, file, logMigrations, "normal");
  await sql`pragma wal_autocheckpoint = ${sql.lit(checkpointPages)}`.execute(db);
  return new SqliteLog(database, db, file, await hasOldRows(db));
}

/** Pages of 4 KiB that are written to the log of changes before the file itself: those written often go there once. */
const checkpointPages = 8192;

class SqliteLog implements LogStore {
  readonly #database: SqliteDatabase;
  readonly #db: Kysely<LogTables>;
  readonly #file: string;
  readonly #writer: LogWriter;
  /** Counted once, and kept up to date: counting millions of rows takes its time. */
  #rows: number | undefined;
  /** There may be rows of a former version. */
  #hasOld: boolean;
  #carrying: Promise<void> | undefined;
  #closed = false;

  constructor(database: SqliteDatabase, db: Kysely<LogTables>, file: string, hasOld: boolean) {
    this.#database = database;
    this.#db = db;
    this.#hasOld = hasOld;
    this.#file = file;
    this.#writer = new LogWriter(database, db);
  }

  append(entries: readonly LogEntry[]): Promise<void> {
    return this.#run(async () => {
      this.#carry();
      this.#count(await this.#writer.append(entries));
    });
  }

  find(id: string): Promise<FoundLog | undefined> {
    return this.#run(async (db) => {
      const [seq] = await seqsOf(db, [id]);
      const all = db.selectFrom("requests").selectAll();
      const newest = all.orderBy("arrived_at", "desc").orderBy("seq", "desc");
      const own = seq === undefined ? undefined : await all.where("seq", "=", seq).executeTakeFirst();
      const table =
        own ??
        (await newest
          .where(sql<SqlBool>`seq in (${withRequestId(id)})`)
          .limit(1)
          .executeTakeFirst());
      if (table === undefined) return undefined;
      const others = await db
        .selectFrom("requests")
        .select(["stem", "seq"])
        .where(sql<SqlBool>`seq in (${withRequestId(table.request_id)})`)
        .where("seq", "!=", table.seq)
        .orderBy("arrived_at", "desc")
        .orderBy("seq", "desc")
        .limit(100)
        .execute();
      const content = await db.selectFrom("contents").selectAll().where("seq", "=", table.seq).executeTakeFirst();
      const entry = {
        row: readRow(idIn(table), table),
        attempts: readAttempts(table),
        content: content === undefined ? null : readContent(content),
      };
      return { entry, others: others.map(idIn) };
    });
  }

  list({ filter, sort, descending, limit, offset, after }: LogQuery): Promise<LogPage> {
    return this.#run(async (db) => {
      const direction = descending ? "desc" : "asc";
      const behind = after === undefined ? filter : upTo(filter, after.arrivedAt, descending);
      const chosen = db.selectFrom("requests").where((eb) => conditionsOf(eb, behind));
      const [seq] = after === undefined ? [] : await seqsOf(db, [after.id]);
      const place = after && sql`(${after.arrivedAt}, ${seq ?? 0})`;
      const isBehind = sql<SqlBool>`(arrived_at, seq) ${sql.raw(descending ? "<" : ">")} ${place}`;
      const rows = await chosen
        .selectAll()
        .$if(after !== undefined, (query) => query.where(isBehind))
        .orderBy(columnOf[sort], direction)
        .orderBy("seq", direction)
        .limit(limit)
        .offset(offset)
        .execute();
      const isLast = after === undefined && rows.length < limit && (rows.length > 0 || offset === 0);
      return {
        rows: rows.map((table) => readRow(idIn(table), table)),
        total: isLast ? Math.min(offset + rows.length, mostCounted) : await countSome(db, filter),
      };
    });
  }

  sum({ filter, bucketMs, group, limit }: SumQuery): Promise<readonly LogSum[]> {
    return this.#run(async (db) => {
      const { bucket, value } = apartBy(bucketMs, group);
      const rows = await db
        .selectFrom("requests")
        .where((eb) => conditionsOf(eb, filter))
        .select([bucket.as("bucket"), value.as("group"), ...sums])
        .$if(bucketMs !== undefined, (query) => query.groupBy(sql`1`).orderBy(sql`1`))
        .$if(group !== undefined, (query) => query.groupBy(sql`2`))
        .orderBy(sql`3 desc`)
        .orderBy(sql`2`)
        .limit(limit)
        .execute();
      return rows;
    });
  }

  latency({ filter, bucketMs, group, limit }: SumQuery): Promise<readonly LogLatency[]> {
    return this.#run(async (db) => {
      const { bucket, value } = apartBy(bucketMs, group);
      const ranked = db
        .selectFrom("requests")
        .where((eb) => conditionsOf(eb, filter))
        .select([
          bucket.as("bucket"),
          value.as("group"),
          "duration_ms",
          sql<number>`row_number() over (partition by ${bucket}, ${value} order by duration_ms)`.as("place"),
          sql<number>`count(*) over (partition by ${bucket}, ${value})`.as("requests"),
        ]);
      const at = (percent: number) =>
        sql<number>`coalesce(max(case when place = (requests * ${sql.lit(percent)} + 99) / 100 then duration_ms end), 0)`;
      return db
        .selectFrom(ranked.as("ranked"))
        .select([
          "bucket",
          "group",
          sql<number>`count(*)`.as("requests"),
          at(50).as("p50Ms"),
          at(90).as("p90Ms"),
          at(95).as("p95Ms"),
          at(99).as("p99Ms"),
        ])
        .$if(bucketMs !== undefined, (query) => query.groupBy("bucket").orderBy("bucket"))
        .$if(group !== undefined, (query) => query.groupBy("group"))
        .orderBy(sql`3 desc`)
        .orderBy("group")
        .limit(limit)
        .execute();
    });
  }

  values(filter: LogFilter): Promise<LogValues> {
    return this.#run(async (db) => {
      const newest = await db
        .selectFrom("requests")
        .selectAll()
        .where((eb) => conditionsOf(eb, filter))
        .orderBy("arrived_at", "desc")
        .orderBy("seq", "desc")
        .limit(newestLookedAt)
        .execute();
      return valuesOf(newest.map((table) => readRow(idIn(table), table)));
    });
  }

  remove(ids: readonly string[]): Promise<number> {
    return this.#run(async (db) => {
      const seqs = await seqsOf(db, ids);
      return this.#delete(seqs.filter((seq) => seq !== undefined));
    });
  }

  setCosts(changes: readonly CostChange[]): Promise<void> {
    return this.#run(async (db) => {
      const seqs = await seqsOf(
        db,
        changes.map(({ id }) => id),
      );
      this.#writer.setCosts(changes, seqs);
    });
  }

  sweep({ before, mostRows, step }: Sweep): Promise<number> {
    return this.#run(async (db) => {
      this.#carry();
      const oldest = db.selectFrom("request_rows").select("seq").orderBy("arrived_at").orderBy("seq");
      const old = await oldest.where("arrived_at", "<", before).limit(step).execute();
      this.#rows ??= await countRows(db);
      const tooMany = Math.min(this.#rows - mostRows, step);
      const rows = tooMany <= old.length ? old : await oldest.limit(tooMany).execute();
      const deleted = this.#delete(rows.map(({ seq }) => seq));
      this.#writer.deleteProfiles(step);
      return deleted;
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#carrying;
    await this.#db.destroy();
  }

  #count(added: number): void {
    if (this.#rows !== undefined) this.#rows += added;
  }

  #delete(seqs: readonly number[]): number {
    const deleted = this.#writer.delete(seqs);
    this.#count(-deleted);
    return deleted;
  }

  /** Between other calls. Only whoever writes carries rows over. */
  #carry(): void {
    if (!this.#hasOld || this.#carrying !== undefined) return;
    this.#carrying = this.#carryAll().finally(() => {
      this.#carrying = undefined;
    });
  }

  async #carryAll(): Promise<void> {
    try {
      while (this.#hasOld && !this.#closed) {
        await turn();
        const carried = await carryOver(this.#database, this.#db, this.#writer);
        this.#hasOld = carried !== undefined;
        this.#count(carried ?? 0);
      }
    } catch {
      // The next rows that are written meet the same fault, and it is told then; after them it is tried again.
    }
  }

  async #run<Result>(work: (db: Kysely<LogTables>) => Promise<Result>): Promise<Result> {
    if (this.#closed) throw new StoreError("unavailable", `${this.#file} is closed`);
    try {
      return await work(this.#db);
    } catch (error) {
      throw describeFault(error, this.#file);
    }
  }
}

function idIn({ stem, seq }: { readonly stem: string; readonly seq: number }): string {
  return idOf(stem, seq);
}

async function countSome(db: Kysely<LogTables>, filter: LogFilter): Promise<number> {
  const chosen = db.selectFrom("requests").where((eb) => conditionsOf(eb, filter));
  const some = chosen.select(sql<number>`1`.as("one")).limit(mostCounted);
  const counted = await db
    .selectFrom(some.as("some"))
    .select((eb) => eb.fn.countAll<number>().as("total"))
    .executeTakeFirst();
  return counted?.total ?? 0;
}

async function countRows(db: Kysely<LogTables>): Promise<number> {
  const counted = await db.selectFrom("request_rows").select(sql<number>`count(*)`.as("rows")).executeTakeFirst();
  return counted?.rows ?? 0;
}
