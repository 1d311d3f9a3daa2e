/** What the mock provider is told, and what it intends to answer. */
import type { ConverseEvent, ConverseResponse } from "../../bedrock/converse.ts";
import type { BedrockError } from "../../bedrock/errors.ts";
import type { JsonObject } from "../../bedrock/json.ts";

/** A rule as it stands in the configuration. Rules are tried in order. */
export interface MockRule {
  readonly match?:
    | {
        /** A glob over the model id; `*` is any text. */
        readonly model?: string | null | undefined;
        /** A part of the last user text. */
        readonly text?: string | null | undefined;
      }
    | null
    | undefined;
  /** Without `answer`, `reasoning` and `tool_calls` the rule answers as if there were none. */
  readonly answer?: string | null | undefined;
  readonly reasoning?: string | null | undefined;
  readonly tool_calls?:
    | readonly { readonly name: string; readonly input?: JsonObject | null | undefined }[]
    | null
    | undefined;
  readonly latency_ms?: number | null | undefined;
  /** The pause before each `contentBlockDelta`. */
  readonly chunk_delay_ms?: number | null | undefined;
  readonly error?:
    | {
        readonly status?: number | null | undefined;
        /** A name of the error catalogue, e.g. `ThrottlingException`. */
        readonly type: string;
        readonly message?: string | null | undefined;
        /** In a stream: the number of deltas before the error; null fails before the first event. */
        readonly after_chunks?: number | null | undefined;
      }
    | null
    | undefined;
  /** In a stream: the number of deltas before the connection is cut. */
  readonly truncate_after_chunks?: number | null | undefined;
  /** 0 to 1; how likely the rule applies when it matches. */
  readonly probability?: number | null | undefined;
}

/** The answer the mock gives. A "chunk" is a `contentBlockDelta` event. */
export interface MockPlan {
  /** Milliseconds before the answer. */
  readonly latencyMs: number;
  /** Milliseconds before each chunk. */
  readonly chunkDelayMs: number;
  readonly error: {
    readonly error: BedrockError;
    /** Null, and for an answer that is no stream: the error is the whole answer. */
    readonly afterChunks: number | null;
  } | null;
  readonly truncateAfterChunks: number | null;
  readonly response: ConverseResponse;
  /** The same answer as a stream, from `messageStart` to `metadata`. */
  readonly events: readonly ConverseEvent[];
}
