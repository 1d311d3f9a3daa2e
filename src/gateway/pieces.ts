/** What a request asks for, and an answer has, that is paid by the piece: images, and queries of Rerank. */
import { BedrockError } from "../bedrock/errors.ts";
import { chooseFamily } from "../bedrock/families/index.ts";
import { isJsonObject, type JsonObject, type JsonValue, tryParseObject } from "../bedrock/json.ts";
import type { Pieces } from "../governance/prices.ts";

/** Names on Bedrock of models that make images or rank documents. */
const ownNames = /(?:^|[./])(?:stability\.|amazon\.(?:titan-image|nova-canvas|rerank)|cohere\.rerank)/;
/** Members that such a body has for another provider's model, whose name says nothing. */
const hints = ['"taskType"', '"text_prompts"', '"prompt"', '"documents"'].map((text) => Buffer.from(text));

/** A query over more documents than these counts as several (Bedrock's pricing page, of Cohere's and Amazon's alike). */
const documentsPerQuery = 100;

/** Whether {@link piecesAsked} would look at the body at all. */
export function mayAskPieces(operation: string, model: string | undefined, foreign: boolean): boolean {
  return (
    operation === "Rerank" || (operation === "InvokeModel" && model !== undefined && (foreign || ownNames.test(model)))
  );
}

/**
 * What a request asks for by the piece; undefined for requests that are paid by tokens alone, and for bodies that nobody
 * can read.
 *
 * @param foreign the model is another provider's
 */
export function piecesAsked(
  operation: string,
  model: string | undefined,
  body: Buffer,
  foreign: boolean,
): Pieces | undefined {
  if (!mayAskPieces(operation, model, foreign)) return undefined;
  if (operation === "Rerank") return { queries: queriesOver(tryParseObject(body)?.sources) };
  if (foreign && !hints.some((hint) => body.includes(hint))) return undefined;
  const parsed = tryParseObject(body);
  if (parsed === undefined || model === undefined) return undefined;
  switch (kindOf(model, parsed, foreign)) {
    case "image":
      return { images: imagesAsked(parsed) };
    case "rerank":
      return { queries: queriesOver(parsed.documents) };
    case "text":
    case "embedding":
    case undefined:
      return undefined;
  }
}

function kindOf(model: string, body: JsonObject, foreign: boolean) {
  try {
    return chooseFamily(model, body, foreign).kind;
  } catch (error) {
    // Whoever serves it will say what is wrong with it.
    if (error instanceof BedrockError) return undefined;
    throw error;
  }
}

/** Titan and Nova Canvas say `numberOfImages`, Stability's older bodies `samples`; others make one. */
function imagesAsked({ imageGenerationConfig: config, samples }: JsonObject): number {
  const asked = (isJsonObject(config) ? config.numberOfImages : undefined) ?? samples;
  return typeof asked === "number" && asked >= 1 ? Math.ceil(asked) : 1;
}

function queriesOver(documents: JsonValue | undefined): number {
  return Array.isArray(documents) ? Math.max(1, Math.ceil(documents.length / documentsPerQuery)) : 1;
}

const quote = 0x22;

/**
 * How many images the answer of a model of Bedrock's has: items of `images`, or members `base64` of `artifacts`. The
 * answer has megabytes of base64 and is not parsed for it: its strings are stepped over.
 */
export function imagesIn(body: Buffer): number {
  const artifacts = body.indexOf('"artifacts"', 0, "latin1");
  if (artifacts !== -1) return countOf(body, '"base64"', artifacts);
  const images = body.indexOf('"images"', 0, "latin1");
  let at = images === -1 ? -1 : body.indexOf("[", images, "latin1");
  let count = 0;
  while (at !== -1) {
    const begin = body.indexOf(quote, at + 1);
    const end = body.indexOf("]", at + 1, "latin1");
    // Base64 has neither quotes nor brackets.
    if (begin === -1 || end < begin) break;
    count++;
    at = body.indexOf(quote, begin + 1);
  }
  return count;
}

function countOf(body: Buffer, text: string, from: number): number {
  let count = 0;
  for (let at = body.indexOf(text, from, "latin1"); at !== -1; at = body.indexOf(text, at + 1, "latin1")) count++;
  return count;
}
