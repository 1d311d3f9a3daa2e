/** Which stop sequence ended an answer. Converse does not say, Anthropic's formats do. */
import { isJsonObject, type JsonValue } from "../json.ts";

/**
 * The one that was asked for, when it was only one; null when it may have been any of several.
 *
 * @param requested the body's `stop_sequences`
 * @param aside a sequence that does not count, because the model was not told of it
 */
export function onlyStopSequence(requested: JsonValue | undefined, aside?: string): string | null {
  if (!Array.isArray(requested)) return null;
  const sequences: readonly unknown[] = requested.filter((sequence) => sequence !== aside);
  const [only] = sequences;
  return sequences.length === 1 && typeof only === "string" ? only : null;
}

/**
 * What the model itself said.
 *
 * @param fields an answer's `additionalModelResponseFields`: `/stop_sequence`, or in a stream `/delta/stop_sequence`
 */
export function ownStopSequence(fields: JsonValue | undefined): string | null {
  if (!isJsonObject(fields)) return null;
  const own = isJsonObject(fields.delta) ? fields.delta.stop_sequence : fields.stop_sequence;
  return typeof own === "string" ? own : null;
}
