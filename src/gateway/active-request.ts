/** One request while it is on the road: who it is, what has been done for it, and how it is ended early. */
import { randomUUID } from "node:crypto";
import { BedrockError, refuseField } from "../bedrock/errors.ts";
import type { Admission } from "../governance/governance.ts";
import type { Identity } from "../governance/identity.ts";
import type { Pieces } from "../governance/prices.ts";
import type { Exchange, ReplyHeaders } from "../http/exchange.ts";
import type { Attempt, KeyChoice } from "../keys/attempt.ts";
import type { CacheRecord, ErrorClass, KeyName, LookupRecord, TraceContext } from "../telemetry/request-record.ts";
import { formatTraceparent, newSpanId } from "../telemetry/trace-context.ts";
import type { Outcome, Usage } from "../telemetry/usage.ts";
import type { KeptContent } from "./content.ts";

const printable = /^[\x21-\x7e]{1,128}$/;
const maxTimeoutMs = 24 * 60 * 60 * 1000;

/** An attempt from its begin to its end; a stream's ends with the request. */
export interface OpenAttempt {
  readonly provider: string;
  readonly model: string | undefined;
  readonly key: KeyName;
  /** Why with this key; undefined where there are none to choose from. */
  readonly choice: KeyChoice | undefined;
  readonly fallbackIndex: number;
  /** In the terms of `performance.now()`. */
  readonly startedAt: number;
  /** Of its span, where the request's trace is recorded. */
  readonly spanId: string | undefined;
  /** Scheme, host and port of where it was sent. */
  origin: string | undefined;
  ended: AttemptEnd | undefined;
}

/** How an attempt came out. */
interface AttemptEnd {
  readonly at: number;
  readonly status: number;
  readonly outcome: Outcome;
  readonly errorType?: string;
  readonly errorClass?: ErrorClass;
}

/** The most tokens that a body may come to. */
export interface Estimate {
  readonly body: Buffer;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export class ActiveRequest {
  readonly exchange: Exchange;
  /** Among those on the road; theirs to write. */
  place = -1;
  /** `performance.now()` at arrival. */
  readonly startedAt = performance.now();
  /** What the client will see as `x-amzn-requestid`: its own `x-request-id`, else the upstream's, else ours. */
  id: string;
  readonly #clientId: string | undefined;
  operation = "none";
  streams = false;
  /** The model id as the client sent it. */
  askedModel: string | undefined;
  model: string | undefined;
  provider: string | undefined;
  key: KeyName | undefined;
  readonly attempts: OpenAttempt[] = [];
  /** What it holds of the key that is asked; once it is over, nothing. */
  turn: Pick<Attempt<unknown>, "failure"> | undefined;
  /** Which target answers: 0 is the first, 1 the first fallback. */
  fallbackIndex = 0;
  /** Milliseconds spent waiting for upstreams. */
  upstreamMs = 0;
  /** Milliseconds from the arrival to a stream's first event. */
  firstEventMs: number | undefined;
  usage: Usage | undefined;
  usageEstimated = false;
  /** Why the model stopped, in the words the client was given. */
  stopReason: string | undefined;
  /** The virtual key that asks. */
  identity: Identity | undefined;
  /** What part the cache has had; undefined while it is off. */
  cache: CacheRecord | undefined;
  /** Where the request's trace is recorded: how the cache was looked into. */
  lookups: LookupRecord[] | undefined;
  trace: TraceContext | undefined;
  /** Its spans go to a collector. */
  traced = false;
  /** Milliseconds from the arrival to where its admission began. */
  admissionAfterMs: number | undefined;
  /** What was asked and answered, where somebody wants it. */
  content: KeptContent | undefined;
  /** The routing rules that have sent it elsewhere. */
  rules: readonly string[] = [];
  /** What it holds of the limits it was admitted to. */
  admission: Admission | undefined;
  /** What was found for the last target's reservation. */
  estimate: Estimate | undefined;
  /** What it asks for that is paid by the piece, not by tokens. */
  pieces: Pieces | undefined;
  /** Its limits have been charged. */
  settled = false;
  /** The limit that has no room for it: `budget`, `tokens`, `requests` or `concurrency`, and what is left, budgets in USD. */
  limit: { readonly kind: string; readonly remaining: number } | undefined;
  /** What it came to, in millionths of a dollar; undefined when nobody knows. */
  costMicroUsd: number | undefined;
  /** Why the gateway itself ended the request early: its deadline passed, or the process is closing. */
  ended: BedrockError | undefined;
  #cancel: (() => void) | undefined;
  #deadline: NodeJS.Timeout | undefined;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
    const given = exchange.headers.get("x-request-id");
    this.#clientId = given !== undefined && printable.test(given) ? given : undefined;
    this.id = this.#clientId ?? randomUUID();
    exchange.onAbort(() => this.#cancel?.());
  }

  /** The client has left, or the gateway has ended the request: nothing more should be begun for it. */
  get over(): boolean {
    return this.exchange.aborted || this.ended !== undefined;
  }

  /** Ends the request early: its client is told `error`, and what is being done for it stops. */
  end(error: BedrockError): void {
    if (this.over) return;
    this.ended = error;
    this.#cancel?.();
  }

  /** Takes the upstream's request id unless the client brought its own. */
  adoptId(upstreamId: string | undefined): void {
    if (this.#clientId === undefined && upstreamId !== undefined && printable.test(upstreamId)) this.id = upstreamId;
  }

  /**
   * What to call when the request ends early; replaces what was set before. Called at once when it already has.
   */
  whenOver(cancel: (() => void) | undefined): void {
    this.#cancel = cancel;
    if (this.over) cancel?.();
  }

  /**
   * Waits for what cannot be cancelled itself, but no longer than the request lives.
   *
   * @returns undefined when the request was over first
   */
  async whileAlive<T>(work: Promise<T>): Promise<T | undefined> {
    const over = new Promise<undefined>((resolve) => this.whenOver(() => resolve(undefined)));
    return Promise.race([work, over]);
  }

  /**
   * Starts the clock of `x-bf-timeout-ms`, if the client set one.
   *
   * @throws BedrockError ValidationException when the header is not a positive number of milliseconds
   */
  startDeadline(): void {
    const header = this.exchange.headers.get("x-bf-timeout-ms");
    if (header === undefined) return;
    const ms = Number(header);
    if (!(ms >= 1 && ms <= maxTimeoutMs)) {
      throw refuseField("x-bf-timeout-ms", `must be a number of milliseconds from 1 to ${maxTimeoutMs}.`);
    }
    this.#deadline = setTimeout(
      () => {
        const message = `The request was not answered within the ${ms} milliseconds of its x-bf-timeout-ms.`;
        this.end(new BedrockError("ModelTimeoutException", message));
      },
      ms - (performance.now() - this.startedAt),
    );
  }

  /** Ends the clock and lets go of everything that could still be called. */
  close(): void {
    clearTimeout(this.#deadline);
    this.#cancel = undefined;
    this.exchange.onAbort(undefined);
  }

  /** Notes that an attempt begins. */
  beginAttempt(
    provider: string,
    model: string | undefined,
    { id, name }: KeyName,
    choice: KeyChoice | undefined,
  ): OpenAttempt {
    const { fallbackIndex } = this;
    const startedAt = performance.now();
    const attempt: OpenAttempt = {
      provider,
      model,
      key: { id, name },
      choice,
      fallbackIndex,
      startedAt,
      spanId: this.traced ? newSpanId() : undefined,
      origin: undefined,
      ended: undefined,
    };
    this.attempts.push(attempt);
    return attempt;
  }

  /**
   * Notes where the attempt that was begun last is sent.
   *
   * @returns what goes along of the trace: the attempt's span, or the client's own where the trace is not recorded
   */
  sendTo(origin: string): [string, string][] {
    const attempt = this.attempts.at(-1);
    if (attempt !== undefined) attempt.origin = origin;
    const { trace } = this;
    if (trace === undefined) return [];
    const spanId = attempt?.spanId ?? trace.parentSpanId ?? trace.spanId;
    const headers: [string, string][] = [["traceparent", formatTraceparent(trace, spanId)]];
    if (trace.state !== undefined) headers.push(["tracestate", trace.state]);
    return headers;
  }

  /** The headers every answer carries: the request id, and who served it where somebody did. */
  ownHeaders(): [string, string][] {
    const headers: [string, string][] = [["x-amzn-requestid", this.id]];
    if (this.provider !== undefined) headers.push(["x-bifrost-provider", this.provider]);
    if (this.model !== undefined) headers.push(["x-bifrost-model", headerText(this.model)]);
    if (this.key !== undefined) headers.push(["x-bifrost-key", headerText(this.key.name)]);
    if (this.cache !== undefined) headers.push(["x-bifrost-cache", this.cache.kind]);
    if (this.limit !== undefined) {
      headers.push(["x-bifrost-limit", this.limit.kind], ["x-bifrost-limit-remaining", String(this.limit.remaining)]);
    }
    if (this.attempts.length > 0) {
      headers.push(
        ["x-bifrost-attempts", String(this.attempts.length)],
        ["x-bifrost-fallback-index", String(this.fallbackIndex)],
      );
    }
    return headers;
  }

  /** How long the upstream and the gateway took, in milliseconds, for unary answers. */
  serverTiming(): ReplyHeaders[number] {
    const total = performance.now() - this.startedAt;
    const gateway = Math.max(0, total - this.upstreamMs);
    return ["server-timing", `upstream;dur=${this.upstreamMs.toFixed(2)}, gateway;dur=${gateway.toFixed(2)}`];
  }
}

const printableText = /^[\x20-\x7e]*$/;
/** As long as model ids can be: one out of a request's body can have any length. */
const maxHeaderText = 2048;

/** Text that is safe in a header: what is not printable ASCII is percent-encoded. */
function headerText(text: string): string {
  const short = text.slice(0, maxHeaderText);
  // A JSON string can hold half of a surrogate pair, which has no encoding of its own.
  return printableText.test(short) ? short : encodeURIComponent(Buffer.from(short).toString());
}
