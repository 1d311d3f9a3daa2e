import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { idOf, numbersOfPrefix, placeOf, seqOf } from "../../src/store/log-ids.ts";

describe("the place of a row", () => {
  test("is told by its id, whatever that is, and tells it again", () => {
    const parts = fc.stringMatching(/^[a-z0-9_!]{0,12}$/);
    const numbered = fc
      .tuple(parts, fc.nat(numbersOfPrefix - 1))
      .map(([prefix, number]) => `${prefix}_${number.toString(36)}`);
    fc.assert(
      fc.property(
        fc.oneof(parts, numbered, fc.string({ unit: "grapheme" })),
        fc.integer({ min: 1, max: 2 ** 21 - 1 }),
        (id, writer) => {
          const place = placeOf(id);
          const seq = seqOf(writer, place);
          expect(Number.isSafeInteger(seq)).toBe(true);
          expect(Math.floor(seq / numbersOfPrefix)).toBe(writer);
          expect(idOf(place.stem, seq)).toBe(id);
        },
      ),
    );
  });

  test("is beside those of the same writer, and never that of another id", () => {
    expect(placeOf("log_a_10")).toEqual({ stem: "log_a_", number: 36 });
    const ids = ["log_a_", "log_a_0", "log_a_00", "log_a_A", "log_a_a", "log_a_-1", "log_a", "0", "_0", "", "!", "_!"];
    const places = ids.map((id) => JSON.stringify(placeOf(id)));
    expect(new Set(places).size).toBe(ids.length);
    const tooLarge = `log_a_${numbersOfPrefix.toString(36)}`;
    expect(placeOf(tooLarge)).toEqual({ stem: `${tooLarge}!`, number: 0 });
  });
});
