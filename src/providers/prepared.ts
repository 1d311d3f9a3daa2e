/**
 * The prepared conversation: what every dialect starts from. It is Converse after the provider-independent work of
 * prepare.ts: calls and results paired, turns merged, blanks gone, names and ids sendable, media checked.
 *
 * Blocks are tagged by `kind`, so that a dialect's switch is checked for completeness. Each carries the `path` of the
 * client's field it came from, for refusals.
 */
import type {
  AudioFormat,
  CacheTtl,
  Citation,
  DocumentFormat,
  ImageFormat,
  ServiceTier,
  VideoFormat,
} from "../bedrock/converse.ts";
import type { JsonObject, JsonValue } from "../bedrock/json.ts";
import type { Memo } from "./dialect.ts";
import type { ModelFields } from "./model-fields.ts";
import type { Provenance } from "./provenance.ts";
import type { ReasoningIntent } from "./reasoning.ts";

export interface Prepared {
  readonly system: readonly SystemPart[];
  /** At least one. No two neighbours have the same role; the first is the user's where the rules ask for it. */
  readonly turns: readonly Turn[];
  /** The effective tools; `[]` when there are none. */
  readonly tools: readonly PreparedTool[];
  /** Only when there are tools. */
  readonly toolChoice: PreparedToolChoice | undefined;
  readonly inference: PreparedInference;
  readonly reasoning: ReasoningIntent;
  /** The schema the answer's text must follow. */
  readonly schema: AnswerSchema | undefined;
  readonly serviceTier: ServiceTier["type"] | undefined;
  readonly fields: ModelFields;
  /** Goes into {@link Encoded.ignored}, with what the dialect itself leaves out. */
  readonly ignored: readonly string[];
  /** Goes into {@link Encoded.memo}. */
  readonly memo: Memo;
}

export type SystemPart = TextPart | CachePart;

export interface Turn {
  /** `system` only where the rules keep system turns. */
  readonly role: "user" | "assistant" | "system";
  /** At least one. In a user's turn the tool results come first, in the order of the calls before it. */
  readonly blocks: readonly Block[];
}

/**
 * What a turn holds. `toolUse`, `reasoning` and `redacted` stand only in assistant turns, `toolResult` only in user
 * turns directly after the calls it answers; every call has exactly one result.
 */
export type Block =
  | TextPart
  | ImagePart
  | DocumentPart
  | VideoPart
  | AudioPart
  | SearchResultPart
  | CachePart
  | ToolUsePart
  | ToolResultPart
  | ReasoningPart
  | RedactedPart;

export interface TextPart {
  readonly kind: "text";
  /** Not blank, but for Claude beside reasoning. Never trimmed. */
  readonly text: string;
  /** Only with {@link Rules.citedText}. */
  readonly citations?: readonly Citation[];
  readonly path: string;
}

export interface ImagePart {
  readonly kind: "image";
  readonly format: ImageFormat;
  /** `image/png` … */
  readonly mediaType: string;
  /** Base64, as the client sent it. */
  readonly bytes: string;
  readonly path: string;
}

/** Only formats of {@link Rules.documents}: the others have become text or were refused. */
export interface DocumentPart {
  readonly kind: "document";
  readonly format: DocumentFormat;
  readonly mediaType: string;
  /** `document-1`, `document-2` …: the client's own name may be an injected instruction. */
  readonly name: string;
  /** Base64 as the client sent it, or text. */
  readonly source: { readonly bytes: string } | { readonly text: string } | { readonly chunks: readonly string[] };
  readonly context?: string;
  /** The client asked for citations, and the rules say the target has them. */
  readonly citations: boolean;
  readonly path: string;
}

export interface VideoPart {
  readonly kind: "video";
  readonly format: VideoFormat;
  readonly mediaType: string;
  readonly bytes: string;
  readonly path: string;
}

export interface AudioPart {
  readonly kind: "audio";
  readonly format: AudioFormat;
  readonly mediaType: string;
  readonly bytes: string;
  readonly path: string;
}

/** Only with {@link Rules.searchResults}; else it has become text. */
export interface SearchResultPart {
  readonly kind: "searchResult";
  readonly source: string;
  readonly title: string;
  readonly content: readonly string[];
  readonly citations: boolean;
  readonly path: string;
}

/** Only with {@link Rules.cachePoints}; never the first block of a turn. */
export interface CachePart {
  readonly kind: "cachePoint";
  readonly ttl?: CacheTtl;
  readonly path: string;
}

export interface ToolUsePart {
  readonly kind: "toolUse";
  /** As the target takes it. */
  readonly id: string;
  /** As the target takes it. */
  readonly name: string;
  readonly input: JsonObject;
  readonly path: string;
}

export interface ToolResultPart {
  readonly kind: "toolResult";
  /** Equal to the id of its call. */
  readonly id: string;
  /** The name of its call. */
  readonly name: string;
  readonly failed: boolean;
  /** May be empty. `resultText` of results.ts makes text of it. */
  readonly content: readonly ResultPart[];
  readonly path: string;
}

export type ResultPart = TextPart | JsonPart | ImagePart | DocumentPart | VideoPart | SearchResultPart;

export interface JsonPart {
  readonly kind: "json";
  readonly json: JsonValue;
  readonly path: string;
}

export interface ReasoningPart {
  readonly kind: "reasoning";
  /** Byte for byte as the client sent it; may be empty. */
  readonly text: string;
  readonly signature: Provenance | undefined;
  readonly path: string;
}

export interface RedactedPart {
  readonly kind: "redacted";
  readonly data: Provenance;
  readonly path: string;
}

export interface PreparedTool {
  /** As the target takes it. */
  readonly name: string;
  readonly description?: string;
  /** A copy is not made: sanitise a copy. */
  readonly schema: JsonObject;
  readonly strict?: boolean;
  /** A cache point stood behind this tool. */
  readonly cachePoint?: CachePart;
  /** `toolConfig.tools[0].toolSpec`; for tools rebuilt from the history, the call's. */
  readonly path: string;
  /** A tool the provider runs itself, by the client's name for it; then there is no schema of use. */
  readonly systemTool?: string;
}

export type PreparedToolChoice =
  | { readonly kind: "auto" }
  | { readonly kind: "any" }
  /** The name as the target takes it; it is one of the tools. */
  | { readonly kind: "tool"; readonly name: string };

export interface PreparedInference {
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  /** As many as the rules allow; the rest is in the memo, and cut by the gateway. */
  readonly stops: readonly string[];
}

export interface AnswerSchema {
  /** Sendable: 1 to 64 of `[a-zA-Z0-9_-]`; `answer` when the client gave none. */
  readonly name: string;
  readonly description?: string;
  readonly schema: JsonObject;
}
