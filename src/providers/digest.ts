import { createHash } from "node:crypto";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/**
 * A short name for a text, the same for the same text: letters and digits made from its SHA-256, nearly six bits each.
 *
 * @param length at most 32
 */
export function digest(text: string, length: number): string {
  const bytes = createHash("sha256").update(text, "utf8").digest();
  let name = "";
  for (const byte of bytes.subarray(0, length)) name += alphabet.charAt(byte % alphabet.length);
  return name;
}
