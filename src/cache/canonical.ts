/** One text, and so one hash, for all JSON texts that mean the same. */
import { createHash, type Hash } from "node:crypto";

/** Values nested deeper than this are not hashed. */
const maxDepth = 200;
/** Pieces are given to the hash in blocks of about this many characters: a call for each would cost more than hashing. */
const blockLength = 4096;
/** What JSON writes as it stands: most text without quotes, and all base64. */
const plain = /^[ !#-[\]-~]*$/;

/** Why a value has no hash: it would be equal to that of another value. */
export type NoDigest = "unsafe_number" | "too_deep";

/** Thrown for a value whose canonical text would not tell it from another one. */
export class NotCanonical extends Error {
  override readonly name = "NotCanonical";
  readonly reason: NoDigest;

  constructor(reason: NoDigest) {
    super(`the value has no canonical form: ${reason}`);
    this.reason = reason;
  }
}

/**
 * SHA-256 of the canonical text of a value: JSON without spaces, members in the order of their names' UTF-16 code units,
 * numbers as ECMAScript writes them, text as it came. The order of members and the spelling of numbers make no
 * difference, the order of arrays does. Members that are undefined count as missing.
 *
 * @param value what `JSON.parse` gave, or made of such values
 * @returns 64 hexadecimal digits, the same in every process
 * @throws NotCanonical for integers beyond 2^53, which `JSON.parse` may have rounded, and for values nested too deeply
 */
export function canonicalDigest(value: unknown): string {
  const writer = new HashWriter();
  write(value, writer, 0);
  return writer.digest();
}

/**
 * The text that {@link canonicalDigest} hashes.
 *
 * @throws NotCanonical as there
 */
export function canonicalText(value: unknown): string {
  const parts: string[] = [];
  write(value, { add: (text) => void parts.push(text) }, 0);
  return parts.join("");
}

interface Writer {
  add(text: string): void;
}

class HashWriter implements Writer {
  readonly #hash: Hash = createHash("sha256");
  #block = "";

  add(text: string): void {
    if (text.length < blockLength) {
      this.#block += text;
      if (this.#block.length >= blockLength) this.#flush();
      return;
    }
    this.#flush();
    this.#hash.update(text);
  }

  digest(): string {
    this.#flush();
    return this.#hash.digest("hex");
  }

  #flush(): void {
    if (this.#block === "") return;
    this.#hash.update(this.#block);
    this.#block = "";
  }
}

function write(value: unknown, writer: Writer, depth: number): void {
  if (typeof value === "string") writeText(value, writer);
  else if (typeof value === "number") writer.add(numberText(value));
  else if (typeof value === "boolean" || value === null) writer.add(String(value));
  else if (typeof value !== "object") throw new TypeError(`a ${typeof value} is no JSON value`);
  else if (depth >= maxDepth) throw new NotCanonical("too_deep");
  else if (Array.isArray(value)) writeItems(value, writer, depth + 1);
  else writeMembers(value, writer, depth + 1);
}

function numberText(value: number): string {
  const safe = Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (!safe) throw new NotCanonical("unsafe_number");
  return JSON.stringify(value);
}

function writeItems(items: readonly unknown[], writer: Writer, depth: number): void {
  let mark = "[";
  for (const item of items) {
    writer.add(mark);
    write(item, writer, depth);
    mark = ",";
  }
  writer.add(mark === "[" ? "[]" : "]");
}

function writeMembers(object: object, writer: Writer, depth: number): void {
  const members = Object.entries(object).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  let mark = "{";
  for (const [name, member] of members) {
    writer.add(mark);
    writeText(name, writer);
    writer.add(":");
    write(member, writer, depth);
    mark = ",";
  }
  writer.add(mark === "{" ? "{}" : "}");
}

/** Media of megabytes must not be copied into another text of megabytes to be hashed. */
function writeText(text: string, writer: Writer): void {
  if (text.length < blockLength || !plain.test(text)) writer.add(JSON.stringify(text));
  else {
    writer.add('"');
    writer.add(text);
    writer.add('"');
  }
}
