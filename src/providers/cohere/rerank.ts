/** Ranking: `POST /v2/rerank`. */
import type { Dialect } from "../dialect.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { rankingBody, readRanking } from "../ranking.ts";
import { apiPath } from "../table.ts";
import { embedMemo } from "../vectors.ts";
import { innerFailure } from "./failure.ts";

export const rerank: NonNullable<Dialect["rerank"]> = {
  encode(request, target) {
    const { query, documents, maxTokensPerDocument: most } = request;
    const body = {
      ...rankingBody(request, target.model),
      ...(most !== undefined && { max_tokens_per_doc: most.value }),
    };
    return {
      request: {
        method: "POST",
        path: apiPath(target.kind, "/rerank"),
        headers: [["content-type", "application/json"]],
        body: JSON.stringify(body),
      },
      ignored: [],
      memo: embedMemo([query, ...documents], target),
    };
  },

  decode(answer, memo) {
    const body = readJson(answer);
    if (isFailure(body)) return body;
    return innerFailure(body, memo.target) ?? readRanking(body) ?? nonsense("The provider's answer has no ranking.");
  },
};
