/** Rows of the request log for tests. */
import fc from "fast-check";
import { choosable, type LogAttempt, type LogContent, type LogEntry, type LogRow } from "../../src/store/log-store.ts";

export function logRow(id: string, more: Partial<LogRow> = {}): LogRow {
  return {
    id,
    requestId: `request-${id}`,
    arrivedAt: 1_000_000,
    durationMs: 12.5,
    upstreamMs: 10,
    firstEventMs: null,
    operation: "Converse",
    streams: false,
    askedModel: "m",
    provider: "bedrock",
    model: "m",
    keyId: "k1",
    keyName: "main",
    virtualKeyId: null,
    virtualKeyName: null,
    teamId: null,
    teamName: null,
    customerId: null,
    customerName: null,
    outcome: "success",
    status: 200,
    errorType: null,
    errorClass: null,
    message: null,
    inputTokens: 12,
    outputTokens: 6,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    totalTokens: 18,
    usageEstimated: false,
    costMicroUsd: 18_000,
    stopReason: "end_turn",
    fallbackIndex: 0,
    attemptCount: 1,
    rules: [],
    cacheKind: null,
    cacheReason: null,
    cacheSimilarity: null,
    cacheEntryId: null,
    limit: null,
    dimensions: [],
    session: null,
    traceId: null,
    spanId: null,
    ...more,
  };
}

export function logAttempt(more: Partial<LogAttempt> = {}): LogAttempt {
  return {
    provider: "bedrock",
    model: "m",
    keyId: "k1",
    keyName: "main",
    fallbackIndex: 0,
    startedAfterMs: 0.5,
    durationMs: 10,
    status: 200,
    outcome: "success",
    errorType: null,
    errorClass: null,
    choice: "weighted",
    spanId: null,
    ...more,
  };
}

export function logEntry(
  id: string,
  more: Partial<LogRow> = {},
  attempts: readonly LogAttempt[] = [logAttempt()],
  content: LogContent | null = null,
): LogEntry {
  return { row: logRow(id, { attemptCount: attempts.length, ...more }), attempts, content };
}

const name = fc.constantFrom("a", "b", "ü%_'\"\\");
const maybe = fc.option(name);
const count = fc.option(fc.integer({ min: 0, max: 50 }));
export const dimensionNames = ["env", "cost-center", "__proto__", "a.b"] as const;

/** Rows that have much in common, so that filters find some. */
export const rows: fc.Arbitrary<LogRow> = fc
  .record({
    arrivedAt: fc.integer({ min: 0, max: 20 }).map((n) => 1_800_000_000_000 + n * 1000),
    durationMs: fc.integer({ min: 0, max: 40 }).map((n) => n / 4),
    outcome: fc.constantFrom("success" as const, "error" as const, "cancelled" as const),
    costMicroUsd: count,
    tokens: count,
    rules: fc.uniqueArray(name, { maxLength: 2 }),
    dimensions: fc.uniqueArray(fc.tuple(fc.constantFrom(...dimensionNames), name), {
      maxLength: 3,
      selector: ([key]) => key,
    }),
    cacheKind: fc.constantFrom(null, "direct", "semantic", "miss"),
    streams: fc.boolean(),
    requestId: name,
    ...Object.fromEntries(
      choosable
        .filter((field) => !["outcome", "requestId", "cacheKind", "operation"].includes(field))
        .map((field) => [field, maybe]),
    ),
  })
  .map(({ tokens, ...more }) => logRow("", { ...more, ...tokensOf(tokens) }));

/** Known or unknown all together. */
function tokensOf(total: number | null): Partial<LogRow> {
  if (total === null)
    return {
      inputTokens: null,
      outputTokens: null,
      cacheReadTokens: null,
      cacheWriteTokens: null,
      totalTokens: null,
    };
  const read = total % 3;
  return {
    inputTokens: total - read,
    outputTokens: 0,
    cacheReadTokens: read,
    cacheWriteTokens: 0,
    totalTokens: total,
  };
}

export const entries: fc.Arbitrary<LogEntry[]> = fc
  .array(fc.record({ row: rows, attempts: fc.integer({ min: 0, max: 3 }), content: fc.option(name) }), {
    maxLength: 25,
  })
  .map((all) =>
    all.map(({ row, attempts, content }, index) => ({
      row: { ...row, id: `row${index}`, attemptCount: attempts },
      attempts: Array.from({ length: attempts }, (_, n) => logAttempt({ keyName: `k${n}` })),
      content: content === null ? null : { request: content, answer: null, sealed: index % 2 === 0 },
    })),
  );
