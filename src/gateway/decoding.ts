/** A provider's whole answer in the client's own form. Pure. */
import type { Memo, ProviderAnswer, ProviderFailure } from "../providers/dialect.ts";
import type { Usage } from "../telemetry/usage.ts";
import { type AnswerFormat, type ClientAnswer, usageOf } from "./client-format.ts";
import { dialectOf, imagesBy, rerankBy } from "./encoding.ts";

export interface Decoded {
  readonly kind: "decoded";
  readonly answer: ClientAnswer;
  readonly usage: Usage | undefined;
  /** The provider did not count tokens. */
  readonly estimated: boolean;
}

/**
 * @param latencyMs how long the model took
 * @throws BedrockError ModelErrorException when the client's form has no place for what the model answered
 */
export function decodeWhole(
  format: AnswerFormat,
  memo: Memo,
  answer: ProviderAnswer,
  latencyMs: number,
): Decoded | ProviderFailure {
  const dialect = dialectOf(memo.target);
  const { provider } = memo.target;
  switch (format.kind) {
    case "text": {
      const decoded = dialect.decode(answer, memo);
      if (decoded.kind === "failure") return decoded;
      const response = { metrics: { latencyMs }, ...decoded.response };
      return whole(format.answer(response), usageOf(response.usage), decoded.estimated);
    }
    case "embedding": {
      if (dialect.embed === undefined) throw new Error(`the dialect ${dialect.name} makes no embeddings`);
      const decoded = dialect.embed.decode(answer, memo);
      if (decoded.kind === "failure") return decoded;
      const { vectors, inputTokens } = decoded;
      return whole(format.answer(vectors, inputTokens, latencyMs), { inputTokens, outputTokens: 0 });
    }
    case "image": {
      const decoded = imagesBy(dialect, provider).decode(answer, memo);
      if (decoded.kind === "failure") return decoded;
      const usage = { inputTokens: 0, outputTokens: 0, images: decoded.images.length };
      return whole(format.answer(decoded.images, decoded.withheld, latencyMs), usage);
    }
    case "rerank": {
      const decoded = rerankBy(dialect, provider).decode(answer, memo);
      if (decoded.kind === "failure") return decoded;
      return whole(format.answer(decoded.ranked, latencyMs), undefined);
    }
  }
}

function whole(answer: ClientAnswer, usage: Usage | undefined, estimated = false): Decoded {
  return { kind: "decoded", answer, usage, estimated };
}
