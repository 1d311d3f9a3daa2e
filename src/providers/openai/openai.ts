/** OpenAI's chat completions, and everything that speaks them. How servers differ is data: chat-quirks.ts, models.ts. */
import type { Dialect } from "../dialect.ts";
import { decodeChat } from "./decode.ts";
import { decodeEmbed, encodeEmbed } from "./embed.ts";
import { encodeChat } from "./encode.ts";
import { readChatFailure } from "./failure.ts";
import { decodeImage, encodeImage } from "./image.ts";
import { rerank } from "./rerank.ts";
import { ChatStream } from "./stream.ts";

export const openai: Dialect = {
  name: "openai",
  encode: encodeChat,
  decode: decodeChat,
  stream: (memo) => new ChatStream(memo),
  failure: readChatFailure,
  embed: { encode: encodeEmbed, decode: decodeEmbed },
  image: { encode: encodeImage, decode: decodeImage },
  rerank,
};
