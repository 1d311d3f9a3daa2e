/** Records of requests, made by hand. */
import type { AttemptRecord, RequestRecord } from "../../src/telemetry/request-record.ts";

/** A Converse that Bedrock has answered at the first attempt. */
export function recordOf(changes: Partial<RequestRecord> = {}): RequestRecord {
  return {
    id: "6e1f9f0a-5b0e-4a4e-9a40-000000000001",
    arrivedAt: 1_700_000_000_000,
    durationMs: 812.5,
    upstreamMs: 810,
    admissionAfterMs: 0.5,
    lookups: [],
    firstEventMs: undefined,
    operation: "Converse",
    streams: false,
    askedModel: "vendor.model",
    provider: "bedrock",
    model: "vendor.model",
    key: { id: "k1", name: "main" },
    identity: undefined,
    outcome: "success",
    status: 200,
    errorType: undefined,
    errorClass: undefined,
    message: undefined,
    usage: { inputTokens: 10, outputTokens: 20 },
    usageEstimated: false,
    costMicroUsd: 330,
    stopReason: "end_turn",
    fallbackIndex: 0,
    attempts: [attemptOf()],
    rules: [],
    cache: undefined,
    limit: undefined,
    dimensions: new Map(),
    session: undefined,
    trace: undefined,
    content: undefined,
    ...changes,
  };
}

export function attemptOf(changes: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    provider: "bedrock",
    model: "vendor.model",
    key: { id: "k1", name: "main" },
    choice: undefined,
    fallbackIndex: 0,
    startedAfterMs: 1,
    durationMs: 810,
    status: 200,
    outcome: "success",
    errorType: undefined,
    errorClass: undefined,
    origin: "https://bedrock-runtime.us-east-1.amazonaws.com",
    spanId: undefined,
    ...changes,
  };
}
