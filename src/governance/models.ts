/** Lists of models as permissions have them: ids, `provider/model`, `regex:…`, `*`. Compared without case. */
import { RE2JS } from "re2js";

const regexPrefix = "regex:";

/** A model id that is longer matches no pattern: time grows with it, and it comes from the client. */
export const longestMatched = 1024;

/** Steps of a compiled pattern. With the length of what it is matched against it bounds the time. */
const largestProgram = 1000;

/**
 * Compiles a pattern of RE2's syntax, which takes time in proportion to the text whatever the pattern.
 *
 * @throws Error saying what is wrong with it, or that it is too large
 */
export function compilePattern(pattern: string, flags = 0): RE2JS {
  const compiled = RE2JS.compile(pattern, flags);
  if (compiled.programSize() > largestProgram) throw new Error("the pattern is too large");
  return compiled;
}

/** What is wrong with an entry of a list of models; undefined when nothing is. */
export function problemOfEntry(entry: string): string | undefined {
  if (!entry.startsWith(regexPrefix)) return undefined;
  try {
    compilePattern(entry.slice(regexPrefix.length), RE2JS.CASE_INSENSITIVE);
    return undefined;
  } catch (error) {
    return `is not a valid regular expression: ${error instanceof Error ? error.message : String(error)}`;
  }
}

export class ModelList {
  readonly #all: boolean;
  readonly #names: ReadonlySet<string>;
  readonly #patterns: readonly RE2JS[];

  /**
   * @param provider the provider whose models the list is about
   * @throws Error for a pattern that is none
   */
  constructor(entries: readonly string[], provider: string) {
    this.#all = entries.includes("*");
    this.#patterns = entries
      .filter((entry) => entry.startsWith(regexPrefix))
      .map((entry) => compilePattern(entry.slice(regexPrefix.length), RE2JS.CASE_INSENSITIVE));
    const prefix = `${provider.toLowerCase()}/`;
    const names = entries.filter((entry) => !entry.startsWith(regexPrefix)).map((entry) => entry.toLowerCase());
    this.#names = new Set([
      ...names,
      ...names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)),
    ]);
  }

  /** True when it lists everything with `*`, so that it says nothing about what there is. */
  get isOpen(): boolean {
    return this.#all;
  }

  /** True when the list cannot be asked about a model, because it has patterns and the model's id is too long for them. */
  cannotTell(model: string): boolean {
    return this.#patterns.length > 0 && model.length > longestMatched;
  }

  has(model: string): boolean {
    if (this.#all || this.#names.has(model.toLowerCase())) return true;
    if (model.length > longestMatched) return false;
    return this.#patterns.some((pattern) => pattern.testExact(model));
  }
}
