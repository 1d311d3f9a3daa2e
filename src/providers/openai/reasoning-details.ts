/**
 * OpenRouter's `reasoning_details`: a list of what the model behind it thought, with signatures and encrypted parts that
 * this model wants back unchanged. A signature goes to the client as the entry without its text, an encrypted part as
 * the whole entry, both as JSON.
 *
 *     {type: "reasoning.text", text, signature, format, index, id}
 *     {type: "reasoning.summary", summary, …}
 *     {type: "reasoning.encrypted", data, …}
 */
import { isJsonObject, type JsonObject, type JsonValue } from "../../bedrock/json.ts";
import { textOf } from "../answer.ts";
import type { Target } from "../dialect.ts";
import type { ReasoningPart, RedactedPart } from "../prepared.ts";
import { isOwn } from "../provenance.ts";

/** What takes reasoning: stream-writer.ts, or the counterpart for whole answers. */
export interface ReasoningOut {
  reasoning(text: string): void;
  signature(blob: string): void;
  redacted(data: string): void;
  /** The block is complete: what follows is another one. */
  blockEnd(): void;
}

/** Reads the list of an answer or of a piece of it. Returns whether there was any text in it. */
export function readDetails(details: readonly JsonValue[], out: ReasoningOut): boolean {
  let hasText = false;
  for (const detail of details) {
    if (!isJsonObject(detail)) continue;
    if (detail.type === "reasoning.encrypted") {
      out.redacted(JSON.stringify(detail));
      continue;
    }
    const { text, summary, ...rest } = detail;
    const thought = textOf(text) || textOf(summary);
    hasText ||= thought !== "";
    out.reasoning(thought);
    if (textOf(rest.signature) === "") continue;
    out.signature(JSON.stringify(rest));
    out.blockEnd();
  }
  return hasText;
}

/**
 * The entry a block came from; undefined for reasoning that is not this model's own, or not as it was.
 *
 * @param family whose signatures these are
 */
export function writeDetail(
  block: ReasoningPart | RedactedPart,
  family: string,
  target: Target,
): JsonObject | undefined {
  if (block.kind === "redacted") return parseEntry(block.data.blob);
  if (block.signature === undefined || !isOwn(block.signature, family, target)) return undefined;
  const entry = parseEntry(block.signature.blob);
  if (entry === undefined) return undefined;
  return { ...entry, [entry.type === "reasoning.summary" ? "summary" : "text"]: block.text };
}

/** The client keeps the text for us, and may have changed it. */
function parseEntry(blob: string): JsonObject | undefined {
  try {
    const entry: unknown = JSON.parse(blob);
    return isJsonObject(entry) ? entry : undefined;
  } catch {
    // It is no entry, and the provider would refuse it: the caller leaves it out by name.
    return undefined;
  }
}
