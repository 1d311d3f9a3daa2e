/** Virtual keys' values: made here, found by their hash, and kept only sealed. */
import { createCipheriv, createDecipheriv, createHash, randomBytes, randomInt, scryptSync } from "node:crypto";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const valuePrefix = "sk-bf-";
const valueLength = 32;

/** A new value: `sk-bf-` and 32 characters of base 62, which is 190 bits. */
export function generateValue(): string {
  let value = valuePrefix;
  for (let index = 0; index < valueLength; index++) value += alphabet[randomInt(alphabet.length)];
  return value;
}

/**
 * The hash by which a value is found: SHA-256 in hexadecimal. A generated value is too long to be guessed, so that it
 * needs neither salt nor a slow hash.
 */
export function hashValue(value: string): string {
  return createHash("sha256").update(value, "utf8").digest("hex");
}

/** What of a value may be shown: enough to tell generated ones apart. */
export function maskValue(value: string): string {
  return value.startsWith(valuePrefix) && value.length >= valuePrefix.length + valueLength
    ? `${valuePrefix}****${value.slice(-4)}`
    : "****";
}

/**
 * 32 bytes from the operator's passphrase. The salt is constant: the key must be the same after a restart.
 *
 * @param purpose keys of different purposes have nothing in common
 * @throws RangeError for a passphrase of less than 16 characters
 */
export function deriveKey(passphrase: string, purpose: string): Uint8Array {
  if (passphrase.length < 16) throw new RangeError("must have at least 16 characters");
  return scryptSync(passphrase, purpose, 32);
}

/** Encrypts what only this installation may read again: AES-256-GCM under a key from `BIFROST_ENCRYPTION_KEY`. */
export class Sealer {
  readonly #key: Uint8Array;

  /** @throws RangeError for a passphrase of less than 16 characters */
  constructor(passphrase: string) {
    this.#key = deriveKey(passphrase, "bifrost entity secrets");
  }

  /** @param owner is bound to the text: what was sealed for one owner does not open for another */
  seal(text: string, owner: string): string {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce).setAAD(Buffer.from(owner));
    const sealed = Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
    return `v1.${sealed.toString("base64url")}`;
  }

  /** @returns undefined when it was sealed with another key or for another owner, or is damaged */
  open(sealed: string, owner: string): string | undefined {
    const bytes = Buffer.from(sealed.startsWith("v1.") ? sealed.slice(3) : "", "base64url");
    if (bytes.length < 28) return undefined;
    const decipher = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, 12));
    decipher.setAAD(Buffer.from(owner)).setAuthTag(bytes.subarray(-16));
    try {
      return decipher.update(bytes.subarray(12, -16)).toString("utf8") + decipher.final().toString("utf8");
    } catch {
      // The tag does not fit: that is the answer to the question.
      return undefined;
    }
  }
}
