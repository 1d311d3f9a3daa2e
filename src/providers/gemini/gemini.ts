/** Google's Gemini: the Gemini API, and Vertex AI. */
import type { Dialect } from "../dialect.ts";
import { decodeCount, encodeCount } from "./count.ts";
import { decode } from "./decode.ts";
import { decodeEmbed, encodeEmbed } from "./embed.ts";
import { encode } from "./encode.ts";
import { failure } from "./failure.ts";
import { decodeImage, encodeImage } from "./image.ts";
import { GeminiStream } from "./stream.ts";

export const gemini: Dialect = {
  name: "gemini",
  encode,
  decode,
  stream: (memo) => new GeminiStream(memo),
  failure,
  countTokens: { encode: encodeCount, decode: decodeCount },
  embed: { encode: encodeEmbed, decode: decodeEmbed },
  image: { encode: encodeImage, decode: decodeImage },
};
