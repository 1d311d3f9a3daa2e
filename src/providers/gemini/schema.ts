/**
 * JSON schemas as Gemini takes them. The fields `parameters` and `responseSchema` know only a part of OpenAPI's schemas
 * and refuse a request for one unknown word; so the newer `parametersJsonSchema` and `responseJsonSchema` are used, which
 * take JSON Schema:
 *
 * - a tool's schema goes as it is: words Google does not enforce still tell the model something
 * - an answer's schema is held to the words Google documents for it; what is left out is reported
 */
import { refuseField } from "../../bedrock/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { at } from "../../bedrock/reading.ts";

/**
 * The schema of a function's parameters; its root is an object.
 *
 * @throws BedrockError ValidationException when it describes something else
 */
export function parametersSchema(schema: JsonObject, path: string): JsonObject {
  const members = Object.entries(schema).filter(([name]) => name !== "$schema");
  const { type } = schema;
  // Nothing may stand beside a reference.
  if (type === "object" || (type == null && schema.$ref != null)) return Object.fromEntries(members);
  if (type != null && !(Array.isArray(type) && type.includes("object"))) {
    throw refuseField(path, "must describe an object, since a tool's input is one");
  }
  return Object.fromEntries([["type", "object"], ...members.filter(([name]) => name !== "type")]);
}

const plainWords = new Set([
  "type",
  "format",
  "title",
  "description",
  "enum",
  "minItems",
  "maxItems",
  "minimum",
  "maximum",
  "required",
  "propertyOrdering",
  "$id",
  "$anchor",
]);

/** They say nothing about the answer. */
const notes = new Set(["$schema", "$comment"]);

/**
 * The schema of an answer, in the words of `responseJsonSchema`.
 *
 * @param schema not nested deeper than a client's documents may be
 * @param ignored takes the paths of what is left out
 */
export function responseSchema(schema: JsonObject, path: string, ignored: string[]): JsonObject {
  return new ResponseSchema(ignored).node(schema, path);
}

type Members = Map<string, JsonValue>;

class ResponseSchema {
  readonly #ignored: string[];

  constructor(ignored: string[]) {
    this.#ignored = ignored;
  }

  node(schema: JsonObject, path: string): JsonObject {
    const members: Members = new Map();
    for (const [word, value] of Object.entries(this.#merged(schema, path))) {
      this.#word(members, word, value, at(path, word));
    }
    if (members.has("$ref")) this.#aloneWithRef(members, path);
    return Object.fromEntries(members);
  }

  #word(members: Members, word: string, value: JsonValue, path: string): void {
    if (notes.has(word)) return;
    if (plainWords.has(word)) {
      members.set(word, value);
      return;
    }
    switch (word) {
      case "$ref":
        members.set("$ref", typeof value === "string" ? value.replace(/^#\/definitions\//, "#/$defs/") : value);
        return;
      case "const":
        // An enum takes texts and numbers.
        if (typeof value === "string" || typeof value === "number") members.set("enum", [value]);
        else this.#ignored.push(path);
        return;
      case "exclusiveMinimum":
      case "exclusiveMaximum": {
        // The nearest there is lets one value too many pass.
        const inclusive = word === "exclusiveMinimum" ? "minimum" : "maximum";
        if (typeof value === "number" && !members.has(inclusive)) members.set(inclusive, value);
        this.#ignored.push(path);
        return;
      }
      case "properties":
      case "$defs":
      case "definitions":
        if (isJsonObject(value)) members.set(word === "properties" ? word : "$defs", this.#map(value, path));
        else this.#ignored.push(path);
        return;
      case "additionalProperties":
        members.set(word, this.#value(value, path));
        return;
      case "items":
        members.set(Array.isArray(value) ? "prefixItems" : "items", this.#value(value, path));
        return;
      case "prefixItems":
      case "anyOf":
      case "oneOf":
        members.set(word, this.#value(value, path));
        return;
      default:
        this.#ignored.push(path);
    }
  }

  #map(schemas: JsonObject, path: string): JsonObject {
    return Object.fromEntries(
      Object.entries(schemas).map(([name, schema]) => [name, this.#value(schema, at(path, name))]),
    );
  }

  /** A schema, a list of them, or one of the two booleans that are schemas too. */
  #value(value: JsonValue, path: string): JsonValue {
    if (isJsonObject(value)) return this.node(value, path);
    if (!Array.isArray(value)) return value;
    return value.map((item, index) => (isJsonObject(item) ? this.node(item, `${path}[${index}]`) : item));
  }

  /** The schema with its `allOf` merged into it, as far as the parts do not contradict each other. */
  #merged(schema: JsonObject, path: string): JsonObject {
    const { allOf } = schema;
    if (!Array.isArray(allOf)) return schema;
    const members: Members = new Map(Object.entries(schema).filter(([word]) => word !== "allOf"));
    for (const [index, part] of allOf.entries()) {
      const place = `${at(path, "allOf")}[${index}]`;
      if (!isJsonObject(part)) {
        this.#ignored.push(place);
        continue;
      }
      for (const [word, value] of Object.entries(part)) {
        const both = bothOf(word, members.get(word), value);
        if (both === undefined) this.#ignored.push(at(place, word));
        else members.set(word, both);
      }
    }
    return Object.fromEntries(members);
  }

  /** Beside a reference Google takes only words with a dollar. */
  #aloneWithRef(members: Members, path: string): void {
    for (const word of members.keys()) {
      if (word.startsWith("$")) continue;
      members.delete(word);
      this.#ignored.push(at(path, word));
    }
  }
}

/** Undefined when the two cannot stand in one schema. */
function bothOf(word: string, first: JsonValue | undefined, second: JsonValue): JsonValue | undefined {
  if (first === undefined) return second;
  if (word === "required" && Array.isArray(first) && Array.isArray(second)) return [...new Set([...first, ...second])];
  if (word === "properties" && isJsonObject(first) && isJsonObject(second)) {
    return Object.keys(second).some((name) => Object.hasOwn(first, name)) ? undefined : { ...first, ...second };
  }
  return typeof first !== "object" && first === second ? first : undefined;
}
