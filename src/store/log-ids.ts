/**
 * Where a row stands: ids are a front end's prefix and a number, so that a row is found by two numbers, and no index on
 * text is needed. Any other id is a prefix of its own.
 */

/** So many rows of one prefix have a place; the next ones would be taken for those of another. */
export const numbersOfPrefix = 2 ** 32;

export interface RowPlace {
  /** Ends with `_` before a number, and with `!` where there is none. */
  readonly stem: string;
  readonly number: number;
}

export function placeOf(id: string): RowPlace {
  const end = id.lastIndexOf("_") + 1;
  const digits = id.slice(end);
  const number = Number.parseInt(digits, 36);
  const isNumbered = end > 0 && number < numbersOfPrefix && number.toString(36) === digits;
  return isNumbered ? { stem: id.slice(0, end), number } : { stem: `${id}!`, number: 0 };
}

/** @param seq as {@link seqOf} */
export function idOf(stem: string, seq: number): string {
  return stem.endsWith("_") ? stem + (seq % numbersOfPrefix).toString(36) : stem.slice(0, -1);
}

/** @param writer the number of the stem; from 1 on */
export function seqOf(writer: number, { number }: RowPlace): number {
  return writer * numbersOfPrefix + number;
}

/** A number of 32 bits by which a request id is found quickly; others may have the same. FNV-1a over UTF-16 units. */
export function requestHash(requestId: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < requestId.length; index++)
    hash = Math.imul(hash ^ requestId.charCodeAt(index), 0x01000193);
  return hash | 0;
}
