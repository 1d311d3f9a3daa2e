import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalDigest, canonicalText, NotCanonical } from "../../src/cache/canonical.ts";

const json = fc.jsonValue({ maxDepth: 5 }).filter((value) => !hasUnsafe(value));

function hasUnsafe(value: unknown): boolean {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  return typeof value === "object" && value !== null && Object.values(value).some(hasUnsafe);
}

/** The same value with the members of every object in another order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, reversed(member)]),
  );
}

describe("the digest of a JSON value", () => {
  test("does not depend on the order of members, at any depth (A60)", () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(canonicalDigest(reversed(value))).toBe(canonicalDigest(value));
      }),
    );
  });

  test("is that of the canonical text, which parses to the value", () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalText(value);
        expect(createHash("sha256").update(text).digest("hex")).toBe(canonicalDigest(value));
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test("differs for different values", () => {
    fc.assert(
      fc.property(json, json, (a, b) => {
        fc.pre(canonicalText(a) !== canonicalText(b));
        expect(canonicalDigest(a)).not.toBe(canonicalDigest(b));
      }),
    );
    const digests = [
      [],
      {},
      null,
      "",
      0,
      false,
      [null],
      [[]],
      [{}],
      "null",
      "0",
      ["a", "b"],
      ["b", "a"],
      ["ab"],
      { a: 1 },
      { a: "1" },
      { b: 1 },
    ].map(canonicalDigest);
    expect(new Set(digests).size).toBe(digests.length);
  });

  test("takes numbers by their value and text as it is", () => {
    const digest = (text: string) => canonicalDigest(JSON.parse(text));
    expect(digest('{"t":1.0,"z":1e2}')).toBe(digest('{"z":100,"t":1}'));
    expect(digest('"\\u00e9"')).toBe(digest('"é"'));
    expect(digest('"é"')).not.toBe(digest('"e\u0301"'));
    expect(digest('"\\ud800"')).not.toBe(digest('"\\ufffd"'));
    expect(digest('"A"')).not.toBe(digest('"a"'));
    expect(digest('{"__proto__":1}')).not.toBe(digest("{}"));
  });

  test("reads every character of long text, media included", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99_999 }), (at) => {
        const base = "QUJD".repeat(25_000);
        const other = `${base.slice(0, at)}${base[at] === "x" ? "y" : "x"}${base.slice(at + 1)}`;
        expect(canonicalDigest({ bytes: other })).not.toBe(canonicalDigest({ bytes: base }));
      }),
      { numRuns: 20 },
    );
    expect(canonicalDigest(`${"a".repeat(5000)}"`)).toBe(
      createHash("sha256")
        .update(JSON.stringify(`${"a".repeat(5000)}"`))
        .digest("hex"),
    );
  });

  test("is the same in another process", () => {
    const value = { system: [{ text: "ü" }], messages: [1, { b: null, a: [true] }] };
    const module = new URL("../../src/cache/canonical.ts", import.meta.url).href;
    const script = `import(${JSON.stringify(module)}).then((m) => console.log(m.canonicalDigest(${JSON.stringify(reversed(value))})))`;
    const printed = execFileSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
      encoding: "utf8",
    });
    expect(printed.trim()).toBe(canonicalDigest(value));
    expect(canonicalDigest(value)).toBe("5c876591812a7dd5c8b73ad08e054a3f52e8bfe8c13d8ad6b4aa941d2a99e4cd");
  });

  test("does not exist where JSON.parse may have made two values one", () => {
    for (const text of ["9007199254740993", "[-9007199254740993]", '{"a":1e400}']) {
      expect(() => canonicalDigest(JSON.parse(text))).toThrow(NotCanonical);
    }
    expect(canonicalDigest(Number.MAX_SAFE_INTEGER)).toHaveLength(64);
  });

  test("does not exist for values nested too deeply, however deep", () => {
    for (const depth of [201, 100_000]) {
      let value: unknown = 1;
      for (let level = 0; level < depth; level++) value = [value];
      expect(() => canonicalDigest(value)).toThrow(NotCanonical);
    }
  });
});
