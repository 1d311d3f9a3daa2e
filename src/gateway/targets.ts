/** A request at its targets: the one it names, and after that one's failure its fallbacks, each a whole new attempt. */
import type { ConverseResponse, GuardrailConfig } from "../bedrock/converse.ts";
import { BedrockError, refuseField } from "../bedrock/errors.ts";
import type { OperationName, Route } from "../bedrock/operations.ts";
import type { CacheOptions } from "../cache/options.ts";
import type { ObservabilityConfig } from "../config/observability.ts";
import type { Governance } from "../governance/governance.ts";
import type { Identity } from "../governance/identity.ts";
import type { Pieces } from "../governance/prices.ts";
import type { RequestHeaders } from "../http/exchange.ts";
import type { Upstream } from "../upstream/dispatch.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Attempted, Failure } from "./attempt.ts";
import { noteEnd, walkKeys } from "./attempts.ts";
import { type ClientAuth, type KnownCredentials, readClientAuth } from "./client-auth.ts";
import { formatOf, type TextAnswerFormat } from "./client-format.ts";
import { bedrockKeys, type ClientKeys, filesKeys, translatedKeys } from "./client-keys.ts";
import type { CompiledPolicy } from "./client-policy.ts";
import { keepContent } from "./content.ts";
import { withoutGuardrail } from "./encoding.ts";
import { cancelled, failure } from "./failures.ts";
import { checkFilesRequest, readUpload } from "./files.ts";
import { mayHoldForeignReasoning, stripForeignReasoning } from "./foreign-reasoning.ts";
import { admitTarget, allowedKeys, identifyClient, routeRequest } from "./governed.ts";
import { type Apply, type Ask, askGuarded, guardedInput } from "./guardrail.ts";
import { headersForUpstream } from "./headers.ts";
import { errorOf, plainRoute } from "./jobs.ts";
import type { Keeper } from "./keeper.ts";
import { type KeyWish, readPin, readSession } from "./key-source.ts";
import { answerMock } from "./mock.ts";
import { ownCatalogue } from "./model-list.ts";
import { largeBytes, type OffThread } from "./off-thread.ts";
import { imagesIn, mayAskPieces, piecesAsked } from "./pieces.ts";
import type {
  BedrockKey,
  BedrockProvider,
  MockProvider,
  Provider,
  TranslatedKey,
  TranslatedProvider,
} from "./providers.ts";
import { type Recall, readRecallOptions, recall } from "./recall.ts";
import { type RelayCall, relay } from "./relay.ts";
import { readAnswerFacts } from "./relay-facts.ts";
import { holdsAny } from "./scan.ts";
import { findTargets, replaceModel, type Target } from "./target.ts";
import {
  callWith,
  finishedAnswer,
  largeTranslateCall,
  type ReadCall,
  readTranslateCall,
  type Tap,
  type TranslateCall,
  translate,
} from "./translate.ts";

export interface TargetServices {
  readonly upstream: Upstream;
  /** SHA-256 of a body in hexadecimal; large ones are hashed off this thread. */
  readonly hash: (body: Buffer) => string | Promise<string>;
  readonly offThread: OffThread;
  /** Told of what an operator should know and no client is refused for. */
  readonly onProblem: (message: string) => void;
}

/** What the configuration means to this thread; replaced as a whole by a reload. */
export interface Snapshot {
  readonly providers: readonly Provider[];
  readonly policy: CompiledPolicy;
  readonly allowDirectKeys: boolean;
  readonly known: KnownCredentials;
  readonly governance: Governance;
  /** Undefined while the cache is off. */
  readonly recall: Recall | undefined;
  /** Every request needs a virtual key. */
  readonly enforceAuth: boolean;
  readonly observability: ObservabilityConfig;
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
  readonly identity: Identity | undefined;
  /** Id or name of the only key that a routing rule wants. */
  readonly keyId: string | undefined;
  readonly auth: ClientAuth;
  readonly wish: KeyWish<never>;
  /** What it wants of the cache; undefined where that has no part in it. */
  readonly recall: CacheOptions | undefined;
  /** Takes down the answer for the cache. */
  readonly keeper: Keeper | undefined;
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
  request.admissionAfterMs = performance.now() - request.startedAt;
  const bodyHash = once(() => services.hash(body));
  const auth = readClientAuth(exchange, snapshot, snapshot.known);
  const s3 = route.operation.service === "s3" ? { body, hash: services.hash } : undefined;
  const identity = await identifyClient(request, auth, { bodyHash, s3 }, snapshot);
  request.content = keepContent(exchange.headers, identity, snapshot.observability);
  // Objects are somebody's files, and no request's content.
  if (s3 === undefined) request.content?.request(body);
  const ownModels = await ownCatalogue(route, snapshot.providers, exchange.query, services);
  const isOurs = route.operation.name === "GetFoundationModel" || snapshot.providers.every(isTranslated);
  if (ownModels !== undefined && isOurs) return ownModels(undefined);
  const routing = routeRequest(request, route, body.length, identity, snapshot.governance, snapshot.providers);
  const fallbacks = exchange.headers.get("x-bf-fallbacks") ?? routing?.fallbacks.join();
  const routed = routing === undefined ? route : { ...route, labels: [routing.model, ...route.labels.slice(1)] };
  const named = exchange.headers.get("x-model-provider") || undefined;
  let inBody: (() => string | undefined) | undefined;
  if (route.operation.model === "body" && body.length >= largeBytes) {
    const model = await services.offThread.run("model", body, {});
    inBody = () => model;
  }
  const targets = findTargets(snapshot.providers, routed, body, fallbacks, named, inBody);
  const session = readSession(exchange.headers, identity?.id ?? exchange.headers.get("x-bf-vk") ?? "");
  const pin = readPin(exchange.headers);
  const wanted = snapshot.recall && readRecallOptions(request, route, body, snapshot.recall);
  let first: { readonly attempted: Failure; readonly served: Served } | undefined;
  let last: Failure | undefined;
  for (const [index, target] of targets.entries()) {
    const isLast = index === targets.length - 1;
    const isFirst = index === 0;
    // The client's credentials and its pin are for the first target; fallbacks use the configured keys.
    const turn: Turn = {
      target,
      isLast,
      identity,
      keyId: isFirst ? routing?.keyId : undefined,
      auth: isFirst ? auth : { kind: "none" },
      wish: { model: target.model, session, lastResort: isLast, ...(isFirst && { pin }) },
      recall: wanted,
      keeper: undefined,
      bodyHash,
    };
    request.fallbackIndex = index;
    const attempted = await attemptTarget(asked, turn);
    if (attempted.kind === "answer" && ownModels !== undefined) return ownModels(attempted);
    if (attempted.kind !== "failure" || request.over) return attempted;
    last = attempted;
    first ??= { attempted, served: servedBy(request) };
    if (!attempted.elsewhere) break;
  }
  if (first === undefined || last === undefined) throw new Error("a request has at least one target");
  const lastProvider = request.provider;
  Object.assign(request, first.served);
  return allFailed(first.attempted, last, lastProvider, request);
}

function isTranslated(provider: Provider): boolean {
  return provider.kind === "translated";
}

/** What the answer's headers say of who gave it. */
type Served = Pick<ActiveRequest, "provider" | "model" | "key" | "fallbackIndex" | "id">;

function servedBy({ provider, model, key, fallbackIndex, id }: ActiveRequest): Served {
  return { provider, model, key, fallbackIndex, id };
}

/** The first target's failure. Where the gateway has the words, they say how the last one failed, and under which id. */
function allFailed(first: Failure, last: Failure, lastProvider: string | undefined, request: ActiveRequest): Failure {
  const { reply } = first;
  if (!(reply instanceof BedrockError) || reply.status < 500) return first;
  const others =
    last === first ? "" : ` No other target answered; the last one, ${lastProvider}, failed with ${nameOf(last)}.`;
  const { type, status, retryAfterSeconds, members } = reply;
  const message = `${reply.message}${others} Request id: ${request.id}.`;
  const details = {
    status,
    cause: reply,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(members !== undefined && { members }),
  };
  return { ...first, reply: new BedrockError(type, message, details) };
}

function nameOf({ reply }: Failure): string {
  return reply.type === "" ? `status ${reply.status}` : reply.type;
}

/** @throws BedrockError for credentials that the provider does not take: another target is no substitute */
async function attemptTarget(asked: Asked, turn: Turn): Promise<Attempted> {
  const { request, snapshot } = asked;
  const { target, identity } = turn;
  const { provider, model } = target;
  request.provider = provider.name;
  request.model = model;
  request.key = undefined;
  const pieces = piecesOf(request, target, asked.services.offThread);
  try {
    admitTarget(request, target, identity, snapshot.governance, pieces instanceof Promise ? await pieces : pieces);
  } catch (error) {
    // What one target has no room for, the next one may have.
    if (!(error instanceof BedrockError)) throw error;
    return failure("nobody", error, { cause: "client" });
  }
  if (turn.recall === undefined || snapshot.recall === undefined) return askTarget(asked, turn);
  return recallOrAsk(asked, turn, turn.recall, snapshot.recall);
}

function piecesOf(
  { operation }: ActiveRequest,
  { provider, model, body }: Target,
  offThread: OffThread,
): Pieces | undefined | Promise<Pieces | undefined> {
  const foreign = provider.kind !== "bedrock";
  if (body.length < largeBytes) return piecesAsked(operation, model, body, foreign);
  return mayAskPieces(operation, model, foreign)
    ? offThread.run("pieces", body, { operation, model, foreign })
    : undefined;
}

/** What the cache has is the answer; else the target is asked, and its answer may be kept. */
async function recallOrAsk(asked: Asked, turn: Turn, wanted: CacheOptions, on: Recall): Promise<Attempted> {
  const { request, route, snapshot } = asked;
  const { target, identity, auth, keyId, wish } = turn;
  const asker = { identity, auth, keyId, isPinned: wish.pin !== undefined, headerFilter: snapshot.policy.headerFilter };
  const recalled = await recall(request, route, target, asker, wanted, on);
  if (recalled === undefined) return askTarget(asked, turn);
  if (recalled.kind === "answered") return recalled.attempted;
  const { keeper } = recalled;
  try {
    return keeper.watch(await askTarget(asked, { ...turn, keeper }));
  } catch (error) {
    keeper.drop();
    throw error;
  }
}

/** @throws BedrockError as {@link attemptTarget} */
async function askTarget(asked: Asked, asGiven: Turn): Promise<Attempted> {
  const { request, route } = asked;
  const { target, keyId } = asGiven;
  const { provider } = target;
  const allowedIds = allowedKeys(provider, request.admission?.keyIds, keyId);
  const turn = allowedIds === undefined ? asGiven : { ...asGiven, wish: { ...asGiven.wish, allowedIds } };
  switch (provider.kind) {
    case "mock":
      return mockTarget(asked, turn, provider);
    case "translated": {
      const keys = translatedKeys(provider, turn.auth, turn.wish);
      return refusable(() => translateTarget(asked, turn, provider, keys));
    }
    case "bedrock": {
      if (route.operation.service === "s3") return relayFiles(asked, turn, provider);
      const keys = bedrockKeys(provider, turn.auth, turn.wish);
      return refusable(() => relayTarget(asked, turn, provider, keys));
    }
  }
}

/** What one target cannot carry, the next one may: the refusal counts as this one's failure. */
async function refusable(attempt: () => Promise<Attempted>): Promise<Attempted> {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof BedrockError)) throw error;
    return failure("nobody", error);
  }
}

/** The mock has no keys and is asked once. */
async function mockTarget(
  { request, route, services }: Asked,
  { target: { model, body }, keeper }: Turn,
  provider: MockProvider,
): Promise<Attempted> {
  const { offThread } = services;
  const attempt = request.beginAttempt(provider.name, model, { id: provider.name, name: provider.name }, undefined);
  const attempted = await refusable(() => answerMock(request, route, model, body, provider, offThread, keeper));
  noteEnd(attempt, attempted, request);
  return attempted;
}

async function translateTarget(
  asked: Asked,
  turn: Turn,
  provider: TranslatedProvider,
  keys: ClientKeys<TranslatedKey>,
): Promise<Attempted> {
  const { request, snapshot, route } = asked;
  const { target } = turn;
  const headers = headersForUpstream(request.exchange.headers, snapshot.policy.headerFilter, "translate");
  if (target.body.length >= largeBytes) return translateLarge(asked, turn, provider, keys, headers);
  const read = readTranslateCall(request, route, target.model, target.body, headers, provider.name);
  const { format } = read;
  const isTapped = turn.keeper !== undefined && format.kind === "text";
  const call = isTapped ? callWith(read, turn.keeper.tap(format)) : read;
  return translateRead(asked, turn, provider, keys, call);
}

/** A call whose request has been read, which tells whether a guardrail is around it. */
function translateRead(
  asked: Asked,
  turn: Turn,
  provider: TranslatedProvider,
  keys: ClientKeys<TranslatedKey>,
  call: ReadCall,
): Promise<Attempted> {
  const { format } = call;
  const guardrail = format.kind === "text" ? format.request.guardrailConfig : undefined;
  if (format.kind !== "text" || guardrail === undefined) return walkTranslate(asked, turn, provider, keys, call);
  const input = guardedInput(format.request);
  const inner = withoutGuardrail(format);
  return translateGuarded(asked, turn, provider, keys, {
    format,
    config: guardrail,
    input: input === undefined ? undefined : Buffer.from(input),
    ask: (tap) => callWith(call, { ...inner, ...tap(inner) }),
  });
}

/** A request with a guardrail around its model. */
interface Guarded {
  readonly format: TextAnswerFormat;
  readonly config: GuardrailConfig;
  /** What the guardrail is to see of it. */
  readonly input: Buffer | undefined;
  /** The call without the guardrail. */
  readonly ask: (tap: Tap) => TranslateCall;
}

async function translateLarge(
  asked: Asked,
  turn: Turn,
  provider: TranslatedProvider,
  keys: ClientKeys<TranslatedKey>,
  headers: TranslateCall["headers"],
): Promise<Attempted> {
  const { request, route, services } = asked;
  const { target, keeper } = turn;
  const { offThread } = services;
  const keep = keeper && ((format: TextAnswerFormat) => keeper.tap(format));
  const call = (more: { readonly tap?: Tap | undefined; readonly guarded?: boolean }) =>
    largeTranslateCall(request, route, target.model, target.body, headers, offThread, more);
  if (await asksGuardrail(request.exchange.headers, target.body)) {
    const job = {
      route: plainRoute(route),
      asked: target.model ?? "",
      headers: request.exchange.headers,
      requestId: request.id,
      provider: provider.name,
    };
    const read = await request.whileAlive(offThread.run("guard", target.body, job));
    if (read === undefined) return cancelled(request);
    if (read.kind === "refused") throw errorOf(read.error);
    if (read.kind === "guarded") {
      const format = formatOf(read.form);
      if (format.kind !== "text") throw new Error("a guardrail is around a model of text");
      const { config, bytes } = read;
      const input = bytes.length === 0 ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      const ask = (tap: Tap) => call({ tap, guarded: true });
      return translateGuarded(asked, turn, provider, keys, { format: keep?.(format) ?? format, config, input, ask });
    }
  }
  return walkTranslate(asked, turn, provider, keys, call({ tap: keep }));
}

function asksGuardrail(headers: RequestHeaders, body: Buffer): boolean | Promise<boolean> {
  return headers.has("x-amzn-bedrock-guardrailidentifier") || holdsAny(body, guardrailMember);
}

const guardrailMember = [Buffer.from('"guardrailConfig"')];

function walkTranslate(
  { request, services }: Asked,
  { target, isLast, wish }: Turn,
  provider: TranslatedProvider,
  { source, own }: ClientKeys<TranslatedKey>,
  call: TranslateCall,
): Promise<Attempted> {
  return walkKeys(request, {
    provider,
    asked: target.model,
    keys: source,
    own,
    pin: wish.pin,
    isLast,
    attempt: (key, name = "", patienceMs) =>
      translate(request, { ...call, patienceMs }, provider, key, name, services.upstream, services.offThread),
  });
}

/** With a guardrail of Bedrock's around the model: its Bedrock provider looks at what goes in and out. */
async function translateGuarded(
  asked: Asked,
  turn: Turn,
  provider: TranslatedProvider,
  keys: ClientKeys<TranslatedKey>,
  { format, config, input, ask: callFor }: Guarded,
): Promise<Attempted> {
  const { request, snapshot, route } = asked;
  const bedrock = snapshot.providers.find((one) => one.kind === "bedrock");
  if (bedrock === undefined) {
    const reason = `the provider ${provider.name} has no guardrails, and no Bedrock provider is configured to apply one.`;
    return failure("nobody", refuseField("guardrailConfig", reason));
  }
  const apply: Apply = (applied, body) => {
    const target = { provider: bedrock, model: undefined, region: undefined, body };
    const wish = { model: undefined, lastResort: true };
    const configured = bedrockKeys(bedrock, { kind: "none" }, wish);
    return relayTarget({ ...asked, route: applied }, { ...turn, target, wish }, bedrock, configured);
  };
  const ask: Ask = async () => {
    let response: ConverseResponse | undefined;
    const capture: Tap = (given) => ({
      ...given,
      form: undefined,
      untapped: undefined,
      answer: (answered) => {
        response = answered;
        return { headers: [], body: "" };
      },
    });
    const attempted = await walkTranslate(asked, turn, provider, keys, { ...callFor(capture), streams: false });
    if (attempted.kind === "failure") return attempted;
    if (response === undefined) throw new Error("the model's answer was not captured");
    return response;
  };
  const answer = await askGuarded(input, config, apply, ask);
  // Whatever the guardrail's own calls left there, the model is who served.
  request.provider = provider.name;
  request.model = turn.target.model;
  return "kind" in answer ? answer : finishedAnswer(answer, format, route.operation.streams);
}

/** @throws BedrockError ValidationException for what is not one of the operations on objects */
function relayFiles(asked: Asked, { target, ...turn }: Turn, provider: BedrockProvider): Promise<Attempted> {
  const { request, snapshot, route } = asked;
  const { query, headers } = request.exchange;
  const up = headersForUpstream(headers, snapshot.policy.headerFilter, "files");
  checkFilesRequest(route, query, up);
  const keys = filesKeys(provider, turn.auth, turn.wish);
  const upload = readUpload(headers, up, target.body);
  return relayTarget(asked, { ...turn, target: { ...target, body: upload.body } }, provider, keys, upload.headers);
}

async function relayTarget(
  { request, snapshot, route, body, services }: Asked,
  { target, isLast, wish, bodyHash }: Turn,
  provider: BedrockProvider,
  { source, own }: ClientKeys<BedrockKey>,
  headers: RelayCall["headers"] = headersForUpstream(request.exchange.headers, snapshot.policy.headerFilter, "relay"),
): Promise<Attempted> {
  const { exchange } = request;
  const { offThread } = services;
  const stripped = bodyForBedrock(route, target.body, offThread);
  const relayed = stripped instanceof Promise ? await stripped : stripped;
  const call = {
    route,
    region: target.region,
    query: exchange.query,
    headers,
    body: relayed,
    bodyHash: relayed === body ? bodyHash : once(() => services.hash(relayed)),
    readFacts: (operation: OperationName, answer: Buffer) =>
      answer.length < largeBytes ? readAnswerFacts(operation, answer) : offThread.run("facts", answer, { operation }),
    countImages: (answer: Buffer) =>
      answer.length < largeBytes ? imagesIn(answer) : offThread.run("images", answer, {}),
  };
  return walkKeys(request, {
    provider,
    asked: target.model,
    keys: source,
    own,
    pin: wish.pin,
    isLast,
    isUntimed: route.operation.batch,
    attempt: (key, model, patienceMs) => {
      const named = withAlias({ model, patienceMs, ...call }, target.model, services.hash);
      return relay(request, named, provider, key, services.upstream);
    },
  });
}

function bodyForBedrock({ operation }: Route, body: Buffer, offThread: OffThread): Buffer | Promise<Buffer> {
  if (operation.model !== "path") return body;
  const mayHold = mayHoldForeignReasoning(body);
  if (mayHold === false) return body;
  return body.length < largeBytes ? stripForeignReasoning(body) : stripLarge(body, mayHold, offThread);
}

async function stripLarge(body: Buffer, mayHold: true | Promise<boolean>, offThread: OffThread): Promise<Buffer> {
  if (!(await mayHold)) return body;
  const { bytes } = await offThread.run("strip", body, {});
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
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
