/** What Gemini takes of a conversation. */
import type { Target } from "../dialect.ts";
import { type Rules, textOnly } from "../rules.ts";
import { bedrockIds } from "../tool-ids.ts";
import { geminiNames } from "../tool-names.ts";
import { audioNames } from "./media.ts";

export function isVertex(target: Target): boolean {
  return target.kind === "vertex";
}

/** Signatures are good only where they were made: the Gemini API refuses Vertex's, and the reverse. */
export function familyOf(target: Target): string {
  return isVertex(target) ? "gemini-vertex" : "gemini";
}

export function rulesFor(target: Target): Rules {
  return {
    family: familyOf(target),
    ids: bedrockIds,
    names: geminiNames,
    ...textOnly,
    userFirst: true,
    reasoning: "own",
    maxStops: 5,
    // Google's list has no GIF.
    images: new Set(["png", "jpeg", "webp"]),
    documents: new Set(["pdf", "txt", "md", "csv", "html"]),
    videos: new Set(["mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]),
    audios: new Set(audioNames.keys()),
    topK: true,
    strictTools: true,
    systemTools: new Set(["nova_grounding", "nova_code_interpreter"]),
  };
}
