import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { jsonSchemaText } from "../../src/config/json-schema.ts";

test("config.schema.json is what `npm run schema` writes", () => {
  expect(readFileSync(new URL("../../config.schema.json", import.meta.url), "utf8")).toBe(jsonSchemaText());
});
