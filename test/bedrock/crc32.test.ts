import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32, crc32Range } from "../../src/bedrock/crc32.ts";

/** Around the length from which the work goes to zlib. */
const lengths = [0, 1, 7, 8, 9, 15, 16, 17, 399, 400, 401, 408, 1000];
const anyBytes = fc.uint8Array({ maxLength: 900 });

function patterned(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + 7) & 0xff);
}

describe("the checksum", () => {
  test("of the standard check string is the standard's", () => {
    expect(crc32(Buffer.from("123456789"))).toBe(0xcbf43926);
    expect(crc32Range(Buffer.from("123456789"), 0, 9)).toBe(0xcbf43926);
  });

  test.each(lengths)("of %i bytes is zlib's", (length) => {
    const bytes = patterned(length);
    expect(crc32(bytes)).toBe(zlibCrc32(bytes));
    expect(crc32Range(bytes, 0, length)).toBe(zlibCrc32(bytes));
  });

  test("of any bytes is zlib's, and is unsigned", () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(crc32(bytes)).toBe(zlibCrc32(bytes));
        expect(crc32(bytes)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test("continues from the checksum of what came before", () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (before, after) => {
        const whole = zlibCrc32(Buffer.concat([before, after]));
        expect(crc32(after, crc32(before))).toBe(whole);
        expect(crc32Range(after, 0, after.length, crc32(before))).toBe(whole);
      }),
    );
  });

  test("of a range looks at nothing outside it", () => {
    fc.assert(
      fc.property(anyBytes, fc.nat(), fc.nat(), (bytes, one, other) => {
        const [start = 0, end = 0] = [one, other].map((at) => at % (bytes.length + 1)).sort((a, b) => a - b);
        expect(crc32Range(bytes, start, end)).toBe(zlibCrc32(bytes.subarray(start, end)));
      }),
    );
  });

  test("of a view on a larger buffer is the view's", () => {
    const whole = Buffer.from(patterned(1000));
    expect(crc32(whole.subarray(3, 500))).toBe(zlibCrc32(Buffer.from(whole.subarray(3, 500))));
  });
});
