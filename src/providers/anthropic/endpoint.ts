/** Where the request goes, and what of it stands outside the body: directly in headers, on Vertex AI in the body. */
import { refuseField } from "../../bedrock/errors.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import type { ProviderRequest, Target } from "../dialect.ts";
import { apiPath } from "../table.ts";

const directVersion = "2023-06-01";
const vertexVersion = "vertex-2023-10-16";

export function isVertex({ kind }: Target): boolean {
  return kind === "vertex";
}

/** The request for an answer. @param body without the model, the version and the betas */
export function messagesRequest(body: JsonObject, betas: readonly string[], target: Target): ProviderRequest {
  const streaming = target.streaming && { stream: true };
  if (!isVertex(target)) {
    return direct(apiPath(target.kind, "/messages"), { model: target.model, ...body, ...streaming }, betas);
  }
  const method = target.streaming ? "streamRawPredict" : "rawPredict";
  return onVertex(`${vertexModels(target)}/${segment(modelName(target))}:${method}`, { ...body, ...streaming }, betas);
}

/** The request for a count of tokens. Vertex has one address for all models, so there the body names it. */
export function countRequest(body: JsonObject, betas: readonly string[], target: Target): ProviderRequest {
  if (!isVertex(target)) {
    return direct(apiPath(target.kind, "/messages/count_tokens"), { model: target.model, ...body }, betas);
  }
  return onVertex(`${vertexModels(target)}/count-tokens:rawPredict`, { model: modelName(target), ...body }, betas);
}

/** @throws BedrockError ValidationException for a name that cannot stand in a header */
export function checkBetas(betas: readonly string[]): readonly string[] {
  for (const [index, beta] of betas.entries()) {
    if (/^[\w.:-]+$/.test(beta)) continue;
    throw refuseField(`additionalModelRequestFields.anthropic_beta[${index}]`, "is not the name of a beta");
  }
  return [...new Set(betas)];
}

function direct(path: string, body: JsonObject, betas: readonly string[]): ProviderRequest {
  const beta: readonly (readonly [string, string])[] = betas.length === 0 ? [] : [["anthropic-beta", betas.join(",")]];
  return {
    method: "POST",
    path,
    headers: [["content-type", "application/json"], ["anthropic-version", directVersion], ...beta],
    body: JSON.stringify(body),
  };
}

function onVertex(path: string, body: JsonObject, betas: readonly string[]): ProviderRequest {
  const beta = betas.length > 0 && { anthropic_beta: betas };
  return {
    method: "POST",
    path,
    headers: [["content-type", "application/json"]],
    body: JSON.stringify({ anthropic_version: vertexVersion, ...beta, ...body }),
  };
}

function vertexModels({ vertex }: Target): string {
  const models = "publishers/anthropic/models";
  if (vertex?.project === undefined) return `/v1/${models}`;
  return `/v1/projects/${segment(vertex.project)}/locations/${segment(vertex.region)}/${models}`;
}

/** Without `publishers/anthropic/models/`, which some write before it. */
function modelName({ model }: Target): string {
  return model.slice(model.lastIndexOf("/") + 1);
}

/** The version of a model on Vertex stands behind an `@`, which is legal in a path. */
function segment(text: string): string {
  return encodeURIComponent(text).replaceAll("%40", "@");
}
