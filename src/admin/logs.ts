/** The request log's part of the management API. */
import type { Prices } from "../governance/prices.ts";
import type { LogFilter, LogReader } from "../store/log-store.ts";
import type { Document } from "../store/store.ts";
import type { LogState } from "../telemetry/request-log.ts";
import type { AdminAnswer } from "./answer.ts";
import { json } from "./answer.ts";
import { readObject } from "./body.ts";
import { AdminFailure, invalid } from "./failure.ts";
import { recalculateCosts } from "./logs-cost.ts";
import { readFilter, readRowFilter, sorts } from "./logs-filter.ts";
import { showFound, showRow, showSum, showValues } from "./logs-show.ts";
import { histogram, type LogCall, ranking, stats } from "./logs-sums.ts";
import { QueryReader } from "./query.ts";

export interface LogServices {
  readonly reader: LogReader;
  /** Content is encrypted, so that it cannot be searched. */
  readonly sealed: boolean;
  /** In force. */
  readonly prices: () => Prices;
  /** Of each front end. */
  readonly states: () => Promise<readonly LogState[]>;
}

export interface LogRequest {
  /** The segments behind `/api/logs`, decoded. */
  readonly path: readonly string[];
  readonly query: string;
  readonly body: Uint8Array;
}

type Handler = () => Promise<AdminAnswer>;

/**
 * What answers by each method; undefined when there is no such path.
 *
 * @param now milliseconds since 1970
 */
export function logHandlers(
  { path, query, body }: LogRequest,
  services: LogServices,
  now: number,
): Readonly<Record<string, Handler>> | undefined {
  const call: LogCall = { query: new QueryReader(query), reader: services.reader, now };
  const get = (work: () => Promise<Document>) => ({ GET: async () => json(200, await work()) });
  const [first, second, ...more] = path;
  if (first === undefined)
    return {
      ...get(() => list(call, services)),
      DELETE: async () => json(200, await remove(call, body)),
    };
  if (first === "histogram") return get(() => histogram(call, path.slice(1)));
  if (first === "sessions" && second !== undefined && more.length === 0) return get(() => session(call, second));
  if (second !== undefined) return undefined;
  switch (first) {
    case "stats":
      return get(() => stats(call));
    case "rankings":
      return get(() => ranking(call));
    case "filterdata":
      return get(() => filterData(call));
    case "dropped":
      return get(() => dropped(call, services));
    case "live":
      return { GET: async () => live(call) };
    case "recalculate-cost":
      return { POST: async () => json(200, await recalculate(call, services)) };
    default:
      return get(() => one(call, first));
  }
}

async function list({ query, reader, now }: LogCall, { sealed }: LogServices): Promise<Document> {
  const filter = readFilter(query, now);
  if (sealed && filter.content !== undefined)
    query.fault("content_search", "is not possible: content is encrypted in the store");
  return { ...(await page({ query, reader, now }, filter)) };
}

async function page({ query, reader }: LogCall, filter: LogFilter): Promise<Document> {
  const sort = query.choice("sort_by", ["timestamp", "latency", "tokens", "cost"], "timestamp");
  const order = query.choice("order", ["desc", "asc"], "desc");
  const limit = query.integer("limit", 50, 1, 1000);
  const offset = query.integer("offset", 0, 0, 1_000_000);
  query.end();
  const { rows, total } = await reader.list({ filter, sort: sorts[sort], descending: order === "desc", limit, offset });
  return { logs: rows.map(showRow), pagination: { limit, offset, sort_by: sort, order, total_count: total } };
}

async function one({ query, reader }: LogCall, id: string): Promise<Document> {
  query.end();
  const found = await reader.find(id);
  if (found !== undefined) return showFound(found);
  throw new AdminFailure("not_found", "The log has no request of this id.");
}

async function session({ query, reader, now }: LogCall, id: string): Promise<Document> {
  const filter = { fields: { session: [id] } };
  const [shown, [sum]] = [await page({ query, reader, now }, filter), await reader.sum({ filter, limit: 1 })];
  if (sum === undefined || sum.requests === 0)
    throw new AdminFailure("not_found", "The log has no request of this session.");
  return { session_id: id, summary: showSum(sum), ...shown };
}

async function filterData({ query, reader, now }: LogCall): Promise<Document> {
  const filter = readFilter(query, now);
  query.end();
  return showValues(await reader.values(filter));
}

async function dropped({ query }: LogCall, { states }: LogServices): Promise<Document> {
  query.end();
  const all = await states();
  const sum = (count: (state: LogState) => number): number => all.reduce((total, state) => total + count(state), 0);
  return { dropped: sum((state) => state.dropped), waiting: sum((state) => state.waiting) };
}

/** The rows themselves come from the feed, to whoever has this answer. */
function live({ query }: LogCall): AdminAnswer {
  const filter = readRowFilter(query);
  query.end();
  return {
    status: 200,
    headers: [
      ["content-type", "text/event-stream"],
      ["cache-control", "no-store"],
      // Proxies would else wait for more.
      ["x-accel-buffering", "no"],
    ],
    body: "",
    live: filter,
  };
}

async function recalculate({ query, reader, now }: LogCall, { prices }: LogServices): Promise<Document> {
  const filter = readFilter(query, now);
  query.end();
  return recalculateCosts(reader, filter, prices());
}

const mostIds = 1000;

async function remove({ query, reader }: LogCall, body: Uint8Array): Promise<Document> {
  // Some clients cannot send a body with a DELETE.
  const listed = query.list("ids");
  query.end();
  const { ids = listed, ...others } = body.length === 0 ? {} : readObject(body);
  const faults = Object.keys(others).map((path) => ({ path, message: "is not a known field" }));
  if (!isIds(ids)) faults.push({ path: "ids", message: `must be 1 to ${mostIds} ids of rows` });
  if (!isIds(ids) || faults.length > 0) throw invalid(faults);
  return { deleted: await reader.remove([...new Set(ids)]) };
}

function isIds(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) && value.length > 0 && value.length <= mostIds && value.every((id) => typeof id === "string")
  );
}
