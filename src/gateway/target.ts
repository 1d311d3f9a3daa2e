/** Which provider and model a request is for. */
import { BedrockError, refuseField } from "../bedrock/errors.ts";
import { tryParse } from "../bedrock/json.ts";
import type { Route } from "../bedrock/operations.ts";
import { EndpointError, splitModelId } from "../upstream/endpoints.ts";
import type { Provider } from "./providers.ts";

export interface Target {
  readonly provider: Provider;
  /** The model id as the provider knows it; undefined for operations that name none. */
  readonly model: string | undefined;
  /** A region that the model id itself names. */
  readonly region: string | undefined;
  /** The request's body, changed only where it names the model together with the provider. */
  readonly body: Buffer;
}

const maxFallbacks = 10;

/**
 * Finds the targets in the order they are asked: the one that the request names, then those of the `x-bf-fallbacks`
 * header (`provider/model, provider/model`). A fallback to a provider that is not configured is left out.
 *
 * @param named the `x-model-provider` header, which batch inference and its files go by
 * @throws BedrockError as {@link findTarget}; ValidationException for fallbacks where the model is not in the path, or
 *   more than ten of them
 */
export function findTargets(
  providers: readonly Provider[],
  route: Route,
  body: Buffer,
  fallbacks: string | undefined,
  named?: string,
  lookInBody: () => string | undefined = () => modelIn(route, body),
): readonly Target[] {
  const first = findTarget(providers, route, body, named, lookInBody);
  if (fallbacks === undefined) return [first];
  if (route.operation.model !== "path")
    throw refuseField("x-bf-fallbacks", `${route.operation.name} has no model in its path that could be replaced.`);
  const names = fallbacks.split(",").map((name) => name.trim());
  if (names.length > maxFallbacks) throw refuseField("x-bf-fallbacks", `must have at most ${maxFallbacks} entries.`);
  const targets = [first];
  for (const name of names) {
    if (name === "") continue;
    if (namesStranger(name, providers)) continue;
    const labels = [name, ...route.labels.slice(1)];
    targets.push(findTarget(providers, { ...route, labels }, body));
  }
  return targets;
}

/** Whether a provider is named that is not configured. Of Bedrock's own ids only ARNs and `region/model` have a slash. */
function namesStranger(name: string, providers: readonly Provider[]): boolean {
  const slash = name.indexOf("/");
  if (slash === -1 || name.startsWith("arn:") || split(name).region !== undefined) return false;
  return !providers.some((provider) => provider.name === name.slice(0, slash));
}

/**
 * Finds the target: `provider/model` goes to that configured provider, every other id is a Bedrock id. Where only the
 * mock provider is configured it serves everything.
 *
 * @param byHeader the `x-model-provider` header: of batch inference and its files it names the provider
 * @param lookInBody the model that the body names, if it names one
 * @throws BedrockError ResourceNotFoundException when no provider can serve it, ValidationException for an ARN whose
 *   region is none, and for batch inference with a provider that is not Bedrock
 */
export function findTarget(
  providers: readonly Provider[],
  route: Route,
  body: Buffer,
  byHeader?: string,
  lookInBody: () => string | undefined = () => modelIn(route, body),
): Target {
  if (route.operation.batch) return findBatchTarget(providers, route, body, byHeader, lookInBody());
  const named = route.operation.model === "path" ? route.labels[0] : undefined;
  const inBody = lookInBody();
  const asked = named ?? inBody;
  const slash = asked === undefined ? -1 : asked.indexOf("/");
  const prefix = asked === undefined || slash === -1 ? undefined : asked.slice(0, slash);
  const prefixed = prefix === undefined ? undefined : providers.find((provider) => provider.name === prefix);
  const provider = prefixed ?? defaultProvider(providers);
  if (provider === undefined) throw notServed(asked, providers);

  const bare = prefixed === undefined ? asked : asked?.slice(slash + 1);
  if (bare === "") throw notServed(asked, providers);
  return targetAt(provider, bare, inBody, body);
}

/** @param inBody the model id as it stands in the body, where it does */
function targetAt(provider: Provider, model: string | undefined, inBody: string | undefined, body: Buffer): Target {
  if (model === undefined) return { provider, model, region: undefined, body };
  const { region, modelId } = split(model);
  return {
    provider,
    model: modelId,
    region,
    body: inBody === undefined || inBody === modelId ? body : replaceModel(body, inBody, modelId),
  };
}

/** Jobs and files are Bedrock's alone: of the provider that the client names, else of the default one. */
function findBatchTarget(
  providers: readonly Provider[],
  { operation, labels }: Route,
  body: Buffer,
  byHeader: string | undefined,
  inBody: string | undefined,
): Target {
  const slash = inBody?.indexOf("/") ?? -1;
  const prefixed = providers.find(({ name }) => slash > 0 && name === inBody?.slice(0, slash));
  const named = byHeader === undefined ? undefined : providers.find(({ name }) => name === byHeader);
  if (byHeader !== undefined && named === undefined) throw unknownProvider(byHeader, providers);
  if (named !== undefined && prefixed !== undefined && named !== prefixed)
    throw refuseField("modelId", `names the provider ${prefixed.name}, but x-model-provider says ${named.name}.`);
  const provider = named ?? prefixed ?? defaultProvider(providers);
  if (provider === undefined) throw notServed(inBody, providers);
  if (provider.kind === "translated") {
    const field = named === undefined ? "modelId" : "x-model-provider";
    throw refuseField(field, `${provider.name} is not Bedrock, and batch inference and its files are Bedrock's alone.`);
  }
  if (operation.model === "body")
    return targetAt(provider, prefixed === undefined ? inBody : inBody?.slice(slash + 1), inBody, body);
  // A job's ARN says where the job is.
  const [job = ""] = operation.service === "control" ? labels : [];
  return { provider, model: undefined, region: split(job).region, body };
}

function unknownProvider(name: string, providers: readonly Provider[]): BedrockError {
  const names = providers.map((provider) => provider.name).join(", ");
  return new BedrockError(
    "ResourceNotFoundException",
    `x-model-provider: there is no provider ${JSON.stringify(name.slice(0, 64))}. Configured providers: ${names}.`,
  );
}

/** The 404 of contract and AWS alike: it names the model, and what there is instead. */
export function notServed(model: string | undefined, providers: readonly Provider[]): BedrockError {
  const names = providers.map((provider) => provider.name).join(", ");
  const what = model === undefined ? "This operation" : `The model ${JSON.stringify(model)}`;
  return new BedrockError(
    "ResourceNotFoundException",
    `${what} is served by no configured provider or key. Configured providers: ${names === "" ? "none" : names}.`,
  );
}

/** Whose a model is that names no provider. */
export function defaultProvider(providers: readonly Provider[]): Provider | undefined {
  return (
    providers.find((provider) => provider.name === "bedrock") ??
    providers.find((provider) => provider.kind === "bedrock") ??
    providers.find((provider) => provider.kind === "mock")
  );
}

function split(modelId: string): { readonly region: string | undefined; readonly modelId: string } {
  try {
    const { region, modelId: bare } = splitModelId(modelId);
    return { region, modelId: bare };
  } catch (error) {
    if (error instanceof EndpointError) throw new BedrockError("ValidationException", `modelId: ${error.message}`);
    throw error;
  }
}

function modelIn({ operation }: Route, body: Buffer): string | undefined {
  return operation.model === "body" ? modelInBody(body) : undefined;
}

/** StartAsyncInvoke and CreateModelInvocationJob name their model at the top, Rerank deep in its configuration. */
export function modelInBody(body: Buffer): string | undefined {
  const parsed = tryParse(body);
  const paths = [
    ["modelId"],
    ["rerankingConfiguration", "bedrockRerankingConfiguration", "modelConfiguration", "modelArn"],
  ];
  for (const path of paths) {
    let value: unknown = parsed;
    for (const name of path)
      value = typeof value === "object" && value !== null ? new Map(Object.entries(value)).get(name) : undefined;
    if (typeof value === "string") return value;
  }
  return undefined;
}

/** Writes another model id in the place of the one the client sent, and leaves every other byte alone. */
export function replaceModel(body: Buffer, from: string, to: string): Buffer {
  const quoted = Buffer.from(JSON.stringify(from));
  const at = body.indexOf(quoted);
  if (at === -1 || body.includes(quoted, at + quoted.length)) {
    throw new BedrockError("ValidationException", `modelId: write ${JSON.stringify(to)}, without the provider's name.`);
  }
  return Buffer.concat([body.subarray(0, at), Buffer.from(JSON.stringify(to)), body.subarray(at + quoted.length)]);
}
