import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import { sampleInput } from "../../../src/providers/mock/sample.ts";

const one = (schema: JsonValue): JsonValue | undefined =>
  sampleInput({ type: "object", properties: { x: schema }, required: ["x"] }).x;

describe("an input made from a schema", () => {
  test("has the required properties and no others", () => {
    const properties = { a: { type: "string" }, b: { type: "integer" }, c: { type: "boolean" } };
    expect(sampleInput({ type: "object", properties, required: ["a", "c"] })).toEqual({ a: "example", c: true });
  });

  test.each<[JsonValue, JsonValue]>([
    [{ type: "string" }, "example"],
    [{ type: "string", enum: ["celsius", "kelvin"] }, "celsius"],
    [{ const: 4 }, 4],
    [{ type: "string", default: "d" }, "d"],
    [{ type: "string", format: "date" }, "2024-01-01"],
    [{ type: "string", minLength: 9 }, "exampleex"],
    [{ type: "string", maxLength: 3 }, "exa"],
    [{ type: "integer" }, 1],
    [{ type: "integer", minimum: 2.5 }, 3],
    [{ type: "integer", exclusiveMinimum: 5 }, 6],
    [{ type: "number", maximum: 0.5 }, 0.5],
    [{ type: "number", exclusiveMaximum: 1 }, 0],
    [{ type: "boolean" }, true],
    [{ type: "null" }, null],
    [{ type: ["null", "string"] }, "example"],
    [{ type: "array", items: { type: "integer" } }, [1]],
    [{ type: "array", items: { type: "integer" }, minItems: 2 }, [1, 1]],
    [{ type: "array" }, []],
    [{ anyOf: [{ type: "null" }, { type: "integer" }] }, 1],
    [{ oneOf: [{ type: "boolean" }] }, true],
    [
      {
        allOf: [
          { type: "object", properties: { a: { type: "string" } }, required: ["a"] },
          { properties: { b: { type: "integer" } }, required: ["b"] },
        ],
      },
      { a: "example", b: 1 },
    ],
    [{ properties: { a: { type: "object", required: ["b"] } }, required: ["a"] }, { a: { b: null } }],
    [true, null],
  ])("%j becomes %j", (schema, expected) => {
    expect(one(schema)).toEqual(expected);
  });

  test("follows references within the schema", () => {
    const schema = {
      $defs: { "a/b": { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
      type: "object",
      properties: { place: { $ref: "#/$defs/a~1b" } },
      required: ["place"],
    };
    expect(sampleInput(schema)).toEqual({ place: { city: "example" } });
  });

  test("ends for schemas that refer to themselves or ask for masses", () => {
    const itself = { type: "object", properties: { next: { $ref: "#" } }, required: ["next"] };
    expect(JSON.stringify(sampleInput(itself)).length).toBeLessThan(200);
    let nested: JsonValue = { type: "string", minLength: 1e9 };
    for (let depth = 0; depth < 7; depth++) nested = { type: "array", minItems: 1e9, items: nested };
    expect(JSON.stringify(one(nested)).length).toBeLessThan(1e6);
    expect(one({ $ref: "https://example.com/schema" })).toBeNull();
    expect(one({ $ref: "#/nowhere/else" })).toBeNull();
  });

  test("is an object whatever the schema is", () => {
    for (const schema of [null, true, "x", [], { type: "string" }, { const: 1 }])
      expect(sampleInput(schema)).toEqual({});
  });

  test("takes names of the language for names", () => {
    const schema = JSON.parse('{"type":"object","required":["__proto__","toString"],"properties":{}}');
    expect(Object.keys(sampleInput(schema))).toEqual(["__proto__", "toString"]);
    expect(JSON.stringify(sampleInput(schema))).toBe('{"__proto__":null,"toString":null}');
  });

  test("property: any JSON for a schema gives an object, the same one each time", () => {
    const keys = ["type", "properties", "required", "items", "anyOf", "allOf", "$ref", "minItems", "enum", "minLength"];
    const schema = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom<JsonValue>("object", "array", "string", "integer", "#", "a", null, true, 5, -1),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...keys, "a"), tie("value"), { maxKeys: 4 }),
      ),
    })).value;
    fc.assert(
      fc.property(schema, (given) => {
        expect(JSON.stringify(sampleInput(given))).toMatch(/^\{/);
        expect(sampleInput(given)).toEqual(sampleInput(given));
      }),
    );
  });
});
