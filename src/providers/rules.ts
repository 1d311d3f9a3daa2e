/** What a dialect tells the preparation about its target: alphabets, media, and what has a place there at all. */
import type { AudioFormat, DocumentFormat, ImageFormat, VideoFormat } from "../bedrock/converse.ts";
import type { IdRule } from "./tool-ids.ts";
import type { NameRule } from "./tool-names.ts";

export interface Rules {
  /** Whose reasoning signatures these are, e.g. `anthropic`; a signature is only good for its own family and model. */
  readonly family: string;
  readonly ids: IdRule;
  readonly names: NameRule;
  /** `fold`: a system message between the others becomes tagged text in the user's turn. */
  readonly systemTurns: "keep" | "fold";
  /** The conversation has to begin with a user's turn: one is put before it where it does not. */
  readonly userFirst: boolean;
  /** Claude wants the blank text beside its signed reasoning back as it was. */
  readonly keepBlankBesideReasoning: boolean;
  /**
   * Which reasoning of earlier turns is kept: all of it (redacted blocks only of this family and model), only what this
   * family and model signed, or none.
   */
  readonly reasoning: "all" | "own" | "none";
  /** Calls in the history without any tool defined: define those tools anew, since the target wants them. */
  readonly toolsFromHistory: boolean;
  /** How many stop sequences the target takes. */
  readonly maxStops: number;
  /** Formats carried as such. An image of another format is refused. */
  readonly images: ReadonlySet<ImageFormat>;
  /** Formats carried as documents. Of the others, text formats are written into the text, and the rest is refused. */
  readonly documents: ReadonlySet<DocumentFormat>;
  readonly videos: ReadonlySet<VideoFormat>;
  readonly audios: ReadonlySet<AudioFormat>;
  /** Search results have a block of their own; else they become text. */
  readonly searchResults: boolean;
  /** The target can cite documents and search results. */
  readonly citations: boolean;
  /** Text of the history keeps the citations it came with. */
  readonly citedText: boolean;
  readonly cachePoints: boolean;
  readonly topK: boolean;
  /** Claude's beta switches mean something to the target. */
  readonly anthropicBeta: boolean;
  /** `strict` of a tool has an equivalent. */
  readonly strictTools: boolean;
  /** Names of Bedrock's system tools that the target has an equivalent for; others are refused. */
  readonly systemTools: ReadonlySet<string>;
}

const nothing: ReadonlySet<never> = new Set();

/**
 * A target that carries text and tools and nothing else: spread it behind what it does not say, for Node 20 makes a hidden
 * class per object of new fields behind a spread, and say what is different.
 */
export const textOnly = {
  systemTurns: "fold",
  userFirst: false,
  keepBlankBesideReasoning: false,
  reasoning: "none",
  toolsFromHistory: false,
  maxStops: 4,
  images: nothing,
  documents: nothing,
  videos: nothing,
  audios: nothing,
  searchResults: false,
  citations: false,
  citedText: false,
  cachePoints: false,
  topK: false,
  anthropicBeta: false,
  strictTools: false,
  systemTools: nothing,
} as const satisfies Partial<Rules>;

/** All of Converse's image formats. */
export const allImages: ReadonlySet<ImageFormat> = new Set(["png", "jpeg", "gif", "webp"]);
