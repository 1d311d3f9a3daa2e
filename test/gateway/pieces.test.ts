import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { imagesIn, piecesAsked } from "../../src/gateway/pieces.ts";

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const titan = (numberOfImages?: unknown) => ({
  taskType: "TEXT_IMAGE",
  textToImageParams: { text: "A fox" },
  ...(numberOfImages !== undefined && { imageGenerationConfig: { numberOfImages } }),
});

describe("what a request asks for by the piece", () => {
  test.each([
    ["amazon.titan-image-generator-v2:0", titan(3), false, { images: 3 }],
    ["us.amazon.nova-canvas-v1:0", titan(), false, { images: 1 }],
    ["arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-canvas-v1:0", titan(2), false, { images: 2 }],
    ["stability.sd3-5-large-v1:0", { prompt: "A fox" }, false, { images: 1 }],
    ["stability.stable-diffusion-xl-v1", { text_prompts: [{ text: "A fox" }], samples: 4 }, false, { images: 4 }],
    ["gpt-image-1", titan(2), true, { images: 2 }],
    ["gpt-image-1", titan("many"), true, { images: 1 }],
    ["gemini-2.5-flash-image", { prompt: "A fox", aspect_ratio: "16:9" }, true, { images: 1 }],
    ["cohere.rerank-v3-5:0", { query: "q", documents: ["a"], api_version: 2 }, false, { queries: 1 }],
    ["rerank-v3.5", { query: "q", documents: Array.from({ length: 101 }, () => "a") }, true, { queries: 2 }],
  ])("of %s is %j", (model, body, foreign, pieces) => {
    expect(piecesAsked("InvokeModel", model, bytes(body), foreign)).toEqual(pieces);
  });

  test("with Rerank is a query for every hundred documents", () => {
    const of = (count: number) =>
      piecesAsked("Rerank", "m", bytes({ sources: Array.from({ length: count }, () => ({})) }), false);
    expect([of(1), of(100), of(101), of(0)]).toEqual([{ queries: 1 }, { queries: 1 }, { queries: 2 }, { queries: 1 }]);
  });

  test.each([
    ["Converse", "amazon.nova-canvas-v1:0", titan(3), false],
    ["InvokeModel", "anthropic.claude-3-haiku-20240307-v1:0", { messages: [], taskType: "TEXT_IMAGE" }, false],
    ["InvokeModel", "gpt-4o", { max_tokens: 1, messages: [{ role: "user", content: '"prompt"' }] }, true],
    ["InvokeModel", "mistral-large", { prompt: "A fox" }, true],
    ["InvokeModel", "gpt-4o", { prompt: "whose?" }, true],
    ["CountTokens", "gpt-4o", titan(3), true],
  ])("is nothing with %s of %s", (operation, model, body, foreign) => {
    expect(piecesAsked(operation, model, bytes(body), foreign)).toBeUndefined();
  });

  test("is nothing in what is no JSON", () => {
    const body = Buffer.from('{"taskType": oh no');
    expect(piecesAsked("InvokeModel", "amazon.nova-canvas-v1:0", body, false)).toBeUndefined();
    expect(piecesAsked("Rerank", "m", body, false)).toEqual({ queries: 1 });
  });
});

describe("the images of an answer", () => {
  test.each([
    [{ images: ["YQ==", "Yg=="], error: null }, 2],
    [{ seeds: [1], finish_reasons: [null], images: ["YQ=="] }, 1],
    [{ images: ["YQ=="], seeds: ["1", "2"], finish_reasons: ["x", "y"] }, 1],
    [{ images: [null], finish_reasons: ["Filter reason: prompt"] }, 0],
    [{ images: [], error: "blocked" }, 0],
    [{ images: null, error: "blocked" }, 0],
    [{ error: "blocked" }, 0],
    [{ result: "success", artifacts: [{ base64: "YQ==", finishReason: "SUCCESS" }, { base64: "Yg==" }] }, 2],
  ])("of %j are %i", (body, count) => {
    expect(imagesIn(bytes(body))).toBe(count);
  });

  test("are as many as a parser finds, however they are written", () => {
    const base64 = fc.base64String();
    fc.assert(
      fc.property(
        fc.array(base64, { maxLength: 6 }),
        fc.array(fc.nat()),
        fc.constantFrom(0, 2),
        (images, seeds, space) => {
          const body = { seeds, images, finish_reasons: images.map(() => null) };
          expect(imagesIn(Buffer.from(JSON.stringify(body, null, space)))).toBe(images.length);
        },
      ),
    );
  });
});
