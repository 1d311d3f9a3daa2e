/**
 * Where a signature of Gemini's belongs. Gemini signs parts of any kind, Converse has a place for a signature only in
 * reasoning: so the others travel in a reasoning block without text that stands beside its part, and say where.
 *
 *     {functionCall, thoughtSignature}  ⇄  reasoningContent "" signed `next:…`, then toolUse   (images likewise)
 *     {text, thoughtSignature}          ⇄  text, then reasoningContent "" signed `last:…`
 *     {text, thought, thoughtSignature} ⇄  reasoningContent signed `own:…`
 */
export type Place = "own" | "next" | "last";

/** Google's word for a call whose signature is lost: the model goes on without. */
export const skipSignature = "skip_thought_signature_validator";

export function markSignature(place: Place, signature: string): string {
  return `${place}:${signature}`;
}

/** Undefined for what this gateway did not write. */
export function readMark(blob: string): { readonly place: Place; readonly signature: string } | undefined {
  const found = /^(own|next|last):(.+)$/s.exec(blob);
  const [, place, signature] = found ?? [];
  if (signature === undefined) return undefined;
  return place === "own" || place === "next" || place === "last" ? { place, signature } : undefined;
}
