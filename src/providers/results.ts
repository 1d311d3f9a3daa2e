/** Tool results for targets that take only text. */
import { inlineDocument } from "./media.ts";
import type { DocumentPart, ImagePart, ResultPart, ToolResultPart, VideoPart } from "./prepared.ts";

export type ResultMedia = ImagePart | DocumentPart | VideoPart;

/** What stands for a result without content: several providers refuse an empty one. */
export const noOutput = "(no output)";

/**
 * The result as text, one part a line: JSON compact, an error marked as such since there is no field for it.
 *
 * @param describe what to write for a part that is no text; by default documents are written out, and other media
 *   leave nothing
 */
export function resultText(
  result: ToolResultPart,
  describe: (media: ResultMedia) => string = (media) => (media.kind === "document" ? inlineDocument(media) : ""),
): string {
  const lines = result.content.map((part) => partText(part, describe)).filter((line) => line !== "");
  const text = lines.length === 0 ? noOutput : lines.join("\n");
  return result.failed ? `Error: ${text}` : text;
}

/** The parts of a result that are no text, in order. */
export function resultMedia(result: ToolResultPart): readonly ResultMedia[] {
  return result.content.filter(
    (part): part is ResultMedia => part.kind === "image" || part.kind === "document" || part.kind === "video",
  );
}

function partText(part: ResultPart, describe: (media: ResultMedia) => string): string {
  switch (part.kind) {
    case "text":
      return part.text;
    case "json":
      return JSON.stringify(part.json);
    case "searchResult":
      return searchResultText(part);
    case "image":
    case "document":
    case "video":
      return describe(part);
  }
}

/** A search result as text. */
export function searchResultText(result: {
  readonly title: string;
  readonly source: string;
  readonly content: readonly string[];
}): string {
  return [`${result.title} (${result.source})`, ...result.content].join("\n");
}
