import { describe, expect, test } from "vitest";
import { cohereEmbed } from "../../../src/bedrock/families/cohere-embed.ts";
import { context, failure, parse, refusal } from "./exchanges.ts";

describe("reading a body of Cohere Embed", () => {
  test("takes the texts and what they are for", () => {
    const body = {
      texts: ["Hi", "Ho"],
      input_type: "search_query",
      truncate: "END",
      embedding_types: ["float"],
      output_dimension: 1024,
    };
    expect(cohereEmbed.read(body)).toEqual({
      texts: ["Hi", "Ho"],
      dimensions: 1024,
      normalize: false,
      purpose: "search_query",
      truncate: "END",
      types: ["float"],
    });
  });

  test("takes texts alone", () => {
    expect(cohereEmbed.read({ texts: ["Hi"] })).toEqual({
      texts: ["Hi"],
      dimensions: undefined,
      normalize: false,
      purpose: undefined,
      truncate: undefined,
      types: [],
    });
  });

  test.each([
    ["{}", "texts: is required"],
    ['{"texts":[]}', "texts: must have at least one item"],
    ['{"texts":"Hi"}', "texts: must be a list"],
    ['{"texts":["Hi",null]}', "texts[1]: is required"],
    ['{"texts":["Hi"],"images":["data:image/png;base64,AA=="]}', "images: cannot be served"],
    ['{"inputs":[{"content":[]}]}', "inputs: cannot be served: give the texts in texts"],
    ['{"texts":["Hi"],"input_type":"image"}', "input_type: must be search_document"],
    ['{"texts":["Hi"],"truncate":"LEFT"}', "truncate: must be NONE, START, END"],
    ['{"texts":["Hi"],"embedding_types":["int8"]}', "embedding_types[0]: must be float"],
    ['{"texts":["Hi"],"output_dimension":-1}', "output_dimension: must be at least 1"],
    ['{"texts":["Hi"],"max_tokens":5}', "max_tokens: is not a field known here"],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(cohereEmbed, parse(body))).toContain(message);
  });
});

describe("writing Cohere's embeddings", () => {
  const vectors = [
    [1, 0],
    [0, 1],
  ];

  test("is lists of numbers when no types were named", () => {
    expect(cohereEmbed.write(vectors, 4, cohereEmbed.read({ texts: ["Hi", "Ho"] }), context)).toEqual({
      id: context.requestId,
      response_type: "embeddings_floats",
      embeddings: vectors,
      texts: ["Hi", "Ho"],
    });
  });

  test("is lists by type when types were named", () => {
    const request = cohereEmbed.read({ texts: ["Hi", "Ho"], embedding_types: ["float"] });
    expect(cohereEmbed.write(vectors, 4, request, context)).toMatchObject({
      response_type: "embeddings_by_type",
      embeddings: { float: vectors },
    });
  });

  test("fails when a text has no vector", () => {
    const request = cohereEmbed.read({ texts: ["Hi"] });
    expect(failure(() => cohereEmbed.write([], 1, request, context)).type).toBe("ModelErrorException");
  });
});
