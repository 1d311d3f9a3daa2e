/** Costs of the log's rows, worked out again with the prices in force. What budgets were charged stays as it is. */
import type { Prices } from "../governance/prices.ts";
import { type CostChange, isCacheHit, type LogFilter, type LogReader, type LogRow } from "../store/log-store.ts";
import type { Document } from "../store/store.ts";
import { timeText, usd } from "./logs-show.ts";

const pageRows = 500;
/** Rows of one call; the answer says where the next one begins. */
const mostRows = 100_000;

/**
 * Goes through the rows from the newest to the oldest. The price list says what a price was at a time: rows are priced
 * by their own.
 */
export async function recalculateCosts(reader: LogReader, filter: LogFilter, prices: Prices): Promise<Document> {
  const tally = { seen: 0, changed: 0, stillMissing: 0, before: 0, after: 0 };
  let last: LogRow | undefined;
  let isComplete = false;
  while (tally.seen < mostRows) {
    const after = last && { after: { arrivedAt: last.arrivedAt, id: last.id } };
    const query = { filter, sort: "arrivedAt", descending: true, limit: pageRows, offset: 0, ...after } as const;
    const { rows } = await reader.list(query);
    const changes: CostChange[] = [];
    for (const row of rows) {
      tally.seen++;
      if (!isCharged(row)) continue;
      const costMicroUsd = costOf(row, prices) ?? null;
      if (costMicroUsd === null) tally.stillMissing++;
      if (costMicroUsd === row.costMicroUsd) continue;
      tally.changed++;
      tally.before += row.costMicroUsd ?? 0;
      tally.after += costMicroUsd ?? 0;
      changes.push({ id: row.id, costMicroUsd });
    }
    if (changes.length > 0) await reader.setCosts(changes);
    last = rows.at(-1) ?? last;
    isComplete = rows.length < pageRows;
    if (isComplete) break;
  }
  return {
    rows: tally.seen,
    changed: tally.changed,
    missing_cost: tally.stillMissing,
    cost_before: usd(tally.before),
    cost_after: usd(tally.after),
    difference: usd(tally.after - tally.before),
    complete: isComplete,
    // Rows of the same millisecond may be seen again, and then are right already.
    continue_with_end_time: isComplete || last === undefined ? null : timeText(last.arrivedAt + 1),
  };
}

/** Failures are not charged, and what a cache answered cost what it cost then. */
function isCharged(row: LogRow): boolean {
  return row.outcome !== "error" && row.totalTokens !== null && !isCacheHit(row);
}

function costOf(row: LogRow, prices: Prices): number | undefined {
  const { provider, model, arrivedAt } = row;
  if (provider === null || model === null) return undefined;
  const usage = {
    input: row.inputTokens ?? 0,
    output: row.outputTokens ?? 0,
    cacheRead: row.cacheReadTokens ?? 0,
    cacheWrite: row.cacheWriteTokens ?? 0,
  };
  return prices.cost(provider, model, usage, arrivedAt);
}
