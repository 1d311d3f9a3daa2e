import { expect, test } from "vitest";
import { cohere } from "../../../src/providers/cohere/cohere.ts";
import type { EmbedRequest } from "../../../src/providers/dialect.ts";
import { bodyOf, failureOf } from "../both-ways.ts";
import { targetOf } from "../fixtures.ts";

const { embed } = cohere;

function encode(request: EmbedRequest) {
  if (embed === undefined) throw new Error("no embeddings");
  return embed.encode(request, targetOf({ kind: "cohere", model: "embed-v4.0" }));
}

function decode(body: Parameters<typeof bodyOf>[0]) {
  return embed?.decode(bodyOf(body), encode({ texts: ["12345678"] }).memo);
}

test("texts go to version 2 of embed, with everything the client says", () => {
  const { request, ignored } = encode({ texts: ["a"], dimensions: 256, purpose: "search_query", truncate: "end" });
  expect(request).toMatchObject({ method: "POST", path: "/v2/embed" });
  expect(JSON.parse(request.body)).toEqual({
    model: "embed-v4.0",
    texts: ["a"],
    input_type: "search_query",
    embedding_types: ["float"],
    output_dimension: 256,
    truncate: "END",
  });
  expect(ignored).toEqual([]);
});

test("without a purpose, texts are those of documents", () => {
  expect(JSON.parse(encode({ texts: ["a"] }).request.body)).toMatchObject({ input_type: "search_document" });
});

test("vectors and tokens", () => {
  const embeddings = {
    float: [
      [1, 2],
      [0.5, -1],
    ],
  };
  expect(decode({ id: "e", embeddings, texts: ["a", "b"], meta: { billed_units: { input_tokens: 5 } } })).toEqual({
    kind: "embeddings",
    vectors: [
      [1, 2],
      [0.5, -1],
    ],
    inputTokens: 5,
  });
  expect(decode({ embeddings })).toMatchObject({ inputTokens: 2 });
});

test.each([
  {},
  { embeddings: [[1]] },
  { embeddings: { int8: [[1]] } },
  { embeddings: { float: [["x"]] } },
  { embeddings: { float: [1] } },
])("%j has no embeddings", (body) => {
  expect(failureOf(decode(body)).error.type).toBe("ModelErrorException");
});

test("an error in an answer of status 200", () => {
  expect(failureOf(decode({ message: "no credit" })).error.message).toBe("no credit");
});
