/** DeepSeek R1's prompt form. Later DeepSeek models take chat messages. */
import { readRest } from "../reading.ts";
import type { Family } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { additionalFields, type InferenceNames, readInference, readStopTextOrList } from "./inference.ts";
import { readDeepseekPrompt } from "./prompt-templates.ts";
import { plainStopWords, stopWord } from "./stop-words.ts";
import { answerText, TextStream } from "./text-answer.ts";

const form = { title: "DeepSeek R1", reasoning: { open: "<think>", close: "</think>" } };
const bodyFields = new Set(["prompt", "max_tokens", "temperature", "top_p", "stop"]);
const names: InferenceNames = {
  maxTokens: "max_tokens",
  temperature: "temperature",
  topP: "top_p",
  stop: "stop",
  readStop: readStopTextOrList,
  maxTemperature: 1,
};
const stopWords = { ...plainStopWords, tools: "stop" };

/**
 * `{prompt, max_tokens, temperature, top_p, stop}` → `{choices: [{text, stop_reason}]}`.
 *
 * Reasoning stands in the text, as the model itself writes it: `<think>…</think>` and then the answer.
 */
export const deepseek: Family = {
  kind: "text",
  name: "deepseek",

  read(body) {
    return {
      ...readDeepseekPrompt(body.prompt),
      ...readInference(body, "", names),
      ...additionalFields(readRest(body, bodyFields)),
    };
  },

  write(answer) {
    const text = answerText(answer.output.message.content, form);
    return {
      choices: [{ text, stop_reason: stopWord(answer.stopReason, stopWords) }],
      ...guardrailMembers(answer.stopReason, answer.trace),
    };
  },

  stream() {
    return new TextStream(form, {
      piece: (text) => ({ choices: [{ text, stop_reason: null }] }),
      last: (reason) => ({ choices: [{ text: "", stop_reason: stopWord(reason, stopWords) }] }),
    });
  },
};
