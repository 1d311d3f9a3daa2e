/** Images: `/images/generations`, and `/images/edits` with a JSON body, which OpenAI's newer models take. */
import { refuseField } from "../../bedrock/errors.ts";
import type { ImageRequest } from "../../bedrock/families/family.ts";
import { listOf, objectOf, textOf } from "../answer.ts";
import type { Encoded, Images, Memo, ProviderAnswer, ProviderFailure, Target } from "../dialect.ts";
import { type ChosenSize, chooseSize, type OfferedSize } from "../image-sizes.ts";
import { imageTypes } from "../media.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { chatQuirksOf } from "../table.ts";
import { embedMemo } from "../vectors.ts";
import { innerFailure } from "./failure.ts";
import { post } from "./request.ts";

interface ImageModel {
  /** The first is as good as any where the model is not told; undefined: any in pixels. */
  readonly sizes: readonly [OfferedSize, ...OfferedSize[]] | undefined;
  /** The most images of one request; undefined: the server knows. */
  readonly most: number | undefined;
  readonly quality: { readonly standard: string; readonly premium: string } | undefined;
  /** It takes `output_format`, and never gives a URL; the others are asked for base64. */
  readonly formats: boolean;
  /** It follows instructions: what is not wanted may be said in words. */
  readonly instructed: boolean;
}

const any: ImageModel = { sizes: undefined, most: undefined, quality: undefined, formats: false, instructed: false };

/** The first that matches counts. Source: OpenAI's reference of images. */
const models: readonly (readonly [RegExp, ImageModel])[] = [
  [
    /^(?:gpt-image|chatgpt-image)/,
    {
      sizes: ["1024x1024", "1536x1024", "1024x1536"],
      most: 10,
      quality: { standard: "medium", premium: "high" },
      formats: true,
      instructed: true,
    },
  ],
  [
    /^dall-e-3/,
    {
      ...any,
      sizes: ["1024x1024", "1792x1024", "1024x1792"],
      most: 1,
      quality: { standard: "standard", premium: "hd" },
    },
  ],
  [/^dall-e-2/, { ...any, sizes: ["1024x1024", "512x512", "256x256"], most: 10 }],
];

/**
 * Words that are not wanted in the image become a sentence of the prompt where the model follows instructions.
 *
 * @throws BedrockError ValidationException for images of the client's where the model takes none as JSON, for a variation
 *   without words, and for more images than the model makes at once
 */
export function encodeImage(request: ImageRequest, target: Target): Encoded {
  const model = modelOf(target);
  const { prompt, promptPath, images, count, seed, quality, format } = request;
  refuseImages(request, target, model);
  if (prompt === undefined) throw refuseField(promptPath, "is required: the provider changes images by words alone");
  if (model.most !== undefined && count.value > model.most) {
    throw refuseField(count.path, `must be at most ${model.most} for this model, not ${count.value}`);
  }
  const size = sizeOf(request, model);
  const ignored = [...size.ignored];
  if (seed !== undefined) ignored.push(seed.path);
  if (quality !== undefined && model.quality === undefined) ignored.push(quality.path);
  if (format !== undefined && !model.formats) ignored.push(format.path);
  const body = {
    model: target.model,
    prompt: promptOf(request, prompt, model),
    ...(images.length > 0 && { images: images.map(({ value }) => ({ image_url: dataUrl(value) })) }),
    ...(count.value > 1 && { n: count.value }),
    ...(size.name !== undefined && { size: size.name }),
    ...(quality !== undefined && model.quality !== undefined && { quality: model.quality[quality.value] }),
    ...(format !== undefined && model.formats && { output_format: format.value }),
    ...(!model.formats && { response_format: "b64_json" }),
  };
  const call = images.length > 0 ? "/images/edits" : "/images/generations";
  return {
    request: post(target, chatQuirksOf(target.kind), call, body),
    ignored,
    memo: embedMemo([prompt], target),
  };
}

/** Reads `{data: [{b64_json}]}`. A URL is not fetched. */
export function decodeImage(answer: ProviderAnswer, memo: Memo): Images | ProviderFailure {
  const body = readJson(answer);
  if (isFailure(body)) return body;
  const failure = innerFailure(body, memo.target);
  if (failure !== undefined) return failure;
  const images = listOf(body.data)
    .map((entry) => textOf(objectOf(entry).b64_json))
    .filter((base64) => base64 !== "");
  return images.length === 0 ? nonsense("The provider's answer has no image in it.") : { kind: "images", images };
}

function modelOf({ model, baseModel = model }: Target): ImageModel {
  const name = baseModel.replace(/^.*\//, "");
  return models.find(([pattern]) => pattern.test(name))?.[1] ?? any;
}

/** Everybody else takes images as multipart forms, which cannot be sent from here. */
function refuseImages({ images }: ImageRequest, target: Target, { formats }: ImageModel): void {
  const [first] = images;
  if (first === undefined) return;
  if (target.kind !== "openai" || !formats) {
    throw refuseField(first.path, `the provider ${target.provider} changes no images of this model's here`);
  }
  const gif = images.find(({ value }) => value.format === "gif");
  if (gif !== undefined) throw refuseField(gif.path, "must be a png, jpeg or webp image for this provider");
}

function dataUrl({ format, source }: ImageRequest["images"][number]["value"]): string {
  return `data:${imageTypes[format]};base64,${source.bytes}`;
}

function promptOf({ negativePrompt }: ImageRequest, prompt: string, { instructed }: ImageModel): string {
  if (negativePrompt === undefined) return prompt;
  if (!instructed) throw refuseField(negativePrompt.path, "cannot be said to this model; say it in the prompt");
  return `${prompt}\n\nThe image must not show: ${negativePrompt.value}`;
}

function sizeOf({ size }: ImageRequest, { sizes }: ImageModel): ChosenSize {
  if (sizes !== undefined) return chooseSize(size, sizes);
  if (size === undefined) return { name: undefined, ignored: [] };
  return size.isRatio
    ? { name: undefined, ignored: size.paths }
    : { name: `${size.width}x${size.height}`, ignored: [] };
}
