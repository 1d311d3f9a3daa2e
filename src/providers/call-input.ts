/** The input of a call, as models and providers write it. */
import { isJsonObject, type JsonObject, type JsonValue } from "../bedrock/json.ts";
import { isTooDeep } from "./depth.ts";

/** What providers send for a call without arguments, besides nothing at all. */
const noInputs = ["null", '"null"', '""'];

/** True for the JSON text of no input. */
export function isNoInput(json: string): boolean {
  const text = json.trim();
  return text === "" || noInputs.includes(text);
}

/** True while the beginning of a JSON text may still turn out to be no input. */
export function mayBeNoInput(beginning: string): boolean {
  const text = beginning.trim();
  return text === "" || noInputs.some((none) => none.startsWith(text));
}

export type ReadInput = { readonly input: JsonObject } | { readonly malformed: string };

/**
 * A whole input as an object. No input is `{}`. JSON that is no object is wrapped, since a tool without arguments is
 * not what the model asked for. Text that is not JSON is given back: nothing may run on a guess.
 *
 * @param given JSON text, or the value itself where the provider sends one
 */
export function readInput(given: JsonValue | undefined): ReadInput {
  if (given === undefined || given === null) return { input: {} };
  if (typeof given !== "string") return { input: wrap(given) };
  if (isNoInput(given)) return { input: {} };
  const value = parse(given) ?? parse(withoutFence(given));
  if (value === undefined) return { malformed: given };
  // Some models write the object as a string in JSON.
  const inner = typeof value === "string" ? parse(value) : undefined;
  return { input: wrap(isJsonObject(inner) ? inner : value) };
}

function wrap(value: JsonValue): JsonObject {
  return isJsonObject(value) ? value : { rawInvalidInput: value };
}

function withoutFence(text: string): string {
  return text.trim().replace(/^```(?:json)?\s*|\s*```$/g, "");
}

function parse(text: string): JsonValue | undefined {
  try {
    const value: JsonValue = JSON.parse(text);
    return isTooDeep(value) ? undefined : value;
  } catch {
    // Not JSON: the caller says what follows from that.
    return undefined;
  }
}
