/** JSON as values: what `JSON.parse` gives back, and what `JSON.stringify` takes without losing anything. */

export type JsonValue = string | number | boolean | null | JsonObject | readonly JsonValue[];

export interface JsonObject {
  readonly [name: string]: JsonValue;
}

/** For a value that came from `JSON.parse`: an object, and so made of JSON values only. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** For a value that came from `JSON.parse`, or a member of one that may be missing. */
export function isJsonValue(value: unknown): value is JsonValue {
  return value !== undefined;
}
