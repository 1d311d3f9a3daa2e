import { describe, expect, test } from "vitest";
import { rerank } from "../../../src/providers/mock/rerank.ts";

const body = (more: object = {}, configuration: object = {}) => ({
  queries: [{ type: "TEXT", textQuery: { text: "Blue whale song" } }],
  sources: [
    { type: "INLINE", inlineDocumentSource: { type: "TEXT", textDocument: { text: "A red car." } } },
    { type: "INLINE", inlineDocumentSource: { type: "TEXT", textDocument: { text: "The SONG of the blue whale" } } },
    { type: "INLINE", inlineDocumentSource: { type: "JSON", jsonDocument: { title: "whale" } } },
    { type: "INLINE", inlineDocumentSource: { type: "TEXT", textDocument: { text: "" } } },
  ],
  rerankingConfiguration: {
    type: "BEDROCK_RERANKING_MODEL",
    bedrockRerankingConfiguration: { modelConfiguration: { modelArn: "arn:aws:bedrock:x" }, ...configuration },
  },
  ...more,
});

describe("reranking", () => {
  test("puts documents with more of the query's words first and keeps the order of equals", () => {
    expect(rerank(body())).toEqual({
      results: [
        { index: 1, relevanceScore: 1 },
        { index: 2, relevanceScore: 1 / 3 },
        { index: 0, relevanceScore: 0 },
        { index: 3, relevanceScore: 0 },
      ],
    });
  });

  test("gives as many results as asked for", () => {
    expect(rerank(body({}, { numberOfResults: 1 }))).toEqual({ results: [{ index: 1, relevanceScore: 1 }] });
    expect(rerank(body({}, { numberOfResults: 99 })).results).toHaveLength(4);
  });

  test.each([
    [{ queries: [] }, "queries"],
    [{ queries: [{ type: "TEXT", textQuery: {} }] }, "queries[0].textQuery.text"],
    [{ sources: "x" }, "sources"],
    [{ sources: [{ inlineDocumentSource: {} }] }, "sources[0].inlineDocumentSource.textDocument"],
    [{ rerankingConfiguration: {} }, "rerankingConfiguration.bedrockRerankingConfiguration"],
    [{ nextToken: "t" }, "nextToken"],
    [{ bogus: 1 }, "bogus"],
  ])("refuses %j by its path", (more, path) => {
    expect(() => rerank(body(more))).toThrow(path);
  });
});
