import type { Dialect } from "../dialect.ts";
import { decode } from "./decode.ts";
import { embed } from "./embed.ts";
import { encode } from "./encode.ts";
import { failure } from "./failure.ts";
import { rerank } from "./rerank.ts";
import { CohereStream } from "./stream.ts";

/** Cohere's chat, version 2. */
export const cohere: Dialect = {
  name: "cohere",
  encode,
  decode,
  stream: (memo) => new CohereStream(memo),
  failure,
  embed,
  rerank,
};
