import { expect, test } from "vitest";
import { maxDocumentDepth } from "../../src/bedrock/reading.ts";
import { readInput } from "../../src/providers/call-input.ts";
import { isTooDeep } from "../../src/providers/depth.ts";
import { readErrorBody } from "../../src/providers/error-bodies.ts";
import { isFailure, readItem, readJson } from "../../src/providers/nonsense.ts";

function nested(depth: number): string {
  return `${'{"a":['.repeat(depth / 2)}1${"]}".repeat(depth / 2)}`;
}

const most = nested(maxDocumentDepth);
const tooDeep = nested(maxDocumentDepth + 2);
const hostile = nested(200_000);

test("objects and lists count, and no more of them are walked than the limit", () => {
  expect(isTooDeep(JSON.parse(most))).toBe(false);
  expect(isTooDeep(JSON.parse(tooDeep))).toBe(true);
  expect(isTooDeep("text")).toBe(false);
});

test("an answer, an event and a body of an error that are too deep are none", () => {
  expect(isFailure(readItem({ event: "", data: most }))).toBe(false);
  for (const data of [tooDeep, hostile]) {
    expect(isFailure(readItem({ event: "", data }))).toBe(true);
    expect(isFailure(readJson({ headers: {}, body: Buffer.from(data) }))).toBe(true);
    expect(readErrorBody(Buffer.from(data)).message).toBe("");
  }
});

test("input that is too deep is not JSON anybody could use", () => {
  expect(readInput(most)).toEqual({ input: JSON.parse(most) });
  expect(readInput(hostile)).toEqual({ malformed: hostile });
});
