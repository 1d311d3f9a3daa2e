import { describe, expect, test } from "vitest";
import type { JsonObject, JsonValue } from "../../../src/bedrock/json.ts";
import type { EmbedRequest, Target } from "../../../src/providers/dialect.ts";
import { gemini } from "../../../src/providers/gemini/gemini.ts";
import { geminiMemo, geminiTarget, vertexTarget } from "./support.ts";

const onGemini = geminiTarget("gemini-embedding-001");
const onVertex = vertexTarget("text-embedding-005");

function ask(request: EmbedRequest, target: Target) {
  if (gemini.embed === undefined) throw new Error("cannot embed");
  const encoded = gemini.embed.encode(request, target);
  const body: JsonObject = JSON.parse(encoded.request.body);
  return { path: encoded.request.path, body, ignored: encoded.ignored, memo: encoded.memo };
}

const read = (body: JsonValue, target: Target) =>
  gemini.embed?.decode({ headers: {}, body: Buffer.from(JSON.stringify(body)) }, geminiMemo({ target }));

describe("the Gemini API", () => {
  test("is asked for many at once", () => {
    const { path, body, ignored } = ask(
      { texts: ["a", "b"], dimensions: 256, purpose: "search_query", truncate: "end" },
      onGemini,
    );
    const options = { taskType: "RETRIEVAL_QUERY", outputDimensionality: 256 };
    expect(path).toBe("/v1beta/models/gemini-embedding-001:batchEmbedContents");
    expect(body).toEqual({
      requests: [
        { model: "models/gemini-embedding-001", content: { parts: [{ text: "a" }] }, ...options },
        { model: "models/gemini-embedding-001", content: { parts: [{ text: "b" }] }, ...options },
      ],
    });
    expect(ignored).toEqual(["truncate"]);
  });

  test("answers in order; what it does not count is estimated", () => {
    expect(read({ embeddings: [{ values: [0.1, 0.2] }, { values: [1, -1] }] }, onGemini)).toEqual({
      kind: "embeddings",
      vectors: [
        [0.1, 0.2],
        [1, -1],
      ],
      inputTokens: 7,
    });
    expect(read({ embeddings: [{ values: [1] }], usageMetadata: { promptTokenCount: 3 } }, onGemini)).toMatchObject({
      inputTokens: 3,
    });
    expect(ask({ texts: ["12345678", "1"] }, onGemini).memo.inputTokens).toBe(3);
  });
});

describe("Vertex", () => {
  test("is asked to predict", () => {
    const { path, body, ignored } = ask(
      { texts: ["a"], dimensions: 256, purpose: "search_document", truncate: "none" },
      onVertex,
    );
    expect(path).toBe(
      "/v1beta1/projects/my-project/locations/us-central1/publishers/google/models/text-embedding-005:predict",
    );
    expect(body).toEqual({
      instances: [{ content: "a", task_type: "RETRIEVAL_DOCUMENT" }],
      parameters: { autoTruncate: false, outputDimensionality: 256 },
    });
    expect(ignored).toEqual([]);
    expect(ask({ texts: ["a"], truncate: "end" }, onVertex).body.parameters).toEqual({ autoTruncate: true });
    expect(ask({ texts: ["a"] }, onVertex).body).toEqual({ instances: [{ content: "a" }] });
  });

  test("counts each text", () => {
    const prediction = (values: number[], count: number) => ({
      embeddings: { values, statistics: { token_count: count } },
    });
    expect(read({ predictions: [prediction([1], 4), prediction([2], 5)] }, onVertex)).toEqual({
      kind: "embeddings",
      vectors: [[1], [2]],
      inputTokens: 9,
    });
  });
});

test("a text cut at its start is refused", () => {
  for (const target of [onGemini, onVertex]) {
    expect(() => ask({ texts: ["a"], truncate: "start" }, target)).toThrow(/^truncate: /);
  }
});

test.each<[string, Target, JsonValue]>([
  ["no vectors", onGemini, { embeddings: [] }],
  ["an empty vector", onGemini, { embeddings: [{ values: [] }] }],
  ["a vector of texts", onGemini, { embeddings: [{ values: ["1"] }] }],
  ["a gap", onVertex, { predictions: [{ embeddings: { values: [1] } }, {}] }],
])("%s is no answer", (_case, target, body) => {
  expect(read(body, target)).toMatchObject({ kind: "failure", error: { type: "ModelErrorException" } });
});
