import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import { parametersSchema, responseSchema } from "../../../src/providers/gemini/schema.ts";
import { jsonObject } from "../../bedrock/arbitraries.ts";
import { checkResponseSchema } from "./check-request.ts";

describe("a tool's schema", () => {
  const read = (schema: JsonObject) => JSON.stringify(parametersSchema(schema, "p"));

  test("F52 assumes parametersJsonSchema takes JSON Schema as it is: in its order, with every word", () => {
    const schema: JsonObject = {
      type: "object",
      required: ["b"],
      additionalProperties: false,
      properties: {
        b: { type: ["string", "null"], pattern: "^x", const: "x1" },
        a: { type: "integer", exclusiveMinimum: 0, multipleOf: 2, default: 4 },
      },
      patternProperties: { "^x-": {} },
      allOf: [{ if: { required: ["a"] }, else: { required: ["b"] } }],
    };
    expect(read(schema)).toBe(JSON.stringify(schema));
  });

  test("F52 assumes Google unrolls references, recursive ones too, by itself", () => {
    const schema: JsonObject = {
      type: "object",
      properties: { root: { $ref: "#/$defs/node" } },
      $defs: { node: { type: "object", properties: { next: { $ref: "#/$defs/node" } } } },
    };
    expect(read(schema)).toBe(JSON.stringify(schema));
    expect(read({ $ref: "#/$defs/a", $defs: { a: { type: "object" } } })).not.toContain('"type":"object","$ref"');
  });

  test("its name of the JSON Schema version is left out at the root", () => {
    expect(read({ $schema: "https://json-schema.org/draft/2020-12/schema", type: "object" })).toBe('{"type":"object"}');
  });

  test("without a type it is an object", () => {
    expect(read({})).toBe('{"type":"object"}');
    expect(read({ properties: { a: {} } })).toBe('{"type":"object","properties":{"a":{}}}');
    expect(read({ type: ["object", "null"], properties: {} })).toBe('{"type":"object","properties":{}}');
  });

  test("of something else is refused by its path", () => {
    expect(() => parametersSchema({ type: "string" }, "toolConfig.tools[0].toolSpec.inputSchema.json")).toThrow(
      /^toolConfig\.tools\[0\]\.toolSpec\.inputSchema\.json: must describe an object/,
    );
    expect(() => parametersSchema({ type: ["string", "null"] }, "p")).toThrow(/^p: /);
  });
});

describe("an answer's schema", () => {
  const read = (schema: JsonObject) => {
    const ignored: string[] = [];
    return { schema: responseSchema(schema, "s", ignored), ignored };
  };

  test("keeps what Google documents, in its order", () => {
    const schema: JsonObject = {
      title: "T",
      type: "object",
      required: ["b"],
      properties: {
        b: { type: "array", items: { enum: ["x", 1] }, minItems: 1 },
        a: { anyOf: [{ type: "null" }, { oneOf: [{}] }] },
      },
      additionalProperties: { type: "string" },
      propertyOrdering: ["b", "a"],
    };
    expect(JSON.stringify(read(schema).schema)).toBe(JSON.stringify(schema));
    expect(read(schema).ignored).toEqual([]);
  });

  test("F52 a constant is an enum of one", () => {
    expect(read({ const: "x" })).toEqual({ schema: { enum: ["x"] }, ignored: [] });
    expect(read({ type: "boolean", const: true })).toEqual({ schema: { type: "boolean" }, ignored: ["s.const"] });
  });

  test("F52 an exclusive limit becomes the nearest there is, and is reported", () => {
    expect(read({ type: "number", exclusiveMinimum: 0, exclusiveMaximum: 9 })).toEqual({
      schema: { type: "number", minimum: 0, maximum: 9 },
      ignored: ["s.exclusiveMinimum", "s.exclusiveMaximum"],
    });
  });

  test("F52 other words are left out and reported by their place", () => {
    const { schema, ignored } = read({
      $schema: "x",
      type: "object",
      properties: { a: { type: "string", pattern: "^a", minLength: 1 }, pattern: { type: "string" } },
      not: { required: ["b"] },
    });
    expect(schema).toEqual({ type: "object", properties: { a: { type: "string" }, pattern: { type: "string" } } });
    expect(ignored).toEqual(["s.properties.a.pattern", "s.properties.a.minLength", "s.not"]);
  });

  test("definitions have their new name, and references follow", () => {
    expect(read({ $ref: "#/definitions/a", definitions: { a: { type: "string" } } }).schema).toEqual({
      $ref: "#/$defs/a",
      $defs: { a: { type: "string" } },
    });
  });

  test("beside a reference stands nothing", () => {
    expect(read({ properties: { a: { $ref: "#/$defs/x", description: "d" } } })).toEqual({
      schema: { properties: { a: { $ref: "#/$defs/x" } } },
      ignored: ["s.properties.a.description"],
    });
  });

  test("allOf is merged as far as its parts agree", () => {
    expect(
      read({
        type: "object",
        properties: { a: {} },
        required: ["a"],
        allOf: [
          { properties: { b: {} }, required: ["b"] },
          { type: "string", title: "T" },
        ],
      }),
    ).toEqual({
      schema: { type: "object", properties: { a: {}, b: {} }, required: ["a", "b"], title: "T" },
      ignored: ["s.allOf[1].type"],
    });
    expect(read({ allOf: [{ $ref: "#/$defs/x" }] }).schema).toEqual({ $ref: "#/$defs/x" });
  });

  test("a list of items is a tuple", () => {
    expect(read({ items: [{ type: "string", pattern: "x" }] })).toEqual({
      schema: { prefixItems: [{ type: "string" }] },
      ignored: ["s.items[0].pattern"],
    });
  });

  test("any document comes out in Google's words, the same each time", () => {
    const words = fc.constantFrom(
      "type",
      "properties",
      "items",
      "anyOf",
      "allOf",
      "$ref",
      "const",
      "enum",
      "not",
      "$defs",
    );
    const schema = fc.letrec<{ node: JsonObject; value: JsonValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom("string", "#/definitions/a", 1, null, true),
        tie("node"),
        fc.array(tie("node"), { maxLength: 2 }),
      ),
      node: fc.dictionary(words, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    })).node;
    fc.assert(
      fc.property(fc.oneof(schema, jsonObject), (given) => {
        const before = JSON.stringify(given);
        const once = JSON.stringify(read(given).schema);
        checkResponseSchema(JSON.parse(once), "s");
        expect(JSON.stringify(read(given).schema)).toBe(once);
        expect(JSON.stringify(given)).toBe(before);
      }),
    );
  });
});
