/** The content of one message for the provider, part by part. */
import { dataUrl } from "../chat/attachments.ts";
import type { AudioPart, CachePart, DocumentPart, ImagePart } from "../prepared.ts";

export type Part = TextPiece | MediaPiece;

export interface TextPiece {
  readonly type: "text";
  readonly text: string;
  readonly cache_control?: CacheControl;
}

export type MediaPiece =
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } }
  | { readonly type: "file"; readonly file: { readonly filename: string; readonly file_data: string } }
  | { readonly type: "input_audio"; readonly input_audio: { readonly data: string; readonly format: string } };

interface CacheControl {
  readonly type: "ephemeral";
  readonly ttl?: string;
}

/** Media that a user's message can hold. */
export type Media = ImagePart | DocumentPart | AudioPart;

/** Collects parts, and gives them in the simplest form that holds them. */
export class Content {
  readonly #parts: Part[] = [];

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  text(text: string): void {
    this.#parts.push({ type: "text", text });
  }

  media(media: Media): void {
    if (media.kind === "document" && media.context !== undefined) this.text(media.context);
    this.#parts.push(mediaPiece(media));
  }

  /** Marks the last text as the end of what is to be cached; false when there is none. */
  mark(point: CachePart): boolean {
    const last = this.#parts.findLastIndex((part) => part.type === "text");
    const part = this.#parts[last];
    if (part?.type !== "text") return false;
    this.#parts[last] = { ...part, cache_control: cacheControl(point) };
    return true;
  }

  /** @param textParts several texts stay apart; otherwise they are joined by an empty line */
  build(textParts: boolean): string | readonly Part[] {
    const texts: string[] = [];
    for (const part of this.#parts) {
      if (part.type !== "text" || part.cache_control !== undefined) return this.#parts;
      texts.push(part.text);
    }
    return textParts && texts.length > 1 ? this.#parts : texts.join("\n\n");
  }
}

function cacheControl({ ttl }: CachePart): CacheControl {
  return { type: "ephemeral", ...(ttl !== undefined && { ttl }) };
}

function mediaPiece(media: Media): MediaPiece {
  switch (media.kind) {
    case "image":
      return { type: "image_url", image_url: { url: dataUrl(media.mediaType, media.bytes) } };
    case "audio":
      return { type: "input_audio", input_audio: { data: media.bytes, format: media.format } };
    case "document":
      // A file without a name is refused.
      return { type: "file", file: { filename: `${media.name}.${media.format}`, file_data: documentUrl(media) } };
  }
}

function documentUrl({ mediaType, source }: DocumentPart): string {
  if ("bytes" in source) return dataUrl(mediaType, source.bytes);
  const text = "text" in source ? source.text : source.chunks.join("\n\n");
  return dataUrl(mediaType, Buffer.from(text, "utf8").toString("base64"));
}
