/** Converse into a request of `generateContent`. */
import type { ConverseRequest } from "../../bedrock/converse.ts";
import { defined } from "../../bedrock/defined.ts";
import { refuseField } from "../../bedrock/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { at, wrongType } from "../../bedrock/reading.ts";
import type { Encoded, ProviderRequest, Target } from "../dialect.ts";
import { prepare } from "../prepare.ts";
import type { Prepared } from "../prepared.ts";
import { contentsOf, systemInstruction } from "./messages.ts";
import { traitsOf } from "./models.ts";
import { methodPath } from "./path.ts";
import { isVertex, rulesFor } from "./rules.ts";
import { reasoningPath, thinkingConfig } from "./thinking.ts";
import { planTools } from "./tools.ts";

/** @throws BedrockError ValidationException that names the field Gemini cannot carry */
export function encode(request: ConverseRequest, target: Target): Encoded {
  const { body, headers, encoded } = encodeBody(request, target);
  const method = target.streaming ? "streamGenerateContent?alt=sse" : "generateContent";
  return { request: jsonRequest(methodPath(target, method), body, headers), ...encoded };
}

/** The body of `generateContent`, as a value; `countTokens` takes parts of it. */
export function encodeBody(
  request: ConverseRequest,
  target: Target,
): {
  readonly body: JsonObject;
  readonly headers: ProviderRequest["headers"];
  readonly encoded: Omit<Encoded, "request">;
} {
  const traits = traitsOf(target);
  const prepared = prepare(request, target, rulesFor(target));
  const ignored = [...prepared.ignored];
  const own = readOwn(prepared.fields.own, target, ignored);
  const plan = planTools(prepared, traits, schemaPath(request), ignored);
  const { maxTokens } = prepared.inference;
  const thinking = thinkingConfig(prepared.reasoning, traits.thinking, maxTokens, () => {
    ignored.push(reasoningPath(request));
  });
  const generationConfig = {
    ...ownGeneration(own.generationConfig),
    ...inferenceOf(prepared),
    ...plan.format,
    ...(thinking !== undefined && { thinkingConfig: thinking }),
  };
  const system = systemInstruction(prepared.system, traits);
  const tier = tierOf(prepared.serviceTier, target, ignored);
  return {
    body: {
      contents: contentsOf(prepared, target, traits, ignored),
      ...(system !== undefined && { systemInstruction: system }),
      ...(plan.tools.length > 0 && { tools: plan.tools }),
      ...(plan.toolConfig !== undefined && { toolConfig: plan.toolConfig }),
      ...(Object.keys(generationConfig).length > 0 && { generationConfig }),
      ...own.root,
      ...tier.body,
    },
    headers: tier.headers,
    encoded: {
      ignored,
      memo: {
        ...(plan.answerTool !== undefined && { answerTool: plan.answerTool }),
        ...prepared.memo,
        schema: plan.schema,
      },
    },
  };
}

export function jsonRequest(path: string, body: JsonObject, headers: ProviderRequest["headers"] = []): ProviderRequest {
  return {
    method: "POST",
    path,
    headers: [["content-type", "application/json"], ...headers],
    body: JSON.stringify(body),
  };
}

const warmest = 2;

function inferenceOf({ inference, fields }: Prepared): JsonObject {
  const { maxTokens, temperature, topP, stops } = inference;
  return defined({
    maxOutputTokens: maxTokens,
    temperature: temperature === undefined ? undefined : Math.min(temperature, warmest),
    topP,
    topK: fields.topK,
    stopSequences: stops.length === 0 ? undefined : stops,
  });
}

function schemaPath({ outputConfig }: ConverseRequest): string {
  return outputConfig?.textFormat === undefined
    ? "additionalModelRequestFields.output_config.format.schema"
    : "outputConfig.textFormat.structure.jsonSchema.schema";
}

// Gemini's own fields

const path = "additionalModelRequestFields";
const rootFields = new Set(["safetySettings", "cachedContent"]);
const vertexFields = new Set(["labels"]);
const reservedGeneration = new Set([
  "maxOutputTokens",
  "temperature",
  "topP",
  "topK",
  "stopSequences",
  "responseMimeType",
  "responseSchema",
  "responseJsonSchema",
  "_responseJsonSchema",
  "thinkingConfig",
  "candidateCount",
]);

/** What the client wrote for Gemini. Google refuses fields it does not know, so those of other models are left out. */
function readOwn(
  own: JsonObject,
  target: Target,
  ignored: string[],
): { readonly root: JsonObject; readonly generationConfig: JsonValue | undefined } {
  const root: [string, JsonValue][] = [];
  for (const [name, value] of Object.entries(own)) {
    if (rootFields.has(name) || (isVertex(target) && vertexFields.has(name))) root.push([name, value]);
    else if (name !== "generationConfig") ignored.push(at(path, name));
  }
  return { root: Object.fromEntries(root), generationConfig: own.generationConfig };
}

function ownGeneration(config: JsonValue | undefined): JsonObject {
  if (config === undefined) return {};
  const place = `${path}.generationConfig`;
  if (!isJsonObject(config)) throw wrongType(config, place, "an object");
  for (const name of Object.keys(config)) {
    if (reservedGeneration.has(name))
      throw refuseField(at(place, name), "is set by the gateway from the request's other fields");
  }
  return config;
}

// Service tier

interface Tier {
  readonly body: JsonObject;
  readonly headers: ProviderRequest["headers"];
}

/** In the body on the Gemini API, in headers on Vertex. */
function tierOf(tier: Prepared["serviceTier"], target: Target, ignored: string[]): Tier {
  if (tier === "reserved") ignored.push("serviceTier");
  if (tier !== "priority" && tier !== "flex") return { body: {}, headers: [] };
  if (!isVertex(target)) return { body: { serviceTier: tier }, headers: [] };
  return {
    body: {},
    headers: [
      ["x-vertex-ai-llm-request-type", "shared"],
      ["x-vertex-ai-llm-shared-request-type", tier],
    ],
  };
}
