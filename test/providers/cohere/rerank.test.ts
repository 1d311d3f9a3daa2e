import fc from "fast-check";
import { expect, test } from "vitest";
import type { RerankRequest } from "../../../src/bedrock/families/family.ts";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import { cohere } from "../../../src/providers/cohere/cohere.ts";
import { bodyOf, failureOf } from "../both-ways.ts";
import { targetOf } from "../fixtures.ts";

const bare: RerankRequest = { query: "q", documents: ["a", "b"], topN: undefined, maxTokensPerDocument: undefined };

function encode(request: RerankRequest) {
  const encoded = cohere.rerank?.encode(request, targetOf({ kind: "cohere", model: "rerank-v3.5" }));
  if (encoded === undefined) throw new Error("no ranking");
  return encoded;
}

function decode(body: JsonValue | string) {
  return cohere.rerank?.decode(bodyOf(body), encode(bare).memo);
}

test("a request goes to version 2 of rerank, with what the client says", () => {
  const { request, ignored } = encode(bare);
  expect(request).toMatchObject({ method: "POST", path: "/v2/rerank" });
  expect(JSON.parse(request.body)).toEqual({ model: "rerank-v3.5", query: "q", documents: ["a", "b"] });
  expect(ignored).toEqual([]);
});

test("a request says how many results are wanted and where documents are cut", () => {
  const { request, ignored } = encode({ ...bare, topN: 1, maxTokensPerDocument: { value: 9, path: "most" } });
  expect(JSON.parse(request.body)).toMatchObject({ top_n: 1, max_tokens_per_doc: 9 });
  expect(ignored).toEqual([]);
});

test("results come best first", () => {
  const results = [
    { index: 0, relevance_score: 0.1 },
    { index: 1, relevance_score: 0.8 },
  ];
  const meta = { billed_units: { search_units: 1 } };
  expect(decode({ id: "r", results, meta })).toEqual({
    kind: "ranking",
    ranked: [
      { index: 1, score: 0.8 },
      { index: 0, score: 0.1 },
    ],
  });
});

test.each([
  ["not json"],
  [{}],
  [{ results: {} }],
  [{ results: [null] }],
  [{ results: [{ index: -1, relevance_score: 1 }] }],
  [{ results: [{ index: 0.5, relevance_score: 1 }] }],
  [{ results: [{ index: "0", relevance_score: 1 }] }],
  [{ results: [{ index: 0, relevance_score: null }] }],
])("%j is no ranking", (body) => {
  expect(failureOf(decode(body))).toMatchObject({ error: { type: "ModelErrorException" }, elsewhere: true });
});

test("a bare message is an error", () => {
  expect(failureOf(decode({ message: "invalid api token" })).retry).toBe("other_credential");
});

test("any scores come back in falling order, and none is lost", () => {
  const scores = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 });
  fc.assert(
    fc.property(scores, (list) => {
      const results = list.map((relevance_score, index) => ({ index, relevance_score }));
      const read = decode({ results });
      if (read?.kind !== "ranking") throw new Error("not read");
      const order = read.ranked.map(({ score }) => score);
      expect(order).toEqual(order.toSorted((a, b) => b - a));
      expect(read.ranked.map(({ index }) => index).toSorted((a, b) => a - b)).toEqual(list.map((_, index) => index));
    }),
  );
});
