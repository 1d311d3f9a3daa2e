import { expect, test } from "vitest";
import type { JsonObject } from "../../src/bedrock/json.ts";
import { ownFields, ownPaths, readModelFields } from "../../src/providers/model-fields.ts";

const all = { topK: true, anthropicBeta: true };

test.each([
  [{ top_k: 3 }, 3],
  [{ topK: 4 }, 4],
  [{ k: 5 }, 5],
  [{ inferenceConfig: { topK: 6 } }, 6],
])("top-k in the words of %j", (fields: JsonObject, topK) => {
  expect(readModelFields(fields, all, [])).toEqual({ topK, own: {} });
});

test("the model's own fields stay, in order, without what was read and without nulls", () => {
  const fields = {
    seed: 7,
    thinking: { type: "disabled" },
    top_k: 1,
    user: "u",
    none: null,
    inferenceConfig: { topK: 2, x: 1 },
  };
  const { own } = readModelFields(fields, all, []);
  expect(JSON.stringify(own)).toBe('{"seed":7,"user":"u","inferenceConfig":{"x":1}}');
});

test("what the target has no place for is listed", () => {
  const ignored: string[] = [];
  const fields = { inferenceConfig: { topK: 6 }, anthropic_beta: ["a"], anthropic_version: "b" };
  expect(readModelFields(fields, { topK: false, anthropicBeta: false }, ignored)).toEqual({ own: {} });
  expect(ignored).toEqual([
    "additionalModelRequestFields.inferenceConfig.topK",
    "additionalModelRequestFields.anthropic_beta",
    "additionalModelRequestFields.anthropic_version",
  ]);
});

test("F54 beta switches are read for who has them", () => {
  expect(readModelFields({ anthropic_beta: ["a", "b"] }, all, []).anthropicBeta).toEqual(["a", "b"]);
  expect(() => readModelFields({ anthropic_beta: "a" }, all, [])).toThrow(
    /^additionalModelRequestFields\.anthropic_beta: /,
  );
});

test("the model's own fields cannot replace what the gateway writes", () => {
  const fields = readModelFields({ messages: [], "x y": 1 }, all, []);
  expect(() => ownFields(fields, new Set(["messages"]))).toThrow(/^additionalModelRequestFields\.messages: /);
  expect(ownFields(fields, new Set(["model"]))).toEqual({ messages: [], "x y": 1 });
  expect(ownPaths(fields)).toEqual(["additionalModelRequestFields.messages", 'additionalModelRequestFields["x y"]']);
});
