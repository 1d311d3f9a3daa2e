/** Embeddings: `POST /v1/embeddings`. */
import { isJsonObject } from "../../bedrock/json.ts";
import { objectOf } from "../answer.ts";
import type { Dialect, EmbedRequest } from "../dialect.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { apiPath } from "../table.ts";
import { countOf } from "../usage.ts";
import { embedMemo, readVectors } from "../vectors.ts";
import { innerFailure } from "./failure.ts";

/** A text that is too long is refused whatever is asked: nothing is cut off. */
export const embed: NonNullable<Dialect["embed"]> = {
  encode(request, target) {
    const { texts, dimensions } = request;
    const body = {
      model: target.model,
      input: texts,
      ...(dimensions !== undefined && { output_dimension: dimensions }),
    };
    return {
      request: {
        method: "POST",
        path: apiPath(target.kind, "/embeddings"),
        headers: [["content-type", "application/json"]],
        body: JSON.stringify(body),
      },
      ignored: ignoredFields(request),
      memo: embedMemo(texts, target),
    };
  },

  decode(answer, memo) {
    const body = readJson(answer);
    if (isFailure(body)) return body;
    const failed = innerFailure(body, memo.target);
    if (failed !== undefined) return failed;
    if (!Array.isArray(body.data) || !body.data.every(isJsonObject)) return nonsense("The answer has no embeddings.");
    const sorted = body.data.toSorted((one, other) => (countOf(one.index) ?? 0) - (countOf(other.index) ?? 0));
    const vectors = readVectors(sorted.map((item) => item.embedding ?? null));
    if (vectors === undefined) return nonsense("The provider's answer has an embedding that is no list of numbers.");
    const inputTokens = countOf(objectOf(body.usage).prompt_tokens) ?? memo.inputTokens;
    return { kind: "embeddings", vectors, inputTokens };
  },
};

function ignoredFields({ purpose, truncate = "none" }: EmbedRequest): readonly string[] {
  return [...(purpose === undefined ? [] : ["purpose"]), ...(truncate === "none" ? [] : ["truncate"])];
}
