/** Reranking with InvokeModel: Cohere Rerank and Amazon Rerank. */
import { BedrockError } from "../errors.ts";
import { readCount, readName, readObject, readSome } from "../reading.ts";
import type { Ranked, RerankFamily, RerankRequest } from "./family.ts";

const bodyFields = new Set(["query", "documents", "top_n", "max_tokens_per_doc", "api_version"]);

/**
 * `{query, documents, top_n, max_tokens_per_doc}` → `{results: [{index, relevance_score}]}`.
 *
 * `api_version` is read and has nothing to say: versions 1 and 2 are alike in the members known here.
 */
export const rerank: RerankFamily = {
  kind: "rerank",
  name: "rerank",

  read(body) {
    const { query, documents, top_n, max_tokens_per_doc, api_version } = readObject(body, "", bodyFields);
    if (api_version != null) readCount(api_version, "api_version");
    const path = "max_tokens_per_doc";
    return {
      query: readName(query, "query"),
      documents: readSome(documents, "documents", readName),
      topN: top_n == null ? undefined : readCount(top_n, "top_n"),
      maxTokensPerDocument:
        max_tokens_per_doc == null ? undefined : { value: readCount(max_tokens_per_doc, path), path },
    };
  },

  write(ranked, request) {
    const results = checkRanking(ranked, request).map(({ index, score }) => ({ index, relevance_score: score }));
    return { results };
  },
};

/**
 * The results that were asked for.
 *
 * @throws BedrockError ModelErrorException when there are none, or one is of no document of the request
 */
export function checkRanking(ranked: readonly Ranked[], { documents, topN }: RerankRequest): readonly Ranked[] {
  const places = new Set<number>();
  for (const { index } of ranked) {
    if (index >= documents.length || places.has(index)) {
      throw new BedrockError("ModelErrorException", `The model ranked document ${index} of ${documents.length}.`);
    }
    places.add(index);
  }
  if (ranked.length === 0) throw new BedrockError("ModelErrorException", "The model ranked none of the documents.");
  return ranked.slice(0, topN);
}
