/** Piscina task: hashes a large request body for its signature, so that no front end stands still for it. */
import { sha256Hex } from "../src/upstream/sigv4.ts";

/** @returns SHA-256 in hexadecimal */
export default function hash(body: Uint8Array): string {
  return sha256Hex(body);
}
