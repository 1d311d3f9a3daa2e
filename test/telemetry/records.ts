/** Records of any kind, for properties. */
import fc from "fast-check";
import type { AttemptRecord, RequestRecord } from "../../src/telemetry/request-record.ts";

const text = fc.string({ unit: "grapheme" });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const key = fc.record({ id: text, name: text });
const ms = fc.double({ min: 0, max: 1e7, noNaN: true, noDefaultInfinity: true });
const outcome = fc.constantFrom("success" as const, "error" as const, "cancelled" as const);
const status = fc.integer({ min: 200, max: 599 });
const errorClass = fc.constantFrom("provider_timeout" as const, "caller_cancelled" as const);

export const attemptRecords: fc.Arbitrary<AttemptRecord> = fc.record({
  provider: text,
  model: maybe(text),
  key,
  choice: maybe(text),
  fallbackIndex: fc.nat(5),
  startedAfterMs: ms,
  durationMs: ms,
  status,
  outcome,
  errorType: maybe(text),
  errorClass: maybe(errorClass),
  origin: maybe(text),
  spanId: maybe(text),
});

/** Every kind of record. */
export const requestRecords: fc.Arbitrary<RequestRecord> = fc.record({
  id: text,
  arrivedAt: fc.double({ min: 0, max: 4e12, noNaN: true }),
  durationMs: ms,
  upstreamMs: ms,
  admissionAfterMs: maybe(ms),
  firstEventMs: maybe(ms),
  operation: text,
  streams: fc.boolean(),
  askedModel: maybe(text),
  provider: maybe(text),
  model: maybe(text),
  key: maybe(key),
  identity: maybe(fc.record({ virtualKey: key, team: maybe(key), customer: maybe(key) })),
  outcome,
  status,
  errorType: maybe(text),
  errorClass: maybe(errorClass),
  message: maybe(text),
  usage: maybe(
    fc.record(
      {
        inputTokens: fc.nat(),
        outputTokens: fc.nat(),
        cacheReadInputTokens: fc.nat(),
        cacheWriteInputTokens: fc.nat(),
      },
      { requiredKeys: ["inputTokens", "outputTokens"] },
    ),
  ),
  usageEstimated: fc.boolean(),
  costMicroUsd: maybe(fc.maxSafeNat()),
  stopReason: maybe(text),
  fallbackIndex: fc.nat(5),
  attempts: fc.array(attemptRecords, { maxLength: 4 }),
  rules: fc.array(text, { maxLength: 3 }),
  lookups: fc.constant([]),
  cache: maybe(
    fc.record({
      kind: fc.constantFrom("direct" as const, "semantic" as const, "miss" as const, "bypass" as const),
      reason: maybe(text),
      similarity: maybe(fc.double({ min: 0, max: 1, noNaN: true })),
      entryId: maybe(text),
    }),
  ),
  limit: maybe(text),
  dimensions: fc.dictionary(text, text).map((values) => new Map(Object.entries(values))),
  session: maybe(text),
  trace: maybe(
    fc.record({
      traceId: text,
      spanId: text,
      parentSpanId: maybe(text),
      sampled: fc.boolean(),
      state: maybe(text),
    }),
  ),
  content: maybe(fc.record({ request: maybe(text), answer: maybe(text), logged: fc.boolean(), traced: fc.boolean() })),
});
