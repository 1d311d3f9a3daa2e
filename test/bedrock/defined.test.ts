import fc from "fast-check";
import { expect, test } from "vitest";
import { defined } from "../../src/bedrock/defined.ts";

test("keeps each field that has a value, null and false among them, and no other", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.constantFrom(undefined, null, false, 0, "", "text", [])), (fields) => {
      const names = Object.keys(fields).filter((name) => fields[name] !== undefined);
      const found = defined(fields);
      expect(Object.keys(found)).toEqual(names);
      for (const name of names) expect(Reflect.get(found, name)).toBe(fields[name]);
    }),
  );
});
