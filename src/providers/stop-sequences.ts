/** Stop sequences for providers that take none, or fewer than Bedrock: the gateway cuts the text itself. */

/** Watches a text that arrives in pieces. */
export class StopWatch {
  readonly #stops: readonly string[];
  readonly #longest: number;
  /** The end of the text so far, which may be the beginning of a stop sequence. */
  #held = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops;
    this.#longest = Math.max(0, ...stops.map((stop) => stop.length));
  }

  /** What of the text may be shown now, and whether a stop sequence ends it here. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    if (this.#longest === 0) return { text, stopped: false };
    const seen = this.#held + text;
    const cut = firstStop(seen, this.#stops);
    if (cut !== undefined) {
      this.#held = "";
      return { text: seen.slice(0, cut.at), stopped: true };
    }
    const safe = this.#safeLength(seen);
    this.#held = seen.slice(safe);
    return { text: seen.slice(0, safe), stopped: false };
  }

  /** The rest, once the text has ended without a stop sequence. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }

  /** Up to the first place where a stop sequence may have begun. */
  #safeLength(seen: string): number {
    for (let at = Math.max(0, seen.length - this.#longest + 1); at < seen.length; at++) {
      const tail = seen.slice(at);
      if (this.#stops.some((stop) => stop.startsWith(tail))) return at;
    }
    return seen.length;
  }
}

/** The earliest stop sequence in a text, and where it begins. */
export function firstStop(
  text: string,
  stops: readonly string[],
): { readonly at: number; readonly stop: string } | undefined {
  let found: { at: number; stop: string } | undefined;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at !== -1 && (found === undefined || at < found.at)) found = { at, stop };
  }
  return found;
}
