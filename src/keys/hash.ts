/** Hashes of 64 bits as two words, for tables in shared memory. Not for secrets: short, quick and seeded. */

/** What an entry of a table is found by; never two zeros, which stand for an empty entry. */
export interface Tag {
  readonly lo: number;
  readonly hi: number;
}

/**
 * Two lanes of multiply and exclusive-or, mixed into each other at the end.
 *
 * @param seed the memory's seed, or the hash of what stands before the text
 */
export function hashText(text: string, seed: Tag): Tag {
  let lo = seed.lo ^ text.length;
  let hi = seed.hi ^ Math.imul(text.length, 0x9e3779b1);
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    lo = Math.imul(lo ^ code, 0x9e3779b1);
    hi = Math.imul(hi ^ code, 0x5f356495);
  }
  return mixed(lo, hi);
}

/** The hash of a number after what is hashed in the seed. */
export function hashNumber(value: number, seed: Tag): Tag {
  return mixed(Math.imul(seed.lo ^ value, 0x9e3779b1), Math.imul(seed.hi ^ value, 0x5f356495));
}

function mixed(lo: number, hi: number): Tag {
  const first = Math.imul(lo ^ (lo >>> 16), 0x85ebca6b) ^ Math.imul(hi ^ (hi >>> 13), 0xc2b2ae35);
  const second = Math.imul(hi ^ (hi >>> 16), 0x85ebca6b) ^ Math.imul(first ^ (first >>> 13), 0xc2b2ae35);
  return { lo: first === 0 ? 1 : first, hi: second };
}
