/** What the fake Bedrock answers when nothing is scripted: the shapes of recorded AWS traffic, keys sorted. */
import { anthropicFrames, converseFrames } from "./frames.ts";

/** A piece of a streamed body: bytes are written as one chunk, a number is a pause in milliseconds. */
export type Part = Uint8Array | number;

/** How a streamed answer ends: well, with a broken connection, or not at all until the other side leaves. */
export type StreamEnding = "end" | "destroy" | "hang";

export type Answer = UnaryAnswer | StreamAnswer;

export interface UnaryAnswer {
  readonly kind: "unary";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Milliseconds before anything is sent. */
  readonly delayMs?: number;
}

export interface StreamAnswer {
  readonly kind: "stream";
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: Iterable<Part> | AsyncIterable<Part>;
  readonly ending: StreamEnding;
  readonly delayMs?: number;
}

/** JSON with status 200. */
export function json(body: object | string, headers: Readonly<Record<string, string>> = {}): UnaryAnswer {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return {
    kind: "unary",
    status: 200,
    headers: { "content-type": "application/json", ...headers },
    body: Buffer.from(text),
  };
}

/** An error as Bedrock writes it: the type with its namespace, and `{"message": …}`. */
export function failure(status: number, type: string, message: string, members: object = {}): UnaryAnswer {
  return {
    kind: "unary",
    status,
    headers: {
      "content-type": "application/json",
      "x-amzn-errortype": `${type}:http://internal.amazon.com/coral/com.amazon.bedrock/`,
    },
    body: Buffer.from(JSON.stringify({ message, ...members })),
  };
}

/** An event stream. */
export function stream(
  parts: Iterable<Part> | AsyncIterable<Part>,
  ending: StreamEnding = "end",
  headers: Readonly<Record<string, string>> = {},
): StreamAnswer {
  return {
    kind: "stream",
    headers: { "content-type": "application/vnd.amazon.eventstream", ...headers },
    parts,
    ending,
  };
}

/** An event stream of InvokeModelWithResponseStream. */
export function chunkStream(parts: Iterable<Part> | AsyncIterable<Part>, ending: StreamEnding = "end"): StreamAnswer {
  return stream(parts, ending, { "x-amzn-bedrock-content-type": "application/json" });
}

/** Every modelled error of the runtime with its status (bedrock-runtime service model, 2023-09-30). */
export const modelledErrors: readonly (readonly [type: string, status: number])[] = [
  ["AccessDeniedException", 403],
  ["ValidationException", 400],
  ["ServiceQuotaExceededException", 400],
  ["ConflictException", 400],
  ["ResourceNotFoundException", 404],
  ["ModelTimeoutException", 408],
  ["ModelErrorException", 424],
  ["ModelStreamErrorException", 424],
  ["ThrottlingException", 429],
  ["ModelNotReadyException", 429],
  ["InternalServerException", 500],
  ["ServiceUnavailableException", 503],
];

export const converseAnswer = {
  metrics: { latencyMs: 412 },
  output: { message: { content: [{ text: "Hello from the fake." }], role: "assistant" } },
  stopReason: "end_turn",
  usage: {
    cacheReadInputTokenCount: 0,
    cacheReadInputTokens: 0,
    cacheWriteInputTokenCount: 0,
    cacheWriteInputTokens: 0,
    inputTokens: 12,
    outputTokens: 6,
    serverToolUsage: {},
    totalTokens: 18,
  },
};

export const anthropicAnswer = {
  model: "claude-3-haiku-20240307",
  id: "msg_bdrk_01FakeFakeFakeFakeFake",
  type: "message",
  role: "assistant",
  content: [{ type: "text", text: "Hello from the fake." }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 14, output_tokens: 9 },
};

export const invokeCountHeaders = {
  "x-amzn-bedrock-input-token-count": "14",
  "x-amzn-bedrock-output-token-count": "9",
  "x-amzn-bedrock-invocation-latency": "640",
};

const invocationArn = "arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefghijkl";
const asyncInvoke = {
  endTime: "2026-01-02T03:05:06Z",
  invocationArn,
  lastModifiedTime: "2026-01-02T03:05:06Z",
  modelArn: "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-reel-v1:0",
  outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://bucket/out" } },
  status: "Completed",
  submitTime: "2026-01-02T03:04:05Z",
};
const foundationModel = {
  customizationsSupported: [],
  inferenceTypesSupported: ["ON_DEMAND"],
  inputModalities: ["TEXT", "IMAGE"],
  modelArn: "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
  modelId: "anthropic.claude-3-haiku-20240307-v1:0",
  modelLifecycle: { status: "ACTIVE" },
  modelName: "Claude 3 Haiku",
  outputModalities: ["TEXT"],
  providerName: "Anthropic",
  responseStreamingSupported: true,
};
const inferenceProfile = {
  createdAt: "2025-01-02T03:04:05Z",
  description: "Routes requests to Claude 3 Haiku in us-east-1 and us-west-2.",
  inferenceProfileArn:
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-haiku-20240307-v1:0",
  inferenceProfileId: "us.anthropic.claude-3-haiku-20240307-v1:0",
  inferenceProfileName: "US Anthropic Claude 3 Haiku",
  models: [{ modelArn: foundationModel.modelArn }],
  status: "ACTIVE",
  type: "SYSTEM_DEFINED",
  updatedAt: "2025-01-02T03:04:05Z",
};

/** Answers by operation. */
export const defaultAnswers: Readonly<Record<string, () => Answer>> = {
  Converse: () => json(converseAnswer),
  ConverseStream: () => stream(converseFrames()),
  InvokeModel: () => json(anthropicAnswer, invokeCountHeaders),
  InvokeModelWithResponseStream: () => chunkStream(anthropicFrames()),
  CountTokens: () => json({ inputTokens: 42 }),
  ApplyGuardrail: () =>
    json({
      action: "GUARDRAIL_INTERVENED",
      actionReason: "Guardrail blocked.",
      assessments: [{ wordPolicy: { customWords: [{ action: "BLOCKED", match: "secret" }], managedWordLists: [] } }],
      guardrailCoverage: { textCharacters: { guarded: 6, total: 6 } },
      outputs: [{ text: "Sorry, I cannot answer that." }],
      usage: {
        contentPolicyUnits: 0,
        contextualGroundingPolicyUnits: 0,
        sensitiveInformationPolicyFreeUnits: 0,
        sensitiveInformationPolicyUnits: 0,
        topicPolicyUnits: 0,
        wordPolicyUnits: 1,
      },
    }),
  InvokeGuardrailChecks: () =>
    json({
      results: { contentFilter: { results: [{ category: "HATE", severityScore: 0.1 }] } },
      usage: { contentFilter: { textUnits: 1 } },
    }),
  StartAsyncInvoke: () => json({ invocationArn }),
  GetAsyncInvoke: () => json(asyncInvoke),
  ListAsyncInvokes: () => json({ asyncInvokeSummaries: [asyncInvoke] }),
  Rerank: () =>
    json({
      results: [
        { index: 1, relevanceScore: 0.93 },
        { index: 0, relevanceScore: 0.12 },
      ],
    }),
  ListFoundationModels: () => json({ modelSummaries: [foundationModel] }),
  GetFoundationModel: () => json({ modelDetails: foundationModel }),
  ListInferenceProfiles: () => json({ inferenceProfileSummaries: [inferenceProfile] }),
  GetInferenceProfile: () => json(inferenceProfile),
};
