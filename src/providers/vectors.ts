/** What embeddings have in common, whoever makes them. */
import type { JsonValue } from "../bedrock/json.ts";
import type { Memo, Target } from "./dialect.ts";
import { tokensOfCharacters } from "./usage.ts";

/** The memo of a request for embeddings: nothing but an estimate of its tokens. */
export function embedMemo(texts: readonly string[], target: Target): Memo {
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  return {
    target,
    toolNames: new Map(),
    tools: false,
    schema: false,
    stops: [],
    responsePaths: [],
    inputTokens: tokensOfCharacters(characters),
  };
}

/** Lists of numbers; undefined when one of them is anything else. */
export function readVectors(values: readonly JsonValue[]): readonly (readonly number[])[] | undefined {
  const vectors = values.filter(isVector);
  return vectors.length === values.length ? vectors : undefined;
}

function isVector(value: JsonValue): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((number) => Number.isFinite(number));
}
