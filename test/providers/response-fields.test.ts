import { expect, test } from "vitest";
import { pickFields } from "../../src/providers/response-fields.ts";

const native = { a: { b: [{ c: 1 }, 2] }, "x/y": { "~": 3 }, n: null };

test.each([
  [["/a/b/0/c"], { a: { b: { 0: { c: 1 } } } }],
  [["/x~1y/~0"], { "x/y": { "~": 3 } }],
  [["/n"], { n: null }],
  [["/a/b/1", "/n"], { a: { b: { 1: 2 } }, n: null }],
  [["/a", "/a/b/1"], { a: native.a }],
  [["/a/b/1", "/a"], { a: native.a }],
  [["/z", "/a/b/2", "/a/b/01", "/a/b/c", "/toString", "/a/__proto__", "/"], undefined],
  [[], undefined],
])("%j", (paths, picked) => {
  expect(pickFields(paths, native)).toEqual(picked);
});
