import { describe, expect, test } from "vitest";
import { titanImage } from "../../../src/bedrock/families/titan-image.ts";
import { parse, refusal } from "./exchanges.ts";

const png = "iVBORw0KGgoAAAA=";
const generation = { taskType: "TEXT_IMAGE", textToImageParams: { text: "A fox" } };
const variation = { taskType: "IMAGE_VARIATION", imageVariationParams: { images: [png] } };
const config = "imageGenerationConfig";

const bare = {
  task: "generate",
  prompt: "A fox",
  promptPath: "textToImageParams.text",
  negativePrompt: undefined,
  images: [],
  count: { value: 1, path: `${config}.numberOfImages` },
  size: undefined,
  seed: undefined,
  quality: undefined,
  format: undefined,
  ignored: [],
};

describe("reading a body of Titan Image", () => {
  test("takes words alone", () => {
    expect(titanImage.read(generation)).toEqual(bare);
  });

  test("takes the whole of AWS's own example, and names the knob that nobody else has", () => {
    const body = {
      taskType: "TEXT_IMAGE",
      textToImageParams: { text: "A fox", negativeText: "snow" },
      imageGenerationConfig: {
        numberOfImages: 3,
        quality: "premium",
        width: 768,
        height: 1152,
        cfgScale: 8.0,
        seed: 42,
      },
    };
    expect(titanImage.read(body)).toEqual({
      ...bare,
      negativePrompt: { value: "snow", path: "textToImageParams.negativeText" },
      count: { value: 3, path: `${config}.numberOfImages` },
      size: { width: 768, height: 1152, isRatio: false, paths: [`${config}.width`, `${config}.height`] },
      seed: { value: 42, path: `${config}.seed` },
      quality: { value: "premium", path: `${config}.quality` },
      ignored: [`${config}.cfgScale`],
    });
  });

  test("takes images to vary, with words and without", () => {
    const image = { value: { format: "png", source: { bytes: png } }, path: "imageVariationParams.images[0]" };
    expect(titanImage.read(variation)).toEqual({
      ...bare,
      task: "vary",
      prompt: undefined,
      promptPath: "imageVariationParams.text",
      images: [image],
    });
    const said = { text: "In winter", images: [png], similarityStrength: 0.7 };
    expect(titanImage.read({ ...variation, imageVariationParams: said })).toMatchObject({
      prompt: "In winter",
      ignored: ["imageVariationParams.similarityStrength"],
    });
  });

  test("takes the default for the side that is missing", () => {
    expect(titanImage.read({ ...generation, imageGenerationConfig: { width: 512 } }).size).toMatchObject({
      width: 512,
      height: 1024,
    });
  });

  test.each([
    ["{}", "taskType: is required"],
    ['{"taskType":7}', "taskType: must be a string"],
    ['{"taskType":"TEXT_VIDEO"}', "taskType: must be TEXT_IMAGE, IMAGE_VARIATION"],
    ['{"taskType":"TEXT_IMAGE"}', "textToImageParams: is required"],
    ['{"taskType":"TEXT_IMAGE","textToImageParams":[]}', "textToImageParams: must be an object"],
    ['{"taskType":"TEXT_IMAGE","textToImageParams":{"text":""}}', "textToImageParams.text: must not be empty"],
    ['{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"a","x":1}}', "textToImageParams.x: is not a field known"],
    [
      '{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"a","conditionImage":"iVBORw0KGgo="}}',
      "textToImageParams.conditionImage: has no equivalent",
    ],
    [
      '{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"a","style":"PHOTOREALISM"}}',
      "textToImageParams.style: has no equivalent",
    ],
    [
      '{"taskType":"TEXT_IMAGE","textToImageParams":{"text":"a"},"inPaintingParams":{}}',
      "inPaintingParams: is not a field known",
    ],
    ['{"taskType":"IMAGE_VARIATION","imageVariationParams":{"images":[]}}', "imageVariationParams.images: must have"],
    [
      '{"taskType":"IMAGE_VARIATION","imageVariationParams":{"images":["x"]}}',
      "imageVariationParams.images[0]: must be base64",
    ],
    ['{"taskType":"INPAINTING"}', "inPaintingParams: is required"],
    [
      '{"taskType":"INPAINTING","inPaintingParams":{"image":"x","maskPrompt":"the car"}}',
      "inPaintingParams.maskPrompt: other providers have no such masks",
    ],
    [
      '{"taskType":"OUTPAINTING","outPaintingParams":{"image":"x","maskImage":"y"}}',
      "outPaintingParams.maskImage: other providers have no such masks",
    ],
    [
      '{"taskType":"COLOR_GUIDED_GENERATION","colorGuidedGenerationParams":{"text":"a","colors":["#ff0000"]}}',
      "colorGuidedGenerationParams.colors: has no equivalent",
    ],
    [
      '{"taskType":"BACKGROUND_REMOVAL","backgroundRemovalParams":{"image":"x"}}',
      "taskType: BACKGROUND_REMOVAL cannot be served",
    ],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(titanImage, parse(body))).toContain(message);
  });

  test.each([
    [{ numberOfImages: 0 }, "numberOfImages: must be at least 1"],
    [{ numberOfImages: 6 }, "numberOfImages: must be at most 5"],
    [{ quality: "best" }, "quality: must be standard, premium"],
    [{ width: "1024" }, "width: must be an integer"],
    [{ seed: 0.5 }, "seed: must be an integer"],
    [{ steps: 1 }, "steps: is not a field known"],
  ])("refuses the configuration %j by path", (imageGenerationConfig, message) => {
    expect(refusal(titanImage, { ...generation, imageGenerationConfig })).toContain(`${config}.${message}`);
  });
});

describe("writing Titan's images", () => {
  const request = titanImage.read(generation);

  test("has the images and no error", () => {
    expect(titanImage.write(["YQ==", "Yg=="], undefined, request)).toEqual({ images: ["YQ==", "Yg=="], error: null });
  });

  test("says why some are missing", () => {
    expect(titanImage.write(["YQ=="], "Too violent.", request)).toEqual({ images: ["YQ=="], error: "Too violent." });
  });
});
