/** Vectors that mean nothing but are always the same for the same text. */
import { createHash } from "node:crypto";

/** A vector of length 1 made from the text's hash. */
export function embed(text: string, dimensions: number): readonly number[] {
  let state = createHash("sha256").update(text).digest().readUInt32LE(0);
  const vector: number[] = [];
  let squares = 0;
  for (let at = 0; at < dimensions; at++) {
    state = (state + 0x6d2b79f5) >>> 0;
    const value = mix(state) / 2 ** 31 - 1;
    vector.push(value);
    squares += value * value;
  }
  const length = Math.sqrt(squares);
  // Without a length there is no direction; one axis is as good as another.
  return length === 0 ? vector.map((_, at) => (at === 0 ? 1 : 0)) : vector.map((value) => value / length);
}

/** The output step of the generator mulberry32: 32 well-mixed bits. */
function mix(state: number): number {
  let bits = Math.imul(state ^ (state >>> 15), state | 1);
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
  return (bits ^ (bits >>> 14)) >>> 0;
}
