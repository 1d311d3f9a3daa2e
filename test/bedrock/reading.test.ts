import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BedrockError } from "../../src/bedrock/errors.ts";
import {
  at,
  maxDocumentDepth,
  quote,
  readAnyObject,
  readBoolean,
  readCount,
  readDocument,
  readFraction,
  readInteger,
  readJsonObject,
  readList,
  readMember,
  readName,
  readNumber,
  readObject,
  readRest,
  readSome,
  readText,
  readWord,
} from "../../src/bedrock/reading.ts";
import { jsonValue } from "./arbitraries.ts";

/** The message of the refusal. */
function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof BedrockError && error.type === "ValidationException") return error.message;
    throw error;
  }
  throw new Error("was not refused");
}

/** Anything that is not of the wanted type, `undefined` for a member that is missing. */
const wrong: readonly unknown[] = [undefined, null, true, 0, 1.5, "text", [], ["x"], {}, { a: 1 }];

describe("a value of the wrong type", () => {
  test.each([
    ["a string", readText, (value: unknown) => typeof value === "string"],
    ["a string", readName, (value: unknown) => typeof value === "string"],
    ["true or false", readBoolean, (value: unknown) => typeof value === "boolean"],
    ["a number", readNumber, (value: unknown) => typeof value === "number"],
    ["an integer", readInteger, (value: unknown) => value === 0],
    ["an integer", readCount, (value: unknown) => value === 0],
    ["a number", readFraction, (value: unknown) => typeof value === "number"],
    [
      "an object",
      readAnyObject,
      (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value),
    ],
    [
      "an object",
      readJsonObject,
      (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value),
    ],
    ["an object", readMember, (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value)],
  ] as const)("is refused with its path where %s must be", (wanted, read, fits) => {
    for (const value of wrong) {
      if (fits(value)) continue;
      const said = refusal(() => read(value, "a.b[2]"));
      expect(said).toMatch(/^a\.b\[2\]: /);
      expect(said).toContain(wanted);
      expect(said.includes("is required")).toBe(value == null);
    }
  });

  test("is called by what it is", () => {
    expect(refusal(() => readText(["x"], "p"))).toBe("p: must be a string, not a list");
    expect(refusal(() => readText({}, "p"))).toBe("p: must be a string, not an object");
    expect(refusal(() => readText(7, "p"))).toBe("p: must be a string, not 7");
    expect(refusal(() => readBoolean("yes", "p"))).toBe("p: must be true or false, not a string");
    expect(refusal(() => readText(undefined, "p"))).toBe("p: is required and must be a string");
  });

  test("is called the body where the body itself is meant", () => {
    expect(refusal(() => readAnyObject([], ""))).toBe("body: must be an object, not a list");
  });
});

describe("numbers", () => {
  test("out of range are no numbers", () => {
    const huge: unknown = JSON.parse("1e999");
    expect(refusal(() => readNumber(huge, "p"))).toContain("p: must be a number");
    expect(refusal(() => readInteger(2 ** 53, "p"))).toContain("p: must be an integer");
  });

  test("keep their bounds", () => {
    expect(readFraction(0, "p")).toBe(0);
    expect(readFraction(1, "p")).toBe(1);
    expect(refusal(() => readFraction(1.01, "p"))).toBe("p: must be from 0 to 1, not 1.01");
    expect(refusal(() => readFraction(-0.1, "p"))).toBe("p: must be from 0 to 1, not -0.1");
    expect(readCount(1, "p")).toBe(1);
    expect(refusal(() => readCount(0, "p"))).toBe("p: must be at least 1, not 0");
  });
});

describe("words and lists", () => {
  test("an unknown word is quoted, and cut when it is long", () => {
    expect(readWord("b", "p", ["a", "b"])).toBe("b");
    expect(refusal(() => readWord("c", "p", ["a", "b"]))).toBe('p: must be a, b, not "c"');
    expect(refusal(() => readWord("x".repeat(1e6), "p", ["a"])).length).toBeLessThan(120);
    expect(quote('"\n')).toBe(String.raw`"\"\n"`);
  });

  test("an item is named by its index", () => {
    expect(readList(["a", "b"], "p", readText)).toEqual(["a", "b"]);
    expect(refusal(() => readList(["a", 2], "p", readText))).toBe("p[1]: must be a string, not 2");
    expect(refusal(() => readList({ 0: "a" }, "p", readText))).toBe("p: must be a list, not an object");
  });

  test("an empty list is no list of some", () => {
    expect(refusal(() => readSome([], "p", readText))).toBe("p: must have at least one item");
    expect(refusal(() => readName("", "p"))).toBe("p: must not be empty");
  });
});

describe("objects", () => {
  const known = new Set(["a", "b"]);

  test("with an unknown member are refused by its path", () => {
    expect(refusal(() => readObject({ a: 1, c: 2 }, "p", known))).toBe("p.c: is not a field known here");
    expect(refusal(() => readObject({ c: 2 }, "", known))).toBe("c: is not a field known here");
  });

  test("may have an unknown member that is null", () => {
    expect(readObject({ a: 1, c: null }, "p", known).a).toBe(1);
  });

  test("do not take their members from a prototype", () => {
    const hostile: unknown = JSON.parse('{"__proto__": {"a": "from the prototype"}}');
    expect(refusal(() => readObject(hostile, "p", known))).toBe("p.__proto__: is not a field known here");
    expect(refusal(() => readObject(JSON.parse('{"toString": 1}'), "p", known))).toContain("p.toString");
  });

  test("name what cannot stand in a path in quotes, and cut it", () => {
    expect(at("p", 'x"y')).toBe(String.raw`p["x\"y"]`);
    expect(at("", "a b")).toBe('["a b"]');
    expect(at("p", "k".repeat(500)).length).toBeLessThan(80);
  });
});

describe("a union", () => {
  test("has exactly one member; null ones do not count", () => {
    expect(readMember({ text: "x", image: null }, "p")).toEqual(["text", "x"]);
    expect(refusal(() => readMember({}, "p"))).toBe("p: must have exactly one member, not none");
    expect(refusal(() => readMember({ text: null }, "p"))).toBe("p: must have exactly one member, not none");
    expect(refusal(() => readMember({ text: "x", image: {} }, "p"))).toBe(
      "p: must have exactly one member, not both text and image",
    );
  });
});

describe("a document", () => {
  test("of any JSON is kept as it is", () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        fc.pre(value !== null);
        expect(readDocument(value, "p")).toBe(value);
      }),
    );
  });

  test("may be null where it is asked for", () => {
    expect(readDocument(null, "p")).toBeNull();
    expect(refusal(() => readDocument(undefined, "p"))).toContain("is required");
  });

  test(`may be ${maxDocumentDepth} levels deep and no deeper`, () => {
    const nested = (levels: number): unknown => JSON.parse(`${"[".repeat(levels)}${"]".repeat(levels)}`);
    expect(readDocument(nested(maxDocumentDepth), "p")).toBeDefined();
    const said = refusal(() => readDocument(nested(maxDocumentDepth + 1), "p"));
    expect(said).toMatch(/^p\[0\]\[0\]/);
    expect(said).toContain("nested deeper");
    expect(said.length).toBeLessThan(300);
  });

  test("so deep that recursion would overflow is refused, not fatal", () => {
    const levels = 50_000;
    let value: unknown = 1;
    for (let level = 0; level < levels; level++) value = { a: value };
    expect(refusal(() => readDocument(value, "p"))).toContain("nested deeper");
  });

  test("with a prototype's name or a number out of range in it is refused by the path", () => {
    expect(refusal(() => readDocument(JSON.parse('{"a": [{"__proto__": 1}]}'), "p"))).toBe(
      "p.a[0].__proto__: is a name that is not accepted",
    );
    expect(refusal(() => readDocument(JSON.parse('{"a b": 1e999}'), "p"))).toBe('p["a b"]: is a number out of range');
  });
});

describe("the rest of an object", () => {
  test("is every member that is not known, as it is", () => {
    const rest = readRest({ a: 1, c: { d: [1] }, e: null }, new Set(["a"]));
    expect(rest).toStrictEqual({ c: { d: [1] } });
  });

  test("is refused by path when it would not survive", () => {
    expect(refusal(() => readRest(JSON.parse('{"__proto__": {"x": 1}}'), new Set(), "p"))).toContain("p.__proto__");
    expect(refusal(() => readRest(JSON.parse('{"x": {"__proto__": 1}}'), new Set()))).toContain("x.__proto__");
  });
});
