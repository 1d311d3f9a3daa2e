/** What ranking has in common, whoever does it: Cohere's format, which others took over. */
import type { RerankRequest } from "../bedrock/families/family.ts";
import type { JsonObject } from "../bedrock/json.ts";
import { listOf, objectOf } from "./answer.ts";
import type { Ranking } from "./dialect.ts";

/** `{model, query, documents, top_n}`. */
export function rankingBody({ query, documents, topN }: RerankRequest, model: string): JsonObject {
  return { model, query, documents, ...(topN !== undefined && { top_n: topN }) };
}

/** Reads `{results: [{index, relevance_score}]}`; undefined when it is anything else. */
export function readRanking(body: JsonObject): Ranking | undefined {
  if (!Array.isArray(body.results)) return undefined;
  const ranked = listOf(body.results).flatMap((result) => {
    const { index, relevance_score: score } = objectOf(result);
    const isRank = typeof index === "number" && Number.isSafeInteger(index) && index >= 0;
    return isRank && typeof score === "number" && Number.isFinite(score) ? [{ index, score }] : [];
  });
  if (ranked.length < body.results.length) return undefined;
  return { kind: "ranking", ranked: ranked.toSorted((one, other) => other.score - one.score) };
}
