import fc from "fast-check";
import { expect, test } from "vitest";
import { defined } from "../../src/bedrock/defined.ts";

test("keeps each field that has a value, null and false among them, and no other", () => {
  // Our own fields' names: none of them is an object's prototype.
  const names = fc.string().filter((name) => name !== "__proto__");
  fc.assert(
    fc.property(fc.dictionary(names, fc.constantFrom(undefined, null, false, 0, "", "text", [])), (fields) => {
      const valued = Object.keys(fields).filter((name) => fields[name] !== undefined);
      const found = defined(fields);
      expect(Object.keys(found)).toEqual(valued);
      for (const name of valued) expect(Reflect.get(found, name)).toBe(fields[name]);
    }),
  );
});
