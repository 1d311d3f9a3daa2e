/** Embeddings as OpenAI and its likes have them. */
import type { JsonValue } from "../../bedrock/json.ts";
import { listOf, objectOf } from "../answer.ts";
import type { Embeddings, EmbedRequest, Encoded, Memo, ProviderAnswer, ProviderFailure, Target } from "../dialect.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { chatQuirksOf } from "../table.ts";
import { countOf } from "../usage.ts";
import { embedMemo, readVectors } from "../vectors.ts";
import { innerFailure } from "./failure.ts";
import { post } from "./request.ts";

export function encodeEmbed(request: EmbedRequest, target: Target): Encoded {
  const { texts, dimensions, purpose, truncate } = request;
  const ignored: string[] = [];
  if (purpose !== undefined) ignored.push("input_type");
  // A text that is too long is refused, which is what `none` asks for.
  if (truncate !== undefined && truncate !== "none") ignored.push("truncate");
  const body = {
    model: target.model,
    input: texts,
    ...(dimensions !== undefined && { dimensions }),
    encoding_format: "float",
  };
  return {
    request: post(target, chatQuirksOf(target.kind), "/embeddings", body),
    ignored,
    memo: embedMemo(texts, target),
  };
}

/** Reads `{data: [{index, embedding}], usage: {prompt_tokens}}`. */
export function decodeEmbed(answer: ProviderAnswer, memo: Memo): Embeddings | ProviderFailure {
  const body = readJson(answer);
  if (isFailure(body)) return body;
  const failure = innerFailure(body, memo.target);
  if (failure !== undefined) return failure;
  const entries = listOf(body.data).map((entry, place) => {
    const { index, embedding } = objectOf(entry);
    return { index: countOf(index) ?? place, vector: decodeFloats(embedding ?? null) };
  });
  const vectors = readVectors(entries.toSorted((a, b) => a.index - b.index).map((entry) => entry.vector));
  if (vectors === undefined || vectors.length === 0) {
    return nonsense("The provider's answer does not have a vector for each text.");
  }
  return {
    kind: "embeddings",
    vectors,
    inputTokens: countOf(objectOf(body.usage).prompt_tokens) ?? memo.inputTokens,
  };
}

/** A server that does not heed `encoding_format` gives base64 of 32-bit floats, lowest byte first. */
function decodeFloats(embedding: JsonValue): JsonValue {
  if (typeof embedding !== "string") return embedding;
  const bytes = Buffer.from(embedding, "base64");
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, n) => bytes.readFloatLE(n * 4));
}
