/**
 * Converse in types: request, answer and stream events as they stand in the JSON of the wire.
 * Source: the service model bedrock-runtime 2023-09-30, as of August 2026.
 *
 * - Blobs (`bytes`, `redactedContent`) are base64 text, as on the wire: the gateway has no reason to decode them.
 * - A union value has exactly one member; ask for it with `"text" in block`.
 * - These are type aliases rather than interfaces, because only an alias is assignable to `JsonObject`.
 */
import type { JsonObject, JsonValue } from "./json.ts";

/** The body of Converse and ConverseStream; the model id stands in the path. */
export type ConverseRequest = {
  readonly messages: readonly Message[];
  readonly system?: readonly SystemBlock[];
  readonly inferenceConfig?: InferenceConfig;
  readonly toolConfig?: ToolConfig;
  readonly guardrailConfig?: GuardrailConfig;
  /** Inference parameters of the model's own, e.g. `top_k`. */
  readonly additionalModelRequestFields?: JsonObject;
  /** JSON pointers (RFC 6901) into the model's own answer. */
  readonly additionalModelResponseFieldPaths?: readonly string[];
  readonly promptVariables?: { readonly [name: string]: { readonly text: string } };
  readonly requestMetadata?: { readonly [key: string]: string };
  readonly performanceConfig?: PerformanceConfig;
  readonly serviceTier?: ServiceTier;
  readonly outputConfig?: OutputConfig;
};

export type Role = "user" | "assistant" | "system";

export type Message = {
  readonly role: Role;
  readonly content: readonly ContentBlock[];
};

export type SystemBlock =
  | { readonly text: string }
  | { readonly guardContent: GuardContent }
  | { readonly cachePoint: CachePoint };

export type InferenceConfig = {
  /** Tokens, at least 1. */
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly stopSequences?: readonly string[];
};

export type GuardrailConfig = {
  readonly guardrailIdentifier?: string;
  readonly guardrailVersion?: string;
  readonly trace?: "enabled" | "disabled" | "enabled_full";
  /** Only on ConverseStream. */
  readonly streamProcessingMode?: "sync" | "async";
};

export type PerformanceConfig = { readonly latency?: "standard" | "optimized" };

export type ServiceTier = { readonly type: "priority" | "default" | "flex" | "reserved" };

export type OutputConfig = {
  readonly textFormat?: {
    readonly type: "json_schema";
    readonly structure: { readonly jsonSchema: JsonSchemaDefinition };
  };
  /** `low`, `medium`, `high`, `xhigh` or `max`; a model may know others. */
  readonly effort?: string;
};

export type JsonSchemaDefinition = {
  /** The schema as JSON text, not as an object. */
  readonly schema: string;
  readonly name?: string;
  readonly description?: string;
};

// Content

export type ContentBlock =
  | { readonly text: string }
  | { readonly image: ImageBlock }
  | { readonly document: DocumentBlock }
  | { readonly video: VideoBlock }
  | { readonly audio: AudioBlock }
  | { readonly toolUse: ToolUse }
  | { readonly toolResult: ToolResult }
  | { readonly guardContent: GuardContent }
  | { readonly cachePoint: CachePoint }
  | { readonly reasoningContent: ReasoningContent }
  | { readonly citationsContent: CitationsContent }
  | { readonly searchResult: SearchResult }
  | { readonly toolAddition: { readonly tool: ToolReference } }
  | { readonly toolRemoval: { readonly tool: ToolReference } };

/** Base64 bytes, or an object in S3. */
export type MediaSource = { readonly bytes: string } | { readonly s3Location: S3Location };

export type S3Location = { readonly uri: string; readonly bucketOwner?: string };

export type ImageFormat = "png" | "jpeg" | "gif" | "webp";

export type ImageBlock = {
  readonly format: ImageFormat;
  readonly source: MediaSource;
  readonly error?: MediaError;
};

export type MediaError = { readonly message?: string };

export type DocumentFormat = "pdf" | "csv" | "doc" | "docx" | "xls" | "xlsx" | "html" | "txt" | "md";

export type DocumentBlock = {
  readonly format?: DocumentFormat;
  readonly name: string;
  readonly source: DocumentSource;
  readonly context?: string;
  readonly citations?: CitationsConfig;
};

export type DocumentSource =
  | MediaSource
  | { readonly text: string }
  | { readonly content: readonly { readonly text: string }[] };

export type VideoFormat = "mkv" | "mov" | "mp4" | "webm" | "flv" | "mpeg" | "mpg" | "wmv" | "three_gp";

export type VideoBlock = { readonly format: VideoFormat; readonly source: MediaSource };

export type AudioFormat =
  | "mp3"
  | "opus"
  | "wav"
  | "aac"
  | "flac"
  | "mp4"
  | "ogg"
  | "mkv"
  | "mka"
  | "x-aac"
  | "m4a"
  | "mpeg"
  | "mpga"
  | "pcm"
  | "webm";

export type AudioBlock = {
  readonly format: AudioFormat;
  readonly source: MediaSource;
  readonly error?: MediaError;
};

export type ToolUse = {
  readonly toolUseId: string;
  readonly name: string;
  readonly input: JsonValue;
  /** The model lists `server_tool_use`; real answers also say `tool_use`, and clients send it back. */
  readonly type?: string;
};

export type ToolResult = {
  readonly toolUseId: string;
  readonly content: readonly ToolResultContent[];
  readonly status?: "success" | "error";
  readonly type?: string;
};

export type ToolResultContent =
  | { readonly json: JsonValue }
  | { readonly text: string }
  | { readonly image: ImageBlock }
  | { readonly document: DocumentBlock }
  | { readonly video: VideoBlock }
  | { readonly searchResult: SearchResult };

export type GuardQualifier = "grounding_source" | "query" | "guard_content";

export type GuardContent =
  | { readonly text: { readonly text: string; readonly qualifiers?: readonly GuardQualifier[] } }
  | { readonly image: { readonly format: "png" | "jpeg"; readonly source: { readonly bytes: string } } };

export type CachePoint = { readonly type: "default"; readonly ttl?: CacheTtl };

export type CacheTtl = "5m" | "1h";

export type ReasoningContent =
  | { readonly reasoningText: { readonly text: string; readonly signature?: string } }
  | { readonly redactedContent: string };

export type CitationsContent = {
  readonly content?: readonly { readonly text: string }[];
  readonly citations?: readonly Citation[];
};

export type Citation = {
  readonly title?: string;
  readonly source?: string;
  readonly sourceContent?: readonly { readonly text: string }[];
  readonly location?: CitationLocation;
};

export type CitationLocation =
  | { readonly web: { readonly url?: string; readonly domain?: string } }
  | { readonly documentChar: DocumentRange }
  | { readonly documentPage: DocumentRange }
  | { readonly documentChunk: DocumentRange }
  | { readonly searchResultLocation: SearchResultRange };

export type DocumentRange = { readonly documentIndex?: number; readonly start?: number; readonly end?: number };

export type SearchResultRange = { readonly searchResultIndex?: number; readonly start?: number; readonly end?: number };

export type CitationsConfig = { readonly enabled: boolean };

export type SearchResult = {
  readonly source: string;
  readonly title: string;
  readonly content: readonly { readonly text: string }[];
  readonly citations?: CitationsConfig;
};

export type ToolReference = { readonly type?: string; readonly name?: string; readonly serverName?: string };

// Tools

export type ToolConfig = {
  readonly tools: readonly Tool[];
  readonly toolChoice?: ToolChoice;
};

export type Tool =
  | { readonly toolSpec: ToolSpec }
  | { readonly systemTool: { readonly name: string } }
  | { readonly cachePoint: CachePoint };

export type ToolSpec = {
  readonly name: string;
  readonly description?: string;
  readonly inputSchema: { readonly json: JsonValue };
  readonly strict?: boolean;
};

/** `{ auto: {} }`, `{ any: {} }` or `{ tool: { name } }`. */
export type ToolChoice =
  | { readonly auto: Empty }
  | { readonly any: Empty }
  | { readonly tool: { readonly name: string } };

type Empty = { readonly [name: string]: never };

// Answer

export type ConverseResponse = {
  readonly output: { readonly message: Message };
  readonly stopReason: StopReason;
  readonly usage: TokenUsage;
  readonly metrics: { readonly latencyMs: number };
  readonly additionalModelResponseFields?: JsonValue;
  readonly trace?: ConverseTrace;
  readonly performanceConfig?: PerformanceConfig;
  readonly serviceTier?: ServiceTier;
};

export type StopReason =
  | "end_turn"
  | "tool_use"
  | "max_tokens"
  | "stop_sequence"
  | "guardrail_intervened"
  | "content_filtered"
  | "malformed_model_output"
  | "malformed_tool_use"
  | "model_context_window_exceeded";

export type TokenUsage = {
  /** Without the cached tokens. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** The sum of the other four. */
  readonly totalTokens: number;
  readonly cacheReadInputTokens?: number;
  readonly cacheWriteInputTokens?: number;
  readonly cacheDetails?: readonly { readonly ttl: CacheTtl; readonly inputTokens: number }[];
};

export type ConverseTrace = {
  /** AWS's guardrail assessments, relayed as they are. */
  readonly guardrail?: JsonObject;
  readonly promptRouter?: { readonly invokedModelId?: string };
};

// Stream

/** One event of ConverseStream: its name and its payload. Failures are exception frames, not events. */
export type ConverseEvent =
  | { readonly messageStart: { readonly role: Role } }
  | { readonly contentBlockStart: { readonly contentBlockIndex: number; readonly start: BlockStart } }
  | { readonly contentBlockDelta: { readonly contentBlockIndex: number; readonly delta: BlockDelta } }
  | { readonly contentBlockStop: { readonly contentBlockIndex: number } }
  | {
      readonly messageStop: { readonly stopReason: StopReason; readonly additionalModelResponseFields?: JsonValue };
    }
  | { readonly metadata: StreamMetadata };

/** Text and reasoning blocks have no start: they begin with their first delta. */
export type BlockStart =
  | { readonly toolUse: { readonly toolUseId: string; readonly name: string; readonly type?: string } }
  | {
      readonly toolResult: {
        readonly toolUseId: string;
        readonly type?: string;
        readonly status?: "success" | "error";
      };
    }
  | { readonly image: { readonly format: ImageFormat } };

export type BlockDelta =
  | { readonly text: string }
  /** A fragment of the input's JSON text. */
  | { readonly toolUse: { readonly input: string } }
  | { readonly toolResult: readonly ({ readonly text: string } | { readonly json: JsonValue })[] }
  | { readonly reasoningContent: ReasoningDelta }
  | { readonly citation: Citation }
  | { readonly image: { readonly source?: MediaSource; readonly error?: MediaError } };

export type ReasoningDelta =
  | { readonly text: string }
  | { readonly signature: string }
  | { readonly redactedContent: string };

export type StreamMetadata = {
  readonly usage: TokenUsage;
  readonly metrics: { readonly latencyMs: number };
  readonly trace?: ConverseTrace;
  readonly performanceConfig?: PerformanceConfig;
  readonly serviceTier?: ServiceTier;
};
