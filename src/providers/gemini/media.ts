/** Media as Gemini's `inlineData`. */
import type { AudioFormat } from "../../bedrock/converse.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import type { AudioPart, DocumentPart, ImagePart, VideoPart } from "../prepared.ts";

export type MediaPart = ImagePart | DocumentPart | VideoPart | AudioPart;

/** Google's own names of the audio formats it takes; they differ from the registered ones. */
export const audioNames: ReadonlyMap<AudioFormat, string> = new Map([
  ["mp3", "audio/mp3"],
  ["opus", "audio/opus"],
  ["wav", "audio/wav"],
  ["aac", "audio/aac"],
  ["x-aac", "audio/x-aac"],
  ["flac", "audio/flac"],
  ["mp4", "audio/mp4"],
  ["ogg", "audio/ogg"],
  ["m4a", "audio/m4a"],
  ["mpeg", "audio/mpeg"],
  ["mpga", "audio/mpga"],
  ["pcm", "audio/pcm"],
  ["webm", "audio/webm"],
]);

const emptyDocument = "(empty document)";

const resultTypes: ReadonlySet<string> = new Set([
  "image/png",
  "image/jpeg",
  "image/webp",
  "application/pdf",
  "text/plain",
]);

/** True for what a function's response takes in its `parts`. */
export function fitsIntoResult(media: MediaPart): boolean {
  return resultTypes.has(mimeType(media));
}

/** `{inlineData: {mimeType, data}}`; base64 goes through as it came. A document's context is not in it. */
export function inlineMedia(media: MediaPart): JsonObject {
  return { inlineData: { mimeType: mimeType(media), data: dataOf(media) } };
}

function mimeType(media: MediaPart): string {
  if (media.kind === "audio") return audioNames.get(media.format) ?? media.mediaType;
  // Vertex knows only plain text; the others are read as that everywhere.
  if (media.kind === "document" && media.format !== "pdf") return "text/plain";
  return media.mediaType;
}

function dataOf(media: MediaPart): string {
  if (media.kind !== "document") return media.bytes;
  const { source } = media;
  if ("bytes" in source) return source.bytes;
  const text = "text" in source ? source.text : source.chunks.join("\n\n");
  // Data without a byte is refused.
  return Buffer.from(text === "" ? emptyDocument : text, "utf8").toString("base64");
}
