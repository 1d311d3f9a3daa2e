import { describe, expect, test } from "vitest";
import { Sealer } from "../../src/store/secrets.ts";
import { kept, openContent } from "../../src/telemetry/log-content.ts";
import { Redactor } from "../../src/telemetry/redactor.ts";
import { logEntry } from "../store/log-rows.ts";

const secret = "our-own-secret";
const keeping = { redactor: new Redactor([secret]), sealer: undefined, maxContentBytes: 100 };

const content = (request: string, answer: string | null = null) => ({ request, answer, sealed: false });

describe("an entry on its way to the disk", () => {
  test("has no secret in its content", () => {
    const entry = logEntry("a", {}, [], content(`{"text":"${secret}"}`, secret));
    expect(kept(entry, keeping).content).toEqual(content('{"text":"[redacted]"}', "[redacted]"));
  });

  test("keeps short content whole, and no beginning of a secret where longer content was cut", () => {
    const of = (text: string) => kept(logEntry("a", {}, [], content(text)), keeping).content?.request;
    expect(of("hello")).toBe("hello");
    const long = `${"word ".repeat(18)}${secret}`;
    expect(long.length).toBeGreaterThan(100);
    // Cut here, or before it came.
    for (const text of [long, long.slice(0, 100)]) {
      expect(of(text)).toBe(`${"word ".repeat(18)}…`);
    }
    expect(Buffer.byteLength(of("ü".repeat(400)) ?? "")).toBeLessThan(2 * 100 + 10);
  });

  test("is sealed where there is a key, for its row and part alone", () => {
    const sealer = new Sealer("a passphrase of our own");
    const sealed = kept(logEntry("a", {}, [], content("question", "answer")), { ...keeping, sealer }).content;
    if (sealed === null) throw new Error("nothing is kept");
    expect(JSON.stringify(sealed)).not.toMatch(/question|answer":"answer/);
    expect(openContent("a", sealed, sealer)).toEqual(content("question", "answer"));
    expect(openContent("b", sealed, sealer)).toEqual({ request: null, answer: null, sealed: true });
    const swapped = { ...sealed, request: sealed.answer, answer: sealed.request };
    expect(openContent("a", swapped, sealer)).toEqual({ request: null, answer: null, sealed: true });
    const other = new Sealer("quite another passphrase");
    for (const wrong of [other, undefined])
      expect(openContent("a", sealed, wrong)).toEqual({ request: null, answer: null, sealed: true });
  });
});
