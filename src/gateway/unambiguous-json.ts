/** JSON that everybody reads alike: what another reader might take otherwise must not decide about sharing answers. */
import { isUtf8 } from "node:buffer";
import { isJsonObject, type JsonObject } from "../bedrock/json.ts";

const backslash = 0x5c;
const colon = 0x3a;

/**
 * Parses a body.
 *
 * @returns undefined when it is no JSON object, is not UTF-8, or names a member twice: readers differ in which one counts
 */
export function parseUnambiguous(body: Buffer): JsonObject | undefined {
  if (!isUtf8(body)) return undefined;
  const text = body.toString("utf8");
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Whoever serves it will say what is wrong with it.
    return undefined;
  }
  return isJsonObject(parsed) && countMembers(parsed) === countColons(text) ? parsed : undefined;
}

/** Members of all objects in a value; without recursion, since they may nest as deep as they like. */
function countMembers(value: unknown): number {
  let count = 0;
  const left: unknown[] = [value];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (typeof next !== "object" || next === null) continue;
    const items: unknown[] = Array.isArray(next) ? next : Object.values(next);
    if (!Array.isArray(next)) count += items.length;
    for (const item of items) if (typeof item === "object" && item !== null) left.push(item);
  }
  return count;
}

/** Colons of valid JSON outside of its strings: one for each member that is written. Strings are jumped over. */
function countColons(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; ) {
    const start = text.indexOf('"', at);
    const end = start === -1 ? text.length : start;
    for (; at < end; at++) if (text.charCodeAt(at) === colon) count++;
    if (start === -1) return count;
    at = stringEnd(text, start + 1);
  }
  return count;
}

/** The position behind the quote that ends a string whose first character is at `from`. */
function stringEnd(text: string, from: number): number {
  for (let end = text.indexOf('"', from); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes++;
    if (escapes % 2 === 0) return end + 1;
  }
  return text.length;
}
