import { describe, expect, test } from "vitest";
import { openai } from "../../../src/providers/openai/openai.ts";
import { bodyOf, failureOf } from "../both-ways.ts";
import { targetOf } from "../fixtures.ts";
import { memoFor } from "./chunks.ts";

const request = { query: "q", documents: ["a", "b"], topN: 1, maxTokensPerDocument: { value: 9, path: "most" } };

describe("ranking", () => {
  test.each(["vllm", "together"])("is asked of %s", (kind) => {
    const encoded = openai.rerank?.encode(request, targetOf({ kind, model: "bge" }));
    expect(encoded?.request.path).toBe("/v1/rerank");
    expect(JSON.parse(encoded?.request.body ?? "")).toEqual({
      model: "bge",
      query: "q",
      documents: ["a", "b"],
      top_n: 1,
    });
    expect(encoded?.ignored).toEqual(["most"]);
  });

  test.each(["openai", "azure", "groq"])("is refused by name for %s, which has none", (kind) => {
    expect(() => openai.rerank?.encode(request, targetOf({ kind }))).toThrow("The provider test does not rank");
  });

  test("is read with whatever stands beside it", () => {
    const results = [{ index: 1, document: { text: "b" }, relevance_score: 0.5 }];
    const answer = bodyOf({ id: "r", usage: { total_tokens: 9 }, results });
    const expected = { kind: "ranking", ranked: [{ index: 1, score: 0.5 }] };
    expect(openai.rerank?.decode(answer, memoFor("vllm"))).toEqual(expected);
  });

  test("is none in nonsense", () => {
    expect(failureOf(openai.rerank?.decode(bodyOf({ results: 1 }), memoFor("vllm"))).error.type).toBe(
      "ModelErrorException",
    );
  });
});
