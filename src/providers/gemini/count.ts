/** Counting tokens with `countTokens`. */
import type { ConverseRequest } from "../../bedrock/converse.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import type { Encoded, Memo, ProviderAnswer, ProviderFailure, Target } from "../dialect.ts";
import { readInnerFailure } from "../failures.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { countOf } from "../usage.ts";
import { encodeBody, jsonRequest } from "./encode.ts";
import { failureHints } from "./failure.ts";
import { methodPath, resourceName } from "./path.ts";
import { isVertex } from "./rules.ts";

const vertexFields = ["contents", "systemInstruction", "tools", "generationConfig"] as const;

/** The Gemini API takes the whole request it would be asked to answer, Vertex some of its fields. */
export function encodeCount(request: ConverseRequest, target: Target): Encoded {
  const { body, encoded } = encodeBody(request, target);
  const counted = isVertex(target)
    ? picked(body)
    : { generateContentRequest: { model: resourceName(target), ...body } };
  return { ...encoded, request: jsonRequest(methodPath(target, "countTokens"), counted) };
}

export function decodeCount(answer: ProviderAnswer, memo: Memo): number | ProviderFailure {
  const body = readJson(answer);
  if (isFailure(body)) return body;
  const failure = readInnerFailure(body, memo.target, failureHints);
  return failure ?? countOf(body.totalTokens) ?? nonsense("The provider's answer has no number of tokens.");
}

function picked(body: JsonObject): JsonObject {
  const fields: Record<string, JsonObject[string]> = {};
  for (const name of vertexFields) {
    const value = body[name];
    if (value !== undefined) fields[name] = value;
  }
  return fields;
}
