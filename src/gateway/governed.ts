/** Governance on the road: who asks, where the request goes, whether it may, and what it used. */
import { BedrockError } from "../bedrock/errors.ts";
import type { OperationName, Route } from "../bedrock/operations.ts";
import type { SignedPayload } from "../bedrock/signature.ts";
import { estimateInputTokens, reservedOutputTokens } from "../governance/estimate.ts";
import type { Former, Governance } from "../governance/governance.ts";
import type { Identity } from "../governance/identity.ts";
import type { Pieces, TokenUsage } from "../governance/prices.ts";
import type { Refusal } from "../governance/refusals.ts";
import type { Routed } from "../governance/routing.ts";
import type { Exchange, RequestHeaders } from "../http/exchange.ts";
import { type Choosable, resolveAlias } from "../keys/choose.ts";
import type { Outcome, Usage } from "../telemetry/usage.ts";
import { Secret } from "../upstream/secret.ts";
import type { ActiveRequest, Estimate } from "./active-request.ts";
import { type ClientAuth, checkSignature } from "./client-auth.ts";
import { maxTokensOf } from "./max-tokens.ts";
import type { Provider } from "./providers.ts";
import { defaultProvider, type Target } from "./target.ts";

const virtualKeyPrefix = "sk-bf-";
const dimensionPrefix = "x-bf-dim-";

/**
 * Verifies the signature, if somebody known has signed, and finds the virtual key: of `x-bf-vk`, of the bearer token, or
 * of the signature itself.
 *
 * @throws BedrockError AccessDeniedException, InvalidSignatureException
 */
export async function identifyClient(
  request: ActiveRequest,
  auth: ClientAuth,
  payload: SignedPayload,
  { governance, enforceAuth }: { readonly governance: Governance; readonly enforceAuth: boolean },
): Promise<Identity | undefined> {
  const identity = await identify(request, auth, payload, governance, enforceAuth);
  request.identity = identity;
  return identity;
}

async function identify(
  { exchange }: ActiveRequest,
  auth: ClientAuth,
  payload: SignedPayload,
  governance: Governance,
  enforced: boolean,
): Promise<Identity | undefined> {
  const now = Date.now();
  const signer = auth.kind === "none" ? undefined : auth.signer;
  if (signer?.kind === "key") await checkSignature(exchange, payload, signer, now);
  if (signer?.kind === "virtual_key") await checkAnySecret(exchange, payload, signer.id, governance);
  const value = virtualKeyOf(exchange.headers, governance);
  if (value !== undefined && (governance.hasVirtualKeys || enforced)) {
    const known = governance.identify(value, now);
    if (known.kind === "refused") throw refused(known.refusal);
    return known.identity;
  }
  if (signer?.kind === "virtual_key") {
    const known = governance.identifySigner(signer.id, now);
    if (known.kind === "refused") throw refused(known.refusal);
    return known.identity;
  }
  if (enforced) {
    const ways = "as x-bf-vk, as a bearer token, or as the credentials that the request is signed with";
    throw new BedrockError("AccessDeniedException", `This gateway needs a virtual key: send it ${ways}.`);
  }
  return undefined;
}

/** After a rotation both the new value and the old one are good for a while. */
async function checkAnySecret(
  exchange: Exchange,
  payload: SignedPayload,
  id: string,
  governance: Governance,
): Promise<void> {
  const secrets = governance.secretsOf(id, Date.now());
  for (const [index, secret] of secrets.entries()) {
    try {
      return await checkSignature(
        exchange,
        payload,
        { kind: "virtual_key", id, secret: new Secret(secret) },
        Date.now(),
      );
    } catch (error) {
      if (index === secrets.length - 1 || !(error instanceof BedrockError)) throw error;
    }
  }
}

/** The value a request carries: what `x-bf-vk` says, else a bearer token that is a virtual key's. */
function virtualKeyOf(headers: RequestHeaders, governance: Governance): string | undefined {
  const own = headers.get("x-bf-vk");
  if (own !== undefined && own !== "") return own;
  const bearer = /^Bearer\s+(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1];
  if (bearer === undefined) return undefined;
  return bearer.startsWith(virtualKeyPrefix) || governance.isVirtualKey(bearer) ? bearer : undefined;
}

/** Where rules or a virtual key's weights send a request. */
export interface Routing {
  /** As a client would name it. */
  readonly model: string;
  readonly fallbacks: readonly string[];
  /** Id or name of the only key that may be used at the first target. */
  readonly keyId: string | undefined;
}

/**
 * Where rules, or the weights of a virtual key, send a request that names its model in the path.
 *
 * @param requestSize bytes of the body
 * @returns undefined when nothing changes
 */
export function routeRequest(
  request: ActiveRequest,
  route: Route,
  requestSize: number,
  identity: Identity | undefined,
  governance: Governance,
  providers: readonly Provider[],
): Routing | undefined {
  const [asked] = route.labels;
  if (route.operation.model !== "path" || asked === undefined) return undefined;
  if (identity === undefined && !governance.hasRules) return undefined;
  const slash = asked.indexOf("/");
  const named = slash === -1 ? undefined : providers.find(({ name }) => name === asked.slice(0, slash));
  const own = named ?? defaultProvider(providers);
  const model = named === undefined ? asked : asked.slice(slash + 1);
  const routed = governance.hasRules
    ? byRules(request, route, requestSize, identity, governance, own?.name ?? "", model)
    : undefined;
  if (routed !== undefined) {
    request.rules = routed.trail.map(({ ruleId }) => ruleId);
    return { model: `${routed.provider}/${routed.model}`, fallbacks: routed.fallbacks, keyId: routed.keyId };
  }
  if (identity === undefined || named !== undefined) return undefined;
  return weighted(identity, model, own, governance, providers);
}

function byRules(
  { exchange }: ActiveRequest,
  route: Route,
  requestSize: number,
  identity: Identity | undefined,
  governance: Governance,
  provider: string,
  model: string,
): Routed | undefined {
  const { headers, query } = exchange;
  const input = {
    provider,
    model,
    identity,
    requestType: route.operation.name,
    requestSize,
    headers,
    params: new Map(new URLSearchParams(query)),
    dimensions: dimensionsOf(headers),
  };
  return governance.route(input, Date.now(), Math.random());
}

/** A model without a provider: the virtual key's weights say whose it is. */
function weighted(
  identity: Identity,
  model: string,
  own: Provider | undefined,
  governance: Governance,
  providers: readonly Provider[],
): Routing | undefined {
  const now = Date.now();
  const isConfigured = (provider: string) => providers.some(({ name }) => name === provider);
  // Bedrock's own ids go to Bedrock, whether their price is known or not.
  const serves = (provider: string) =>
    isConfigured(provider) && (provider === own?.name || governance.prices.knows(provider, model, now));
  const chosen = governance.chooseProvider(identity, model, now, Math.random(), serves);
  if (chosen === undefined || !isConfigured(chosen.provider)) return undefined;
  const at = (provider: string) => (provider === own?.name ? model : `${provider}/${model}`);
  return { model: at(chosen.provider), fallbacks: chosen.others.filter(isConfigured).map(at), keyId: undefined };
}

/** The dimensions a client names: `x-bf-env`, and `x-bf-dim-<name>`. */
export function dimensionsOf(headers: RequestHeaders): ReadonlyMap<string, string> {
  let dimensions: Map<string, string> | undefined;
  const environment = headers.get("x-bf-env");
  if (environment !== undefined) dimensions = new Map([["env", environment]]);
  for (const [name, value] of headers) {
    if (!name.startsWith(dimensionPrefix)) continue;
    dimensions ??= new Map();
    dimensions.set(name.slice(dimensionPrefix.length), value);
  }
  return dimensions ?? noDimensions;
}

const noDimensions: ReadonlyMap<string, string> = new Map();

/**
 * Admits the request to a target, with a reservation of the most it can cost. What it was admitted with to a target that
 * has failed before is settled by this: that one has used nothing.
 *
 * @param pieces what it asks for that is paid by the piece
 * @throws BedrockError AccessDeniedException, ServiceQuotaExceededException or ThrottlingException
 */
export function admitTarget(
  request: ActiveRequest,
  { provider, model, body }: Target,
  identity: Identity | undefined,
  governance: Governance,
  pieces: Pieces | undefined,
): void {
  request.pieces = pieces;
  if (!governance.hasLimits) return;
  const former: Former | undefined = request.admission && { admission: request.admission, usage: nothing };
  request.admission = undefined;
  request.limit = undefined;
  const { inputTokens, outputTokens } = estimate(request, body);
  const admitted = governance.admit(
    {
      identity,
      provider: provider.name,
      model,
      resolved: resolvedModels(provider, model),
      inputTokens,
      outputTokens,
      pieces: request.pieces,
    },
    Date.now(),
    former,
  );
  if (admitted.kind === "refused") {
    request.limit = limitOf(admitted.refusal);
    throw refused(admitted.refusal);
  }
  request.admission = admitted.admission;
}

/** The tokens to reserve. A fallback with the body of the target before takes what was found for that. */
function estimate(request: ActiveRequest, body: Buffer): Estimate {
  const { estimate: known, operation, pieces } = request;
  if (known?.body === body) return known;
  const isText = billed.has(operation) && pieces?.queries === undefined;
  const made = {
    body,
    inputTokens: isText ? estimateInputTokens(body) : 0,
    outputTokens: isText && pieces === undefined ? reservedOutputTokens(maxTokensOf(body)) : 0,
  };
  request.estimate = made;
  return made;
}

/** Every id that the model may have upstream, by the aliases of the provider's keys. */
function resolvedModels(provider: Provider, model: string | undefined): readonly string[] {
  if (provider.kind === "mock" || model === undefined) return itself;
  const keys: readonly Choosable[] = provider.keys;
  if (keys.every(({ aliases }) => isEmpty(aliases))) return itself;
  return [...new Set(keys.map((key) => resolveAlias(key, model)))];
}

/** No aliases: the model's name is its id. */
const itself: readonly string[] = [];

function isEmpty(record: Choosable["aliases"]): boolean {
  for (const _ in record) return false;
  return true;
}

/**
 * The ids of the keys that may serve; undefined means all.
 *
 * @param keyId id or name of the only one that a routing rule wants
 */
export function allowedKeys(
  provider: Provider,
  permitted: ReadonlySet<string> | undefined,
  keyId: string | undefined,
): ReadonlySet<string> | undefined {
  if ((permitted === undefined && keyId === undefined) || provider.kind === "mock") return undefined;
  if (permitted === undefined || keyId !== undefined) return idsOf(provider, permitted, keyId);
  let known = allowed.get(permitted);
  if (known === undefined) {
    known = new WeakMap();
    allowed.set(permitted, known);
  }
  let ids = known.get(provider);
  if (ids === undefined) {
    ids = idsOf(provider, permitted, undefined);
    known.set(provider, ids);
  }
  return ids;
}

/** By what a virtual key permits and the provider, both of which live as long as their configuration. */
const allowed = new WeakMap<ReadonlySet<string>, WeakMap<Provider, ReadonlySet<string>>>();

function idsOf(
  { keys }: { readonly keys: readonly Pick<Choosable, "id" | "name">[] },
  permitted: ReadonlySet<string> | undefined,
  keyId: string | undefined,
): ReadonlySet<string> {
  const isAllowed = ({ id, name }: { readonly id: string; readonly name: string }) =>
    (permitted === undefined || permitted.has(id) || permitted.has(name)) &&
    (keyId === undefined || keyId === id || keyId === name);
  return new Set(keys.filter(isAllowed).map(({ id }) => id));
}

/** Charges what the request has used to whom it was admitted for, and notes what it cost. Only the first call counts. */
export function settle(
  request: ActiveRequest,
  outcome: Outcome,
  governance: Governance,
  onProblem: (message: string) => void,
): void {
  if (request.settled) return;
  request.settled = true;
  const { admission, usage, pieces, provider, model, cache } = request;
  // For who counts what was answered without a price.
  if (pieces !== undefined && outcome === "success") request.usage ??= { inputTokens: 0, outputTokens: 0 };
  const now = Date.now();
  if (cache?.kind === "direct" || cache?.kind === "semantic") {
    // It counts as a request, and costs nothing, not even where each request has a price.
    request.costMicroUsd = 0;
    admission?.ticket.settle({ tokens: 0, microUsd: 0 });
    return;
  }
  if (admission === undefined) {
    if (provider === undefined || model === undefined || (usage === undefined && pieces === undefined)) return;
    if (outcome === "error" && usage === undefined) return;
    count(request, governance.prices.cost(provider, model, usedBy(request, outcome, 0), now), onProblem);
    return;
  }
  if (request.attempts.length === 0 && usage === undefined) {
    governance.release(admission);
    return;
  }
  const isBilled = billed.has(request.operation);
  const used = isBilled ? usedBy(request, outcome, admission.request.inputTokens) : nothing;
  const { microUsd } = governance.settle(admission, used, now, model);
  if (isBilled && (outcome !== "error" || usage !== undefined)) count(request, microUsd, onProblem);
}

function count(request: ActiveRequest, microUsd: number | undefined, onProblem: (message: string) => void): void {
  const { provider = "none", model = "" } = request;
  request.costMicroUsd = microUsd;
  if (microUsd !== undefined) return;
  const name = `${provider}/${model.slice(0, 256)}`;
  if (unpriced.has(name) || unpriced.size >= mostUnpriced) return;
  unpriced.add(name);
  onProblem(
    `The price of ${name} is unknown, so no budget is charged for it: governance.pricing_overrides may name one.`,
  );
}

/** Said once for each model, and not for ever more of them: clients choose the names. */
const unpriced = new Set<string>();
const mostUnpriced = 100;

/**
 * What a request is charged: what the provider has told. Where it has told nothing, an answer and a request whose client
 * did not wait for it are charged their prompt as estimated; a failure is charged nothing. A stream that was cut before
 * it told is charged the same prompt, and its text as estimated.
 *
 * @param estimated tokens of the prompt
 */
function usedBy(request: ActiveRequest, outcome: Outcome, estimated: number): TokenUsage {
  const { usage, pieces } = request;
  const isCharged = usage !== undefined || outcome !== "error" || request.ended !== undefined;
  if (!isCharged) return nothing;
  const told = usage === undefined ? nothing : tokensOf(usage);
  const isTold = usage !== undefined && !request.usageEstimated && pieces === undefined;
  const used = isTold || told.input + told.cacheRead + told.cacheWrite > 0 ? told : { ...told, input: estimated };
  if (pieces === undefined) return used;
  const { images = 0, queries = 0 } = pieces;
  // Pictures of an answer that nobody has seen are no more charged than its text.
  return { ...used, images: outcome === "success" ? (usage?.images ?? images) : 0, queries };
}

function tokensOf(usage: Usage): TokenUsage {
  return {
    input: usage.inputTokens,
    output: usage.outputTokens,
    cacheRead: usage.cacheReadInputTokens ?? 0,
    cacheWrite: usage.cacheWriteInputTokens ?? 0,
  };
}

const nothing: TokenUsage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

/** The operations that cost something; of the others only their number and those that run are limited. */
const billed: ReadonlySet<string> = new Set<OperationName>([
  "Converse",
  "ConverseStream",
  "InvokeModel",
  "InvokeModelWithResponseStream",
  "Rerank",
]);

function limitOf(refusal: Refusal): ActiveRequest["limit"] {
  if (refusal.kind !== "budget" && refusal.kind !== "rate") return undefined;
  const { limit, remaining } = refusal;
  return { kind: limit.kind, remaining: limit.kind === "budget" ? remaining / 1e6 : remaining };
}

function refused(refusal: Refusal): BedrockError {
  switch (refusal.kind) {
    case "identity":
    case "permission":
    case "unpriced":
      return new BedrockError("AccessDeniedException", refusal.message);
    case "budget":
      return new BedrockError("ServiceQuotaExceededException", refusal.message);
    case "rate":
      return new BedrockError("ThrottlingException", refusal.message, {
        retryAfterSeconds: Math.max(1, Math.ceil(refusal.retryAfterMs / 1000)),
      });
  }
}
