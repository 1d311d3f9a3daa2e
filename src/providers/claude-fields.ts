/**
 * What only Claude knows of `additionalModelRequestFields`. Clients that were written for Claude send it whoever serves
 * them, and other APIs refuse it.
 */
import { isJsonObject, type JsonObject, type JsonValue } from "../bedrock/json.ts";
import type { ModelFields } from "./model-fields.ts";

const path = "additionalModelRequestFields";
const onlyClaudes: ReadonlySet<string> = new Set(["context_management", "mcp_servers", "container", "inference_geo"]);

export interface OtherFields {
  /** Without Claude's. */
  readonly fields: ModelFields;
  /** Claude's way of asking for one call at a time; undefined when nothing is said of it. */
  readonly oneCall: boolean | undefined;
}

/**
 * Takes Claude's fields out. Those without a meaning elsewhere are added to `ignored`; whether one call at a time is
 * wanted is for the caller to carry, and otherwise to ignore as {@link oneCallPath}.
 */
export function withoutClaudeFields(fields: ModelFields, ignored: string[]): OtherFields {
  const own: [string, JsonValue][] = [];
  let oneCall: boolean | undefined;
  for (const [name, value] of Object.entries(fields.own)) {
    if (name === "tool_choice" && isClaudeChoice(value)) oneCall = value.disable_parallel_tool_use === true;
    else if (onlyClaudes.has(name) || (name === "metadata" && isClaudeMetadata(value))) ignored.push(`${path}.${name}`);
    else own.push([name, value]);
  }
  return { fields: { ...fields, own: Object.fromEntries(own) }, oneCall };
}

export const oneCallPath = `${path}.tool_choice.disable_parallel_tool_use`;

/** The choice itself stands in `toolConfig`. */
function isClaudeChoice(value: JsonValue): value is JsonObject {
  return isJsonObject(value) && (value.type === "auto" || value.type === "any" || value.type === "tool");
}

/** `{user_id}`; OpenAI's `metadata` has names of the client's choice. */
function isClaudeMetadata(value: JsonValue): boolean {
  return isJsonObject(value) && Object.keys(value).every((name) => name === "user_id");
}
