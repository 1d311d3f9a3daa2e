import fc from "fast-check";
import { expect, test } from "vitest";
import { isOwn, readRedacted, readSignature, wrapRedacted, wrapSignature } from "../../src/providers/provenance.ts";
import { targetOf } from "./fixtures.ts";

const anyText = fc.string({ unit: "grapheme" });

test("F28 whatever was wrapped comes back byte for byte, and tells where it is from", () => {
  fc.assert(
    fc.property(anyText, anyText, (blob, model) => {
      const target = targetOf({ model });
      const signature = readSignature(wrapSignature("anthropic", target, blob));
      expect(signature.blob).toBe(blob);
      expect(isOwn(signature, "anthropic", target)).toBe(true);
      expect(isOwn(signature, "gemini", target)).toBe(false);
      expect(isOwn(signature, "anthropic", targetOf({ model: `${model}2` }))).toBe(false);
      const redacted = readRedacted(wrapRedacted("anthropic", target, blob));
      expect(redacted).toEqual(signature);
    }),
  );
});

test("a redacted block is base64 for the client", () => {
  expect(wrapRedacted("anthropic", targetOf(), "data/+=")).toMatch(/^[A-Za-z0-9+/]+=*$/);
});

test.each(["", "EqoBCkgIARAB", "gw1.", "gw1.a.b", "gw1.a.b.c d", "gw2.a.b.c"])(
  "what was not wrapped here has no origin: %j",
  (text) => {
    expect(readSignature(text)).toEqual({ blob: text });
    expect(isOwn(readSignature(text), "a", targetOf())).toBe(false);
    const blob = Buffer.from(text).toString("base64");
    expect(readRedacted(blob)).toEqual({ blob });
  },
);

test("an alias or deployment counts as the model behind it", () => {
  const signature = readSignature(wrapSignature("a", targetOf({ model: "deployment", baseModel: "m" }), "s"));
  expect(isOwn(signature, "a", targetOf({ model: "m" }))).toBe(true);
});
