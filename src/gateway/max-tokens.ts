/**
 * The limit of tokens a request sets itself, in Converse or in any of InvokeModel's families.
 *
 * To parse a body for one number costs more than all limits of a virtual key together. So the number is looked for where
 * it stands, and only bodies that leave a doubt are parsed: those with two places it could stand at, or with letters
 * written as escapes.
 */
import { isJsonObject, type JsonValue, tryParseObject } from "../bedrock/json.ts";

/** Beyond this a body is not looked at: the ceiling is reserved. */
const longestBody = 256 * 1024;

/** In the body itself. */
const ownNames: readonly string[] = ["max_tokens", "max_completion_tokens", "max_gen_len", "max_tokens_to_sample"];
/** By the member of the body the limit stands in. */
const namesIn: ReadonlyMap<string, readonly string[]> = new Map([
  ["inferenceConfig", ["maxTokens", "max_new_tokens"]],
  ["textGenerationConfig", ["maxTokenCount"]],
  ["additionalModelRequestFields", ownNames],
]);
/** What all names begin with. */
const beginning = Buffer.from('"max');
/** How `\u0041` to `\u007a`, and so every letter of a name, would begin. */
const escapedByte = Buffer.from("\\u00");
const longestName = 32;

/**
 * @returns the largest that is set; undefined when none is, and for what is no JSON: whoever serves it will say so
 */
export function maxTokensOf(body: Buffer): number | undefined {
  if (body.length === 0 || body.length > longestBody) return undefined;
  if (body.includes(escapedByte)) return parsedMaxTokens(body);
  const at = body.indexOf(beginning);
  if (at === -1) return undefined;
  if (body.indexOf(beginning, at + 1) !== -1) return parsedMaxTokens(body);
  return maxTokensAt(body, at);
}

/** What a whole parse says: the truth that {@link maxTokensOf} comes to in another way. */
export function parsedMaxTokens(body: Buffer): number | undefined {
  const parsed = tryParseObject(body);
  if (parsed === undefined) return undefined;
  let largest = largestOf(parsed, ownNames);
  for (const [holder, names] of namesIn) largest = Math.max(largest, largestOf(parsed[holder], names));
  return largest === Number.NEGATIVE_INFINITY ? undefined : largest;
}

function largestOf(holder: JsonValue | undefined, names: readonly string[]): number {
  let largest = Number.NEGATIVE_INFINITY;
  if (!isJsonObject(holder)) return largest;
  for (const name of names) {
    const number = holder[name];
    if (typeof number === "number" && number > largest) largest = number;
  }
  return largest;
}

/** Of the only name that there can be, whose quote is at `at`. */
function maxTokensAt(body: Buffer, at: number): number | undefined {
  // A quote within a string.
  if (body[at - 1] === backslash) return undefined;
  const [, name, number] = member.exec(body.toString("latin1", at, at + 2 * longestName)) ?? [];
  if (name === undefined || number === undefined) return parsedMaxTokens(body);
  const depth = at < body.length / 2 ? depthAfter(body, at) : depthBefore(body, at);
  if (depth === 1) return ownNames.includes(name) ? Number(number) : undefined;
  const holder = depth === 2 ? memberAround(body, at) : undefined;
  if (holder === undefined || namesIn.get(holder)?.includes(name) !== true) return undefined;
  // Of members of one name the last one counts.
  return isRepeated(body, `"${holder}"`) ? parsedMaxTokens(body) : Number(number);
}

function isRepeated(body: Buffer, text: string): boolean {
  const first = body.indexOf(text, 0, "latin1");
  return body.indexOf(text, first + 1, "latin1") !== -1;
}

/** A name and a number; what follows the number shows that all of it was seen. */
const member = /^"(max\w+)"[ \t\r\n]*:[ \t\r\n]*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)[ \t\r\n,}]/;

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** How many objects and arrays are open at `end`, which is outside of strings; read from the begin. */
function depthAfter(body: Buffer, end: number): number {
  let depth = 0;
  for (let index = 0; index < end; index++) {
    const byte = body[index];
    if (byte === quote) index = stringEnd(body, index);
    else if (byte === openBrace || byte === openBracket) depth++;
    else if (byte === closeBrace || byte === closeBracket) depth--;
  }
  return depth;
}

/** The same, read from the end. */
function depthBefore(body: Buffer, begin: number): number {
  let depth = 0;
  for (let index = body.length - 1; index > begin; index--) {
    const byte = body[index];
    if (byte === quote) index = stringBegin(body, index);
    else if (byte === closeBrace || byte === closeBracket) depth++;
    else if (byte === openBrace || byte === openBracket) depth--;
  }
  // What is closed after a place is open there.
  return depth;
}

/** The name of the member whose value is the object around `at`; undefined when that is an item of an array. */
function memberAround(body: Buffer, at: number): string | undefined {
  let depth = 0;
  let index = at - 1;
  for (; index >= 0; index--) {
    const byte = body[index];
    if (byte === quote) index = stringBegin(body, index);
    else if (byte === closeBrace || byte === closeBracket) depth++;
    else if (byte === openBrace || byte === openBracket) {
      if (depth === 0) break;
      depth--;
    }
  }
  index = skipSpaceBack(body, index - 1);
  if (body[index] !== colon) return undefined;
  const end = skipSpaceBack(body, index - 1);
  return body[end] === quote ? body.toString("latin1", stringBegin(body, end) + 1, end) : undefined;
}

function skipSpaceBack(body: Buffer, from: number): number {
  let index = from;
  while (index >= 0 && (body[index] ?? 0) <= 0x20) index--;
  return index;
}

/** Where the string ends whose first quote is at `begin`. */
function stringEnd(body: Buffer, begin: number): number {
  let end = body.indexOf(quote, begin + 1);
  while (end !== -1 && isEscaped(body, end)) end = body.indexOf(quote, end + 1);
  return end === -1 ? body.length : end;
}

/** Where the string begins whose last quote is at `end`. */
function stringBegin(body: Buffer, end: number): number {
  let begin = body.lastIndexOf(quote, end - 1);
  while (begin > 0 && isEscaped(body, begin)) begin = body.lastIndexOf(quote, begin - 1);
  return begin;
}

function isEscaped(body: Buffer, at: number): boolean {
  let count = 0;
  while (body[at - 1 - count] === backslash) count++;
  return count % 2 === 1;
}
