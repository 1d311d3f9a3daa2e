/**
 * What a dialect is: the translation between Converse and one provider API, both ways.
 *
 * Dialects are pure: values in, values out. No I/O, no clock, no randomness, no state between calls. Whatever the way
 * back has to know of the way out travels in the {@link Memo}, which is plain data and may cross a thread boundary.
 *
 *     ConverseRequest ── encode ──> ProviderRequest + Memo ──(network)──> body ── decode ──> Answer
 *                                                     └──────────────────> events ── stream ──> ConverseEvent…
 *                                                      └─ status ≥ 400 ──> body ── failure ──> ProviderFailure
 */
import type { ConverseEvent, ConverseRequest, ConverseResponse, TokenUsage } from "../bedrock/converse.ts";
import type { BedrockError } from "../bedrock/errors.ts";
import type { ImageRequest, Ranked, RerankRequest } from "../bedrock/families/family.ts";

export type DialectName = "openai" | "anthropic" | "gemini" | "mistral" | "cohere";

export interface Dialect {
  readonly name: DialectName;

  /** @throws BedrockError ValidationException that names the field this target cannot carry */
  encode(request: ConverseRequest, target: Target): Encoded;

  /** Reads a complete answer of status 200. It is a failure when the provider put one into it, or it is nonsense. */
  decode(answer: ProviderAnswer, memo: Memo): Answer | ProviderFailure;

  /** Begins reading a streamed answer of status 200. */
  stream(memo: Memo): DialectStream;

  /** Reads an answer of any other status. */
  failure(answer: FailedAnswer, target: Target): ProviderFailure;

  /** Absent where the provider has no way to count tokens. */
  readonly countTokens?: {
    encode(request: ConverseRequest, target: Target): Encoded;
    /** The number of input tokens. */
    decode(answer: ProviderAnswer, memo: Memo): number | ProviderFailure;
  };

  /** Absent where the provider has no embeddings. */
  readonly embed?: {
    encode(request: EmbedRequest, target: Target): Encoded;
    decode(answer: ProviderAnswer, memo: Memo): Embeddings | ProviderFailure;
  };

  /** Absent where the provider makes no images. */
  readonly image?: {
    /** @throws BedrockError ValidationException that names the field this target cannot carry */
    encode(request: ImageRequest, target: Target): Encoded;
    decode(answer: ProviderAnswer, memo: Memo): Images | ProviderFailure;
  };

  /** Absent where the provider does not rank documents. */
  readonly rerank?: {
    /** @throws BedrockError ValidationException for a provider of this dialect that does not rank */
    encode(request: RerankRequest, target: Target): Encoded;
    decode(answer: ProviderAnswer, memo: Memo): Ranking | ProviderFailure;
  };
}

// The way out

/** Where one attempt goes, as far as the request's shape depends on it. Made by the lane; plain data. */
export interface Target {
  /** The configured name, e.g. `my-vllm`; for messages. */
  readonly provider: string;
  /** The row of the provider table, e.g. `openai`, `groq`, `vllm`: the base type of a custom provider. */
  readonly kind: string;
  /** The model id that is sent (for Azure: the deployment). */
  readonly model: string;
  /** The model whose abilities count, where `model` does not tell (an Azure deployment, an alias). Default: `model`. */
  readonly baseModel?: string;
  readonly streaming: boolean;
  /** Unique to the client's request, e.g. its id. Ids the provider leaves out are made from it. */
  readonly seed: string;
  /** Azure: without a version, or with `v1` or `preview`, the v1 surface; with a dated one, the deployment's path. */
  readonly azure?: { readonly apiVersion?: string };
  /** Vertex: without a project the express mode's path. */
  readonly vertex?: { readonly project?: string; readonly region: string };
}

/** What `encode` gives. */
export interface Encoded {
  readonly request: ProviderRequest;
  /**
   * Paths of the client's fields that have no equivalent here and were left out, e.g. `requestMetadata` or
   * `messages[0].content[1].cachePoint`. The lane logs them and tells the client in a header.
   */
  readonly ignored: readonly string[];
  readonly memo: Memo;
}

export interface ProviderRequest {
  readonly method: "POST" | "GET";
  /** Stands behind the base URL, with a leading slash, the version prefix and the query: `/v1/chat/completions`. */
  readonly path: string;
  /** Lower-case names, `content-type` included; no credentials. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** JSON text; empty for GET. */
  readonly body: string;
}

/** What the way back has to know of the way out. Plain data (structured clone). */
export interface Memo {
  readonly target: Target;
  /** Tool names as sent, to the names as the client knows them; only those that were changed. */
  readonly toolNames: ReadonlyMap<string, string>;
  /** Whether the client offered tools. */
  readonly tools: boolean;
  /** The hidden tool whose input is the answer's text, where structured output has no better way. */
  readonly answerTool?: string;
  /** The client asked for an answer that follows a JSON schema. */
  readonly schema: boolean;
  /** Stop sequences the provider was not told of: the gateway cuts the text itself. */
  readonly stops: readonly string[];
  /** The client's `additionalModelResponseFieldPaths`. */
  readonly responsePaths: readonly string[];
  /** Tokens, estimated from the request's text: for answers that do not tell their usage. */
  readonly inputTokens: number;
}

// The way back

/** Lower-case names, as the upstream gave them. */
export type ProviderHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A complete answer of status 200. */
export interface ProviderAnswer {
  readonly headers: ProviderHeaders;
  /** The body as it came; `readJson` of nonsense.ts parses it. */
  readonly body: Uint8Array;
}

/** An answer of any status but 200. */
export interface FailedAnswer {
  readonly status: number;
  readonly headers: ProviderHeaders;
  readonly body: Uint8Array;
  /** Milliseconds since 1970, for dates in headers. */
  readonly now: number;
}

export interface Answer {
  readonly kind: "answer";
  /** Everything but `metrics`, which the lane measures and adds. */
  readonly response: Omit<ConverseResponse, "metrics">;
  /** The provider reported no usage, and the numbers are estimates. */
  readonly estimated: boolean;
}

/** Who may send the request again: this key, another key, another key because this one was refused, or nobody. */
export type RetryScope = "same_key" | "other_key" | "other_credential" | "nobody";

/** The provider's failure in AWS's terms, and who may try again. */
export interface ProviderFailure {
  readonly kind: "failure";
  /** What the client sees when nobody can help. `retryAfterSeconds` stands in it where the provider said so. */
  readonly error: BedrockError;
  readonly retry: RetryScope;
  /** True when another provider or model may well answer where this one did not. */
  readonly elsewhere: boolean;
  /**
   * The provider's policy forbade the content. The lane answers with an empty message and `content_filtered` rather
   * than with the error, as Bedrock does.
   */
  readonly filtered?: true;
  /** The key will not recover within minutes: its quota or credit is used up. */
  readonly exhausted: boolean;
}

/** One server-sent event, or one line of a JSON-lines stream (then without a name). */
export interface StreamItem {
  /** The `event:` field; empty when there was none. */
  readonly event: string;
  readonly data: string;
}

/** One streamed answer being read. After a step with `failure` or `done` nothing more is pushed. */
export interface DialectStream {
  push(item: StreamItem): StreamStep;
  /** The provider closed the stream. Without a finish reason before it, that is a failure. */
  end(): StreamStep;
  /** What the answer has used so far; for streams that are cut as well as for those that end. */
  usage(): { readonly usage: TokenUsage; readonly estimated: boolean };
}

export interface StreamStep {
  /**
   * To be written in this order. The first event of all is `messageStart`: until it comes, nothing is committed to the
   * client. `metadata` comes last, with `latencyMs` 0: the lane puts the measured value there.
   */
  readonly events: readonly ConverseEvent[];
  /** The stream failed; `events` still go first. */
  readonly failure?: ProviderFailure;
  /** `metadata` has been given: the upstream call may be ended. */
  readonly done: boolean;
}

// Embeddings

export interface EmbedRequest {
  readonly texts: readonly string[];
  /** Length of each vector. */
  readonly dimensions?: number;
  readonly purpose?: "search_document" | "search_query" | "classification" | "clustering";
  /** What to cut off a text that is too long; `none` refuses it. */
  readonly truncate?: "none" | "start" | "end";
}

export interface Embeddings {
  readonly kind: "embeddings";
  /** In the order of the texts. */
  readonly vectors: readonly (readonly number[])[];
  readonly inputTokens: number;
}

// Images and ranking

export interface Images {
  readonly kind: "images";
  /** Base64; at least one. */
  readonly images: readonly string[];
  /** Why there are fewer than were asked for, if the provider said so. */
  readonly withheld?: string;
}

export interface Ranking {
  readonly kind: "ranking";
  /** Best first. */
  readonly ranked: readonly Ranked[];
}
