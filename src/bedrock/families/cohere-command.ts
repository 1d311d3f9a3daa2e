/** Cohere Command, the older models: one prompt, one text. */
import type { StopReason } from "../converse.ts";
import { refuseField } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { readBoolean, readRest, readText, readWord } from "../reading.ts";
import type { Family, FamilyContext, FamilyStream } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { additionalFields, type InferenceNames, readInference, refuseSeveral } from "./inference.ts";
import { wholePrompt } from "./prompt-templates.ts";
import { type StopWords, stopWord } from "./stop-words.ts";
import { answerText, TextStream } from "./text-answer.ts";

const form = { title: "Cohere Command" };
const bodyFields = new Set([
  "prompt",
  "max_tokens",
  "temperature",
  "p",
  "stop_sequences",
  "num_generations",
  "return_likelihoods",
  "stream",
]);
const names: InferenceNames = {
  maxTokens: "max_tokens",
  temperature: "temperature",
  topP: "p",
  stop: "stop_sequences",
  maxTemperature: 5,
};
const words: StopWords = {
  complete: "COMPLETE",
  length: "MAX_TOKENS",
  sequence: "COMPLETE",
  tools: "COMPLETE",
  filtered: "ERROR_TOXIC",
};

/**
 * `{prompt, max_tokens, temperature, p, stop_sequences, …}` → `{id, generations: [{id, text, finish_reason}], prompt}`.
 *
 * `stream` says nothing about the request: it asks for pieces in the answer of the streaming operation, which otherwise
 * gives the whole answer in one chunk.
 */
export const cohereCommand: Family = {
  kind: "text",
  name: "cohere-command",
  echoes: ["prompt", "stream"],

  read(body) {
    refuseSeveral(body.num_generations, "num_generations");
    refuseLikelihoods(body.return_likelihoods, "return_likelihoods");
    if (body.stream != null) readBoolean(body.stream, "stream");
    return {
      ...wholePrompt(readText(body.prompt, "prompt"), []),
      ...readInference(body, "", names),
      ...additionalFields(readRest(body, bodyFields)),
    };
  },

  write(answer, context) {
    const text = answerText(answer.output.message.content, form);
    return {
      ...wholeAnswer(text, answer.stopReason, context),
      ...guardrailMembers(answer.stopReason, answer.trace),
    };
  },

  stream(context) {
    if (context.body !== undefined && context.body.stream !== true) return wholeStream(context);
    return new TextStream(form, {
      piece: (text) => ({ text, is_finished: false, index: 0 }),
      last: (reason) => ({ is_finished: true, finish_reason: stopWord(reason, words) }),
    });
  },
};

function refuseLikelihoods(value: unknown, path: string): void {
  if (value == null || readWord(value, path, ["NONE", "GENERATION", "ALL"]) === "NONE") return;
  throw refuseField(path, "must be NONE: likelihoods are not part of an answer here");
}

function wholeAnswer(text: string, reason: StopReason, { requestId, body }: FamilyContext): JsonObject {
  return {
    id: requestId,
    generations: [{ id: `${requestId}-0`, text, finish_reason: stopWord(reason, words) }],
    prompt: body?.prompt ?? "",
  };
}

function wholeStream(context: FamilyContext): FamilyStream {
  const texts: string[] = [];
  const stream = new TextStream(form, {
    piece: (text) => {
      texts.push(text);
      return {};
    },
    last: (reason) => wholeAnswer(texts.join(""), reason, context),
  });
  return {
    push(event) {
      stream.push(event);
      return [];
    },
    end: (metrics) => stream.end(metrics),
  };
}
