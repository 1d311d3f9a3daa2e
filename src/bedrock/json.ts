/** JSON as values: what `JSON.parse` gives back, and what `JSON.stringify` takes without losing anything. */

export type JsonValue = string | number | boolean | null | JsonObject | readonly JsonValue[];

export interface JsonObject {
  readonly [name: string]: JsonValue;
}

/** What bytes of UTF-8 say as JSON; undefined where they are none, for readers who leave it to others to say so. */
export function tryParse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  } catch {
    // Not JSON: whoever has to take it will say what is wrong with it.
    return undefined;
  }
}

/** As {@link tryParse}, and undefined also where it is no object. */
export function tryParseObject(bytes: Uint8Array): JsonObject | undefined {
  const parsed = tryParse(bytes);
  return isJsonObject(parsed) ? parsed : undefined;
}

/** For a value that came from `JSON.parse`: an object, and so made of JSON values only. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** For a value that came from `JSON.parse`, or a member of one that may be missing. */
export function isJsonValue(value: unknown): value is JsonValue {
  return value !== undefined;
}
