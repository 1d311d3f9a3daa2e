/** Stability AI: Stable Image and Stable Diffusion 3, and the older Stable Diffusion XL. */
import { refuseField } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import {
  type Fields,
  readCount,
  readInteger,
  readName,
  readNumber,
  readObject,
  readSome,
  readText,
  readWord,
} from "../reading.ts";
import type { ImageFamily, ImageRequest, ImageSize, Placed } from "./family.ts";
import { readBareImage } from "./images.ts";

const promptFields = new Set([
  "prompt",
  "mode",
  "image",
  "strength",
  "aspect_ratio",
  "negative_prompt",
  "seed",
  "output_format",
  "cfg_scale",
  "steps",
]);
const weightedFields = new Set([
  "text_prompts",
  "init_image",
  "init_image_mode",
  "image_strength",
  "step_schedule_start",
  "step_schedule_end",
  "cfg_scale",
  "clip_guidance_preset",
  "sampler",
  "seed",
  "steps",
  "width",
  "height",
  "samples",
]);
const weightedPromptFields = new Set(["text", "weight"]);
const formats = ["png", "jpeg", "webp"] as const;

/** Knobs of the sampler, and how much of the first image is kept: nobody else has them. */
const knobs = [
  "strength",
  "cfg_scale",
  "steps",
  "image_strength",
  "init_image_mode",
  "step_schedule_start",
  "step_schedule_end",
  "clip_guidance_preset",
  "sampler",
];
const noEquivalent = "has no equivalent at other providers; leave it out";

/** Members that change what is seen, and mean something to these models alone. */
const ownMembers = ["style_preset", "mask", "mask_image", "mask_source", "extras"];

/**
 * `{prompt, mode, image, …}` → `{images, seeds, finish_reasons}`; the older `{text_prompts, …}` → `{result, artifacts}`.
 *
 * The answer's seeds are those of the request, 0 where it has none: no other provider tells the seed it drew. Images that
 * a provider withheld are missing from it; the format has no place for the reason.
 */
export const stability: ImageFamily = {
  kind: "image",
  name: "stability",

  read(body) {
    for (const name of ownMembers) if (body[name] != null) throw refuseField(name, noEquivalent);
    const fields = Object.fromEntries(Object.entries(body).filter(([name]) => !ownMembers.includes(name)));
    return isWeighted(body)
      ? readWeighted(readObject(fields, "", weightedFields))
      : readPrompt(readObject(fields, "", promptFields));
  },

  write(images, _withheld, request) {
    const seed = request.seed?.value ?? 0;
    // The paths of a request tell its form.
    if (request.promptPath === "text_prompts") {
      const artifacts = images.map((base64) => ({ seed, base64, finishReason: "SUCCESS" }));
      return { result: "success", artifacts };
    }
    return { seeds: images.map(() => seed), finish_reasons: images.map(() => null), images };
  },
};

function isWeighted(body: JsonObject): boolean {
  return body.text_prompts != null;
}

function readPrompt(fields: Fields): ImageRequest {
  const { prompt, mode, image, aspect_ratio, negative_prompt, output_format } = fields;
  const way = mode == null ? undefined : readWord(mode, "mode", ["text-to-image", "image-to-image"]);
  if (way === "text-to-image" && image != null) throw refuseField("image", "goes with the mode image-to-image");
  const isEdit = way === "image-to-image" || image != null;
  const negative = negative_prompt == null ? "" : readText(negative_prompt, "negative_prompt");
  return {
    task: isEdit ? "edit" : "generate",
    prompt: readName(prompt, "prompt"),
    promptPath: "prompt",
    negativePrompt: negative === "" ? undefined : { value: negative, path: "negative_prompt" },
    images: isEdit ? [readImage(image, "image")] : [],
    count: { value: 1, path: "" },
    size: aspect_ratio == null ? undefined : readRatio(aspect_ratio),
    seed: readSeed(fields),
    quality: undefined,
    format:
      output_format == null
        ? undefined
        : { value: readWord(output_format, "output_format", formats), path: "output_format" },
    ignored: knobsIn(fields),
  };
}

function readWeighted(fields: Fields): ImageRequest {
  const { text_prompts, init_image, width, height, samples } = fields;
  const prompts = readSome(text_prompts, "text_prompts", readWeightedPrompt);
  const wanted = prompts.filter(({ weight }) => weight > 0);
  const unwanted = prompts.filter(({ weight }) => weight < 0);
  const [first] = unwanted;
  if (wanted.length === 0) throw refuseField("text_prompts", "must have a text of positive weight");
  return {
    task: init_image == null ? "generate" : "edit",
    prompt: joined(wanted),
    promptPath: "text_prompts",
    negativePrompt: first === undefined ? undefined : { value: joined(unwanted), path: first.path },
    images: init_image == null ? [] : [readImage(init_image, "init_image")],
    count: { value: samples == null ? 1 : readCount(samples, "samples"), path: "samples" },
    size: readPixels(width, height),
    seed: readSeed(fields),
    quality: undefined,
    format: undefined,
    ignored: [
      ...prompts.filter(({ weight }) => Math.abs(weight) !== 1).map(({ path }) => `${path}.weight`),
      ...knobsIn(fields),
    ],
  };
}

interface WeightedPrompt {
  readonly text: string;
  readonly weight: number;
  readonly path: string;
}

function readWeightedPrompt(value: unknown, path: string): WeightedPrompt {
  const { text, weight } = readObject(value, path, weightedPromptFields);
  return {
    text: readName(text, `${path}.text`),
    weight: weight == null ? 1 : readNumber(weight, `${path}.weight`),
    path,
  };
}

function joined(prompts: readonly WeightedPrompt[]): string {
  return prompts.map(({ text }) => text).join("\n");
}

function readImage(value: unknown, path: string): ImageRequest["images"][number] {
  return { value: readBareImage(value, path), path };
}

function readSeed({ seed }: Fields): Placed<number> | undefined {
  return seed == null ? undefined : { value: readInteger(seed, "seed"), path: "seed" };
}

function readRatio(value: unknown): ImageSize {
  const [, width, height] = /^([1-9]\d?):([1-9]\d?)$/.exec(readText(value, "aspect_ratio")) ?? [];
  if (width === undefined || height === undefined) {
    throw refuseField("aspect_ratio", "must be two numbers with a colon between them, e.g. 16:9");
  }
  return { width: Number(width), height: Number(height), isRatio: true, paths: ["aspect_ratio"] };
}

/** Where one side is missing, it is as long as the model draws by itself. */
function readPixels(width: unknown, height: unknown): ImageSize | undefined {
  if (width == null && height == null) return undefined;
  const side = (value: unknown, path: string) => (value == null ? defaultSide : readCount(value, path));
  return {
    width: side(width, "width"),
    height: side(height, "height"),
    isRatio: false,
    paths: ["width", "height"],
  };
}

const defaultSide = 1024;

function knobsIn(fields: Fields): readonly string[] {
  return knobs.filter((name) => fields[name] != null);
}
