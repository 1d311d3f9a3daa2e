/**
 * Where a reasoning signature comes from. Providers refuse signatures that another provider or model minted, and a
 * conversation here may change both: so a signature goes to the client wrapped, and comes back telling its origin.
 *
 *     gw1.<family>.<digest of the model>.<base64url of the provider's own text>
 *
 * A redacted block is a blob for the client: there the wrapped text itself is the blob, in base64.
 */
import type { Target } from "./dialect.ts";
import { digest } from "./digest.ts";

export interface Provenance {
  /** Absent when the gateway did not wrap it: it comes from Bedrock itself, or from elsewhere. */
  readonly origin?: { readonly family: string; readonly model: string };
  /** The provider's own text, or without an origin what the client sent. */
  readonly blob: string;
}

const modelDigestLength = 8;

export function wrapSignature(family: string, target: Target, blob: string): string {
  return `gw1.${family}.${modelDigest(target)}.${Buffer.from(blob, "utf8").toString("base64url")}`;
}

export function readSignature(signature: string): Provenance {
  const found = /^gw1\.([^.]+)\.([^.]+)\.([\w-]*)$/.exec(signature);
  const [, family, model, blob] = found ?? [];
  if (family === undefined || model === undefined || blob === undefined) return { blob: signature };
  return { origin: { family, model }, blob: Buffer.from(blob, "base64url").toString("utf8") };
}

/** Makes the base64 of a `redactedContent` from the provider's text. */
export function wrapRedacted(family: string, target: Target, data: string): string {
  return Buffer.from(wrapSignature(family, target, data), "latin1").toString("base64");
}

/** @param redactedContent base64 */
export function readRedacted(redactedContent: string): Provenance {
  const { origin, blob } = readSignature(Buffer.from(redactedContent, "base64").toString("latin1"));
  return origin === undefined ? { blob: redactedContent } : { origin, blob };
}

/** True when this family and model minted it. */
export function isOwn(provenance: Provenance | undefined, family: string, target: Target): boolean {
  const origin = provenance?.origin;
  return origin !== undefined && origin.family === family && origin.model === modelDigest(target);
}

function modelDigest({ baseModel, model }: Target): string {
  return digest(baseModel ?? model, modelDigestLength);
}
