import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** The traps of translation, F1 to F82, that cannot be stepped into here, and why. */
const cannotApply: Readonly<Record<number, string>> = {
  82: "Converse is the common language inside the gateway: nothing passes through the semantics of Responses",
};

const traps = 82;

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return testFiles(path);
    return entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

test("every trap of translation has a test that names it, or a reason why it cannot apply", () => {
  const named = new Set<number>();
  for (const file of testFiles(fileURLToPath(new URL("..", import.meta.url)))) {
    for (const [, name = ""] of readFileSync(file, "utf8").matchAll(/(?:test|it|describe)(?:\.each)?\(([^\n]*)/g))
      for (const [, number] of name.matchAll(/\bF(\d{1,2})\b/g)) named.add(Number(number));
  }
  const missing = Array.from({ length: traps }, (_, index) => index + 1).filter(
    (trap) => !named.has(trap) && cannotApply[trap] === undefined,
  );
  expect(missing).toEqual([]);
});
