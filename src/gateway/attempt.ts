/** What one attempt at one target came to, whichever lane made it. */
import type { BedrockError } from "../bedrock/errors.ts";
import type { ReplyHeaders } from "../http/exchange.ts";
import type { FailureKind } from "../keys/attempt.ts";
import type { Usage } from "../telemetry/usage.ts";

export type Attempted = WholeAnswer | OpenStream | OpenBytes | Failure;

/** A complete answer in the client's own wire format. */
export interface WholeAnswer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: Uint8Array | string;
  readonly usage: Usage | undefined;
  /** Why the model stopped, in the words the client is given; undefined where nothing was said. */
  readonly stopReason?: string | undefined;
}

/** A stream whose first event has been read and was not an exception. */
export interface OpenStream {
  readonly kind: "stream";
  readonly headers: ReplyHeaders;
  readonly source: FrameSource;
}

/** An object of S3 whose head has arrived: its bytes pass as they come, and none of them is kept. */
export interface OpenBytes {
  readonly kind: "bytes";
  readonly status: number;
  readonly headers: ReplyHeaders;
  /** Bytes, as the upstream has declared them; of `HEAD` those that do not come. Undefined when it has not. */
  readonly length: number | undefined;
  readonly source: FrameSource;
}

/** No answer. Somebody else may try, as `retry` says; when nobody does, the client sees `reply`. */
export interface Failure {
  readonly kind: "failure";
  readonly retry: RetryScope;
  /** Another target may well answer where this one did not. */
  readonly elsewhere: boolean;
  /** What it says about the key. */
  readonly cause: FailureKind;
  /** A reused connection was closed by the upstream before it answered anything: a new one may just work. */
  readonly stale: boolean;
  /** Milliseconds after which the upstream wants to be asked again, where it said so. */
  readonly retryAfterMs: number | undefined;
  readonly reply: BedrockError | ReceivedError;
}

/**
 * Who may send the request again: the same key (network faults, 5xx), another key (429), another key because this
 * one's credential was refused, or nobody.
 */
export type RetryScope = "same_key" | "other_key" | "other_credential" | "nobody";

/** An error of the upstream that goes to the client as it came. */
export interface ReceivedError {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: Uint8Array;
  /** The AWS name, for the log; empty when the upstream gave none. */
  readonly type: string;
}

/** Delivers whole event-stream frames, or the bytes of an object, at the reader's speed. */
export interface FrameSource {
  /** Begins delivery; called once. */
  start(sink: FrameSink): void;
  /** The reader has caught up after `frames` returned false. */
  resume(): void;
  /** The reader has left or will take no more: the upstream call ends now. */
  cancel(): void;
  /** What the stream has reported so far; estimated from the delivered text when it was cut before it said so. */
  usage(): { readonly usage: Usage | undefined; readonly estimated: boolean };
  /** Why the model stopped, in the words the client was given. */
  stopReason(): string | undefined;
  /** The type of the exception frame that passed in the stream, if one did. */
  exception(): string | undefined;
}

export interface FrameSink {
  /**
   * @param complete the stream's terminal event has been delivered: nothing has to follow
   * @returns false when the reader is behind
   */
  frames(bytes: Uint8Array, complete: boolean): boolean;
  /** The stream is over. Without a terminal event before it, or with `failure`, it was cut or broken. */
  end(failure?: BedrockError): void;
}
