/** A value that fits a JSON schema, for tools that the mock is made to call. */
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";

const maxDepth = 8;
const maxItems = 10;
const maxTextLength = 1000;

/** A schema can ask for lists of lists of lists: this many values are made, the rest is null. */
const maxValues = 1000;

/** Texts for the formats that tools check. */
const formats = new Map([
  ["date", "2024-01-01"],
  ["date-time", "2024-01-01T00:00:00Z"],
  ["time", "00:00:00Z"],
  ["email", "user@example.com"],
  ["uri", "https://example.com"],
  ["uuid", "00000000-0000-4000-8000-000000000000"],
]);

/**
 * An input for a tool: its schema's required properties, each with a simple value of its type, always the same one.
 * Schemas that cannot be met, or go too deep, get a null where the value would stand.
 */
export function sampleInput(schema: JsonValue): JsonObject {
  const sample = new Sampler(schema).sample(schema, 0);
  return isJsonObject(sample) ? sample : {};
}

class Sampler {
  readonly #root: JsonValue;
  #left = maxValues;

  constructor(root: JsonValue) {
    this.#root = root;
  }

  sample(schema: JsonValue | undefined, depth: number): JsonValue {
    if (!isJsonObject(schema) || depth > maxDepth || this.#left <= 0) return null;
    this.#left--;
    const given = member(schema, "const") ?? member(schema, "default") ?? first(member(schema, "enum"));
    if (given !== undefined) return given;
    const referred = member(schema, "$ref");
    if (typeof referred === "string") return this.sample(this.#resolve(referred), depth + 1);
    const choice = firstChoice(member(schema, "anyOf") ?? member(schema, "oneOf"));
    if (choice !== undefined) return this.sample(choice, depth + 1);
    const parts = member(schema, "allOf");
    if (isList(parts) && parts.length > 0) return this.#sampleAll(parts, depth);
    return this.#sampleType(schema, depth);
  }

  #sampleType(schema: JsonObject, depth: number): JsonValue {
    const type = typeOf(schema);
    if (type === "object") return this.#sampleObject(schema, depth);
    if (type === "array") return this.#sampleArray(schema, depth);
    if (type === "string") return sampleText(schema);
    if (type === "integer" || type === "number") return sampleNumber(schema);
    return type === "boolean" ? true : null;
  }

  #sampleObject(schema: JsonObject, depth: number): JsonObject {
    const required = member(schema, "required");
    const properties = member(schema, "properties");
    const entries: [string, JsonValue][] = [];
    for (const name of isList(required) ? required.slice(0, maxValues) : []) {
      if (typeof name !== "string") continue;
      const property = isJsonObject(properties) ? member(properties, name) : undefined;
      entries.push([name, this.sample(property, depth + 1)]);
    }
    return Object.fromEntries(entries);
  }

  #sampleArray(schema: JsonObject, depth: number): readonly JsonValue[] {
    const items = member(schema, "items");
    if (!isJsonObject(items)) return [];
    const wanted = numberOf(schema, "minItems") ?? 1;
    const length = Math.min(Math.max(0, wanted), numberOf(schema, "maxItems") ?? maxItems, maxItems);
    return Array.from({ length }, () => this.sample(items, depth + 1));
  }

  /** Objects are joined; of anything else the first part says enough. */
  #sampleAll(parts: readonly JsonValue[], depth: number): JsonValue {
    const samples = parts.slice(0, maxItems).map((part) => this.sample(part, depth + 1));
    if (!samples.every(isJsonObject)) return samples[0] ?? null;
    return Object.fromEntries(samples.flatMap((sample) => Object.entries(sample)));
  }

  /** A JSON pointer into the same schema, such as `#/$defs/Place`. */
  #resolve(reference: string): JsonValue | undefined {
    if (!reference.startsWith("#")) return undefined;
    let found: JsonValue | undefined = this.#root;
    for (const name of reference.split("/").slice(1)) {
      if (!isJsonObject(found)) return undefined;
      found = member(found, name.replaceAll("~1", "/").replaceAll("~0", "~"));
    }
    return found;
  }
}

function sampleText(schema: JsonObject): string {
  const format = member(schema, "format");
  const text = (typeof format === "string" ? formats.get(format) : undefined) ?? "example";
  const shortest = Math.min(numberOf(schema, "minLength") ?? 0, maxTextLength);
  return text.padEnd(shortest, "example").slice(0, Math.max(0, numberOf(schema, "maxLength") ?? maxTextLength));
}

function sampleNumber(schema: JsonObject): number {
  const least = numberOf(schema, "minimum") ?? Number.NEGATIVE_INFINITY;
  const above = numberOf(schema, "exclusiveMinimum") ?? Number.NEGATIVE_INFINITY;
  const most = numberOf(schema, "maximum") ?? Number.POSITIVE_INFINITY;
  const below = numberOf(schema, "exclusiveMaximum") ?? Number.POSITIVE_INFINITY;
  return Math.min(Math.max(1, Math.ceil(least), Math.floor(above) + 1), most, Math.ceil(below) - 1);
}

function typeOf(schema: JsonObject): JsonValue | undefined {
  const type = member(schema, "type");
  if (isList(type)) return type.find((one) => one !== "null");
  if (type !== undefined) return type;
  if (member(schema, "properties") !== undefined) return "object";
  return member(schema, "items") === undefined ? undefined : "array";
}

/** The first alternative that is not "or nothing". */
function firstChoice(choices: JsonValue | undefined): JsonValue | undefined {
  if (!isList(choices)) return undefined;
  return choices.find((choice) => isJsonObject(choice) && member(choice, "type") !== "null") ?? choices[0];
}

function first(list: JsonValue | undefined): JsonValue | undefined {
  return isList(list) ? list[0] : undefined;
}

/** A schema's property may be called `toString`: only the schema's own members count. */
function member(object: JsonObject, name: string): JsonValue | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function numberOf(schema: JsonObject, name: string): number | undefined {
  const value = member(schema, name);
  return typeof value === "number" ? value : undefined;
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
