import { inlineDocument } from "../media.ts";
import type { DocumentPart, ImagePart } from "../prepared.ts";
import type { ResultMedia } from "../results.ts";

export interface Attachment {
  /** What the text at the media's own place calls it. */
  readonly label: string;
  readonly part: ImagePart | DocumentPart;
}

/**
 * Media that stands where only text may stand: in a tool's result or in an assistant's message. A label takes its place,
 * and the media itself goes into the user's next message, behind all results of the turn.
 */
export class Attachments {
  #waiting: Attachment[] = [];
  #images = 0;

  /** Keeps the media for later. @returns the text for its place */
  add(part: ImagePart | DocumentPart): string {
    const label = part.kind === "image" ? `image ${++this.#images}` : part.name;
    this.#waiting.push({ label: `[${label}]`, part });
    return `[${label} follows]`;
  }

  /** For {@link resultText}: keeps what is no text. */
  readonly describe = (media: ResultMedia): string => {
    if (media.kind === "image") return this.add(media);
    if (media.kind === "video") return "";
    return "bytes" in media.source && media.format === "pdf" ? this.add(media) : inlineDocument(media);
  };

  /** Everything that waits, once. */
  take(): readonly Attachment[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }
}

/** The media as a URL that holds it. */
export function dataUrl(mediaType: string, base64: string): string {
  return `data:${mediaType};base64,${base64}`;
}
