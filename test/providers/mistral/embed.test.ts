import { expect, test } from "vitest";
import type { EmbedRequest } from "../../../src/providers/dialect.ts";
import { mistral } from "../../../src/providers/mistral/mistral.ts";
import { bodyOf, failureOf } from "../both-ways.ts";
import { targetOf } from "../fixtures.ts";

const { embed } = mistral;

function encode(request: EmbedRequest) {
  if (embed === undefined) throw new Error("no embeddings");
  return embed.encode(request, targetOf({ kind: "mistral", model: "mistral-embed" }));
}

function decode(body: Parameters<typeof bodyOf>[0]) {
  return embed?.decode(bodyOf(body), encode({ texts: ["12345678"] }).memo);
}

test("texts go to the embeddings endpoint; what has no equivalent is listed", () => {
  const { request, ignored } = encode({ texts: ["a", "b"], dimensions: 256, purpose: "search_query", truncate: "end" });
  expect(request).toMatchObject({ method: "POST", path: "/v1/embeddings" });
  expect(JSON.parse(request.body)).toEqual({ model: "mistral-embed", input: ["a", "b"], output_dimension: 256 });
  expect(ignored).toEqual(["purpose", "truncate"]);
  expect(encode({ texts: ["a"], truncate: "none" }).ignored).toEqual([]);
});

test("vectors come in the order of the texts", () => {
  const data = [
    { object: "embedding", index: 1, embedding: [3, 4] },
    { object: "embedding", index: 0, embedding: [1, 2] },
  ];
  expect(decode({ data, usage: { prompt_tokens: 5 } })).toEqual({
    kind: "embeddings",
    vectors: [
      [1, 2],
      [3, 4],
    ],
    inputTokens: 5,
  });
  expect(decode({ data })).toMatchObject({ inputTokens: 2 });
});

test.each([
  {},
  { data: {} },
  { data: [null] },
  { data: [{ embedding: "x" }] },
  { data: [{ embedding: [1, null] }] },
  { data: [{ embedding: [] }] },
])("%j has no embeddings", (body) => {
  expect(failureOf(decode(body)).error.type).toBe("ModelErrorException");
});

test("an error in an answer of status 200", () => {
  expect(failureOf(decode({ object: "error", message: "Internal" })).error.message).toBe("Internal");
});
