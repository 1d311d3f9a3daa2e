import { describe, expect, test } from "vitest";
import type { ImageRequest } from "../../../src/bedrock/families/family.ts";
import type { JsonValue } from "../../../src/bedrock/json.ts";
import type { Target } from "../../../src/providers/dialect.ts";
import { openai } from "../../../src/providers/openai/openai.ts";
import { bodyOf, failureOf } from "../both-ways.ts";
import { targetOf } from "../fixtures.ts";
import { gif, imageRequest, pixels, png, ratio, sentImage } from "../images.ts";
import { memoFor } from "./chunks.ts";

function encode(changes: Partial<ImageRequest> = {}, target: Partial<Target> = {}) {
  const encoded = openai.image?.encode(imageRequest(changes), targetOf({ model: "gpt-image-1", ...target }));
  if (encoded === undefined) throw new Error("no images");
  return { ...encoded, body: JSON.parse(encoded.request.body) };
}

const decode = (body: JsonValue | string) => openai.image?.decode(bodyOf(body), memoFor("openai"));

const dallE3 = { model: "dall-e-3" };
const stranger = { kind: "vllm", model: "some/diffusion" };

describe("a request for images from words", () => {
  test("to a GPT image model asks for no format of the answer: it is base64 always", () => {
    const { request, body, ignored } = encode();
    expect(request).toMatchObject({ method: "POST", path: "/v1/images/generations" });
    expect(body).toEqual({ model: "gpt-image-1", prompt: "A fox" });
    expect(ignored).toEqual([]);
  });

  test("carries all that a GPT image model knows", () => {
    const { body, ignored } = encode({
      count: { value: 3, path: "samples" },
      size: pixels(1536, 1024),
      quality: { value: "premium", path: "quality" },
      format: { value: "webp", path: "output_format" },
      negativePrompt: { value: "snow", path: "negative_prompt" },
      seed: { value: 7, path: "seed" },
    });
    expect(body).toEqual({
      model: "gpt-image-1",
      prompt: "A fox\n\nThe image must not show: snow",
      n: 3,
      size: "1536x1024",
      quality: "high",
      output_format: "webp",
    });
    expect(ignored).toEqual(["seed"]);
  });

  test("to DALL·E asks for base64, in its own words", () => {
    const asked = { size: pixels(1792, 1024), quality: { value: "premium", path: "quality" } } as const;
    expect(encode(asked, dallE3).body).toEqual({
      model: "dall-e-3",
      prompt: "A fox",
      size: "1792x1024",
      quality: "hd",
      response_format: "b64_json",
    });
    const older = encode({ ...asked, size: pixels(512, 512) }, { model: "dall-e-2" });
    expect(older.body).toEqual({
      model: "dall-e-2",
      prompt: "A fox",
      size: "512x512",
      response_format: "b64_json",
    });
    expect(older.ignored).toEqual(["quality"]);
  });

  test("to an unknown model takes pixels as they are, and no shape", () => {
    expect(encode({ size: pixels(640, 384) }, stranger).body).toMatchObject({
      size: "640x384",
      response_format: "b64_json",
    });
    const shaped = encode({ size: ratio(16, 9), format: { value: "png", path: "output_format" } }, stranger);
    expect(shaped.body).not.toHaveProperty("size");
    expect(shaped.ignored).toEqual(["aspect_ratio", "output_format"]);
  });

  test("goes to Azure's deployment, whose model is told apart by the name that was asked for", () => {
    const azure = { kind: "azure", azure: { apiVersion: "2025-04-01-preview" }, model: "pics", baseModel: "dall-e-3" };
    const { request, body } = encode({}, azure);
    expect(request.path).toBe("/openai/deployments/pics/images/generations?api-version=2025-04-01-preview");
    expect(body).toMatchObject({ response_format: "b64_json" });
  });

  test.each([
    [{ count: { value: 2, path: "samples" } }, dallE3, "samples: must be at most 1"],
    [{ count: { value: 11, path: "samples" } }, {}, "samples: must be at most 10"],
    [{ negativePrompt: { value: "snow", path: "negative" } }, dallE3, "negative: cannot be said to this model"],
    [{ negativePrompt: { value: "snow", path: "negative" } }, stranger, "negative: cannot be said to this model"],
  ])("is refused by path: %j to %j", (changes, target, message) => {
    expect(() => encode(changes, target)).toThrow(message);
  });
});

describe("a request to change images", () => {
  test("carries them as data URLs in JSON", () => {
    const { request, body } = encode({ task: "edit", images: [sentImage(png)] });
    expect(request.path).toBe("/v1/images/edits");
    expect(request.headers).toContainEqual(["content-type", "application/json"]);
    expect(body).toEqual({
      model: "gpt-image-1",
      prompt: "A fox",
      images: [{ image_url: `data:image/png;base64,${png}` }],
    });
  });

  test.each([
    [{ prompt: undefined }, {}, "prompt: is required"],
    [{}, dallE3, "image: the provider test changes no images"],
    [{}, { kind: "azure" }, "image: the provider test changes no images"],
    [{}, stranger, "image: the provider test changes no images"],
    [{ images: [sentImage(gif)] }, {}, "image: must be a png, jpeg or webp image"],
  ])("is refused by path: %j to %j", (changes, target, message) => {
    expect(() => encode({ task: "vary", images: [sentImage(png)], ...changes }, target)).toThrow(message);
  });
});

describe("images", () => {
  test("come in the order of the answer", () => {
    expect(decode({ created: 1, data: [{ b64_json: "YQ==", revised_prompt: "x" }, { b64_json: "Yg==" }] })).toEqual({
      kind: "images",
      images: ["YQ==", "Yg=="],
    });
  });

  test.each([
    ["not json"],
    [{}],
    [{ data: [] }],
    [{ data: "x" }],
    [{ data: [null, { b64_json: 1 }] }],
    [{ data: [{ url: "https://example.com/a.png" }] }],
  ])("%j has none", (body) => {
    expect(failureOf(decode(body))).toMatchObject({ error: { type: "ModelErrorException" }, elsewhere: true });
  });

  test("may be an error of status 200", () => {
    const error = { code: "moderation_blocked", message: "Your request was rejected." };
    expect(failureOf(decode({ error }))).toMatchObject({
      error: { type: "ValidationException", message: "Your request was rejected." },
    });
  });
});
