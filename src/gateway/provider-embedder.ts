/**
 * Vectors for the cache from a configured provider, with its keys and in its own API. What that costs is the operator's:
 * no client's budget is charged for it.
 */
import { embeddingForm } from "../bedrock/embedding-bodies.ts";
import { BedrockError } from "../bedrock/errors.ts";
import { tryParse } from "../bedrock/json.ts";
import type { Route } from "../bedrock/operations.ts";
import { matchOperation } from "../bedrock/operations.ts";
import { type Embedder, type EmbeddingSettings, embedsAtOwner, remoteEmbedder } from "../cache/embedder.ts";
import type { Exchange } from "../http/exchange.ts";
import { ActiveRequest } from "./active-request.ts";
import type { Attempted } from "./attempt.ts";
import { walkKeys } from "./attempts.ts";
import type { EmbeddingFormat } from "./client-format.ts";
import { configuredKeys } from "./key-source.ts";
import { imagesIn } from "./pieces.ts";
import type { BedrockProvider, Provider, TranslatedProvider } from "./providers.ts";
import { relay } from "./relay.ts";
import { readAnswerFacts } from "./relay-facts.ts";
import type { TargetServices } from "./targets.ts";
import { callWith, translate } from "./translate.ts";

/** Models that can be asked for vectors of one length or another; others refuse to be told. */
const flexible = /text-embedding-3|gemini-embedding|embed-v4|codestral-embed|qwen3-embedding/;

/** @returns undefined where the owner of the cache embeds, or the provider is not there */
export function providerEmbedder(
  settings: EmbeddingSettings,
  providers: readonly Provider[],
  services: TargetServices,
): Embedder | undefined {
  const { provider: name, embedding_model: model } = settings;
  const provider = embedsAtOwner(settings) ? undefined : providers.find((one) => one.name === name);
  if (provider === undefined || provider.kind === "mock" || model === null) return undefined;
  const asking = { model, dimension: settings.dimension, services };
  return remoteEmbedder(settings, (text, signal) => {
    const request = new ActiveRequest(ownExchange());
    signal.addEventListener("abort", () => request.end(tooLate()), { once: true });
    return provider.kind === "bedrock"
      ? embedAtBedrock(request, text, provider, asking)
      : embedTranslated(request, text, provider, asking);
  });
}

interface Asking {
  readonly model: string;
  readonly dimension: number;
  readonly services: TargetServices;
}

async function embedAtBedrock(
  request: ActiveRequest,
  text: string,
  provider: BedrockProvider,
  { model, dimension, services }: Asking,
): Promise<readonly number[]> {
  const form = embeddingForm(model);
  if (form === undefined) throw new Error(`${model} is not known to make vectors`);
  const body = Buffer.from(JSON.stringify(form.request(text, dimension)));
  const headers = [
    ["content-type", "application/json"],
    ["accept", "application/json"],
  ] as const;
  const call = {
    route: invokeRoute(model),
    region: undefined,
    query: "",
    headers,
    body,
    readFacts: readAnswerFacts,
    countImages: imagesIn,
  };
  const attempted = await walkKeys(request, {
    ...walkOf(provider, model),
    keys: configuredKeys(provider.pool, { model, lastResort: true }),
    attempt: (key, alias, patienceMs) => {
      const named = { ...call, model: alias, patienceMs, bodyHash: () => services.hash(body) };
      return relay(request, named, provider, key, services.upstream);
    },
  });
  const vector = attempted.kind === "answer" ? form.vector(tryParse(Buffer.from(attempted.body))) : undefined;
  if (vector === undefined) throw failed(attempted, provider.name);
  return vector;
}

async function embedTranslated(
  request: ActiveRequest,
  text: string,
  provider: TranslatedProvider,
  { model, dimension, services }: Asking,
): Promise<readonly number[]> {
  let vector: readonly number[] | undefined;
  const format: EmbeddingFormat = {
    kind: "embedding",
    form: undefined,
    request: {
      texts: [text],
      dimensions: flexible.test(model) ? dimension : undefined,
      normalize: true,
      // Questions are compared with questions: neither side is a document.
      purpose: "clustering",
      truncate: undefined,
      types: [],
    },
    answer: ([first]) => {
      vector = first;
      return { headers: [], body: "" };
    },
  };
  const call = callWith({ asked: model, streams: false, headers: [], patienceMs: undefined }, format);
  const attempted = await walkKeys(request, {
    ...walkOf(provider, model),
    keys: configuredKeys(provider.pool, { model, lastResort: true }),
    attempt: (key, alias = model, patienceMs) =>
      translate(request, { ...call, patienceMs }, provider, key, alias, services.upstream),
  });
  if (vector === undefined) throw failed(attempted, provider.name);
  return vector;
}

function walkOf<P extends BedrockProvider | TranslatedProvider>(provider: P, asked: string) {
  return { provider, asked, pin: undefined, own: false, isLast: true };
}

function invokeRoute(model: string): Route {
  const route = matchOperation("POST", `/model/${encodeURIComponent(model)}/invoke`);
  if (route === undefined) throw new Error(`${model} cannot stand in a path`);
  return route;
}

function failed(attempted: Attempted, provider: string): Error {
  if (attempted.kind !== "failure") return new Error(`the provider ${provider} gave no vector`);
  const { reply } = attempted;
  const why = reply instanceof BedrockError ? reply.message : `${reply.status} ${reply.type}`;
  return new Error(`the provider ${provider} did not embed a text: ${why}`);
}

function tooLate(): BedrockError {
  return new BedrockError("ModelTimeoutException", "The vector came too late.");
}

/** Nobody waits at the other end: what asks is the gateway itself. */
function ownExchange(): Exchange {
  const none = (): never => {
    throw new Error("the gateway does not answer itself");
  };
  return {
    method: "POST",
    path: "",
    query: "",
    headers: new Map(),
    protocol: "http/1.1",
    malformed: undefined,
    aborted: false,
    remoteAddress: () => "",
    onAbort: () => undefined,
    body: none,
    release: () => 0,
    reply: none,
    open: none,
  };
}
