import { describe, expect, test } from "vitest";
import { stability } from "../../../src/bedrock/families/stability.ts";
import { parse, refusal } from "./exchanges.ts";

const jpeg = "/9j/4AAQ";
const image = (path: string) => ({ value: { format: "jpeg", source: { bytes: jpeg } }, path });

const bare = {
  task: "generate",
  prompt: "A fox",
  promptPath: "prompt",
  negativePrompt: undefined,
  images: [],
  count: { value: 1, path: "" },
  size: undefined,
  seed: undefined,
  quality: undefined,
  format: undefined,
  ignored: [],
};

describe("reading a body of Stable Image", () => {
  test("takes words alone", () => {
    expect(stability.read({ prompt: "A fox" })).toEqual(bare);
  });

  test("takes all that it knows", () => {
    const body = {
      prompt: "A fox",
      mode: "text-to-image",
      aspect_ratio: "16:9",
      negative_prompt: "snow",
      seed: 4294967294,
      output_format: "jpeg",
      cfg_scale: 4,
    };
    expect(stability.read(body)).toEqual({
      ...bare,
      size: { width: 16, height: 9, isRatio: true, paths: ["aspect_ratio"] },
      negativePrompt: { value: "snow", path: "negative_prompt" },
      seed: { value: 4294967294, path: "seed" },
      format: { value: "jpeg", path: "output_format" },
      ignored: ["cfg_scale"],
    });
  });

  test("takes an image to change", () => {
    const edit = { ...bare, task: "edit", images: [image("image")] };
    expect(stability.read({ prompt: "A fox", image: jpeg })).toEqual(edit);
    const body = { prompt: "A fox", mode: "image-to-image", image: jpeg, strength: 0.5 };
    expect(stability.read(body)).toEqual({ ...edit, ignored: ["strength"] });
  });

  test.each([
    ["{}", "prompt: is required"],
    ['{"prompt":""}', "prompt: must not be empty"],
    ['{"prompt":"a","mode":"video"}', "mode: must be text-to-image, image-to-image"],
    ['{"prompt":"a","mode":"image-to-image"}', "image: is required"],
    ['{"prompt":"a","mode":"text-to-image","image":"/9j/"}', "image: goes with the mode image-to-image"],
    ['{"prompt":"a","image":"https://example.com/a.png"}', "image: must be base64"],
    ['{"prompt":"a","aspect_ratio":"wide"}', "aspect_ratio: must be two numbers"],
    ['{"prompt":"a","aspect_ratio":"0:1"}', "aspect_ratio: must be two numbers"],
    ['{"prompt":"a","aspect_ratio":1}', "aspect_ratio: must be a string"],
    ['{"prompt":"a","output_format":"gif"}', "output_format: must be png, jpeg, webp"],
    ['{"prompt":"a","seed":"1"}', "seed: must be an integer"],
    ['{"prompt":"a","mask":"/9j/"}', "mask: has no equivalent"],
    ['{"prompt":"a","style_preset":"anime"}', "style_preset: has no equivalent"],
    ['{"prompt":"a","search_prompt":"b"}', "search_prompt: is not a field known"],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(stability, parse(body))).toContain(message);
  });
});

describe("reading a body of Stable Diffusion XL", () => {
  test("takes weighted texts: positive ones for the prompt, negative ones for what is not wanted", () => {
    const text_prompts = [
      { text: "A fox", weight: 1 },
      { text: "in winter" },
      { text: "snow", weight: -1 },
      { text: "blur", weight: -0.5 },
    ];
    const body = { text_prompts, width: 1152, height: 896, samples: 2, seed: 7, steps: 50, cfg_scale: 10 };
    expect(stability.read(body)).toEqual({
      ...bare,
      prompt: "A fox\nin winter",
      promptPath: "text_prompts",
      negativePrompt: { value: "snow\nblur", path: "text_prompts[2]" },
      count: { value: 2, path: "samples" },
      size: { width: 1152, height: 896, isRatio: false, paths: ["width", "height"] },
      seed: { value: 7, path: "seed" },
      ignored: ["text_prompts[3].weight", "cfg_scale", "steps"],
    });
  });

  test("takes an image to begin with", () => {
    const body = { text_prompts: [{ text: "A fox" }], init_image: jpeg, image_strength: 0.5 };
    expect(stability.read(body)).toMatchObject({
      task: "edit",
      images: [image("init_image")],
      ignored: ["image_strength"],
    });
  });

  test.each([
    ['{"text_prompts":[]}', "text_prompts: must have at least one item"],
    ['{"text_prompts":"a"}', "text_prompts: must be a list"],
    ['{"text_prompts":[{"text":"a","weight":-1}]}', "text_prompts: must have a text of positive weight"],
    ['{"text_prompts":[{"text":"a","weight":"1"}]}', "text_prompts[0].weight: must be a number"],
    ['{"text_prompts":[{"text":"a"}],"samples":0}', "samples: must be at least 1"],
    ['{"text_prompts":[{"text":"a"}],"mask_source":"MASK_IMAGE_WHITE"}', "mask_source: has no equivalent"],
    ['{"text_prompts":[{"text":"a"}],"prompt":"b"}', "prompt: is not a field known"],
  ])("refuses %s by path", (body, message) => {
    expect(refusal(stability, parse(body))).toContain(message);
  });
});

describe("writing Stability's images", () => {
  test("has seeds and finish reasons beside the images", () => {
    expect(stability.write(["YQ=="], undefined, stability.read({ prompt: "a", seed: 7 }))).toEqual({
      images: ["YQ=="],
      seeds: [7],
      finish_reasons: [null],
    });
  });

  test("has artifacts for the older form, with the seed 0 where none was given", () => {
    const request = stability.read({ text_prompts: [{ text: "a" }], samples: 2 });
    expect(stability.write(["YQ==", "Yg=="], undefined, request)).toEqual({
      result: "success",
      artifacts: [
        { seed: 0, base64: "YQ==", finishReason: "SUCCESS" },
        { seed: 0, base64: "Yg==", finishReason: "SUCCESS" },
      ],
    });
  });
});
