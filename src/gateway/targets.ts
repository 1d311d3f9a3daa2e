/** A request at its targets: the one it names, and after that one's failure its fallbacks, each a whole new attempt. */
import { BedrockError } from "../bedrock/errors.ts";
import type { Route } from "../bedrock/operations.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Upstream } from "../upstream/dispatch.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Attempted } from "./attempt.ts";
import { walkKeys } from "./attempts.ts";
import { type ClientAuth, checkSignature, type KnownCredentials, readClientAuth } from "./client-auth.ts";
import { bedrockKeys, translatedKeys } from "./client-keys.ts";
import type { CompiledPolicy } from "./client-policy.ts";
import { failure } from "./failures.ts";
import { headersForUpstream } from "./headers.ts";
import { type KeyWish, readPin, readSession } from "./key-source.ts";
import { answerMock } from "./mock.ts";
import type { BedrockProvider, Provider, TranslatedProvider } from "./providers.ts";
import { type RelayCall, relay } from "./relay.ts";
import { findTargets, replaceModel, type Target } from "./target.ts";
import { readTranslateCall, translate } from "./translate.ts";

export interface TargetServices {
  readonly upstream: Upstream;
  /** SHA-256 of a body in hexadecimal; large ones are hashed off this thread. */
  readonly hash: (body: Buffer) => string | Promise<string>;
  readonly metrics: Metrics;
}

/** What the configuration means to this thread; replaced as a whole by a reload. */
export interface Snapshot {
  readonly providers: readonly Provider[];
  readonly policy: CompiledPolicy;
  readonly allowDirectKeys: boolean;
  readonly known: KnownCredentials;
}

/** A request with what it needs on its way. */
export interface Asked {
  readonly request: ActiveRequest;
  readonly snapshot: Snapshot;
  readonly route: Route;
  readonly body: Buffer;
  readonly services: TargetServices;
}

/** One target's turn: its place among the targets, who may be asked there, and with which keys. */
interface Turn {
  readonly target: Target;
  readonly isLast: boolean;
  readonly auth: ClientAuth;
  readonly wish: KeyWish<never>;
  /** Of the client's body. */
  readonly bodyHash: () => string | Promise<string>;
}

/**
 * @returns the answer of the first target that gives one, else the first target's failure
 * @throws BedrockError when the client's credentials, its fallbacks or its model are wrong
 */
export async function attemptTargets(asked: Asked): Promise<Attempted> {
  const { request, snapshot, route, body, services } = asked;
  const { exchange } = request;
  const bodyHash = once(() => services.hash(body));
  const auth = readClientAuth(exchange, snapshot, snapshot.known);
  if (auth.kind !== "none" && auth.signer !== undefined)
    await checkSignature(exchange, bodyHash, auth.signer, Date.now());
  const targets = findTargets(snapshot.providers, route, body, exchange.headers.get("x-bf-fallbacks"));
  const session = readSession(exchange.headers, exchange.headers.get("x-bf-vk") ?? "");
  const pin = readPin(exchange.headers);
  let first: Attempted | undefined;
  for (const [index, target] of targets.entries()) {
    const isLast = index === targets.length - 1;
    const common = { model: target.model, session, lastResort: isLast };
    // The client's credentials and its pin are for the first target; fallbacks use the configured keys.
    const turn: Turn =
      index === 0
        ? { target, isLast, auth, wish: { ...common, pin }, bodyHash }
        : { target, isLast, auth: { kind: "none" }, wish: common, bodyHash };
    request.fallbackIndex = index;
    const attempted = await attemptTarget(asked, turn);
    if (attempted.kind !== "failure") return attempted;
    first ??= attempted;
    if (request.over || !attempted.elsewhere) break;
  }
  if (first === undefined) throw new Error("a request has at least one target");
  return first;
}

async function attemptTarget(asked: Asked, turn: Turn): Promise<Attempted> {
  const { request, route } = asked;
  const { provider, model, body } = turn.target;
  request.provider = provider.name;
  request.model = model;
  request.key = undefined;
  try {
    switch (provider.kind) {
      case "mock":
        return await answerMock(request, route, model, body, provider);
      case "translated":
        return await translateTarget(asked, turn, provider);
      case "bedrock":
        return await relayTarget(asked, turn, provider);
    }
  } catch (error) {
    // What one target cannot carry, the next one may: the refusal counts as this one's failure.
    if (turn.isLast || !(error instanceof BedrockError)) throw error;
    return failure("nobody", error);
  }
}

function translateTarget(
  { request, snapshot, route, services }: Asked,
  { target, isLast, auth, wish }: Turn,
  provider: TranslatedProvider,
): Promise<Attempted> {
  const { source, own } = translatedKeys(provider, auth, wish);
  const headers = headersForUpstream(request.exchange.headers, snapshot.policy.headerFilter, "translate");
  const call = readTranslateCall(request, route, target.model, target.body, headers, provider.name);
  return walkKeys(request, {
    provider,
    asked: target.model,
    keys: source,
    own,
    pin: wish.pin,
    isLast,
    attempt: (key, name = "", patienceMs) =>
      translate(request, { ...call, patienceMs }, provider, key, name, services.upstream),
    onAttempt: (status) => services.metrics.attemptFinished(provider.name, status),
  });
}

function relayTarget(
  { request, snapshot, route, body, services }: Asked,
  { target, isLast, auth, wish, bodyHash }: Turn,
  provider: BedrockProvider,
): Promise<Attempted> {
  const { source, own } = bedrockKeys(provider, auth, wish);
  const { exchange } = request;
  const call = {
    route,
    region: target.region,
    query: exchange.query,
    headers: headersForUpstream(exchange.headers, snapshot.policy.headerFilter, "relay"),
    body: target.body,
    bodyHash: target.body === body ? bodyHash : once(() => services.hash(target.body)),
  };
  return walkKeys(request, {
    provider,
    asked: target.model,
    keys: source,
    own,
    pin: wish.pin,
    isLast,
    attempt: (key, model, patienceMs) => {
      const named = withAlias({ ...call, model, patienceMs }, target.model, services.hash);
      return relay(request, named, provider, key, services.upstream);
    },
    onAttempt: (status) => services.metrics.attemptFinished(provider.name, status),
  });
}

/** Where the model stands in the body, a key's alias has to be written there. */
function withAlias(call: RelayCall, asked: string | undefined, hash: TargetServices["hash"]): RelayCall {
  const { model } = call;
  if (call.route.operation.model !== "body" || asked === undefined || model === undefined || asked === model)
    return call;
  const body = replaceModel(call.body, asked, model);
  return { ...call, body, bodyHash: once(() => hash(body)) };
}

/** Asks at most once, and remembers what it was told. */
function once<T>(ask: () => T): () => T {
  let told: { readonly value: T } | undefined;
  return () => {
    told ??= { value: ask() };
    return told.value;
  };
}
