/** Ranking at the servers beside OpenAI's that have it, in Cohere's format. */
import { BedrockError } from "../../bedrock/errors.ts";
import type { Dialect } from "../dialect.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { rankingBody, readRanking } from "../ranking.ts";
import { chatQuirksOf } from "../table.ts";
import { embedMemo } from "../vectors.ts";
import { innerFailure } from "./failure.ts";
import { post } from "./request.ts";

/** The kinds that answer `/v1/rerank`. */
const rankers: ReadonlySet<string> = new Set(["vllm", "together"]);

export const rerank: NonNullable<Dialect["rerank"]> = {
  encode(request, target) {
    if (!rankers.has(target.kind)) {
      throw new BedrockError("ValidationException", `The provider ${target.provider} does not rank documents.`);
    }
    const { query, documents, maxTokensPerDocument } = request;
    return {
      request: post(target, chatQuirksOf(target.kind), "/rerank", rankingBody(request, target.model)),
      ignored: maxTokensPerDocument === undefined ? [] : [maxTokensPerDocument.path],
      memo: embedMemo([query, ...documents], target),
    };
  },

  decode(answer, memo) {
    const body = readJson(answer);
    if (isFailure(body)) return body;
    return innerFailure(body, memo.target) ?? readRanking(body) ?? nonsense("The provider's answer has no ranking.");
  },
};
