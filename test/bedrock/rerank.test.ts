import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/bedrock/json.ts";
import { readRerank, writeRerank } from "../../src/bedrock/rerank.ts";
import { refusal } from "./families/support.ts";

const inline = (document: JsonObject) => ({ type: "INLINE", inlineDocumentSource: document });
const text = (of: string) => inline({ type: "TEXT", textDocument: { text: of } });
const reranking = "rerankingConfiguration.bedrockRerankingConfiguration";

function body(changes: JsonObject = {}, inner: JsonObject = {}, model: JsonObject = {}): JsonObject {
  return {
    queries: [{ type: "TEXT", textQuery: { text: "q" } }],
    sources: [text("a"), inline({ type: "JSON", jsonDocument: { title: "b", pages: [1] } })],
    rerankingConfiguration: {
      type: "BEDROCK_RERANKING_MODEL",
      bedrockRerankingConfiguration: { modelConfiguration: { modelArn: "rerank-v3.5", ...model }, ...inner },
    },
    ...changes,
  };
}

const additional = (fields: JsonObject) => body({}, {}, { additionalModelRequestFields: fields });

describe("reading Rerank", () => {
  test("takes texts as they are and JSON as its text", () => {
    expect(readRerank(body())).toEqual({
      query: "q",
      documents: ["a", '{"title":"b","pages":[1]}'],
      topN: undefined,
      maxTokensPerDocument: undefined,
    });
  });

  test("takes how many results are wanted, and where documents are cut", () => {
    const path = `${reranking}.modelConfiguration.additionalModelRequestFields.max_tokens_per_doc`;
    const additionalModelRequestFields = { max_tokens_per_doc: 512 };
    expect(readRerank(body({}, { numberOfResults: 3 }, { additionalModelRequestFields }))).toMatchObject({
      topN: 3,
      maxTokensPerDocument: { value: 512, path },
    });
  });

  test.each([
    [body({ queries: [] }), "queries: must have at least one item"],
    [body({ queries: [1, 2] }), "queries[0]: must be an object"],
    [
      body({
        queries: [
          { type: "TEXT", textQuery: { text: "q" } },
          { type: "TEXT", textQuery: { text: "r" } },
        ],
      }),
      "queries: must have exactly one item",
    ],
    [body({ queries: [{ type: "IMAGE" }] }), "queries[0].type: must be TEXT"],
    [body({ queries: [{ type: "TEXT" }] }), "queries[0].textQuery: is required"],
    [body({ sources: [] }), "sources: must have at least one item"],
    [body({ sources: [text("a"), { type: "S3" }] }), "sources[1].type: must be INLINE"],
    [body({ sources: [text("")] }), "sources[0].inlineDocumentSource.textDocument.text: must not be empty"],
    [
      body({ sources: [inline({ type: "TEXT", jsonDocument: {} })] }),
      "sources[0].inlineDocumentSource.jsonDocument: goes with the type JSON",
    ],
    [
      body({ sources: [inline({ type: "JSON", textDocument: { text: "a" } })] }),
      "sources[0].inlineDocumentSource.textDocument: goes with the type TEXT",
    ],
    [body({ sources: [inline({ type: "JSON" })] }), "sources[0].inlineDocumentSource.jsonDocument: is required"],
    [body({ rerankingConfiguration: {} }), "rerankingConfiguration.type: is required"],
    [body({}, { numberOfResults: 0 }), `${reranking}.numberOfResults: must be at least 1`],
    [body({}, { modelConfiguration: null }), `${reranking}.modelConfiguration: is required`],
    [
      additional({ rank_fields: ["a"] }),
      `${reranking}.modelConfiguration.additionalModelRequestFields.rank_fields: is not a field known`,
    ],
    [body({ nextToken: "t" }), "nextToken: all results come at once"],
    [body({ bogus: 1 }), "bogus: is not a field known"],
  ])("refuses %j by path", (wrong, message) => {
    expect(refusal(() => readRerank(wrong))).toContain(message);
  });
});

describe("writing Rerank", () => {
  const ranked = [
    { index: 1, score: 0.5 },
    { index: 0, score: 0.25 },
  ];

  test("has indexes and scores, no more than were asked for", () => {
    const results = [
      { index: 1, relevanceScore: 0.5 },
      { index: 0, relevanceScore: 0.25 },
    ];
    expect(writeRerank(ranked, readRerank(body()))).toEqual({ results });
    expect(writeRerank(ranked, readRerank(body({}, { numberOfResults: 1 })))).toEqual({ results: results.slice(0, 1) });
  });

  test("fails on a result of no document", () => {
    const write = () => writeRerank([{ index: 2, score: 1 }], readRerank(body()));
    expect(refusal(write, "ModelErrorException")).toContain("document 2 of 2");
  });
});
