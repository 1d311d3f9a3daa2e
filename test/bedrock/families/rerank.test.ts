import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rerank } from "../../../src/bedrock/families/rerank.ts";
import { failure, parse, refusal } from "./exchanges.ts";

const documents = ["a", "b", "c"];

describe("reading a body to rank", () => {
  test("takes a query and documents", () => {
    const bare = { query: "q", documents, topN: undefined, maxTokensPerDocument: undefined };
    expect(rerank.read({ query: "q", documents })).toEqual(bare);
    expect(rerank.read({ query: "q", documents, top_n: 2, api_version: 2, max_tokens_per_doc: 512 })).toEqual({
      ...bare,
      topN: 2,
      maxTokensPerDocument: { value: 512, path: "max_tokens_per_doc" },
    });
  });

  test.each([
    ["{}", "query: is required"],
    ['{"query":"","documents":["a"]}', "query: must not be empty"],
    ['{"query":"q","documents":[]}', "documents: must have at least one item"],
    ['{"query":"q","documents":["a",{"text":"b"}]}', "documents[1]: must be a string"],
    ['{"query":"q","documents":["a"],"top_n":0}', "top_n: must be at least 1"],
    ['{"query":"q","documents":["a"],"top_n":"1"}', "top_n: must be an integer"],
    ['{"query":"q","documents":["a"],"rank_fields":["x"]}', "rank_fields: is not a field known"],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(rerank, parse(body))).toContain(message);
  });
});

describe("writing a ranking", () => {
  const ranked = [
    { index: 2, score: 0.9 },
    { index: 0, score: 0.1 },
  ];

  test("has indexes and scores, no more than were asked for", () => {
    const results = [
      { index: 2, relevance_score: 0.9 },
      { index: 0, relevance_score: 0.1 },
    ];
    expect(rerank.write(ranked, rerank.read({ query: "q", documents }))).toEqual({ results });
    const one = rerank.read({ query: "q", documents, top_n: 1 });
    expect(rerank.write(ranked, one)).toEqual({ results: results.slice(0, 1) });
  });

  test.each([[[]], [[{ index: 3, score: 1 }]], [[ranked[0], ranked[0]]]])("fails on the ranking %j", (wrong) => {
    const list = wrong.flatMap((one) => (one === undefined ? [] : [one]));
    const request = rerank.read({ query: "q", documents });
    expect(failure(() => rerank.write(list, request)).type).toBe("ModelErrorException");
  });

  test("gives every document once, whatever the order", () => {
    const places = fc.uniqueArray(fc.nat(19), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(places, fc.option(fc.integer({ min: 1, max: 30 })), (order, top) => {
        const body = { query: "q", documents: Array.from({ length: 20 }, () => "d"), top_n: top };
        const given = order.map((index, place) => ({ index, score: -place }));
        const { results } = rerank.write(given, rerank.read(body));
        expect(results).toEqual(
          order.slice(0, top ?? undefined).map((index, place) => ({ index, relevance_score: -place })),
        );
      }),
    );
  });
});
