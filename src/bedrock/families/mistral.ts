/** Mistral's two forms: a prompt in its own template, and chat messages. */
import type { JsonObject } from "../json.ts";
import { readRest } from "../reading.ts";
import { ChatStream, chatStopWord, hasCalls, writeChatMessage } from "./chat-answer.ts";
import { type ChatForm, readChat } from "./chat-request.ts";
import type { Family } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { additionalFields, type InferenceNames, readInference, readStopTextOrList } from "./inference.ts";
import { readMistralPrompt } from "./prompt-templates.ts";
import { plainStopWords, stopWord } from "./stop-words.ts";
import { answerText, TextStream } from "./text-answer.ts";

const promptForm = { title: "Mistral" };
const promptFields = new Set(["prompt", "max_tokens", "temperature", "top_p", "stop"]);
const names: InferenceNames = {
  maxTokens: "max_tokens",
  temperature: "temperature",
  topP: "top_p",
  stop: "stop",
  readStop: readStopTextOrList,
  maxTemperature: 1,
};
const stopWords = { ...plainStopWords, tools: "stop" };

/** `{prompt, max_tokens, temperature, top_p, top_k, stop}` → `{outputs: [{text, stop_reason}]}`. */
export const mistralPrompt: Family = {
  kind: "text",
  name: "mistral-prompt",

  read(body) {
    return {
      ...readMistralPrompt(body.prompt),
      ...readInference(body, "", names),
      ...additionalFields(readRest(body, promptFields)),
    };
  },

  write(answer) {
    const text = answerText(answer.output.message.content, promptForm);
    return {
      outputs: [{ text, stop_reason: stopWord(answer.stopReason, stopWords) }],
      ...guardrailMembers(answer.stopReason, answer.trace),
    };
  },

  stream() {
    return new TextStream(promptForm, {
      piece: (text) => ({ outputs: [{ text, stop_reason: null }] }),
      last: (reason) => ({ outputs: [{ text: "", stop_reason: stopWord(reason, stopWords) }] }),
    });
  },
};

const title = "Mistral chat";
const chatForm: ChatForm = {
  roles: ["system", "user", "assistant", "tool"],
  parts: true,
  choices: { auto: "auto", any: "any", none: "none" },
  namedChoice: false,
  maxTemperature: 1.5,
};

/**
 * A chat body → `{choices: [{index, message, stop_reason}]}`. A stream has the same objects, each with a piece of the
 * message; a tool call is one piece.
 */
export const mistralChat: Family = {
  kind: "text",
  name: "mistral-chat",

  read: (body) => readChat(body, chatForm),

  write(answer) {
    const { content } = answer.output.message;
    const message = writeChatMessage(content, title);
    return {
      ...choice(message, chatStopWord(answer.stopReason, hasCalls(content))),
      ...guardrailMembers(answer.stopReason, answer.trace),
    };
  },

  stream() {
    return new ChatStream({
      title,
      wholeCalls: true,
      first: undefined,
      piece: (delta) => choice({ role: "assistant", content: "", ...delta }, null),
      last: (stop) => [choice({ role: "assistant", content: "" }, stop)],
    });
  },
};

function choice(message: JsonObject, stop: string | null): JsonObject {
  return { choices: [{ index: 0, message, stop_reason: stop }] };
}
