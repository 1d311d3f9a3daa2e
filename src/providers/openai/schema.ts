/** The schema an answer must follow. */
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import type { ChatQuirks } from "../chat-quirks.ts";
import type { AnswerSchema } from "../prepared.ts";

export interface SchemaRequest {
  readonly response_format: JsonObject | undefined;
  /** What the system prompt says of it. */
  readonly instructions: string | undefined;
}

export function writeSchema(schema: AnswerSchema | undefined, hasTools: boolean, quirks: ChatQuirks): SchemaRequest {
  if (schema === undefined) return { response_format: undefined, instructions: undefined };
  if (hasTools && !quirks.schemaBesideTools) return { response_format: undefined, instructions: instruct(schema) };
  // The mode is refused unless the word JSON is in the prompt.
  if (quirks.responseFormat === "json_object") {
    return { response_format: { type: "json_object" }, instructions: instruct(schema) };
  }
  const { name, description } = schema;
  return {
    response_format: {
      type: "json_schema",
      json_schema: {
        name,
        ...(description !== undefined && { description }),
        schema: schema.schema,
        strict: isStrict(schema.schema),
      },
    },
    instructions: undefined,
  };
}

function instruct({ description, schema }: AnswerSchema): string {
  const what = description === undefined ? "" : ` (${description})`;
  return `The final answer is JSON and nothing else, and follows this JSON schema${what}:\n${JSON.stringify(schema)}`;
}

/** Whether `strict` may be asked for: every object lists all its members as required, and allows no others. */
export function isStrict(schema: JsonValue): boolean {
  if (Array.isArray(schema)) return schema.every(isStrict);
  if (!isJsonObject(schema)) return true;
  const { properties, required, additionalProperties } = schema;
  const isObject = schema.type === "object" || (Array.isArray(schema.type) && schema.type.includes("object"));
  if (isObject || properties !== undefined) {
    if (additionalProperties !== false || !isJsonObject(properties) || !Array.isArray(required)) return false;
    if (!Object.keys(properties).every((name) => required.includes(name))) return false;
  }
  for (const [name, member] of Object.entries(schema)) {
    // Values, not schemas.
    if (name === "enum" || name === "const" || name === "default" || name === "examples") continue;
    if (!(name === "properties" ? areStrict(member) : isStrict(member))) return false;
  }
  return true;
}

function areStrict(properties: JsonValue): boolean {
  return isJsonObject(properties) && Object.values(properties).every(isStrict);
}
