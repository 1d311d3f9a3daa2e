import type { Dialect } from "../dialect.ts";
import { readFailure } from "../failures.ts";
import { decode, decodeCount } from "./decode.ts";
import { encode, encodeCount } from "./encode.ts";
import { hints } from "./failure.ts";
import { AnthropicStream } from "./stream.ts";

/** Anthropic's Messages API, directly and for Claude on Vertex AI. It has no embeddings. */
export const anthropic: Dialect = {
  name: "anthropic",
  encode,
  decode,
  stream: (memo) => new AnthropicStream(memo),
  failure: (answer, target) => readFailure(answer, target, hints),
  countTokens: { encode: encodeCount, decode: decodeCount },
};
