/** What the models behind Gemini's API differ in. Unknown and newer Gemini models are taken for the newest generation. */
import type { Target } from "../dialect.ts";

export interface ModelTraits {
  readonly thinking: Thinking;
  /** Calls in the history must carry the model's signature (Gemini 3 and later: a 400 otherwise). */
  readonly signsCalls: boolean;
  /** Images and documents may stand inside a function's response; else they follow it. */
  readonly mediaInResults: boolean;
  /** An answer's schema and tools may be asked for together. */
  readonly schemaBesideTools: boolean;
  /** There is a system instruction; Gemma reads it in the first user turn. */
  readonly systemInstruction: boolean;
  /** Draws images: then the signatures of text count as well. */
  readonly drawsImages: boolean;
}

/**
 * How thinking is asked for: not at all, by tokens (Gemini 2.5), or by a word (Gemini 3 and later, where it cannot be
 * switched off).
 */
export type Thinking =
  | { readonly kind: "none" }
  | { readonly kind: "budget"; readonly least: number; readonly most: number; readonly canBeOff: boolean }
  /** The words in rising order. */
  | { readonly kind: "level"; readonly words: readonly [string, ...string[]] };

interface Version {
  readonly major: number;
  readonly minor: number;
}

const newest: Version = { major: 99, minor: 0 };

/** Source: the model pages of ai.google.dev and of Vertex AI, as of October 2026. */
export function traitsOf({ model, baseModel }: Pick<Target, "model" | "baseModel">): ModelTraits {
  const name = (baseModel ?? model).split("/").at(-1)?.toLowerCase() ?? "";
  const version = versionOf(name);
  const isThird = version.major >= 3;
  const drawsImages = /-image(?:-|$)/.test(name);
  return {
    thinking: thinkingOf(name, version, drawsImages),
    signsCalls: isThird,
    mediaInResults: isThird,
    schemaBesideTools: isThird,
    systemInstruction: !name.startsWith("gemma"),
    drawsImages,
  };
}

/** Version 0 is no Gemini. */
function versionOf(name: string): Version {
  if (!name.startsWith("gemini-")) return { major: 0, minor: 0 };
  const found = /^gemini-(\d+)(?:\.(\d+))?(?=-|$)/.exec(name);
  if (found !== null) return { major: Number(found[1]), minor: Number(found[2] ?? 0) };
  if (/^gemini-(?:pro|ultra)(?:-vision)?$/.test(name)) return { major: 1, minor: 0 };
  if (name.startsWith("gemini-exp-")) return { major: 2, minor: 0 };
  if (name.startsWith("gemini-robotics-er-1.5")) return { major: 2, minor: 5 };
  return newest;
}

function thinkingOf(name: string, { major, minor }: Version, drawsImages: boolean): Thinking {
  if (major < 2 || (major === 2 && minor < 5)) return { kind: "none" };
  if (major === 2) {
    if (drawsImages) return { kind: "none" };
    if (name.includes("-pro")) return { kind: "budget", least: 128, most: 32_768, canBeOff: false };
    const least = name.includes("-flash-lite") ? 512 : 1;
    return { kind: "budget", least, most: 24_576, canBeOff: true };
  }
  if (drawsImages) {
    return name.includes("-pro")
      ? { kind: "budget", least: 128, most: 32_768, canBeOff: false }
      : { kind: "level", words: ["minimal", "high"] };
  }
  if (name.includes("-pro") && major === 3 && minor === 0) return { kind: "level", words: ["low", "high"] };
  const takesMinimal = name.includes("-flash-lite") || (name.includes("-flash") && major === 3 && minor < 7);
  return { kind: "level", words: takesMinimal ? ["minimal", "low", "medium", "high"] : ["low", "medium", "high"] };
}
