import type { Dialect } from "../dialect.ts";
import { decode } from "./decode.ts";
import { embed } from "./embed.ts";
import { encode } from "./encode.ts";
import { failure } from "./failure.ts";
import { MistralStream } from "./stream.ts";

/** La Plateforme: chat completions close to OpenAI's, with a strict body and an order of messages of its own. */
export const mistral: Dialect = {
  name: "mistral",
  encode,
  decode,
  stream: (memo) => new MistralStream(memo),
  failure,
  embed,
};
