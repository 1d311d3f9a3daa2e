import { isJsonObject, type JsonValue } from "../bedrock/json.ts";
import { maxDocumentDepth } from "../bedrock/reading.ts";

/**
 * True for JSON that is nested deeper than the gateway takes from a client. From a provider it cannot be passed on
 * either: writing it recurses, and the client could not send it back.
 */
export function isTooDeep(value: JsonValue, depth = 1): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (depth > maxDocumentDepth) return true;
  // Loops, since this is on the road of each streamed token.
  if (isJsonObject(value)) {
    for (const name in value) if (isTooDeep(value[name] ?? null, depth + 1)) return true;
    return false;
  }
  for (const member of value) if (isTooDeep(member, depth + 1)) return true;
  return false;
}
