/**
 * JSON schemas as Anthropic's constrained decoding takes them: for the answer's format and for strict tools. What it
 * does not know goes into the description, where the model at least reads it.
 *
 * Source: Anthropic's page on structured outputs, "JSON Schema limitations".
 */
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";

/** Kept as they are. */
const plain = new Set(["type", "$ref", "const", "title", "description", "default", "required", "$schema"]);
/** Say nothing to the model. */
const silent = new Set(["$id", "$comment"]);
/** Hold a schema under each name. */
const named = new Set(["properties", "$defs", "definitions"]);
const formats = new Set(["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"]);

/** A copy that is taken; objects in it have no members but the ones they name. */
export function constrainedSchema(schema: JsonObject): JsonObject {
  const kept: Record<string, JsonValue> = {};
  const told: Record<string, JsonValue> = {};
  for (const [name, value] of Object.entries(schema)) {
    if (silent.has(name) || name === "additionalProperties") continue;
    const [place, known] = readKeyword(name, value, schema);
    if (known === undefined) told[name] = value;
    else kept[place] = known;
  }
  if (isObjectSchema(schema)) kept.additionalProperties = false;
  const { additionalProperties: open } = schema;
  if (open !== undefined && open !== false) told.additionalProperties = open;
  if (Object.keys(told).length === 0) return kept;
  const note = JSON.stringify(told);
  const { description } = schema;
  return { ...kept, description: typeof description === "string" ? `${description}\n\n${note}` : note };
}

/** The keyword to send and its value; undefined when there is none for it. */
function readKeyword(
  name: string,
  value: JsonValue,
  schema: JsonObject,
): readonly [name: string, value: JsonValue | undefined] {
  if (plain.has(name)) return [name, value];
  if (named.has(name)) return [name, isJsonObject(value) ? constrainedMembers(value) : undefined];
  switch (name) {
    case "items":
      return [name, isJsonObject(value) ? constrainedSchema(value) : undefined];
    case "anyOf":
    case "allOf":
      return [name, constrainedList(value)];
    case "oneOf":
      return ["anyOf", schema.anyOf === undefined ? constrainedList(value) : undefined];
    case "enum":
      return [name, Array.isArray(value) && value.every((item) => !isNested(item)) ? value : undefined];
    case "format":
      return [name, typeof value === "string" && formats.has(value) ? value : undefined];
    case "minItems":
      return [name, value === 0 || value === 1 ? value : undefined];
    default:
      return [name, undefined];
  }
}

function constrainedMembers(schemas: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, isJsonObject(schema) ? constrainedSchema(schema) : schema]),
  );
}

function constrainedList(schemas: JsonValue): JsonValue | undefined {
  if (!Array.isArray(schemas)) return undefined;
  return schemas.map((schema: JsonValue) => (isJsonObject(schema) ? constrainedSchema(schema) : schema));
}

function isObjectSchema({ type, properties }: JsonObject): boolean {
  return properties !== undefined || type === "object" || (Array.isArray(type) && type.includes("object"));
}

function isNested(value: JsonValue): boolean {
  return typeof value === "object" && value !== null;
}
