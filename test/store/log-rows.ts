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

const text = fc.oneof(name, fc.string({ unit: "grapheme", maxLength: 8 }), fc.constant("\u{1f600}e\u0301\n'"));
const ms = fc.double({ min: 0, max: 1e9, noNaN: true }).map((value) => value + 0);

/** Of the row as it is, but for what is its own; or of another kind. */
function attemptOf(row: LogRow): fc.Arbitrary<LogAttempt> {
  const own = fc.record({ startedAfterMs: ms, durationMs: ms, choice: fc.option(text), spanId: fc.option(text) });
  const { provider, model, keyId, keyName, fallbackIndex, status, outcome, errorType, errorClass } = row;
  const alike = { model, fallbackIndex, status, outcome, errorType, errorClass };
  const names = { provider: provider ?? "", keyId: keyId ?? "", keyName: keyName ?? "" };
  const other = fc.record(
    { provider: text, model: fc.option(text), keyId: text, status: fc.nat(599), errorType: fc.option(text) },
    { requiredKeys: [] },
  );
  return fc
    .tuple(own, fc.option(other, { nil: {} }))
    .map(([more, changes]) => logAttempt({ ...alike, ...names, ...more, ...changes }));
}

/** Entries of different ids and times, in any order. */
export const anyEntries: fc.Arbitrary<LogEntry[]> = fc
  .uniqueArray(
    fc.oneof(
      fc.tuple(fc.constantFrom("log_a_", "log_b_", "x_"), fc.nat(40)).map(([prefix, n]) => prefix + n.toString(36)),
      fc.string({ unit: "grapheme", maxLength: 4 }),
    ),
    { maxLength: 40 },
  )
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id, n) =>
        fc
          .record({
            row: rows,
            message: fc.option(text),
            limit: fc.option(text),
            traceId: fc.option(text),
            huge: fc.nat(9),
          })
          .map(({ row, huge, ...more }) => {
            const askedModel = huge === 0 ? "ü😀".repeat(20_000) : row.askedModel;
            return { ...row, ...more, askedModel, id, arrivedAt: row.arrivedAt + n };
          })
          .chain((row) =>
            fc
              .tuple(
                fc.array(attemptOf(row), { maxLength: 3 }),
                fc.option(fc.record({ request: fc.option(text), answer: fc.option(text), sealed: fc.boolean() })),
              )
              .map(([attempts, content]) => ({ row: { ...row, attemptCount: attempts.length }, attempts, content })),
          ),
      ),
    ),
  );

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
