/** Embeddings: `batchEmbedContents` on the Gemini API, `predict` on Vertex. */
import { refuseField } from "../../bedrock/errors.ts";
import type { JsonObject, JsonValue } from "../../bedrock/json.ts";
import { listOf, objectOf } from "../answer.ts";
import type { Embeddings, EmbedRequest, Encoded, Memo, ProviderAnswer, ProviderFailure, Target } from "../dialect.ts";
import { readInnerFailure } from "../failures.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { countOf, tokensOfCharacters } from "../usage.ts";
import { jsonRequest } from "./encode.ts";
import { failureHints } from "./failure.ts";
import { methodPath, resourceName } from "./path.ts";
import { isVertex } from "./rules.ts";

const taskTypes: Readonly<Record<NonNullable<EmbedRequest["purpose"]>, string>> = {
  search_document: "RETRIEVAL_DOCUMENT",
  search_query: "RETRIEVAL_QUERY",
  classification: "CLASSIFICATION",
  clustering: "CLUSTERING",
};

/** @throws BedrockError ValidationException for texts to be cut at their start */
export function encodeEmbed(request: EmbedRequest, target: Target): Encoded {
  const { texts, truncate } = request;
  if (truncate === "start") throw refuseField("truncate", "the provider cuts texts only at their end");
  let characters = 0;
  for (const text of texts) characters += text.length;
  const onVertex = isVertex(target);
  return {
    request: onVertex
      ? jsonRequest(methodPath(target, "predict"), vertexBody(request))
      : jsonRequest(methodPath(target, "batchEmbedContents"), geminiBody(request, target)),
    // The Gemini API has no say in it.
    ignored: truncate !== undefined && !onVertex ? ["truncate"] : [],
    memo: {
      target,
      toolNames: new Map(),
      tools: false,
      schema: false,
      stops: [],
      responsePaths: [],
      inputTokens: tokensOfCharacters(characters),
    },
  };
}

export function decodeEmbed(answer: ProviderAnswer, memo: Memo): Embeddings | ProviderFailure {
  const body = readJson(answer);
  if (isFailure(body)) return body;
  const failure = readInnerFailure(body, memo.target, failureHints);
  if (failure !== undefined) return failure;
  const read = isVertex(memo.target) ? readVertex(body) : readGemini(body);
  const vectors: (readonly number[])[] = [];
  for (const values of read.vectors) {
    if (!isVector(values)) return nonsense("The provider's answer has an embedding that is no list of numbers.");
    vectors.push(values);
  }
  if (vectors.length === 0) return nonsense("The provider's answer has no embeddings.");
  return { kind: "embeddings", vectors, inputTokens: read.inputTokens ?? memo.inputTokens };
}

function geminiBody({ texts, dimensions, purpose }: EmbedRequest, target: Target): JsonObject {
  const options = {
    ...(purpose !== undefined && { taskType: taskTypes[purpose] }),
    ...(dimensions !== undefined && { outputDimensionality: dimensions }),
  };
  const model = resourceName(target);
  return { requests: texts.map((text) => ({ model, content: { parts: [{ text }] }, ...options })) };
}

function vertexBody({ texts, dimensions, purpose, truncate }: EmbedRequest): JsonObject {
  const task = purpose === undefined ? {} : { task_type: taskTypes[purpose] };
  const parameters = {
    ...(truncate !== undefined && { autoTruncate: truncate === "end" }),
    ...(dimensions !== undefined && { outputDimensionality: dimensions }),
  };
  return {
    instances: texts.map((content) => ({ content, ...task })),
    ...(Object.keys(parameters).length > 0 && { parameters }),
  };
}

interface ReadVectors {
  readonly vectors: readonly (JsonValue | undefined)[];
  readonly inputTokens: number | undefined;
}

function readGemini(body: JsonObject): ReadVectors {
  return {
    vectors: listOf(body.embeddings).map((embedding) => objectOf(embedding).values),
    inputTokens: countOf(objectOf(body.usageMetadata).promptTokenCount),
  };
}

function readVertex(body: JsonObject): ReadVectors {
  let inputTokens: number | undefined;
  const vectors = listOf(body.predictions).map((prediction) => {
    const { values, statistics } = objectOf(objectOf(prediction).embeddings);
    const count = countOf(objectOf(statistics).token_count);
    if (count !== undefined) inputTokens = (inputTokens ?? 0) + count;
    return values;
  });
  return { vectors, inputTokens };
}

function isVector(values: JsonValue | undefined): values is readonly number[] {
  return Array.isArray(values) && values.length > 0 && values.every((value) => Number.isFinite(value));
}
