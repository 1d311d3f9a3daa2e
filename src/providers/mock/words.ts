/** The mock's tokens: a word with the white space behind it. */

/** Very long words and gaps are cut, so that no token is without bounds. White space at the start stands alone. */
const wordPattern = /\S{1,64}\s{0,64}|\s{1,64}/gu;

const fragmentPattern = /.{1,16}/gsu;

export interface Words {
  /** Joined they are the text, or its beginning. */
  readonly words: readonly string[];
  /** The whole text stands in `words`. */
  readonly whole: boolean;
}

/** Cuts text into words and takes the first `most` of them. */
export function takeWords(text: string, most: number): Words {
  const words: string[] = [];
  let length = 0;
  for (const [word] of text.matchAll(wordPattern)) {
    if (words.length >= most) break;
    words.push(word);
    length += word.length;
  }
  return { words, whole: length === text.length };
}

/** Cuts JSON text into the pieces in which a tool's input is streamed. */
export function fragments(json: string): readonly string[] {
  return json.match(fragmentPattern) ?? [];
}
