/** Images: drawn by Gemini's own image models with `generateContent`, or by Imagen with `predict`. */
import { refuseField } from "../../bedrock/errors.ts";
import type { ImageRequest } from "../../bedrock/families/family.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import { listOf, objectOf, textOf } from "../answer.ts";
import type { Encoded, Images, Memo, ProviderAnswer, ProviderFailure, Target } from "../dialect.ts";
import { failureFor, readInnerFailure } from "../failures.ts";
import { chooseSize } from "../image-sizes.ts";
import { imageTypes } from "../media.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { embedMemo } from "../vectors.ts";
import { jsonRequest } from "./encode.ts";
import { failureHints } from "./failure.ts";
import { stopReasonOf } from "./finish.ts";
import { methodPath } from "./path.ts";
import { rulesFor } from "./rules.ts";

const geminiShapes = ["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"] as const;
const imagenShapes = ["1:1", "3:4", "4:3", "9:16", "16:9"] as const;

/** The one shape that all of these models draw in the same size unless told otherwise. */
const drawn = { "1:1": "1024x1024" } as const;
const mostOfImagen = 4;

/** A seed is a signed number of 32 bits. */
const largestSeed = 2 ** 31 - 1;

/** @throws BedrockError ValidationException for what the model cannot be told, by the field's path */
export function encodeImage(request: ImageRequest, target: Target): Encoded {
  const { prompt, promptPath, quality } = request;
  if (prompt === undefined) throw refuseField(promptPath, "is required: the provider changes images by words alone");
  const { method, body, ignored } = isImagen(target)
    ? imagenBody(request, prompt)
    : geminiBody(request, prompt, target);
  return {
    request: jsonRequest(methodPath(target, method), body),
    ignored: quality === undefined ? ignored : [...ignored, quality.path],
    memo: embedMemo([prompt], target),
  };
}

export function decodeImage(answer: ProviderAnswer, memo: Memo): Images | ProviderFailure {
  const body = readJson(answer);
  if (isFailure(body)) return body;
  const failure = readInnerFailure(body, memo.target, failureHints);
  if (failure !== undefined) return failure;
  return isImagen(memo.target) ? readImagen(body, memo.target) : readGemini(body, memo.target);
}

function isImagen({ model, baseModel = model }: Target): boolean {
  return /(?:^|\/)imagen-/.test(baseModel);
}

interface Call {
  readonly method: string;
  readonly body: JsonObject;
  readonly ignored: readonly string[];
}

/** Words that are not wanted in the image become a sentence of the prompt. */
function geminiBody(request: ImageRequest, prompt: string, target: Target): Call {
  const { negativePrompt, images, count, seed, format } = request;
  if (count.value > 1) throw refuseField(count.path, `must be 1 for this model, not ${count.value}`);
  const accepted = rulesFor(target).images;
  const odd = images.find(({ value }) => !accepted.has(value.format));
  if (odd !== undefined) throw refuseField(odd.path, `must be a ${[...accepted].join(", ")} image for this provider`);
  const size = chooseSize(request.size, geminiShapes, drawn);
  const takesSeed = seed !== undefined && Math.abs(seed.value) <= largestSeed;
  const text = negativePrompt === undefined ? prompt : `${prompt}\n\nThe image must not show: ${negativePrompt.value}`;
  const parts = [
    ...images.map(({ value }) => ({ inlineData: { mimeType: imageTypes[value.format], data: value.source.bytes } })),
    { text },
  ];
  return {
    method: "generateContent",
    body: {
      contents: [{ role: "user", parts }],
      generationConfig: {
        responseModalities: ["IMAGE"],
        ...(size.name !== undefined && { imageConfig: { aspectRatio: size.name } }),
        ...(takesSeed && { seed: seed.value }),
      },
    },
    ignored: [
      ...size.ignored,
      ...(seed !== undefined && !takesSeed ? [seed.path] : []),
      ...(format === undefined ? [] : [format.path]),
    ],
  };
}

/** Imagen takes a seed only for images without its watermark, which is not the client's to leave out. */
function imagenBody(request: ImageRequest, prompt: string): Call {
  const { negativePrompt, images, count, seed, format } = request;
  const [first] = images;
  if (first !== undefined) throw refuseField(first.path, "the model draws from words alone");
  if (negativePrompt !== undefined) {
    throw refuseField(negativePrompt.path, "cannot be said to this model; say it in the prompt");
  }
  if (count.value > mostOfImagen) {
    throw refuseField(count.path, `must be at most ${mostOfImagen} for this model, not ${count.value}`);
  }
  const size = chooseSize(request.size, imagenShapes, drawn);
  const takesFormat = format !== undefined && format.value !== "webp";
  return {
    method: "predict",
    body: {
      instances: [{ prompt }],
      parameters: {
        sampleCount: count.value,
        includeRaiReason: true,
        ...(size.name !== undefined && { aspectRatio: size.name }),
        ...(takesFormat && { outputOptions: { mimeType: imageTypes[format.value] } }),
      },
    },
    ignored: [
      ...size.ignored,
      ...(seed === undefined ? [] : [seed.path]),
      ...(format !== undefined && !takesFormat ? [format.path] : []),
    ],
  };
}

function readGemini(body: JsonObject, target: Target): Images | ProviderFailure {
  const candidate = objectOf(listOf(body.candidates)[0]);
  const parts = listOf(objectOf(candidate.content).parts).map(objectOf);
  const images = parts.flatMap(({ inlineData, thought }) => {
    const { mimeType, data } = objectOf(inlineData);
    // Drafts are a part of the model's thinking.
    const isImage = thought !== true && textOf(mimeType).startsWith("image/") && textOf(data) !== "";
    return isImage ? [textOf(data)] : [];
  });
  if (images.length > 0) return { kind: "images", images };
  const blockReason = textOf(objectOf(body.promptFeedback).blockReason);
  const reason = blockReason === "" ? textOf(candidate.finishReason) : blockReason;
  if (blockReason !== "" || stopReasonOf(reason, false) === "content_filtered") {
    return failureFor("filtered", `The provider gave no image: ${textOf(candidate.finishMessage) || reason}.`, target);
  }
  const said = parts.filter(({ thought }) => thought !== true).map(({ text }) => textOf(text));
  return nonsense(`The provider's answer has no image in it. ${said.join("").slice(0, longestSaying)}`.trim());
}

const longestSaying = 500;

function readImagen(body: JsonObject, target: Target): Images | ProviderFailure {
  const predictions = listOf(body.predictions).map(objectOf);
  const images = predictions.map((one) => textOf(one.bytesBase64Encoded)).filter((base64) => base64 !== "");
  const withheld = predictions.map((one) => textOf(one.raiFilteredReason)).find((reason) => reason !== "");
  if (images.length > 0) return { kind: "images", images, ...(withheld !== undefined && { withheld }) };
  if (withheld !== undefined) return failureFor("filtered", withheld, target);
  return nonsense("The provider's answer has no image in it.");
}
