/** Anthropic's text completion, the format before Messages: one prompt with `\n\nHuman:` and `\n\nAssistant:` turns. */
import type { ConverseRequest, StopReason } from "../converse.ts";
import { readStopSequences } from "../converse-reader.ts";
import type { JsonObject } from "../json.ts";
import { readCount, readFraction, readName, readRest } from "../reading.ts";
import { readEnvelope } from "./anthropic-envelope.ts";
import type { Family, FamilyContext } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { additionalFields } from "./inference.ts";
import { wholePrompt } from "./prompt-templates.ts";
import { onlyStopSequence } from "./stop-sequence.ts";
import { type StopWords, stopWord } from "./stop-words.ts";
import { answerText, TextStream } from "./text-answer.ts";
import { type Conversation, splitSystem, type Turn } from "./turns.ts";

const form = { title: "Anthropic's text completion" };
const humanTurn = "\n\nHuman:";
const turnMarks = /\n\n(Human|Assistant):/;

const bodyFields = new Set([
  "anthropic_version",
  "prompt",
  "max_tokens_to_sample",
  "temperature",
  "top_p",
  "stop_sequences",
]);

/** There were only `stop_sequence` and `max_tokens`; for a refusal this is Anthropic's later word. */
const words: StopWords = {
  complete: "stop_sequence",
  length: "max_tokens",
  sequence: "stop_sequence",
  tools: "stop_sequence",
  filtered: "refusal",
};

/**
 * `{prompt, max_tokens_to_sample, stop_sequences, …}` → `{completion, stop_reason, stop}`.
 *
 * An answer that is complete says that it stopped at `\n\nHuman:`, as the models of this format did.
 */
export const anthropicText: Family = {
  kind: "text",
  name: "anthropic-text",
  echoes: ["stop_sequences"],

  read(body) {
    readEnvelope(body);
    return {
      ...readPrompt(readName(body.prompt, "prompt")),
      inferenceConfig: readInference(body),
      ...additionalFields(readRest(body, bodyFields)),
    };
  },

  write(answer, context) {
    return {
      completion: answerText(answer.output.message.content, form),
      ...writeStop(answer.stopReason, context),
      ...guardrailMembers(answer.stopReason, answer.trace),
    };
  },

  stream(context) {
    return new TextStream(form, {
      piece: (completion) => ({ completion, stop_reason: null, stop: null }),
      last: (reason) => ({ completion: "", ...writeStop(reason, context) }),
    });
  },
};

function readInference(body: JsonObject): NonNullable<ConverseRequest["inferenceConfig"]> {
  const { max_tokens_to_sample, temperature, top_p, stop_sequences } = body;
  const stops = stop_sequences == null ? [] : readStopSequences(stop_sequences, "stop_sequences");
  // Ends the template's turns, which a conversation has of its own.
  const stopSequences = stops.filter((sequence) => sequence !== humanTurn);
  return {
    maxTokens: readCount(max_tokens_to_sample, "max_tokens_to_sample"),
    ...(temperature != null && { temperature: readFraction(temperature, "temperature") }),
    ...(top_p != null && { topP: readFraction(top_p, "top_p") }),
    ...(stopSequences.length > 0 && { stopSequences }),
  };
}

/** Text before the first turn is the system prompt. A prompt that does not keep to the format is one user's text. */
function readPrompt(prompt: string): Conversation {
  const [before = "", ...rest] = (prompt.startsWith("Human:") ? `\n\n${prompt}` : prompt).split(turnMarks);
  const turns: Turn[] = [];
  for (let at = 0; at + 1 < rest.length; at += 2) {
    turns.push(turn(rest[at] === "Human" ? "user" : "assistant", rest[at + 1] ?? ""));
  }
  const last = turns.at(-1);
  if (last?.role === "assistant" && isBlank(last)) turns.pop();
  if (turns[0]?.role !== "user" || turns.some(isBlank)) return wholePrompt(prompt, []);
  const system = turn("system", before);
  return splitSystem(isBlank(system) ? turns : [system, ...turns]);
}

function turn(role: Turn["role"], text: string): Turn {
  return { role, content: [{ text: text.trim() }] };
}

function isBlank({ content }: Turn): boolean {
  return content.every((block) => "text" in block && block.text === "");
}

function writeStop(reason: StopReason, { body }: FamilyContext): JsonObject {
  return { stop_reason: stopWord(reason, words), stop: stopOf(reason, body) };
}

function stopOf(reason: StopReason, body: JsonObject | undefined): string | null {
  if (reason === "end_turn") return humanTurn;
  return reason === "stop_sequence" ? onlyStopSequence(body?.stop_sequences, humanTurn) : null;
}
