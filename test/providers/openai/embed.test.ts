import { describe, expect, test } from "vitest";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import type { EmbedRequest, Target } from "../../../src/providers/dialect.ts";
import { openai } from "../../../src/providers/openai/openai.ts";
import { bodyOf, failureOf } from "../both-ways.ts";
import { targetOf } from "../fixtures.ts";
import { memoFor } from "./chunks.ts";

function encode(request: EmbedRequest, target: Partial<Target> = {}) {
  const encoded = openai.embed?.encode(request, targetOf({ model: "text-embedding-3-small", ...target }));
  if (encoded === undefined) throw new Error("no embeddings");
  return encoded;
}

function decode(body: JsonValue) {
  return openai.embed?.decode(bodyOf(body), memoFor("openai", { inputTokens: 3 }));
}

describe("a request for vectors", () => {
  test("has the texts, the length, and numbers rather than base64", () => {
    const { request, ignored } = encode({ texts: ["a", "b"], dimensions: 256, truncate: "none" });
    expect(request.path).toBe("/v1/embeddings");
    expect(JSON.parse(request.body)).toEqual({
      model: "text-embedding-3-small",
      input: ["a", "b"],
      dimensions: 256,
      encoding_format: "float",
    });
    expect(ignored).toEqual([]);
  });

  test("lists what these servers do not know", () => {
    expect(encode({ texts: ["a"], purpose: "search_query", truncate: "end" }).ignored).toEqual([
      "input_type",
      "truncate",
    ]);
  });

  test("goes to Azure's deployment", () => {
    const target = { kind: "azure", azure: { apiVersion: "2024-10-21" }, model: "emb" };
    expect(encode({ texts: ["a"] }, target).request.path).toBe(
      "/openai/deployments/emb/embeddings?api-version=2024-10-21",
    );
  });
});

describe("vectors", () => {
  test("are put in the order of the texts", () => {
    const data = [
      { index: 1, embedding: [0.5, 1] },
      { index: 0, embedding: [0.25, 2] },
    ];
    expect(decode({ data, usage: { prompt_tokens: 7, total_tokens: 7 } })).toEqual({
      kind: "embeddings",
      vectors: [
        [0.25, 2],
        [0.5, 1],
      ],
      inputTokens: 7,
    });
  });

  test("without an index come as they stand, and without usage the tokens are estimated", () => {
    expect(decode({ data: [{ embedding: [1] }, { embedding: [2] }] })).toMatchObject({
      vectors: [[1], [2]],
      inputTokens: 3,
    });
  });

  test("may be base64 of floats all the same", () => {
    const bytes = Buffer.alloc(8);
    bytes.writeFloatLE(0.5, 0);
    bytes.writeFloatLE(-2, 4);
    expect(decode({ data: [{ index: 0, embedding: bytes.toString("base64") }] })).toMatchObject({
      vectors: [[0.5, -2]],
    });
  });

  test.each<[string, JsonValue]>([
    ["none", { data: [] }],
    ["no list", { data: "x" }],
    ["an empty one", { data: [{ embedding: [] }] }],
    ["a word in one", { data: [{ embedding: [1, "x"] }] }],
    ["one missing", { data: [{ embedding: [1] }, {}] }],
    ["base64 of nothing", { data: [{ embedding: "AA" }] }],
  ])("%s: a failure", (_, body) => {
    expect(failureOf(decode(body)).error.type).toBe("ModelErrorException");
  });

  test("an error inside is one", () => {
    expect(failureOf(decode({ error: { code: "insufficient_quota" } })).error.type).toBe("ThrottlingException");
  });
});
