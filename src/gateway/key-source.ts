/** Where the keys for one request come from: the provider's ring of configured keys, or the client's own. */
import { refuseField } from "../bedrock/errors.ts";
import type { RequestHeaders } from "../http/exchange.ts";
import type { Choosable } from "../keys/choose.ts";
import type { KeyPool } from "../keys/pool.ts";
import type { RetryBudget } from "../keys/retry-budget.ts";
import type { ChoiceRequest } from "../keys/ring.ts";
import type { KeySource } from "./attempts.ts";

/** What of the request decides which key it may have. */
export type KeyWish<Key> = Omit<ChoiceRequest<Key>, "tried">;

/** Chooses among the configured keys. */
export function configuredKeys<Key extends Choosable>(
  { ring, budget }: KeyPool<Key>,
  wish: KeyWish<Key>,
): KeySource<Key> {
  budget.request();
  return {
    choose: (tried) => ring.choose({ tried, ...wish }, Date.now(), Math.random()),
    hasOther: (tried) => ring.hasOther({ tried, ...wish }, Date.now()),
    mayRepeat: () => budget.take(Date.now()),
  };
}

/** The client's own key: nothing is learned of it, since it is not ours. */
export function ownKey<Key>(key: Key, budget: RetryBudget): KeySource<Key> {
  const nothing = (): void => {
    // There is no state of a key that comes and goes with its request.
  };
  const turn = {
    kind: "attempt",
    key,
    choice: "direct",
    answering: nothing,
    success: nothing,
    failure: nothing,
    again: () => turn,
  } as const;
  return {
    choose: (tried) => (tried.length === 0 ? turn : { kind: "refusal", reason: "exhausted" }),
    hasOther: () => false,
    mayRepeat: () => budget.take(Date.now()),
  };
}

const maxSessionLength = 255;
/** What the memory of sessions keeps at most. */
const maxSessionDays = 7;

/**
 * The session a client names, to keep using the same key.
 *
 * @throws BedrockError ValidationException when a header is wrong
 */
export function readSession(headers: RequestHeaders, scope: string): ChoiceRequest<unknown>["session"] {
  const id = headers.get("x-bf-session-id");
  if (id === undefined) return undefined;
  if (id === "" || id.length > maxSessionLength)
    throw refuseField("x-bf-session-id", `must have 1 to ${maxSessionLength} characters.`);
  const ttl = headers.get("x-bf-session-ttl");
  return { id, scope, ...(ttl !== undefined && { ttlMs: readTtl(ttl) }) };
}

/** A number of seconds, or hours, minutes and seconds as Go writes them: `90`, `90s`, `2h`, `1h30m0s`; days too: `1d`. */
function readTtl(text: string): number {
  const [whole, plain, days, hours, minutes, seconds] =
    /^(?:(\d{1,9})|(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?)$/.exec(text.trim()) ?? [];
  const count = (digits: string | undefined) => Number(digits ?? 0);
  const ttl = count(plain) + 86_400 * count(days) + 3600 * count(hours) + 60 * count(minutes) + count(seconds);
  if (whole !== undefined && ttl >= 1 && ttl <= maxSessionDays * 86_400) return ttl * 1000;
  throw refuseField("x-bf-session-ttl", `must be a duration such as 90s, 30m or 2h, of ${maxSessionDays}d at most.`);
}

/** The key a client pins, by id or by name. */
export function readPin(headers: RequestHeaders): ChoiceRequest<unknown>["pin"] {
  const id = headers.get("x-bf-api-key-id");
  const name = headers.get("x-bf-api-key");
  return id === undefined && name === undefined ? undefined : { id, name };
}
