import { crc32 as zlibCrc32 } from "node:zlib";

/**
 * CRC-32 (IEEE 802.3, reflected, as zlib), eight bytes a step.
 *
 * Fast path. Crossing into zlib costs about 190 ns whatever the length, so short inputs, which are nearly all frames,
 * are cheaper in JavaScript and long ones in zlib; `bench/frames.ts` has the table.
 */
const crossover = 400;

/** Eight tables of 256 entries, one after the other: table k holds the CRC of a byte followed by k zero bytes. */
const tables = buildTables();

/**
 * @param seed the CRC of what came before, so that a checksum can be continued; 0 at the start
 * @returns an unsigned 32-bit integer
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return bytes.length > crossover ? zlibCrc32(bytes, seed) : crc32Range(bytes, 0, bytes.length, seed);
}

/** CRC-32 of `bytes[start, end)` without making a view; for short ranges. */
export function crc32Range(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  let crc = ~seed;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const low =
      crc ^ (byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24));
    crc =
      entry(7, low & 0xff) ^
      entry(6, (low >>> 8) & 0xff) ^
      entry(5, (low >>> 16) & 0xff) ^
      entry(4, low >>> 24) ^
      entry(3, byte(bytes, at + 4)) ^
      entry(2, byte(bytes, at + 5)) ^
      entry(1, byte(bytes, at + 6)) ^
      entry(0, byte(bytes, at + 7));
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ entry(0, (crc ^ byte(bytes, at)) & 0xff);
  return ~crc >>> 0;
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

function entry(table: number, index: number): number {
  return tables[(table << 8) | index] as number;
}

function buildTables(): Int32Array {
  const built = new Int32Array(8 * 256);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    built[n] = crc;
  }
  for (let n = 256; n < built.length; n++) {
    const previous = built[n - 256] as number;
    built[n] = (previous >>> 8) ^ (built[previous & 0xff] as number);
  }
  return built;
}
