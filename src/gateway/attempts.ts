/** Attempts at one Bedrock provider: keys are walked and failures repeated as their scope allows. */
import { BedrockError, refuseField } from "../bedrock/errors.ts";
import type { RequestHeaders } from "../http/exchange.ts";
import { isFit, pickByWeight, resolveAlias } from "../keys/choose.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Attempted, Failure } from "./attempt.ts";
import type { BedrockKey, BedrockProvider, Retries } from "./providers.ts";
import { type RelayCall, type RelayServices, relay } from "./relay.ts";
import { notServed } from "./target.ts";

/**
 * Tries the provider's keys until one answers: the same key again after network faults and 5xx (with a growing pause),
 * another key at once after 429 or a refused credential. Keys already tried are not tried again.
 *
 * @param onAttempt told of each attempt's status, for the metrics
 * @throws BedrockError when no key is fit, or the client's pin names none that is
 */
export async function attemptKeys(
  request: ActiveRequest,
  call: RelayCall,
  provider: BedrockProvider,
  services: RelayServices,
  onAttempt: (status: string) => void,
): Promise<Attempted> {
  let candidates = fitKeys(provider, call.model, request.exchange.headers);
  let retries = 0;
  for (;;) {
    const key = pickByWeight(candidates, Math.random());
    if (key === undefined) throw notServed(call.model, [provider]);
    request.provider = provider.name;
    request.key = key.name;
    let attempted: Attempted;
    for (;;) {
      request.attempts++;
      const model = call.model === undefined ? undefined : resolveAlias(key, call.model);
      request.model = model;
      attempted = await relay(request, { ...call, model }, provider, key, services);
      onAttempt(statusLabel(attempted));
      if (attempted.kind !== "failure" || request.over) return attempted;
      if (attempted.retry !== "same_key" || retries >= provider.retries.max) break;
      await pause(backoffMs(provider.retries, retries++, Math.random()), request);
      if (request.over) return attempted;
    }
    if (attempted.retry !== "other_key" && attempted.retry !== "other_credential") return attempted;
    candidates = candidates.filter((candidate) => candidate !== key);
    if (candidates.length === 0)
      return attempted.retry === "other_credential" ? allRefused(provider, attempted) : attempted;
  }
}

/** The pause before repetition number `attempt` (from 0) in milliseconds: doubled each time, capped, ±20 %. */
export function backoffMs(retries: Retries, attempt: number, roll: number): number {
  return Math.min(retries.initialBackoffMs * 2 ** attempt, retries.maxBackoffMs) * (0.8 + 0.4 * roll);
}

function fitKeys(provider: BedrockProvider, model: string | undefined, headers: RequestHeaders): readonly BedrockKey[] {
  const id = headers.get("x-bf-api-key-id");
  const name = headers.get("x-bf-api-key");
  if (id === undefined && name === undefined) return provider.keys.filter((key) => isFit(key, model));
  const [header, pin] = id === undefined ? (["x-bf-api-key", name] as const) : (["x-bf-api-key-id", id] as const);
  const pinned = provider.keys.find((key) => (id === undefined ? key.name : key.id) === pin);
  if (pinned === undefined)
    throw refuseField(header, `the provider ${provider.name} has no key ${JSON.stringify(pin)}.`);
  if (!isFit(pinned, model)) {
    const reason = pinned.enabled ? `does not serve the model ${JSON.stringify(model)}` : "is not enabled";
    throw refuseField(header, `the key ${JSON.stringify(pinned.name)} ${reason}.`);
  }
  return [pinned];
}

function allRefused(provider: BedrockProvider, last: Failure): Failure {
  const type = last.reply instanceof BedrockError ? last.reply.message : last.reply.type;
  const message =
    `Every configured credential of the provider ${provider.name} was refused upstream` +
    `${type === "" ? "" : ` (last: ${type})`}. The gateway's operator has to renew its keys.`;
  return { kind: "failure", retry: "nobody", reply: new BedrockError("ServiceUnavailableException", message) };
}

function statusLabel(attempted: Attempted): string {
  if (attempted.kind === "stream") return "200";
  return String(attempted.kind === "answer" ? attempted.status : attempted.reply.status);
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
