/** The tokenizer of BERT's kind of models: words, then the longest known pieces of each. */

/** Words longer than this are unknown. */
const maxWordLength = 100;
const wordOrMark = /[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}\p{C}]/gu;
/** Each of these is a word of its own. */
const ideographs = /\p{Script=Han}/gu;

export class WordPiece {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #lowerCase: boolean;
  readonly #start: number;
  readonly #end: number;
  readonly #unknown: number;

  /**
   * @param vocabulary the text of vocab.txt: a piece a line, its number being its id
   * @throws Error when the vocabulary lacks [CLS], [SEP] or [UNK]
   */
  constructor(vocabulary: string, lowerCase: boolean) {
    const pieces = vocabulary.split(/\r?\n/);
    this.#ids = new Map(pieces.map((piece, id): [string, number] => [piece, id]));
    this.#lowerCase = lowerCase;
    this.#start = this.#idOf("[CLS]");
    this.#end = this.#idOf("[SEP]");
    this.#unknown = this.#idOf("[UNK]");
  }

  /** @returns the ids of the pieces between start and end, `limit` at most with those two */
  encode(text: string, limit: number): number[] {
    const ids = [this.#start];
    for (const [word] of this.#clean(text).matchAll(wordOrMark)) {
      ids.push(...this.#pieces(word));
      if (ids.length >= limit) break;
    }
    return [...ids.slice(0, limit - 1), this.#end];
  }

  #clean(text: string): string {
    const spaced = text.normalize("NFC").replace(ideographs, " $& ");
    return this.#lowerCase
      ? spaced
          .toLowerCase()
          .normalize("NFD")
          .replace(/\p{Mn}/gu, "")
      : spaced;
  }

  #pieces(word: string): number[] {
    if (word.length > maxWordLength) return [this.#unknown];
    const ids: number[] = [];
    for (let start = 0; start < word.length; ) {
      let end = word.length;
      let id: number | undefined;
      for (; end > start; end--) {
        id = this.#ids.get(`${start === 0 ? "" : "##"}${word.slice(start, end)}`);
        if (id !== undefined) break;
      }
      if (id === undefined) return [this.#unknown];
      ids.push(id);
      start = end;
    }
    return ids;
  }

  #idOf(piece: string): number {
    const id = this.#ids.get(piece);
    if (id === undefined) throw new Error(`the vocabulary has no ${piece}`);
    return id;
  }
}
