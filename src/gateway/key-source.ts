/** Where the keys for one request come from: the provider's ring of configured keys, or the client's own. */
import { BedrockError, refuseField } from "../bedrock/errors.ts";
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
    choose: (tried) => ring.choose({ ...wish, tried }, Date.now(), Math.random()),
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
    answering: nothing,
    success: nothing,
    failure: nothing,
    again: () => turn,
  } as const;
  return {
    choose: (tried) => (tried.length === 0 ? turn : { kind: "refusal", reason: "exhausted" }),
    mayRepeat: () => budget.take(Date.now()),
  };
}

const maxSessionLength = 255;
const maxSessionMs = 30 * 24 * 3_600_000;
const unitMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

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

/** A number of seconds, or a number with a unit: `90`, `90s`, `30m`, `2h`, `1d`. */
function readTtl(text: string): number {
  const [, digits, unit = "s"] = /^(\d{1,9})([smhd]?)$/.exec(text.trim()) ?? [];
  const ms = Number(digits) * unitMs[isUnit(unit) ? unit : "s"];
  if (ms >= 1000 && ms <= maxSessionMs) return ms;
  throw new BedrockError("ValidationException", "x-bf-session-ttl: must be a duration such as 90s, 30m or 2h.");
}

function isUnit(unit: string): unit is keyof typeof unitMs {
  return Object.hasOwn(unitMs, unit);
}

/** The key a client pins, by id or by name. */
export function readPin(headers: RequestHeaders): ChoiceRequest<unknown>["pin"] {
  const id = headers.get("x-bf-api-key-id");
  const name = headers.get("x-bf-api-key");
  return id === undefined && name === undefined ? undefined : { id, name };
}
