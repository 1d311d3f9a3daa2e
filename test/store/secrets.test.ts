import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { generateValue, hashValue, maskValue, Sealer } from "../../src/store/secrets.ts";

describe("a virtual key's value", () => {
  test("is sk-bf- and 32 characters of base 62, another each time", () => {
    const values = Array.from({ length: 200 }, generateValue);
    for (const value of values) expect(value).toMatch(/^sk-bf-[0-9A-Za-z]{32}$/);
    expect(new Set(values).size).toBe(200);
    // Each character of the alphabet has its turn: 6,400 draws miss one of 62 with a chance of e^-103.
    expect(new Set(values.map((value) => value.slice(6)).join("")).size).toBe(62);
  });

  test("is found by its SHA-256", () => {
    expect(hashValue("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });

  test("shows its last four characters when it was generated, else nothing", () => {
    expect(maskValue("sk-bf-0123456789ABCDEFGHIJKLMNOPQRSTUV")).toBe("sk-bf-****STUV");
    expect(maskValue("sk-bf-short")).toBe("****");
    expect(maskValue("a-long-value-somebody-has-chosen-themselves")).toBe("****");
  });
});

describe("what is sealed", () => {
  const sealer = new Sealer("a passphrase of the operator");

  test("opens with the same passphrase, for the same owner", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string(), (text, owner) => {
        const sealed = sealer.seal(text, owner);
        expect(new Sealer("a passphrase of the operator").open(sealed, owner)).toBe(text);
        expect(sealer.open(sealed, `${owner}x`)).toBeUndefined();
      }),
      { numRuns: 10 },
    );
  });

  test("does not open with another passphrase, nor when a byte of it has changed", () => {
    const sealed = sealer.seal("sk-bf-value", "vk");
    expect(new Sealer("another passphrase").open(sealed, "vk")).toBeUndefined();
    const bytes = Buffer.from(sealed.slice(3), "base64url");
    for (let index = 0; index < bytes.length; index++) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(sealer.open(`v1.${changed.toString("base64url")}`, "vk")).toBeUndefined();
    }
    for (const nonsense of ["", "v1.", "v1.AAAA", "v2.AAAA", "sk-bf-value"]) {
      expect(sealer.open(nonsense, "vk")).toBeUndefined();
    }
  });

  test("looks different each time, and does not hold the text", () => {
    const first = sealer.seal("sk-bf-value", "vk");
    expect(sealer.seal("sk-bf-value", "vk")).not.toBe(first);
    expect(Buffer.from(first.slice(3), "base64url").includes("sk-bf")).toBe(false);
  });

  test("needs a passphrase that is no single word", () => {
    expect(() => new Sealer("short")).toThrow("must have at least 16 characters");
  });
});
