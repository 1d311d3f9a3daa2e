/** Bedrock refuses reasoning that another provider signed; a conversation that was served by both brings such blocks along. */
import { isJsonObject, type JsonObject, type JsonValue } from "../bedrock/json.ts";
import { holdsAny } from "./scan.ts";

/** How our wrapped signatures begin, as text and as the base64 of a redacted block. */
const wrapped = "gw1.";
const wrappedBlob = "Z3cxL";

/** From the quote on: looking for a quote passes over a picture's base64 at many times the speed of looking for a letter. */
const beginnings = [Buffer.from(`"${wrapped}`), Buffer.from(`"${wrappedBlob}`)];

/** Whether a body may hold reasoning blocks that other providers minted. Nearly none does. */
export function mayHoldForeignReasoning(body: Buffer): boolean | Promise<boolean> {
  return holdsAny(body, beginnings);
}

/** The body of Converse or of Anthropic Messages without the reasoning blocks that other providers minted. */
export function stripForeignReasoning(body: Buffer): Buffer {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch {
    // Whoever serves it will say what is wrong with it.
    return body;
  }
  if (!isJsonObject(parsed) || !Array.isArray(parsed.messages)) return body;
  const messages = parsed.messages.flatMap(cleaned);
  return Buffer.from(JSON.stringify({ ...parsed, messages }));
}

/** A message that held nothing else is gone with its blocks. */
function cleaned(message: JsonValue): readonly JsonValue[] {
  if (!isJsonObject(message) || !Array.isArray(message.content)) return [message];
  const content = message.content.filter((block) => !isForeign(block));
  if (content.length === message.content.length) return [message];
  return content.length === 0 ? [] : [{ ...message, content }];
}

function isForeign(block: JsonValue): boolean {
  if (!isJsonObject(block)) return false;
  const { reasoningContent } = block;
  if (isJsonObject(reasoningContent)) {
    const { reasoningText, redactedContent } = reasoningContent;
    return starts(redactedContent, wrappedBlob) || (isJsonObject(reasoningText) && isWrapped(reasoningText));
  }
  return (
    (block.type === "thinking" && isWrapped(block)) ||
    (block.type === "redacted_thinking" && starts(block.data, wrapped))
  );
}

function isWrapped({ signature }: JsonObject): boolean {
  return starts(signature, wrapped);
}

function starts(value: JsonValue | undefined, beginning: string): boolean {
  return typeof value === "string" && value.startsWith(beginning);
}
