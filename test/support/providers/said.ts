/** What a model says, before a provider's own form is given to it: one script for all fakes. */
import type { JsonObject } from "../../../src/bedrock/json.ts";

export interface Said {
  readonly reasoning?: { readonly text: string; readonly signature?: string };
  /** Reasoning nobody may read; only Anthropic has it. */
  readonly redacted?: string;
  readonly text?: string;
  readonly calls?: readonly Call[];
  /** By default the answer is complete, or waits for its calls. */
  readonly stop?: "length" | "filtered";
  /** Cached input tokens are a part of `input`. */
  readonly usage?: { readonly input: number; readonly output: number; readonly cached?: number };
}

export interface Call {
  readonly id: string;
  readonly name: string;
  readonly input: JsonObject;
  /** Gemini's, which signs calls. */
  readonly signature?: string;
}

/** What was used where a script does not say. */
export const usual = { input: 21, output: 9 };

/** Cuts a text into pieces of so many characters. */
export function pieces(text: string, size: number): string[] {
  const cut: string[] = [];
  for (let at = 0; at < text.length; at += size) cut.push(text.slice(at, at + size));
  return cut;
}
