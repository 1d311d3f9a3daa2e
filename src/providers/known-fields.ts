import { refuseField } from "../bedrock/errors.ts";
import type { JsonObject, JsonValue } from "../bedrock/json.ts";
import { at } from "../bedrock/reading.ts";
import type { ModelFields } from "./model-fields.ts";

const path = "additionalModelRequestFields";

/**
 * The model's own fields, for a provider that refuses a request with a field it does not know.
 *
 * @param known names the provider takes beside what the gateway writes
 * @param reserved names the gateway writes itself
 * @param ignored takes the paths of all others
 * @throws BedrockError ValidationException for a reserved name
 */
export function knownFields(
  fields: ModelFields,
  known: ReadonlySet<string>,
  reserved: ReadonlySet<string>,
  ignored: string[],
): JsonObject {
  const sent: [string, JsonValue][] = [];
  for (const [name, value] of Object.entries(fields.own)) {
    if (reserved.has(name)) throw refuseField(at(path, name), "is set by the gateway from the request's other fields");
    if (known.has(name)) sent.push([name, value]);
    else ignored.push(at(path, name));
  }
  return Object.fromEntries(sent);
}
