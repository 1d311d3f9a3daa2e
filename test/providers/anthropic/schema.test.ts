import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { constrainedSchema } from "../../../src/providers/anthropic/schema.ts";
import { jsonObject } from "../../bedrock/arbitraries.ts";

describe("F52 a schema for constrained decoding", () => {
  const rows: readonly (readonly [string, JsonObject, JsonObject])[] = [
    ["objects are closed", { type: "object" }, { type: "object", additionalProperties: false }],
    [
      "open objects say so in words",
      { type: "object", additionalProperties: { type: "string" } },
      { type: "object", additionalProperties: false, description: '{"additionalProperties":{"type":"string"}}' },
    ],
    [
      "limits go into the description",
      { type: "string", description: "a name", minLength: 2, pattern: "^a" },
      { type: "string", description: 'a name\n\n{"minLength":2,"pattern":"^a"}' },
    ],
    ["oneOf is anyOf", { oneOf: [{ type: "string" }] }, { anyOf: [{ type: "string" }] }],
    ["unless there is one", { anyOf: [true], oneOf: [false] }, { anyOf: [true], description: '{"oneOf":[false]}' }],
    ["known formats stay", { format: "date-time" }, { format: "date-time" }],
    ["others do not", { format: "color" }, { description: '{"format":"color"}' }],
    ["a list may need one item", { minItems: 1 }, { minItems: 1 }],
    ["and not two", { minItems: 2 }, { description: '{"minItems":2}' }],
    ["simple choices stay", { enum: ["a", 1, null] }, { enum: ["a", 1, null] }],
    ["others do not", { enum: [{ a: 1 }] }, { description: '{"enum":[{"a":1}]}' }],
    ["references stay", { $ref: "#/$defs/a", $id: "x" }, { $ref: "#/$defs/a" }],
  ];

  test.each(rows)("%s", (_, schema, sent) => {
    expect(constrainedSchema(schema)).toEqual(sent);
  });

  test("at every depth, and in the order of the client", () => {
    const schema = {
      properties: { b: { items: { type: "object", maxProperties: 1 } }, a: { allOf: [{ maximum: 1 }] } },
      $defs: { d: { not: {} } },
      required: ["b"],
    };
    expect(JSON.stringify(constrainedSchema(schema))).toBe(
      JSON.stringify({
        properties: {
          b: { items: { type: "object", additionalProperties: false, description: '{"maxProperties":1}' } },
          a: { allOf: [{ description: '{"maximum":1}' }] },
        },
        $defs: { d: { description: '{"not":{}}' } },
        required: ["b"],
        additionalProperties: false,
      }),
    );
  });

  test("the client's schema is left as it was, whatever it is", () => {
    fc.assert(
      fc.property(jsonObject, (schema) => {
        const before = JSON.stringify(schema);
        constrainedSchema(schema);
        expect(JSON.stringify(schema)).toBe(before);
      }),
    );
  });
});
