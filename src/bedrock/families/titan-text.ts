/** Amazon Titan Text. Its body holds one text; who said what in it is not taken apart. */
import { readName, readObject, readRest } from "../reading.ts";
import type { Family } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { additionalFields, type InferenceNames, readInference } from "./inference.ts";
import { type StopWords, stopWord } from "./stop-words.ts";
import { answerText, TextStream } from "./text-answer.ts";
import { promptTokens, usageOf } from "./usage.ts";

const form = { title: "Titan Text" };
const configPath = "textGenerationConfig";
const bodyFields = new Set(["inputText", configPath]);
const configFields = new Set(["maxTokenCount", "temperature", "topP", "stopSequences"]);
const names: InferenceNames = {
  maxTokens: "maxTokenCount",
  temperature: "temperature",
  topP: "topP",
  stop: "stopSequences",
  maxTemperature: 1,
};

/** The documents say FINISHED, the traffic FINISH. */
const words: StopWords = {
  complete: "FINISH",
  length: "LENGTH",
  sequence: "STOP_CRITERIA_MET",
  tools: "FINISH",
  filtered: "CONTENT_FILTERED",
};

/** `{inputText, textGenerationConfig}` → `{inputTextTokenCount, results: [{tokenCount, outputText, completionReason}]}`. */
export const titanText: Family = {
  kind: "text",
  name: "titan-text",

  read(body) {
    const config = body[configPath];
    return {
      messages: [{ role: "user", content: [{ text: readName(body.inputText, "inputText") }] }],
      ...(config != null && readInference(readObject(config, configPath, configFields), configPath, names)),
      ...additionalFields(readRest(body, bodyFields)),
    };
  },

  write(answer) {
    return {
      inputTextTokenCount: promptTokens(answer.usage),
      results: [
        {
          tokenCount: answer.usage.outputTokens,
          outputText: answerText(answer.output.message.content, form),
          completionReason: stopWord(answer.stopReason, words),
        },
      ],
      ...guardrailMembers(answer.stopReason, answer.trace),
    };
  },

  stream() {
    return new TextStream(form, {
      piece: (outputText) => ({
        outputText,
        index: 0,
        totalOutputTextTokenCount: null,
        completionReason: null,
        inputTextTokenCount: null,
      }),
      last: (reason, metrics) => ({
        outputText: "",
        index: 0,
        totalOutputTextTokenCount: metrics.outputTokenCount,
        completionReason: stopWord(reason, words),
        inputTextTokenCount: promptTokens(usageOf(metrics)),
      }),
    });
  },
};
