import { describe, expect, test } from "vitest";
import type { ImageRequest } from "../../../src/bedrock/families/family.ts";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import type { Target } from "../../../src/providers/dialect.ts";
import { gemini } from "../../../src/providers/gemini/gemini.ts";
import { bodyOf, failureOf } from "../both-ways.ts";
import { targetOf } from "../fixtures.ts";
import { gif, imageRequest, pixels, png, ratio, sentImage } from "../images.ts";

const imagen = { model: "imagen-4.0-generate-001" };

function targetFor(changes: Partial<Target>): Target {
  return targetOf({ kind: "gemini", model: "gemini-2.5-flash-image", ...changes });
}

function encode(changes: Partial<ImageRequest> = {}, target: Partial<Target> = {}) {
  const encoded = gemini.image?.encode(imageRequest(changes), targetFor(target));
  if (encoded === undefined) throw new Error("no images");
  return { ...encoded, body: JSON.parse(encoded.request.body) };
}

function decode(body: JsonValue | string, target: Partial<Target> = {}) {
  return gemini.image?.decode(bodyOf(body), encode({}, target).memo);
}

const quality = { value: "premium", path: "quality" } as const;

describe("a request to a Gemini image model", () => {
  test("asks for an image and nothing else", () => {
    const { request, body, ignored } = encode();
    expect(request.path).toBe("/v1beta/models/gemini-2.5-flash-image:generateContent");
    expect(body).toEqual({
      contents: [{ role: "user", parts: [{ text: "A fox" }] }],
      generationConfig: { responseModalities: ["IMAGE"] },
    });
    expect(ignored).toEqual([]);
  });

  test("carries images before the words, the shape, the seed, and what is not wanted in words", () => {
    const { body, ignored } = encode({
      task: "edit",
      images: [sentImage(png)],
      size: ratio(16, 9),
      seed: { value: 7, path: "seed" },
      negativePrompt: { value: "snow", path: "negative_prompt" },
      quality,
      format: { value: "png", path: "output_format" },
    });
    expect(body).toEqual({
      contents: [
        {
          role: "user",
          parts: [
            { inlineData: { mimeType: "image/png", data: png } },
            { text: "A fox\n\nThe image must not show: snow" },
          ],
        },
      ],
      generationConfig: { responseModalities: ["IMAGE"], imageConfig: { aspectRatio: "16:9" }, seed: 7 },
    });
    expect(ignored).toEqual(["output_format", "quality"]);
  });

  test("names a size that is only near, and a seed that is too large", () => {
    const { body, ignored } = encode({ size: pixels(512, 512), seed: { value: 4294967294, path: "seed" } });
    expect(body.generationConfig).toEqual({ responseModalities: ["IMAGE"], imageConfig: { aspectRatio: "1:1" } });
    expect(ignored).toEqual(["width", "height", "seed"]);
  });

  test.each([
    [{ prompt: undefined, images: [sentImage(png)] }, "prompt: is required"],
    [{ count: { value: 2, path: "samples" } }, "samples: must be 1 for this model"],
    [{ images: [sentImage(gif)] }, "image: must be a png, jpeg, webp image"],
  ])("is refused by path: %j", (changes, message) => {
    expect(() => encode(changes)).toThrow(message);
  });
});

describe("a request to Imagen", () => {
  test("asks for a prediction", () => {
    const { request, body, ignored } = encode(
      {
        count: { value: 4, path: "samples" },
        size: pixels(1024, 1024),
        format: { value: "jpeg", path: "output_format" },
        seed: { value: 7, path: "seed" },
      },
      imagen,
    );
    expect(request.path).toBe("/v1beta/models/imagen-4.0-generate-001:predict");
    expect(body).toEqual({
      instances: [{ prompt: "A fox" }],
      parameters: {
        sampleCount: 4,
        includeRaiReason: true,
        aspectRatio: "1:1",
        outputOptions: { mimeType: "image/jpeg" },
      },
    });
    expect(ignored).toEqual(["seed"]);
  });

  test("goes to Vertex's path", () => {
    const vertex = { kind: "vertex", vertex: { project: "p", region: "us-central1" }, ...imagen };
    expect(encode({}, vertex).request.path).toBe(
      "/v1beta1/projects/p/locations/us-central1/publishers/google/models/imagen-4.0-generate-001:predict",
    );
  });

  test("names what it has no place for", () => {
    const asked = { size: ratio(21, 9), quality, format: { value: "webp", path: "output_format" } } as const;
    expect(encode(asked, imagen).ignored).toEqual(["aspect_ratio", "output_format", "quality"]);
  });

  test.each([
    [{ images: [sentImage(png)] }, "image: the model draws from words alone"],
    [{ negativePrompt: { value: "snow", path: "negative" } }, "negative: cannot be said to this model"],
    [{ count: { value: 5, path: "samples" } }, "samples: must be at most 4"],
  ])("is refused by path: %j", (changes, message) => {
    expect(() => encode(changes, imagen)).toThrow(message);
  });
});

describe("images of Gemini", () => {
  const answer = (parts: readonly JsonValue[], more: Readonly<Record<string, JsonValue>> = {}) => ({
    candidates: [{ content: { role: "model", parts }, finishReason: "STOP", ...more }],
  });
  const image = (data: JsonValue) => ({ inlineData: { mimeType: "image/png", data } });

  test("are the parts with an image, but no drafts", () => {
    const parts = [{ ...image("ZHJhZnQ="), thought: true }, { text: "Here:" }, image("YQ==")];
    expect(decode(answer(parts))).toEqual({ kind: "images", images: ["YQ=="] });
  });

  test.each([
    [answer([], { finishReason: "IMAGE_SAFETY", finishMessage: "Too violent" }), "Too violent"],
    [answer([], { finishReason: "PROHIBITED_CONTENT" }), "PROHIBITED_CONTENT"],
    [{ promptFeedback: { blockReason: "SAFETY" } }, "SAFETY"],
  ])("are refused by the provider's policy in %j", (body, word) => {
    const { error, filtered } = failureOf(decode(body));
    expect(error.type).toBe("ValidationException");
    expect(error.message).toContain(word);
    expect(filtered).toBe(true);
  });

  test.each([["not json"], [{}], [{ candidates: [null] }], [answer([image("")])], [answer([image(7)])]])(
    "are not in %j",
    (body) => {
      expect(failureOf(decode(body))).toMatchObject({ error: { type: "ModelErrorException" }, elsewhere: true });
    },
  );

  test("that did not come are explained in the model's words", () => {
    expect(failureOf(decode(answer([{ text: "I would rather not." }]))).error.message).toContain("I would rather not.");
  });
});

describe("images of Imagen", () => {
  test("are the predictions, with the reason why some are missing", () => {
    const predictions = [{ mimeType: "image/png", bytesBase64Encoded: "YQ==" }, { raiFilteredReason: "Too violent." }];
    expect(decode({ predictions }, imagen)).toEqual({ kind: "images", images: ["YQ=="], withheld: "Too violent." });
  });

  test("are refused by the provider's policy when all are missing", () => {
    const failure = failureOf(decode({ predictions: [{ raiFilteredReason: "Too violent." }] }, imagen));
    expect(failure).toMatchObject({ filtered: true, error: { message: "Too violent." } });
  });

  test.each([[{}], [{ predictions: [] }], [{ predictions: [{}] }]])("are not in %j", (body) => {
    expect(failureOf(decode(body, imagen)).error.type).toBe("ModelErrorException");
  });
});
