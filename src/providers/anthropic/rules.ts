/** What Claude's API takes, for the common preparation. */
import type { DocumentFormat } from "../../bedrock/converse.ts";
import { allImages, type Rules, textOnly } from "../rules.ts";
import { anthropicIds } from "../tool-ids.ts";
import { commonNames } from "../tool-names.ts";

/** Whose signatures these are; direct and on Vertex the same. */
export const family = "anthropic";

/** PDF as it is, the others as text. */
const documents: ReadonlySet<DocumentFormat> = new Set(["pdf", "txt", "md", "csv", "html"]);

/** @param strictTools whether `strict` has a meaning for this model, here */
export function rulesFor(strictTools: boolean): Rules {
  return {
    family,
    ids: anthropicIds,
    names: commonNames,
    ...textOnly,
    userFirst: true,
    keepBlankBesideReasoning: true,
    reasoning: "own",
    toolsFromHistory: true,
    maxStops: Number.POSITIVE_INFINITY,
    images: allImages,
    documents,
    searchResults: true,
    citations: true,
    citedText: true,
    cachePoints: true,
    topK: true,
    anthropicBeta: true,
    strictTools,
  };
}
