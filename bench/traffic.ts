/** What goes over the wire in the measurements: the same bytes in every process and every run. */
import { converseFrames } from "../test/support/frames.ts";

/** A model id as Bedrock knows them, percent-encoded as the SDKs send it. */
const model = "us.anthropic.claude-sonnet-4-20250514-v1%3A0";

/** The fake Bedrock paces the streams of this model and sends those of any other all at once. */
export const pacedModel = "bench.paced-v1%3A0";

export const conversePath = `/model/${model}/converse`;
export const burstPath = `/model/${model}/converse-stream`;
export const pacedPath = `/model/${pacedModel}/converse-stream`;

/** The same two for a model of OpenAI's. */
export const translatePath = "/model/openai%2Fgpt-4o/converse";
export const translateBurstPath = "/model/openai%2Fgpt-4o/converse-stream";
/** Where an OpenAI server answers them. */
export const chatPath = "/v1/chat/completions";

/** All events of a stream, the last two being `messageStop` and `metadata`. */
export const framesPerStream = 200;

/** The pause before each frame of a paced stream. Milliseconds. */
export const frameGapMs = 10;

const bodyBytes = 1024;
const lorem = "The quick brown fox jumps over the lazy dog, and nobody minds. ".repeat(20);

/** A Converse request of 1 KB. */
export const converseRequest = fill((text) => ({
  messages: [{ role: "user", content: [{ text }] }],
  inferenceConfig: { maxTokens: 512, temperature: 0.5 },
}));

/** A Converse answer of 1 KB. */
export const converseAnswer = fill((text) => ({
  metrics: { latencyMs: 412 },
  output: { message: { content: [{ text }], role: "assistant" } },
  stopReason: "end_turn",
  usage: { inputTokens: 180, outputTokens: 164, totalTokens: 344 },
}));

/** The frames of a ConverseStream answer, of about 190 bytes each: a token of text, and Bedrock's padding. */
export function streamFrames(): Buffer[] {
  const words = lorem.split(" ");
  const deltas = framesPerStream - converseFrames({ pieces: [] }).length;
  return converseFrames({ pieces: Array.from({ length: deltas }, (_, n) => ` ${words[n % words.length]}`) });
}

/** A chat completion of 1 KB. */
export const chatAnswer = fill((content) => ({
  id: "chatcmpl-0123456789",
  object: "chat.completion",
  created: 1_790_000_000,
  model: "gpt-4o-2024-08-06",
  choices: [{ index: 0, message: { role: "assistant", content, refusal: null }, finish_reason: "stop" }],
  usage: { prompt_tokens: 180, completion_tokens: 164, total_tokens: 344 },
}));

/** A streamed chat completion: as many server-sent events as make {@link framesPerStream} frames of Converse. */
export function chatEvents(): Buffer[] {
  const words = lorem.split(" ");
  const chunk = (choices: readonly object[], more: object = {}) =>
    Buffer.from(
      `data: ${JSON.stringify({ id: "chatcmpl-0123456789", object: "chat.completion.chunk", created: 1_790_000_000, model: "gpt-4o-2024-08-06", choices, ...more })}\n\n`,
    );
  const delta = (content: object, finish: string | null = null) =>
    chunk([{ index: 0, delta: content, finish_reason: finish }]);
  const texts = framesPerStream - converseFrames({ pieces: [] }).length;
  return [
    delta({ role: "assistant", content: "" }),
    ...Array.from({ length: texts }, (_, n) => delta({ content: ` ${words[n % words.length]}` })),
    delta({}, "stop"),
    chunk([], { usage: { prompt_tokens: 180, completion_tokens: 196, total_tokens: 376 } }),
    Buffer.from("data: [DONE]\n\n"),
  ];
}

/** The document with as much text as makes it 1 KB of JSON. */
function fill(document: (text: string) => object): string {
  const rest = bodyBytes - JSON.stringify(document("")).length;
  return JSON.stringify(document(lorem.slice(0, rest)));
}
