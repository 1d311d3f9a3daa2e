/** Embeddings: `POST /v2/embed`. */
import { listOf, objectOf } from "../answer.ts";
import type { Dialect } from "../dialect.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { apiPath } from "../table.ts";
import { countOf } from "../usage.ts";
import { embedMemo, readVectors } from "../vectors.ts";
import { innerFailure } from "./failure.ts";

const cuts = { none: "NONE", start: "START", end: "END" } as const;

/** Cohere demands a purpose: without one, texts are those of documents. */
export const embed: NonNullable<Dialect["embed"]> = {
  encode({ texts, dimensions, purpose = "search_document", truncate }, target) {
    const body = {
      model: target.model,
      texts,
      input_type: purpose,
      embedding_types: ["float"],
      ...(dimensions !== undefined && { output_dimension: dimensions }),
      ...(truncate !== undefined && { truncate: cuts[truncate] }),
    };
    return {
      request: {
        method: "POST",
        path: apiPath(target.kind, "/embed"),
        headers: [["content-type", "application/json"]],
        body: JSON.stringify(body),
      },
      ignored: [],
      memo: embedMemo(texts, target),
    };
  },

  decode(answer, memo) {
    const body = readJson(answer);
    if (isFailure(body)) return body;
    const failed = innerFailure(body, memo.target);
    if (failed !== undefined) return failed;
    const { float } = objectOf(body.embeddings);
    if (!Array.isArray(float)) return nonsense("The provider's answer has no embeddings.");
    const vectors = readVectors(listOf(float));
    if (vectors === undefined) return nonsense("The provider's answer has an embedding that is no list of numbers.");
    const inputTokens = countOf(objectOf(objectOf(body.meta).billed_units).input_tokens) ?? memo.inputTokens;
    return { kind: "embeddings", vectors, inputTokens };
  },
};
