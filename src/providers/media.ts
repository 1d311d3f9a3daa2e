/** Media types of Converse's formats, and documents written as text. */
import { isUtf8 } from "node:buffer";
import type { AudioFormat, DocumentFormat, ImageFormat, VideoFormat } from "../bedrock/converse.ts";
import { refuseField } from "../bedrock/errors.ts";
import type { DocumentPart } from "./prepared.ts";

export const imageTypes: Readonly<Record<ImageFormat, string>> = {
  png: "image/png",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
};

export const documentTypes: Readonly<Record<DocumentFormat, string>> = {
  pdf: "application/pdf",
  csv: "text/csv",
  doc: "application/msword",
  docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  xls: "application/vnd.ms-excel",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  html: "text/html",
  txt: "text/plain",
  md: "text/markdown",
};

export const videoTypes: Readonly<Record<VideoFormat, string>> = {
  mkv: "video/x-matroska",
  mov: "video/quicktime",
  mp4: "video/mp4",
  webm: "video/webm",
  flv: "video/x-flv",
  mpeg: "video/mpeg",
  mpg: "video/mpeg",
  wmv: "video/wmv",
  three_gp: "video/3gpp",
};

export const audioTypes: Readonly<Record<AudioFormat, string>> = {
  mp3: "audio/mpeg",
  opus: "audio/opus",
  wav: "audio/wav",
  aac: "audio/aac",
  flac: "audio/flac",
  mp4: "audio/mp4",
  ogg: "audio/ogg",
  mkv: "audio/x-matroska",
  mka: "audio/x-matroska",
  "x-aac": "audio/aac",
  m4a: "audio/mp4",
  mpeg: "audio/mpeg",
  mpga: "audio/mpeg",
  pcm: "audio/pcm",
  webm: "audio/webm",
};

/** The image format of a media type, for images in answers; undefined when Converse has none for it. */
export function imageFormatOf(mediaType: string): ImageFormat | undefined {
  if (mediaType === "image/jpg") return "jpeg";
  for (const format of ["png", "jpeg", "gif", "webp"] as const) {
    if (imageTypes[format] === mediaType) return format;
  }
  return undefined;
}

/** Formats that are text themselves. */
export const textFormats: ReadonlySet<DocumentFormat> = new Set(["txt", "md", "csv", "html"]);

/**
 * A document's text, decoded where it came as bytes.
 *
 * @throws BedrockError ValidationException when the format is not text, or the bytes are not base64 of UTF-8
 */
export function documentText(document: DocumentPart): string {
  const { source, format, path } = document;
  if ("text" in source) return source.text;
  if ("chunks" in source) return source.chunks.join("\n\n");
  if (!textFormats.has(format)) {
    throw refuseField(`${path}.format`, `the provider takes no ${format} documents; send the document's text instead`);
  }
  return decodeText(source.bytes, `${path}.source.bytes`);
}

/** A document as a part of the prompt, for targets without documents. */
export function inlineDocument(document: DocumentPart): string {
  const context = document.context === undefined ? "" : `${document.context}\n\n`;
  const head = `<document name="${document.name}" format="${document.format}">`;
  return `${head}\n${context}${documentText(document)}\n</document>`;
}

function decodeText(base64: string, path: string): string {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) throw refuseField(path, "is not base64");
  const bytes = Buffer.from(base64, "base64");
  if (!isUtf8(bytes)) throw refuseField(path, "is not UTF-8, and the provider takes this document only as text");
  return bytes.toString("utf8");
}
