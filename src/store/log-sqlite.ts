/** The request log in one SQLite file. Its calls block the thread: it lives in a thread of its own. */
import {
  type Expression,
  type ExpressionBuilder,
  type Kysely,
  type RawBuilder,
  type SqlBool,
  type SqliteDatabase,
  type SqliteStatement,
  sql,
} from "kysely";
import { valuesOf } from "./log-memory.ts";
import {
  type ChoosableField,
  type CostChange,
  choosable,
  type FoundLog,
  type LogEntry,
  type LogFilter,
  type LogGroup,
  type LogLatency,
  type LogPage,
  type LogQuery,
  type LogSort,
  type LogStore,
  type LogSum,
  type LogValues,
  type MeasuredField,
  measured,
  mostCounted,
  newestLookedAt,
  type SumQuery,
  type Sweep,
} from "./log-store.ts";
import {
  attemptValues,
  contentValues,
  inserts,
  type LogTables,
  logMigrations,
  readAttempt,
  readRequest,
  requestHash,
  requestValues,
} from "./log-tables.ts";
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
  return new SqliteLog(database, db, file);
}

/** Pages of 4 KiB that are written to the log of changes before the file itself: those written often go there once. */
const checkpointPages = 8192;

const columnOf = {
  arrivedAt: "arrived_at",
  durationMs: "duration_ms",
  totalTokens: "total_tokens",
  costMicroUsd: "cost_micro_usd",
  provider: "provider",
  model: "model",
  askedModel: "asked_model",
  outcome: "outcome",
  operation: "operation",
  keyId: "key_id",
  keyName: "key_name",
  virtualKeyId: "virtual_key_id",
  teamId: "team_id",
  customerId: "customer_id",
  stopReason: "stop_reason",
  cacheKind: "cache_kind",
  errorType: "error_type",
  errorClass: "error_class",
  requestId: "request_id",
  session: "session",
} as const satisfies Record<
  LogSort | ChoosableField | MeasuredField | Extract<LogGroup, string>,
  keyof LogTables["requests"]
>;

type Builder = ExpressionBuilder<LogTables, "requests">;

class SqliteLog implements LogStore {
  readonly #database: SqliteDatabase;
  readonly #db: Kysely<LogTables>;
  readonly #file: string;
  readonly #insert: {
    readonly request: SqliteStatement;
    readonly attempt: SqliteStatement;
    readonly content: SqliteStatement;
  };
  readonly #step: {
    readonly begin: SqliteStatement;
    readonly commit: SqliteStatement;
    readonly rollback: SqliteStatement;
  };
  /** Counted once, and kept up to date: counting millions of rows takes its time. */
  #rows: number | undefined;
  #closed = false;

  constructor(database: SqliteDatabase, db: Kysely<LogTables>, file: string) {
    this.#database = database;
    this.#db = db;
    this.#file = file;
    this.#insert = {
      request: database.prepare(inserts.request),
      attempt: database.prepare(inserts.attempt),
      content: database.prepare(inserts.content),
    };
    this.#step = {
      begin: database.prepare("begin immediate"),
      commit: database.prepare("commit"),
      rollback: database.prepare("rollback"),
    };
  }

  /** Fast path: statements are prepared once, for the query builder takes longer than the database. */
  append(entries: readonly LogEntry[]): Promise<void> {
    return this.#run(async () => {
      let added = 0;
      this.#atOnce(() => {
        for (const entry of entries) {
          const { changes, lastInsertRowid: seq } = this.#insert.request.run(requestValues(entry));
          if (Number(changes) === 0) continue;
          added++;
          for (const [position, attempt] of entry.attempts.entries())
            this.#insert.attempt.run(attemptValues(attempt, seq, position));
          if (entry.content !== null) this.#insert.content.run(contentValues(entry.content, seq));
        }
      });
      if (this.#rows !== undefined) this.#rows += added;
    });
  }

  find(id: string): Promise<FoundLog | undefined> {
    return this.#run(async (db) => {
      const all = db.selectFrom("requests").selectAll();
      const newest = all.orderBy("arrived_at", "desc").orderBy("id", "desc");
      const own = await all.where("id", "=", id).executeTakeFirst();
      const table =
        own ??
        (await newest
          .where("request_hash", "=", requestHash(id))
          .where("request_id", "=", id)
          .limit(1)
          .executeTakeFirst());
      if (table === undefined) return undefined;
      const { seq } = table;
      const attempts = await db.selectFrom("attempts").selectAll().where("seq", "=", seq).orderBy("position").execute();
      const contents = db.selectFrom("contents").selectAll().where("seq", "=", seq);
      const others = await db
        .selectFrom("requests")
        .select("id")
        .where("request_hash", "=", table.request_hash)
        .where("request_id", "=", table.request_id)
        .where("seq", "!=", seq)
        .orderBy("arrived_at", "desc")
        .orderBy("id", "desc")
        .limit(100)
        .execute();
      const kept = await contents.executeTakeFirst();
      const content =
        kept === undefined ? null : { request: kept.request, answer: kept.answer, sealed: kept.sealed !== 0 };
      const entry = { row: readRequest(table), attempts: attempts.map(readAttempt), content };
      return { entry, others: others.map((other) => other.id) };
    });
  }

  list({ filter, sort, descending, limit, offset, after }: LogQuery): Promise<LogPage> {
    return this.#run(async (db) => {
      const direction = descending ? "desc" : "asc";
      const chosen = db.selectFrom("requests").where((eb) => conditionsOf(eb, filter));
      const behind =
        after === undefined
          ? chosen
          : chosen.where(
              sql<SqlBool>`(arrived_at, id) ${sql.raw(descending ? "<" : ">")} (${after.arrivedAt}, ${after.id})`,
            );
      const rows = await behind
        .selectAll()
        .orderBy(columnOf[sort], direction)
        .orderBy("id", direction)
        .limit(limit)
        .offset(offset)
        .execute();
      const some = chosen.select(sql<number>`1`.as("one")).limit(mostCounted);
      const counted = await db
        .selectFrom(some.as("some"))
        .select((eb) => eb.fn.countAll<number>().as("total"))
        .executeTakeFirst();
      return { rows: rows.map(readRequest), total: Number(counted?.total ?? 0) };
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
        .orderBy("id", "desc")
        .limit(newestLookedAt)
        .execute();
      return valuesOf(newest.map(readRequest));
    });
  }

  remove(ids: readonly string[]): Promise<number> {
    return this.#run(async (db) => {
      const rows = await db.selectFrom("requests").select("seq").where("id", "in", ids).execute();
      return this.#delete(rows.map(({ seq }) => seq));
    });
  }

  setCosts(changes: readonly CostChange[]): Promise<void> {
    return this.#run(async () => {
      const update = this.#database.prepare("update requests set cost_micro_usd = ? where id = ?");
      this.#atOnce(() => {
        for (const { id, costMicroUsd } of changes) update.run([costMicroUsd, id]);
      });
    });
  }

  sweep({ before, mostRows, step }: Sweep): Promise<number> {
    return this.#run(async (db) => {
      const oldest = db.selectFrom("requests").select("seq").orderBy("arrived_at").orderBy("id");
      const old = await oldest.where("arrived_at", "<", before).limit(step).execute();
      this.#rows ??= await this.#count(db);
      const tooMany = Math.min(this.#rows - mostRows, step);
      const rows = tooMany <= old.length ? old : await oldest.limit(tooMany).execute();
      return this.#delete(rows.map(({ seq }) => seq));
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#db.destroy();
  }

  async #count(db: Kysely<LogTables>): Promise<number> {
    const counted = await db.selectFrom("requests").select(sql<number>`count(*)`.as("rows")).executeTakeFirst();
    return counted?.rows ?? 0;
  }

  #delete(seqs: readonly number[]): number {
    if (seqs.length === 0) return 0;
    const tables = ["attempts", "contents", "requests"].map((table) =>
      this.#database.prepare(`delete from ${table} where seq = ?`),
    );
    this.#atOnce(() => {
      for (const seq of seqs) for (const table of tables) table.run([seq]);
    });
    if (this.#rows !== undefined) this.#rows -= seqs.length;
    return seqs.length;
  }

  /** Without a pause, so that no other call's statements get into the transaction. */
  #atOnce(work: () => void): void {
    this.#step.begin.run([]);
    try {
      work();
      this.#step.commit.run([]);
    } catch (error) {
      try {
        this.#step.rollback.run([]);
      } catch {
        // SQLite has rolled back itself, as it does when the disk is full.
      }
      throw error;
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

function conditionsOf(eb: Builder, filter: LogFilter): Expression<SqlBool> {
  const { fields, rules, from, to, ranges, dimensions, missingCost, content } = filter;
  const conditions: Expression<SqlBool>[] = [];
  if (from !== undefined) conditions.push(eb("arrived_at", ">=", from));
  if (to !== undefined) conditions.push(eb("arrived_at", "<", to));
  for (const field of choosable) {
    const wanted = fields?.[field];
    if (wanted === undefined) continue;
    conditions.push(eb(columnOf[field], "in", wanted));
    if (field === "requestId") conditions.push(eb("request_hash", "in", wanted.map(requestHash)));
  }
  if (rules !== undefined) {
    const wanted = sql.join(rules);
    conditions.push(sql<SqlBool>`exists (select 1 from json_each(rules) where value in (${wanted}))`);
  }
  for (const field of measured) {
    const { min, max } = ranges?.[field] ?? {};
    if (min !== undefined) conditions.push(eb(columnOf[field], ">=", min));
    if (max !== undefined) conditions.push(eb(columnOf[field], "<=", max));
  }
  if (missingCost === true) conditions.push(isMissingCost);
  for (const [name, value] of dimensions ?? []) conditions.push(sql<SqlBool>`${dimension(name)} = ${value}`);
  if (content !== undefined) {
    const has = (column: string) => sql`instr(lower(${sql.ref(column)}), lower(${content}))`;
    const texts = sql`${has("contents.request")} or ${has("contents.answer")}`;
    conditions.push(
      sql<SqlBool>`exists (select 1 from contents where contents.seq = requests.seq and sealed = 0 and (${texts}))`,
    );
  }
  return eb.and(conditions);
}

const isMissingCost = sql<SqlBool>`(cost_micro_usd is null and total_tokens is not null and outcome <> 'error')`;

/** The value of a dimension; null where the request has none. */
function dimension(name: string): RawBuilder<string | null> {
  return sql<string | null>`json_extract(dimensions, ${`$.${JSON.stringify(name)}`})`;
}

function apartBy(bucketMs: number | undefined, group: LogGroup | undefined) {
  const length = sql.lit(bucketMs ?? 1);
  const bucket = sql<number | null>`arrived_at / ${length} * ${length}`;
  const value = typeof group === "object" ? dimension(group.dimension) : sql<string | null>`${columnOrNull(group)}`;
  return { bucket: bucketMs === undefined ? sql<number | null>`null` : bucket, value };
}

function columnOrNull(group: Extract<LogGroup, string> | undefined): RawBuilder<unknown> {
  return group === undefined ? sql`null` : sql.ref(columnOf[group]);
}

const total = (column: keyof LogTables["requests"]) => sql<number>`coalesce(sum(${sql.ref(column)}), 0)`;
const count = (condition: string) => sql<number>`count(case when ${sql.raw(condition)} then 1 end)`;

const sums = [
  sql<number>`count(*)`.as("requests"),
  count("outcome = 'success'").as("success"),
  count("outcome = 'error'").as("error"),
  count("outcome = 'cancelled'").as("cancelled"),
  total("input_tokens").as("inputTokens"),
  total("output_tokens").as("outputTokens"),
  total("cache_read_tokens").as("cacheReadTokens"),
  total("cache_write_tokens").as("cacheWriteTokens"),
  total("total_tokens").as("totalTokens"),
  total("cost_micro_usd").as("costMicroUsd"),
  sql<number>`count(case when ${isMissingCost} then 1 end)`.as("missingCost"),
  count("cache_kind in ('direct', 'semantic')").as("cacheHits"),
  sql<number>`coalesce(avg(duration_ms), 0)`.as("averageMs"),
  sql<number>`coalesce(max(duration_ms), 0)`.as("maxMs"),
] as const;
