import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packable, packBatch, unpackBatch } from "../../src/telemetry/log-pack.ts";
import { attemptOf, recordOf } from "./kit.ts";
import { requestRecords } from "./records.ts";

describe("rows of the request log between threads", () => {
  test("carry all that is known of any record", () => {
    fc.assert(
      fc.property(fc.array(requestRecords, { maxLength: 5 }), fc.nat(), (records, first) => {
        const entries = unpackBatch(packBatch("log_x_", first, records.map(packable)));
        expect(entries.map(({ row }) => row.id)).toEqual(
          records.map((_, index) => `log_x_${(first + index).toString(36)}`),
        );
        for (const [index, made] of records.entries()) {
          const { row, attempts, content } = entries[index] ?? { row: undefined, attempts: [], content: null };
          const { identity, usage, cache, trace } = made;
          const tokens = usage && {
            inputTokens: usage.inputTokens,
            outputTokens: usage.outputTokens,
            cacheReadTokens: usage.cacheReadInputTokens ?? 0,
            cacheWriteTokens: usage.cacheWriteInputTokens ?? 0,
          };
          const sum = tokens && Object.values(tokens).reduce((total, count) => total + count, 0);
          expect(row).toEqual({
            id: row?.id,
            requestId: made.id,
            arrivedAt: Math.round(made.arrivedAt),
            durationMs: made.durationMs,
            upstreamMs: made.upstreamMs,
            firstEventMs: made.firstEventMs ?? null,
            operation: made.operation,
            streams: made.streams,
            askedModel: made.askedModel ?? null,
            provider: made.provider ?? null,
            model: made.model ?? null,
            keyId: made.key?.id ?? null,
            keyName: made.key?.name ?? null,
            virtualKeyId: identity?.virtualKey.id ?? null,
            virtualKeyName: identity?.virtualKey.name ?? null,
            teamId: identity?.team?.id ?? null,
            teamName: identity?.team?.name ?? null,
            customerId: identity?.customer?.id ?? null,
            customerName: identity?.customer?.name ?? null,
            outcome: made.outcome,
            status: made.status,
            errorType: made.errorType ?? null,
            errorClass: made.errorClass ?? null,
            message: made.message ?? null,
            inputTokens: tokens?.inputTokens ?? null,
            outputTokens: tokens?.outputTokens ?? null,
            cacheReadTokens: tokens?.cacheReadTokens ?? null,
            cacheWriteTokens: tokens?.cacheWriteTokens ?? null,
            totalTokens: sum ?? null,
            usageEstimated: usage !== undefined && made.usageEstimated,
            costMicroUsd: made.costMicroUsd ?? null,
            stopReason: made.stopReason ?? null,
            fallbackIndex: made.fallbackIndex,
            attemptCount: made.attempts.length,
            rules: made.rules,
            cacheKind: cache?.kind ?? null,
            cacheReason: cache?.reason ?? null,
            cacheSimilarity: cache?.similarity ?? null,
            cacheEntryId: cache?.entryId ?? null,
            limit: made.limit ?? null,
            dimensions: [...made.dimensions],
            session: made.session ?? null,
            traceId: trace?.traceId ?? null,
            spanId: trace?.spanId ?? null,
          });
          expect(attempts).toEqual(
            made.attempts.map(({ key, origin: _origin, ...one }) => ({
              ...one,
              keyId: key.id,
              keyName: key.name,
              model: one.model ?? null,
              choice: one.choice ?? null,
              errorType: one.errorType ?? null,
              errorClass: one.errorClass ?? null,
              spanId: one.spanId ?? null,
            })),
          );
          const { request = null, answer = null, logged = false } = made.content ?? {};
          expect(content).toEqual(logged ? { request, answer, sealed: false } : null);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("are not written over by the next batch", () => {
    const first = packBatch("a", 0, [packable(recordOf({ id: "first" }))]);
    packBatch("a", 1, [packable(recordOf({ id: "other" }))]);
    expect(unpackBatch(first)[0]?.row.requestId).toBe("first");
  });

  test("hold no content that is for traces alone", () => {
    const content = { request: "a secret question", answer: "x", logged: false, traced: true };
    const bytes = packBatch("a", 0, [packable(recordOf({ content, attempts: [attemptOf()] }))]);
    expect(Buffer.from(bytes).includes("a secret question")).toBe(false);
  });
});
