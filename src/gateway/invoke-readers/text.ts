/** Readers of the families whose answers are one text. */
import type { ContentBlock, ConverseResponse } from "../../bedrock/converse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { countOf, type FamilyReader, first, hasOnly } from "./family-reader.ts";

/** A piece of text, and at its end why it ended and what it took. */
interface Piece {
  readonly text: string;
  readonly stop: string | null;
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
}

interface TextMembers {
  /** The place of the text and its companions. */
  readonly whole: (answer: JsonObject) => JsonObject | undefined;
  readonly piece: (whole: JsonObject, inner: JsonObject) => Piece | undefined;
  /** A chunk's members in the shape of a whole answer; undefined when it has any that are not known. */
  readonly chunk: (chunk: JsonObject) => JsonObject | undefined;
  readonly join: (pieces: readonly Piece[], last: JsonObject) => JsonObject;
  readonly complete: ReadonlyMap<string, ConverseResponse["stopReason"]>;
}

function textReader({ whole, piece, chunk, join, complete }: TextMembers): FamilyReader {
  const pieceOf = (answer: JsonObject) => {
    const inner = whole(answer);
    return inner && piece(answer, inner);
  };
  return {
    read: (answer, usage) => {
      const read = pieceOf(answer);
      const stopReason = read && complete.get(read.stop ?? "");
      if (read === undefined || stopReason === undefined) return undefined;
      const inputTokens = read.inputTokens ?? usage?.inputTokens ?? 0;
      const outputTokens = read.outputTokens ?? usage?.outputTokens ?? 0;
      const content: ContentBlock[] = read.text === "" ? [] : [{ text: read.text }];
      return {
        output: { message: { role: "assistant", content } },
        stopReason,
        usage: { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens },
        metrics: { latencyMs: 0 },
      };
    },
    assemble: (chunks) => {
      const pieces: Piece[] = [];
      let last: JsonObject | undefined;
      for (const one of chunks) {
        const answer = chunk(one);
        const read = answer && pieceOf(answer);
        if (answer === undefined || read === undefined) return undefined;
        pieces.push(read);
        last = answer;
      }
      return last && join(pieces, last);
    },
  };
}

function pieceFrom(
  text: JsonValue | undefined,
  stop: JsonValue | undefined,
  input?: JsonValue,
  output?: JsonValue,
): Piece | undefined {
  if (typeof text !== "string" || (stop !== undefined && stop !== null && typeof stop !== "string")) return undefined;
  return { text, stop: stop ?? null, inputTokens: countOf(input), outputTokens: countOf(output) };
}

function joined(pieces: readonly Piece[]): string {
  return pieces.map(({ text }) => text).join("");
}

const llamaMembers = new Set(["generation", "prompt_token_count", "generation_token_count", "stop_reason"]);

export const llama = textReader({
  whole: (answer) => answer,
  piece: ({ generation, stop_reason: stop, prompt_token_count: input, generation_token_count: output }) =>
    pieceFrom(generation, stop, input, output),
  chunk: (chunk) => (hasOnly(chunk, llamaMembers) ? chunk : undefined),
  join: (pieces, last) => ({ ...last, generation: joined(pieces), prompt_token_count: promptOf(pieces, last) }),
  complete: new Map([["stop", "end_turn"]]),
});

/** Llama tells the prompt's tokens in its first chunk. */
function promptOf(pieces: readonly Piece[], last: JsonObject): JsonValue {
  const told = pieces.find(({ inputTokens }) => inputTokens !== undefined);
  return told?.inputTokens ?? last.prompt_token_count ?? null;
}

const titanMembers = new Set([
  "outputText",
  "index",
  "totalOutputTextTokenCount",
  "completionReason",
  "inputTextTokenCount",
]);

export const titanText = textReader({
  whole: ({ results }) => first(results),
  piece: ({ inputTextTokenCount: input }, { outputText, completionReason, tokenCount: output }) =>
    pieceFrom(outputText, completionReason, input, output),
  chunk: (chunk) => {
    if (!hasOnly(chunk, titanMembers)) return undefined;
    const { outputText = null, completionReason = null, totalOutputTextTokenCount: output = null } = chunk;
    const results = [{ tokenCount: output, outputText, completionReason }];
    return { inputTextTokenCount: chunk.inputTextTokenCount ?? null, results };
  },
  join: (pieces, last) => {
    const told = pieces.find(({ inputTokens }) => inputTokens !== undefined);
    const results = [{ ...first(last.results), outputText: joined(pieces) }];
    return { inputTextTokenCount: told?.inputTokens ?? null, results };
  },
  complete: new Map([
    ["FINISH", "end_turn"],
    ["STOP_CRITERIA_MET", "stop_sequence"],
  ]),
});

export const mistralPrompt = listed("outputs");
export const deepseek = listed("choices");

/** Answers that are a list of one `{text, stop_reason}`. */
function listed(name: "choices" | "outputs"): FamilyReader {
  const members = new Set([name]);
  return textReader({
    whole: (answer) => first(answer[name]),
    piece: (_whole, { text, stop_reason: stop }) => pieceFrom(text, stop),
    chunk: (chunk) => (hasOnly(chunk, members) ? chunk : undefined),
    join: (pieces, last) => ({ [name]: [{ ...first(last[name]), text: joined(pieces) }] }),
    complete: new Map([["stop", "end_turn"]]),
  });
}

const completionMembers = new Set(["completion", "stop_reason", "stop"]);

export const anthropicText = textReader({
  whole: (answer) => answer,
  piece: (_whole, { completion, stop_reason: stop }) => pieceFrom(completion, stop),
  chunk: (chunk) => (hasOnly(chunk, completionMembers) ? chunk : undefined),
  join: (pieces, last) => ({ ...last, completion: joined(pieces) }),
  // What is complete says that it stopped where the next turn would have begun.
  complete: new Map([["stop_sequence", "end_turn"]]),
});

const commandMembers = new Set(["id", "generations", "prompt"]);
const commandPieceMembers = new Set(["text", "is_finished", "index", "finish_reason"]);

/** A stream has pieces where the body asked for them with `stream`, and otherwise the whole answer in one chunk. */
export const cohereCommand: FamilyReader = {
  ...textReader({
    whole: ({ generations }) => first(generations),
    piece: (_whole, { text, finish_reason: stop }) => pieceFrom(text, stop),
    chunk: (chunk) => {
      if ("generations" in chunk) return hasOnly(chunk, commandMembers) ? chunk : undefined;
      if (!hasOnly(chunk, commandPieceMembers)) return undefined;
      return { generations: [{ text: chunk.text ?? "", finish_reason: chunk.finish_reason ?? null }] };
    },
    join: (pieces, last) => ({ ...last, generations: [{ ...first(last.generations), text: joined(pieces) }] }),
    complete: new Map([["COMPLETE", "end_turn"]]),
  }),
  fresh: new Set(["id"]),
};

const commandREvents = new Set(["stream-start", "text-generation", "stream-end"]);
const commandR = textReader({
  whole: (answer) => answer,
  piece: ({ meta }, { text, finish_reason: stop }) => {
    const tokens = isJsonObject(meta) && isJsonObject(meta.tokens) ? meta.tokens : {};
    return pieceFrom(text, stop, tokens.input_tokens, tokens.output_tokens);
  },
  chunk: () => undefined,
  join: (_pieces, last) => last,
  complete: new Map([["COMPLETE", "end_turn"]]),
});

/** A stream's last event has the whole answer once more. */
export const cohereCommandR: FamilyReader = {
  read: (answer, usage) => commandR.read(answer, usage),
  assemble: (chunks) => {
    const last = chunks.at(-1);
    if (last?.is_finished !== true || !isJsonObject(last.response)) return undefined;
    if (!chunks.every(({ event_type: type }) => typeof type === "string" && commandREvents.has(type))) return undefined;
    const text = chunks.map((chunk) => (typeof chunk.text === "string" ? chunk.text : "")).join("");
    return text === last.response.text ? last.response : undefined;
  },
  fresh: new Set(["response_id", "generation_id"]),
};
