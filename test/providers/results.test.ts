import { expect, test } from "vitest";
import type { ResultPart, ToolResultPart } from "../../src/providers/prepared.ts";
import { noOutput, resultMedia, resultText } from "../../src/providers/results.ts";

const path = "messages[1].content[0].toolResult";

function result(content: readonly ResultPart[], failed = false): ToolResultPart {
  return { kind: "toolResult", id: "a", name: "f", failed, content, path };
}

const image: ResultPart = { kind: "image", format: "png", mediaType: "image/png", bytes: "aGk=", path };

test("text, compact JSON and search results, one a line", () => {
  const content: readonly ResultPart[] = [
    { kind: "text", text: "a", path },
    { kind: "json", json: { b: [1, null] }, path },
    { kind: "searchResult", source: "s", title: "t", content: ["c"], citations: false, path },
  ];
  expect(resultText(result(content))).toBe('a\n{"b":[1,null]}\nt (s)\nc');
});

test("an empty result says so, and a failed one is marked", () => {
  expect(resultText(result([]))).toBe(noOutput);
  expect(resultText(result([], true))).toBe(`Error: ${noOutput}`);
});

test("F76 media can be pointed to, and are given separately", () => {
  expect(resultText(result([image]), (media) => `[${media.kind} follows]`)).toBe("[image follows]");
  expect(resultMedia(result([{ kind: "text", text: "a", path }, image]))).toEqual([image]);
});
