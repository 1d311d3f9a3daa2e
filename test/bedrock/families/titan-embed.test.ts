import { describe, expect, test } from "vitest";
import { titanEmbed } from "../../../src/bedrock/families/titan-embed.ts";
import { context, failure, parse, refusal } from "./exchanges.ts";

const bare = {
  texts: ["Hi"],
  dimensions: undefined,
  normalize: true,
  purpose: undefined,
  truncate: undefined,
  types: [],
};

describe("reading a body of Titan Embeddings", () => {
  test("takes a text alone, and then normalizes as V2 does", () => {
    expect(titanEmbed.read({ inputText: "Hi" })).toEqual(bare);
  });

  test("takes all that V2 knows", () => {
    const body = { inputText: "Hi", dimensions: 256, normalize: false, embeddingTypes: ["float"] };
    expect(titanEmbed.read(body)).toEqual({ ...bare, dimensions: 256, normalize: false, types: ["float"] });
  });

  test.each([
    ["{}", "inputText: is required"],
    ['{"inputText":""}', "inputText: must not be empty"],
    ['{"inputText":7}', "inputText: must be a string"],
    ['{"inputText":"Hi","inputImage":"iVBORw0KGgo="}', "inputImage: cannot be served"],
    ['{"inputText":"Hi","embeddingTypes":["float","binary"]}', "embeddingTypes[1]: must be float"],
    ['{"inputText":"Hi","embeddingTypes":[]}', "embeddingTypes: must have at least one item"],
    ['{"inputText":"Hi","dimensions":0}', "dimensions: must be at least 1"],
    ['{"inputText":"Hi","dimensions":1.5}', "dimensions: must be an integer"],
    ['{"inputText":"Hi","normalize":"yes"}', "normalize: must be true or false"],
    ['{"inputText":"Hi","embeddingConfig":{"outputEmbeddingLength":256}}', "embeddingConfig: is not a field known"],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(titanEmbed, parse(body))).toContain(message);
  });
});

describe("writing Titan's embedding", () => {
  const vector = [0.25, -0.5];

  test("is G1's shape when no types were named", () => {
    expect(titanEmbed.write([vector], 3, titanEmbed.read({ inputText: "Hi" }), context)).toEqual({
      embedding: vector,
      inputTextTokenCount: 3,
    });
  });

  test("has the embedding by type when types were named, and for V2's id", () => {
    const named = titanEmbed.read({ inputText: "Hi", embeddingTypes: ["float"] });
    const byType = { embedding: vector, inputTextTokenCount: 3, embeddingsByType: { float: vector } };
    expect(titanEmbed.write([vector], 3, named, context)).toEqual(byType);
    const v2 = { ...context, modelId: "amazon.titan-embed-text-v2:0" };
    expect(titanEmbed.write([vector], 3, titanEmbed.read({ inputText: "Hi" }), v2)).toEqual(byType);
  });

  test.each([[[]], [[vector, vector]]])("fails on a number of vectors other than one", (vectors) => {
    const request = titanEmbed.read({ inputText: "Hi" });
    expect(failure(() => titanEmbed.write(vectors, 3, request, context)).type).toBe("ModelErrorException");
  });
});
