import { describe, expect, test } from "vitest";
import { holdsAny } from "../../src/gateway/scan.ts";

const texts = [Buffer.from('"gw1.'), Buffer.from('"Z3cxL')];
const mib = 1024 * 1024;

describe("a text in a body", () => {
  test("is found at once in a small one", () => {
    expect(holdsAny(Buffer.from('{"a":"gw1.x"}'), texts)).toBe(true);
    expect(holdsAny(Buffer.from('{"a":"gw2.x"}'), texts)).toBe(false);
    expect(holdsAny(Buffer.alloc(0), texts)).toBe(false);
  });

  test.each([0, 1, 2 * mib - 3, 2 * mib - 1, 2 * mib, 4 * mib - 2, 5 * mib - 6])(
    "at %i is found in a large one",
    async (at) => {
      for (const text of texts) {
        const body = Buffer.alloc(5 * mib, "x");
        text.copy(body, at);
        expect(await holdsAny(body, texts)).toBe(at + text.length <= body.length);
      }
    },
  );

  test("is not found where there is none, and others have their turn meanwhile", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    expect(await holdsAny(Buffer.alloc(64 * mib, '"gw'), texts)).toBe(false);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });
});
