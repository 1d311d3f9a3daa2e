import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BatchPacker } from "../../src/telemetry/log-pack.ts";
import { unpackBatch } from "../../src/telemetry/log-unpack.ts";
import { Redactor } from "../../src/telemetry/redactor.ts";
import type { RequestRecord } from "../../src/telemetry/request-record.ts";
import { attemptOf, recordOf } from "./kit.ts";
import { requestRecords } from "./records.ts";

const nothing = new Redactor([]);

function packed(records: readonly RequestRecord[], prefix = "log_x_", first = 0): Uint8Array {
  const packer = new BatchPacker();
  for (const record of records) packer.add(record);
  return packer.pack(prefix, first);
}

describe("rows of the request log between threads", () => {
  test("carry all that is known of any record", () => {
    fc.assert(
      fc.property(fc.array(requestRecords, { maxLength: 5 }), fc.nat(), (records, first) => {
        const entries = unpackBatch(packed(records, "log_x_", first), nothing);
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
    const packer = new BatchPacker();
    packer.add(recordOf({ id: "first" }));
    const first = packer.pack("a", 0);
    packer.add(recordOf({ id: "other" }));
    packer.pack("a", 1);
    expect(unpackBatch(first, nothing).map(({ row }) => row.requestId)).toEqual(["first"]);
  });

  test("carry what they have in common once", () => {
    const model = "a-model-of-a-rather-long-name";
    const one = recordOf({ askedModel: model, model, attempts: [attemptOf({ model })] });
    const bytes = packed(Array.from({ length: 20 }, () => one));
    expect(Buffer.from(bytes).toString("latin1").split(model)).toHaveLength(3);
  });

  test("have no secret in any of a client's words", () => {
    const secret = "our-own-secret";
    const bytes = packed([
      recordOf({
        id: `id-${secret}`,
        askedModel: `openai/${secret}`,
        model: secret,
        message: `no model ${secret}`,
        stopReason: secret,
        session: secret,
        dimensions: new Map([
          ["env", secret],
          [secret, "x"],
        ]),
        attempts: [attemptOf({ model: secret }), attemptOf({ model: secret })],
      }),
      recordOf({ model: secret, attempts: [attemptOf({ model: secret })] }),
    ]);
    const entries = unpackBatch(bytes, new Redactor([secret]));
    expect(JSON.stringify(entries)).not.toContain(secret);
    expect(entries[0]?.row.message).toBe("no model [redacted]");
    expect(entries[1]?.attempts[0]?.model).toBe("[redacted]");
  });

  test("hold no content that is for traces alone", () => {
    const content = { request: "a secret question", answer: "x", logged: false, traced: true };
    const bytes = packed([recordOf({ content, attempts: [attemptOf()] })]);
    expect(Buffer.from(bytes).includes("a secret question")).toBe(false);
  });
});
