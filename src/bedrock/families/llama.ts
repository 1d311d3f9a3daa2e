/** Meta Llama: a prompt in Llama's own template, or any text. */
import type { ContentBlock, ImageBlock, Message } from "../converse.ts";
import { refuseField } from "../errors.ts";
import { readList, readRest } from "../reading.ts";
import type { Family } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { readBareImage } from "./images.ts";
import { additionalFields, type InferenceNames, readInference } from "./inference.ts";
import { readLlamaPrompt } from "./prompt-templates.ts";
import { plainStopWords, stopWord } from "./stop-words.ts";
import { answerText, TextStream } from "./text-answer.ts";
import { promptTokens, usageOf } from "./usage.ts";

const form = { title: "Llama" };
const imageMark = "<|image|>";
const bodyFields = new Set(["prompt", "max_gen_len", "temperature", "top_p", "images"]);
const names: InferenceNames = {
  maxTokens: "max_gen_len",
  temperature: "temperature",
  topP: "top_p",
  maxTemperature: 1,
};
const stopWords = { ...plainStopWords, tools: "stop" };

/**
 * `{prompt, max_gen_len, temperature, top_p, images}` →
 * `{generation, prompt_token_count, generation_token_count, stop_reason}`.
 *
 * Images stand where the prompt says `<|image|>`, or before the last user's text when it does not say so at all. In a
 * stream the counts are null until the end, where they are known.
 */
export const llama: Family = {
  kind: "text",
  name: "llama",

  read(body) {
    const { system, messages } = readLlamaPrompt(body.prompt);
    const images = body.images == null ? [] : readList(body.images, "images", readBareImage);
    return {
      ...(system !== undefined && { system }),
      messages: images.length === 0 ? messages : placeImages(messages, images),
      ...readInference(body, "", names),
      ...additionalFields(readRest(body, bodyFields)),
    };
  },

  write(answer) {
    return {
      generation: answerText(answer.output.message.content, form),
      prompt_token_count: promptTokens(answer.usage),
      generation_token_count: answer.usage.outputTokens,
      stop_reason: stopWord(answer.stopReason, stopWords),
      ...guardrailMembers(answer.stopReason, answer.trace),
    };
  },

  stream() {
    return new TextStream(form, {
      piece: (generation) => ({
        generation,
        prompt_token_count: null,
        generation_token_count: null,
        stop_reason: null,
      }),
      last: (reason, metrics) => ({
        generation: "",
        prompt_token_count: promptTokens(usageOf(metrics)),
        generation_token_count: metrics.outputTokenCount,
        stop_reason: stopWord(reason, stopWords),
      }),
    });
  },
};

function placeImages(messages: readonly Message[], images: readonly ImageBlock[]): readonly Message[] {
  const marks = messages.reduce((sum, message) => sum + countMarks(message), 0);
  const blocks = images.map((image) => ({ image }));
  if (marks === 0) {
    const last = messages.findLastIndex((message) => message.role === "user");
    return messages.map((message, index) =>
      index === last ? { role: message.role, content: [...blocks, ...message.content] } : message,
    );
  }
  if (marks !== images.length) {
    throw refuseField("images", `must be as many as the prompt has ${imageMark} marks: ${marks}, not ${images.length}`);
  }
  const left = blocks.values();
  return messages.map((message) =>
    message.role === "user"
      ? { role: message.role, content: message.content.flatMap((block) => replaceMarks(block, left)) }
      : message,
  );
}

function countMarks(message: Message): number {
  if (message.role !== "user") return 0;
  return message.content.reduce((sum, block) => sum + textParts(block).length - 1, 0);
}

/** The texts around the marks: one more than there are marks. */
function textParts(block: ContentBlock): readonly string[] {
  return "text" in block ? block.text.split(imageMark) : [""];
}

function replaceMarks(block: ContentBlock, images: Iterator<ContentBlock>): readonly ContentBlock[] {
  const content: ContentBlock[] = [];
  for (const [index, text] of textParts(block).entries()) {
    const image = index === 0 ? undefined : images.next().value;
    if (image !== undefined) content.push(image);
    if (text.trim() !== "") content.push({ text });
  }
  return content;
}
