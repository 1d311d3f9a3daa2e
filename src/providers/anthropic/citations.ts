import type { Citation } from "../../bedrock/converse.ts";
import { BedrockError } from "../../bedrock/errors.ts";
import { readCitation } from "../../bedrock/families/anthropic-messages-citations.ts";
import { isJsonObject, type JsonValue } from "../../bedrock/json.ts";

/** A citation of an answer; undefined for one of a kind that Converse cannot tell. */
export function citationOf(value: JsonValue | undefined): Citation | undefined {
  if (!isJsonObject(value)) return undefined;
  // Converse has no place for either, and a client cannot do anything with them.
  const { file_id: _file, encrypted_index: _index, ...rest } = value;
  try {
    return readCitation(rest, "citation");
  } catch (error) {
    // The text that is cited for is complete without it.
    if (error instanceof BedrockError) return undefined;
    throw error;
  }
}
