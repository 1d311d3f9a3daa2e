import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseUnambiguous } from "../../src/gateway/unambiguous-json.ts";

const of = (text: string) => parseUnambiguous(Buffer.from(text));

describe("JSON that decides about sharing answers", () => {
  test("is any object, however it is written", () => {
    const tricky = fc.constantFrom('":', '\\":"', "a:b", '{"x":1}', "\\", '"', "żółw 🐢");
    const keys = fc.oneof(fc.string(), tricky);
    fc.assert(
      fc.property(fc.dictionary(keys, fc.oneof(fc.jsonValue(), tricky)), fc.nat(4), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(of(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test("names no member twice, at any depth and in any spelling", () => {
    const names = fc.string();
    fc.assert(
      fc.property(names, fc.jsonValue(), fc.jsonValue(), fc.nat(5), (name, one, other, depth) => {
        const key = JSON.stringify(name);
        const twice = `{${key}:${JSON.stringify(one)},${key}:${JSON.stringify(other)}}`;
        expect(of(`${'{"a":['.repeat(depth)}${twice}${"]}".repeat(depth)}`)).toBeUndefined();
      }),
    );
    expect(of('{"messages":[],"\\u006dessages":[1]}')).toBeUndefined();
  });

  test.each([
    ["a list", "[1]"],
    ["a text", '"a"'],
    ["null", "null"],
    ["no JSON", "{"],
    ["nothing", ""],
    ["a mark first", "\uFEFF{}"],
  ])("is not %s", (_what, text) => {
    expect(of(text)).toBeUndefined();
  });

  test("is UTF-8: two bodies of other bytes would read alike", () => {
    expect(parseUnambiguous(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toBeUndefined();
  });
});
