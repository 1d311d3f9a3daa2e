/**
 * The models that keys of other providers can reach, in the shapes of Bedrock's catalogue (service model bedrock
 * 2023-04-20): what the configuration names, and where a key allows everything, what its provider lists.
 */
import { isJsonObject, type JsonObject } from "../bedrock/json.ts";
import type { Route } from "../bedrock/operations.ts";
import type { Choosable } from "../keys/choose.ts";
import { authHeader, modelsPath } from "../providers/table.ts";
import type { Upstream } from "../upstream/dispatch.ts";
import type { Attempted, WholeAnswer } from "./attempt.ts";
import { failure } from "./failures.ts";
import type { Provider, TranslatedKey, TranslatedProvider } from "./providers.ts";
import { notServed } from "./target.ts";

const listTimeoutMs = 5000;
const maxListBytes = 16 * 1024 * 1024;
const maxNameLength = 20;
const everything = "*";

interface ListServices {
  readonly upstream: Upstream;
  /** Told of a provider that did not list its models; those that are configured by name still stand. */
  readonly onProblem: (message: string) => void;
}

/**
 * For the catalogue's operations, where other providers than Bedrock are configured: gives the answer, made of Bedrock's
 * own where there is one. Undefined where these providers have no part in the answer.
 *
 * @param query the request's, undecoded
 */
export async function ownCatalogue(
  { operation, labels }: Route,
  providers: readonly Provider[],
  query: string,
  services: ListServices,
): Promise<((bedrocks: WholeAnswer | undefined) => Attempted) | undefined> {
  const { name } = operation;
  if (name !== "ListFoundationModels" && name !== "GetFoundationModel" && name !== "ListInferenceProfiles")
    return undefined;
  const others = providers.filter((provider) => provider.kind === "translated");
  if (others.length === 0) return undefined;
  if (name === "ListInferenceProfiles") return (bedrocks) => bedrocks ?? answerOf({ inferenceProfileSummaries: [] });
  const [id] = labels;
  if (id !== undefined && !others.some((provider) => id.startsWith(`${provider.name}/`))) return undefined;
  const models = await reachableModels(others, services);
  if (id !== undefined) {
    const found = models.includes(id);
    return () => (found ? answerOf({ modelDetails: describeModel(id) }) : failure("nobody", notServed(id, others)));
  }
  const filters = new URLSearchParams(query);
  const own = models.filter((model) => passesFilters(filters, model)).map(describeModel);
  return (bedrocks) => withOwnModels(bedrocks, own);
}

/** By the names a client calls them, `provider/model`, sorted. */
async function reachableModels(
  providers: readonly TranslatedProvider[],
  { upstream, onProblem }: ListServices,
): Promise<readonly string[]> {
  const lists = await Promise.all(
    providers.map(async (provider) => {
      const names = new Set(provider.keys.filter((key) => key.enabled).flatMap(configuredModels));
      for (const key of provider.keys) {
        if (!key.enabled || !key.models.includes(everything)) continue;
        try {
          const listed = await listModels(provider, key, upstream);
          for (const model of listed) if (!isBarred(key, model)) names.add(model);
        } catch (error) {
          onProblem(
            `the provider ${provider.name} did not list its models: ${error instanceof Error ? error.message : String(error)}`,
          );
        }
      }
      return [...names].map((model) => `${provider.name}/${model}`);
    }),
  );
  return lists.flat().sort();
}

/** A summary of ListFoundationModels, and the details of GetFoundationModel. */
function describeModel(id: string): JsonObject {
  const provider = id.slice(0, id.indexOf("/"));
  return {
    modelArn: `arn:aws:bedrock:us-east-1::foundation-model/${id}`,
    modelId: id,
    modelName: id.slice(provider.length + 1).slice(0, maxNameLength),
    providerName: provider.slice(0, maxNameLength),
    inputModalities: ["TEXT"],
    outputModalities: ["TEXT"],
    responseStreamingSupported: true,
    customizationsSupported: [],
    inferenceTypesSupported: ["ON_DEMAND"],
    modelLifecycle: { status: "ACTIVE" },
  };
}

/** Whether the filters of ListFoundationModels leave our models in. */
function passesFilters(query: URLSearchParams, id: string): boolean {
  const provider = query.get("byProvider");
  const modality = query.get("byOutputModality");
  const inference = query.get("byInferenceType");
  return (
    (provider === null || provider.toLowerCase() === id.slice(0, id.indexOf("/")).toLowerCase()) &&
    (modality === null || modality === "TEXT") &&
    (inference === null || inference === "ON_DEMAND") &&
    !query.has("byCustomizationType")
  );
}

/** An answer of the catalogue's. */
function answerOf(value: JsonObject): WholeAnswer {
  const headers = [["content-type", "application/json"]] as const;
  return { kind: "answer", status: 200, headers, body: JSON.stringify(value), usage: undefined };
}

/** Bedrock's own list with ours behind it, or ours alone. */
function withOwnModels(answer: WholeAnswer | undefined, own: readonly JsonObject[]): WholeAnswer {
  if (answer === undefined) return answerOf({ modelSummaries: own });
  let listed: unknown;
  try {
    listed = JSON.parse(answer.body.toString());
  } catch {
    // What Bedrock said goes to the client as it is.
    return answer;
  }
  if (!isJsonObject(listed) || !Array.isArray(listed.modelSummaries)) return answer;
  return { ...answer, body: JSON.stringify({ ...listed, modelSummaries: [...listed.modelSummaries, ...own] }) };
}

function configuredModels(key: Choosable): string[] {
  return [...key.models.filter((model) => model !== everything), ...Object.keys(key.aliases)].filter(
    (model) => !isBarred(key, model),
  );
}

function isBarred(key: Choosable, model: string): boolean {
  const name = model.toLowerCase();
  return key.blacklisted_models.some((barred) => barred === everything || barred.toLowerCase() === name);
}

async function listModels(
  provider: TranslatedProvider,
  key: TranslatedKey,
  upstream: Upstream,
): Promise<readonly string[]> {
  const path = modelsPath(provider.type);
  if (path === undefined) return [];
  const headers: (readonly [string, string])[] = [...provider.extraHeaders];
  if (key.credential !== undefined) {
    headers.push(authHeader(key.credential.scheme, (await key.credential.current()).reveal()));
  }
  const request = {
    method: "GET",
    origin: key.origin,
    path: `${key.pathPrefix}${path}`,
    headers,
    body: undefined,
  } as const;
  const sent = upstream.send(request, provider.network);
  const timer = setTimeout(() => sent.cancel(), listTimeoutMs);
  try {
    const answer = await sent.answer;
    const body = await answer.collect(maxListBytes);
    if (answer.status !== 200) throw new Error(`status ${answer.status}`);
    return readModels(JSON.parse(body.toString("utf8")));
  } finally {
    clearTimeout(timer);
  }
}

/** `{data: [{id}]}` as OpenAI, Anthropic and Mistral list, `{models: [{name}]}` as Google (`models/…`) and Cohere do. */
function readModels(listed: unknown): readonly string[] {
  if (!isJsonObject(listed)) return [];
  const entries = Array.isArray(listed.data) ? listed.data : Array.isArray(listed.models) ? listed.models : [];
  return entries.flatMap((entry: unknown) => {
    if (!isJsonObject(entry)) return [];
    const name = entry.id ?? entry.name;
    return typeof name === "string" && name !== "" ? [name.replace(/^models\//, "")] : [];
  });
}
