/**
 * Names of tools. MCP servers use names that are too long or have dots, slashes and colons in them, and models invent
 * names: what a target does not take is replaced by a cleaned and digested name, and put back in the answer.
 */
import { digest } from "./digest.ts";

export interface NameRule {
  /** Matches the names that may stay as they are. */
  readonly fits: RegExp;
  readonly maxLength: number;
}

/** OpenAI, Anthropic, Mistral, Cohere: 1 to 64 letters, digits, `_` and `-`. */
export const commonNames: NameRule = { fits: /^[\w-]{1,64}$/, maxLength: 64 };

/** Gemini: must begin with a letter or `_`. */
export const geminiNames: NameRule = { fits: /^[a-zA-Z_][\w-]{0,63}$/, maxLength: 64 };

const digestLength = 8;

/** The name as the target takes it; unchanged where it fits. */
export function sendableName(name: string, rule: NameRule): string {
  if (rule.fits.test(name)) return name;
  const clean = name.replace(/[^\w-]+/g, "_").slice(0, rule.maxLength - digestLength - 2);
  const candidate = `${clean}_${digest(name, digestLength)}`;
  return rule.fits.test(candidate) ? candidate : `_${candidate}`;
}

/** The names of one conversation, and the way back to the client's. */
export class ToolNames {
  readonly #rule: NameRule;
  readonly #changed = new Map<string, string>();

  constructor(rule: NameRule) {
    this.#rule = rule;
  }

  /** The name as the target takes it. */
  send(name: string): string {
    const sent = sendableName(name, this.#rule);
    if (sent !== name) this.#changed.set(sent, name);
    return sent;
  }

  /** Sent name to client's name, of those that were changed. */
  get changed(): ReadonlyMap<string, string> {
    return this.#changed;
  }
}
