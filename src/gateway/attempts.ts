/** Attempts at one provider: keys are walked, and failures repeated as their scope allows. */
import { BedrockError, refuseField } from "../bedrock/errors.ts";
import type { Attempt } from "../keys/attempt.ts";
import { type Choosable, isFit, resolveAlias } from "../keys/choose.ts";
import type { Refusal } from "../keys/ring.ts";
import { tickMs } from "../keys/waits.ts";
import { errorClassOfAttempt, errorClassOfType } from "../telemetry/error-class.ts";
import type { ActiveRequest, OpenAttempt } from "./active-request.ts";
import type { Attempted, Failure } from "./attempt.ts";
import { failure } from "./failures.ts";
import { ObservedSource } from "./observed-source.ts";
import type { Provider, Retries } from "./providers.ts";
import { notServed } from "./target.ts";

/** An attempt at a key, as far as this file goes. */
export type Turn<Key> = Pick<Attempt<Key>, "kind" | "key" | "choice" | "answering" | "success" | "failure"> & {
  again(now: number): Turn<Key>;
};

/** Where the keys of one provider come from, for one request. */
export interface KeySource<Key> {
  /** @param tried the keys that have failed already */
  choose(tried: readonly Key[]): Turn<Key> | Refusal<Key>;
  /** Whether a key could be asked now that is none of these. */
  hasOther(tried: readonly Key[]): boolean;
  /** Takes one repetition from the provider's budget; false when it is used up. */
  mayRepeat(): boolean;
}

export interface Walk<Key> {
  readonly provider: Extract<Provider, { readonly keys: readonly unknown[] }>;
  /** The model id, before the key's alias; undefined for operations that name none. */
  readonly asked: string | undefined;
  readonly keys: KeySource<Key>;
  /** The key the client pins, if it does. */
  readonly pin: { readonly id?: string | undefined; readonly name?: string | undefined } | undefined;
  /** The one key is the client's own: what the upstream says of it is the client's business. */
  readonly own: boolean;
  /** No other target stands behind this provider. */
  readonly isLast: boolean;
  /** How long an answer takes says nothing of how fast the key's models are: an object is as long as it is. */
  readonly isUntimed?: boolean;
  /** Makes one attempt. @param patienceMs how long a stream may take to begin; undefined: as long as it likes */
  readonly attempt: (key: Key, model: string | undefined, patienceMs: number | undefined) => Promise<Attempted>;
}

/**
 * Tries the provider's keys until one answers: the same key again after network faults and 5xx, with a growing pause and
 * within the provider's retry budget; another key at once after 429, a refused credential, or when the repetitions are
 * used up. A key that has failed is not tried again.
 */
export async function walkKeys<Key extends Choosable>(request: ActiveRequest, walk: Walk<Key>): Promise<Attempted> {
  const { provider, asked, keys } = walk;
  const tried: Key[] = [];
  let last: Failure | undefined;
  let repetitions = 0;
  let refreshed = false;
  request.provider = provider.name;
  for (;;) {
    const chosen = keys.choose(tried);
    if (chosen.kind === "refusal") return last === undefined ? refused(chosen, walk) : exhausted(chosen, last, walk);
    let turn: Turn<Key> = chosen;
    let failed: Failure;
    const { key } = turn;
    request.key = key;
    request.model = asked === undefined ? undefined : resolveAlias(key, asked);
    for (;;) {
      const attempted = await attemptOnce(request, walk, turn, tried);
      if (attempted.kind !== "failure" || request.over || attempted.retry === "nobody") return attempted;
      failed = attempted;
      if (failed.retry !== "same_key") break;
      if (failed.stale && !refreshed) {
        refreshed = true;
      } else {
        if (repetitions >= provider.retries.max || !keys.mayRepeat()) break;
        await pause(backoffMs(provider.retries, repetitions++, Math.random()), request);
        if (request.over) return failed;
      }
      turn = turn.again(Date.now());
    }
    tried.push(key);
    last = tellingMore(last, failed);
    if (failed.retry === "same_key" && keys.hasOther(tried) && !keys.mayRepeat()) return last;
  }
}

/** Of two failures the later one, unless it says no more than that a credential was refused. */
function tellingMore(earlier: Failure | undefined, later: Failure): Failure {
  const isLess = later.retry === "other_credential" && earlier !== undefined && earlier.retry !== "other_credential";
  return isLess ? earlier : later;
}

async function attemptOnce<Key extends Choosable>(
  request: ActiveRequest,
  { provider, keys, isLast, isUntimed = false, attempt }: Walk<Key>,
  turn: Turn<Key>,
  tried: readonly Key[],
): Promise<Attempted> {
  request.turn = turn;
  const noted = request.beginAttempt(provider.name, request.model, turn.key, turn.choice);
  // A silent stream is left for another key or target; where there is none, it is waited for.
  const elsewhere = !isLast || (tried.length + 1 < provider.keys.length && keys.hasOther([...tried, turn.key]));
  const patienceMs = elsewhere ? provider.streamStartMs : undefined;
  const measured = (outputTokens = 0) => ({
    ms: isUntimed ? Number.NaN : performance.now() - noted.startedAt,
    outputTokens,
  });
  let attempted: Attempted;
  try {
    attempted = await attempt(turn.key, request.model, patienceMs);
  } catch (error) {
    turn.failure("client", Date.now());
    noted.ended = { at: performance.now(), status: 500, outcome: "error", errorClass: "bifrost_internal" };
    throw error;
  }
  noteEnd(noted, attempted, request);
  switch (attempted.kind) {
    case "answer":
      turn.success(measured(attempted.usage?.outputTokens), Date.now());
      return attempted;
    case "stream":
    case "bytes":
      turn.answering();
      return {
        ...attempted,
        source: new ObservedSource(attempted.source, (outcome, usage) => {
          if (outcome === "success") turn.success(measured(usage?.outputTokens), Date.now());
          else turn.failure(outcome, Date.now());
        }),
      };
    case "failure":
      turn.failure(request.over ? "cancelled" : attempted.cause, Date.now(), attempted.retryAfterMs);
      return attempted;
  }
}

/** Notes how an attempt came out. That of a stream, or of an object, goes on until the request is over. */
export function noteEnd(attempt: OpenAttempt, attempted: Attempted, request: ActiveRequest): void {
  if (attempted.kind === "stream" || attempted.kind === "bytes") return;
  const at = performance.now();
  if (request.exchange.aborted) {
    attempt.ended = { at, status: 499, outcome: "cancelled", errorClass: "caller_cancelled" };
  } else if (attempted.kind === "answer") {
    attempt.ended = { at, status: attempted.status, outcome: "success" };
  } else {
    const { cause, reply } = attempted;
    const { ended } = request;
    const errorClass =
      ended === undefined ? errorClassOfAttempt(cause, reply.status) : errorClassOfType(ended.type, ended.status);
    attempt.ended = { at, status: reply.status, outcome: "error", errorType: reply.type, errorClass };
  }
}

/** The pause before repetition number `attempt` (from 0) in milliseconds: doubled each time, capped, ±20 %. */
export function backoffMs(retries: Retries, attempt: number, roll: number): number {
  return Math.min(retries.initialBackoffMs * 2 ** attempt, retries.maxBackoffMs) * (0.8 + 0.4 * roll);
}

/** No key could even be asked. */
function refused<Key extends Choosable>(refusal: Refusal<Key>, walk: Walk<Key>): Failure {
  const { provider, asked, pin } = walk;
  switch (refusal.reason) {
    case "unknown_pin":
      return unfit(pin, `the provider ${provider.name} has no key ${JSON.stringify(pin?.id ?? pin?.name)}.`);
    case "unfit_pin": {
      return unfit(pin, `the key ${JSON.stringify(refusal.key.name)} ${whyUnfit(refusal.key, asked)}.`);
    }
    case "no_key":
    case "exhausted":
      return failure("nobody", notServed(asked, [provider]));
    case "credentials":
      return allRefused(provider.name, undefined, refusal.waitMs);
    case "cooling": {
      const message = `All keys of the provider ${provider.name} for this model are cooling down after being throttled.`;
      return failure("nobody", new BedrockError("ThrottlingException", message, waitOf(refusal)), { cause: "client" });
    }
    case "unhealthy": {
      const message = `All keys of the provider ${provider.name} are out of service after repeated failures.`;
      return failure("nobody", new BedrockError("ServiceUnavailableException", message, waitOf(refusal)));
    }
  }
}

function whyUnfit(key: Choosable, asked: string | undefined): string {
  if (!key.enabled) return "is not enabled";
  return isFit(key, asked)
    ? "is not one of those this client may use"
    : `does not serve the model ${JSON.stringify(asked)}`;
}

/** The client asked for a key it cannot have: another provider's is no substitute. */
function unfit(pin: Walk<unknown>["pin"], reason: string): Failure {
  const header = pin?.id === undefined ? "x-bf-api-key" : "x-bf-api-key-id";
  return failure("nobody", refuseField(header, reason), { elsewhere: false });
}

/** Every key that could be asked has been tried. */
function exhausted<Key extends Choosable>(refusal: Refusal<Key>, last: Failure, walk: Walk<Key>): Failure {
  if (walk.own) return last.retry === "other_credential" ? ownRefused(last, walk.provider.name) : last;
  if (last.retry === "other_key" && refusal.reason === "cooling") return sooner(last, refusal.waitMs);
  if (last.retry !== "other_credential") return last;
  if (refusal.reason !== "credentials" && refusal.reason !== "exhausted") return refused(refusal, walk);
  const said = last.reply instanceof BedrockError ? last.reply.message : last.reply.type;
  return allRefused(walk.provider.name, said, refusal.reason === "credentials" ? refusal.waitMs : undefined);
}

/** The last key asks for its own wait; where another is well before, the client need not wait that long. */
function sooner(last: Failure, waitMs: number): Failure {
  const { reply, retryAfterMs } = last;
  const seconds = wholeSeconds(waitMs);
  if (retryAfterMs === undefined || seconds * 1000 >= retryAfterMs) return last;
  if (reply instanceof BedrockError) {
    const { type, message, status, members } = reply;
    const details = { status, retryAfterSeconds: seconds, cause: reply, ...(members !== undefined && { members }) };
    return { ...last, reply: new BedrockError(type, message, details) };
  }
  const others = reply.headers.filter(([name]) => name !== "retry-after" && name !== "x-amz-retry-after");
  return { ...last, reply: { ...reply, headers: [...others, ["retry-after", String(seconds)]] } };
}

/** The upstream's own words stand; the translation lane has only words about a key of the gateway's. */
function ownRefused(last: Failure, provider: string): Failure {
  if (!(last.reply instanceof BedrockError)) return last;
  const message = `The provider ${provider} refused the key that came with the request.`;
  return { ...last, reply: new BedrockError("UnrecognizedClientException", message, { cause: last.reply }) };
}

function allRefused(provider: string, said: string | undefined, waitMs: number | undefined): Failure {
  const message =
    `Every configured credential of the provider ${provider} was refused upstream` +
    `${said === undefined || said === "" ? "" : ` (last: ${said})`}. The gateway's operator has to renew its keys.`;
  const details = waitMs === undefined ? {} : { retryAfterSeconds: wholeSeconds(waitMs) };
  return failure("nobody", new BedrockError("ServiceUnavailableException", message, details));
}

function waitOf(refusal: { readonly waitMs: number }): { retryAfterSeconds: number } {
  return { retryAfterSeconds: wholeSeconds(refusal.waitMs) };
}

/** What a client is told to wait: no more than the upstream has told, which is kept rounded up. */
function wholeSeconds(waitMs: number): number {
  return Math.max(1, Math.ceil((waitMs - tickMs) / 1000));
}

/** Waits, or less when the request is over before. */
function pause(ms: number, request: ActiveRequest): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    request.whenOver(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
