/** Amazon Titan Image Generator and Nova Canvas. */
import { refuseField } from "../errors.ts";
import { isJsonObject, type JsonObject } from "../json.ts";
import {
  type Fields,
  readAnyObject,
  readCount,
  readInteger,
  readName,
  readObject,
  readSome,
  readText,
  readWord,
} from "../reading.ts";
import type { ImageFamily, ImageRequest } from "./family.ts";
import { readBareImage } from "./images.ts";

/** The member that holds a task's own parameters. */
const paramsOf = {
  TEXT_IMAGE: "textToImageParams",
  IMAGE_VARIATION: "imageVariationParams",
  INPAINTING: "inPaintingParams",
  OUTPAINTING: "outPaintingParams",
  COLOR_GUIDED_GENERATION: "colorGuidedGenerationParams",
  BACKGROUND_REMOVAL: "backgroundRemovalParams",
} as const;
const tasks = ["TEXT_IMAGE", "IMAGE_VARIATION"] as const;

const textFields = new Set(["text", "negativeText"]);
const variationFields = new Set(["text", "negativeText", "images", "similarityStrength"]);
const configFields = new Set(["numberOfImages", "quality", "width", "height", "cfgScale", "seed"]);
const config = "imageGenerationConfig";
const defaultSide = 1024;
const mostImages = 5;

const noEquivalent = "has no equivalent at other providers; leave it out";

/** Members that change what is seen, and mean something to this model alone. */
const ownMembers = ["conditionImage", "controlMode", "controlStrength", "style"];

const masks = ["maskImage", "maskPrompt"];
const noMasks = "other providers have no such masks";

/** The other tasks, the members that make them what they are, and why nobody else is asked for them. */
const unheld: readonly (readonly [task: string, params: string, members: readonly string[], reason: string])[] = [
  ["INPAINTING", paramsOf.INPAINTING, masks, noMasks],
  ["OUTPAINTING", paramsOf.OUTPAINTING, masks, noMasks],
  ["COLOR_GUIDED_GENERATION", paramsOf.COLOR_GUIDED_GENERATION, ["colors"], noEquivalent],
  ["BACKGROUND_REMOVAL", paramsOf.BACKGROUND_REMOVAL, [], "other providers do not remove backgrounds"],
];

/** Whether a body is written in this format, whatever model it is for. */
export function isImageTask(body: JsonObject): boolean {
  return typeof body.taskType === "string" && Object.values(paramsOf).some((name) => isJsonObject(body[name]));
}

/**
 * `{taskType, …Params, imageGenerationConfig}` → `{images, error}`.
 *
 * TEXT_IMAGE and IMAGE_VARIATION are read. The other tasks need a mask, a palette or a model of their own, which nobody
 * else has; they are refused by the member that says so.
 */
export const titanImage: ImageFamily = {
  kind: "image",
  name: "titan-image",

  read(body) {
    const params = Object.entries(paramsOf).find(([task]) => task === body.taskType)?.[1];
    const known = new Set(["taskType", config, ...(params === undefined ? [] : [params])]);
    const { taskType, ...fields } = readObject(body, "", known);
    refuseUnheld(taskType, fields);
    const common = readConfig(fields[config]);
    return readWord(taskType, "taskType", tasks) === "TEXT_IMAGE"
      ? { ...common, ...readGeneration(fields.textToImageParams) }
      : readVariation(fields.imageVariationParams, common);
  },

  write(images, withheld) {
    return { images, error: withheld ?? null };
  },
};

function refuseUnheld(taskType: unknown, fields: Fields): void {
  const found = unheld.find(([task]) => task === taskType);
  if (found === undefined) return;
  const [task, params, members, reason] = found;
  const given = readAnyObject(fields[params], params);
  const member = members.find((name) => given[name] != null);
  throw member === undefined
    ? refuseField("taskType", `${task} cannot be served: ${reason}`)
    : refuseField(`${params}.${member}`, reason);
}

type Task = Pick<ImageRequest, "task" | "prompt" | "promptPath" | "negativePrompt" | "images">;

function readGeneration(value: unknown): Task {
  const path = paramsOf.TEXT_IMAGE;
  const params = readAnyObject(value, path);
  for (const name of ownMembers) if (params[name] != null) throw refuseField(`${path}.${name}`, noEquivalent);
  const { text, negativeText } = readObject(withoutOwn(params), path, textFields);
  return {
    task: "generate",
    prompt: readName(text, `${path}.text`),
    promptPath: `${path}.text`,
    negativePrompt: readNegative(negativeText, path),
    images: [],
  };
}

function withoutOwn(params: Fields): Fields {
  return Object.fromEntries(Object.entries(params).filter(([name]) => !ownMembers.includes(name)));
}

function readVariation(value: unknown, common: Common): ImageRequest {
  const path = paramsOf.IMAGE_VARIATION;
  const { text, negativeText, images, similarityStrength } = readObject(value, path, variationFields);
  const prompt = text == null ? "" : readText(text, `${path}.text`);
  return {
    ...common,
    task: "vary",
    prompt: prompt === "" ? undefined : prompt,
    promptPath: `${path}.text`,
    negativePrompt: readNegative(negativeText, path),
    images: readSome(images, `${path}.images`, (image, place) => ({ value: readBareImage(image, place), path: place })),
    ignored: [...common.ignored, ...(similarityStrength == null ? [] : [`${path}.similarityStrength`])],
  };
}

function readNegative(value: unknown, params: string): ImageRequest["negativePrompt"] {
  const path = `${params}.negativeText`;
  const text = value == null ? "" : readText(value, path);
  return text === "" ? undefined : { value: text, path };
}

type Common = Omit<ImageRequest, keyof Task>;

function readConfig(value: unknown): Common {
  const fields = value == null ? {} : readObject(value, config, configFields);
  const { numberOfImages, quality, width, height, cfgScale, seed } = fields;
  const count = numberOfImages == null ? 1 : readCount(numberOfImages, `${config}.numberOfImages`);
  if (count > mostImages) throw refuseField(`${config}.numberOfImages`, `must be at most ${mostImages}, not ${count}`);
  return {
    count: { value: count, path: `${config}.numberOfImages` },
    size: readSize(width, height),
    seed: seed == null ? undefined : { value: readInteger(seed, `${config}.seed`), path: `${config}.seed` },
    quality:
      quality == null
        ? undefined
        : {
            value: readWord(quality, `${config}.quality`, ["standard", "premium"]),
            path: `${config}.quality`,
          },
    format: undefined,
    ignored: cfgScale == null ? [] : [`${config}.cfgScale`],
  };
}

function readSize(width: unknown, height: unknown): ImageRequest["size"] {
  if (width == null && height == null) return undefined;
  const side = (value: unknown, name: string) => (value == null ? defaultSide : readCount(value, `${config}.${name}`));
  return {
    width: side(width, "width"),
    height: side(height, "height"),
    isRatio: false,
    paths: [`${config}.width`, `${config}.height`],
  };
}
