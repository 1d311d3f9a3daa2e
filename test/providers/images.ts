/** Requests for images, as tests begin with them. */
import type { ImageRequest, ImageSize } from "../../src/bedrock/families/family.ts";

export const png = "iVBORw0KGgoAAAA=";
export const gif = "R0lGODdh";

export function imageRequest(changes: Partial<ImageRequest> = {}): ImageRequest {
  return {
    task: "generate",
    prompt: "A fox",
    promptPath: "prompt",
    negativePrompt: undefined,
    images: [],
    count: { value: 1, path: "samples" },
    size: undefined,
    seed: undefined,
    quality: undefined,
    format: undefined,
    ignored: [],
    ...changes,
  };
}

export function pixels(width: number, height: number): ImageSize {
  return { width, height, isRatio: false, paths: ["width", "height"] };
}

export function ratio(width: number, height: number): ImageSize {
  return { width, height, isRatio: true, paths: ["aspect_ratio"] };
}

export function sentImage(bytes: string, path = "image"): ImageRequest["images"][number] {
  return { value: { format: bytes === gif ? "gif" : "png", source: { bytes } }, path };
}
