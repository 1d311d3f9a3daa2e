/** The shapes providers give an error's body. */
import { isJsonObject, type JsonObject, type JsonValue } from "../bedrock/json.ts";
import { isTooDeep } from "./depth.ts";

export interface ErrorFacts {
  /** Empty when the body says nothing a person could read. */
  readonly message: string;
  /** Of `code`, `type`, `status` and `reason`; the most telling first. */
  readonly words: readonly string[];
  /** The status the body itself names. */
  readonly status?: number;
  /** Google's `RetryInfo`. */
  readonly retryDelaySeconds?: number;
  /** A limit for a whole day is used up. */
  readonly perDay: boolean;
}

const nothing: ErrorFacts = { message: "", words: [], perDay: false };

/** Reads the body of a failed answer; a page of HTML says nothing. */
export function readErrorBody(body: Uint8Array): ErrorFacts {
  const text = Buffer.from(body).toString("utf8").trim();
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch {
    // Proxies and overloaded servers answer in plain text; HTML is of no use to anybody.
    return text.startsWith("<") ? nothing : { ...nothing, message: text };
  }
  if (isTooDeep(value)) return nothing;
  // Google answers a streaming request with a list of one.
  const first = Array.isArray(value) ? value[0] : value;
  if (typeof first === "string") return { ...nothing, message: first };
  return isJsonObject(first) ? readErrorObject(first) : nothing;
}

/**
 * Reads an error object:
 *
 * - OpenAI, Azure, Groq, DeepSeek, Cerebras, Together, Anthropic: `{error: {message, type, code}}`
 * - Google: `{error: {code: 429, message, status, details}}`; OpenRouter: `{error: {code: 429, message, metadata}}`
 * - Mistral, vLLM: `{object: "error", message, type, code}`, `{detail: […]}`
 * - Cohere, Bedrock: `{message}`
 * - xAI, Ollama, Fireworks: `{code, error: "text"}`
 */
export function readErrorObject(body: JsonObject): ErrorFacts {
  const inner = isJsonObject(body.error) ? body.error : body;
  const details = readDetails(inner.details);
  const deeper = isJsonObject(inner.innererror) ? inner.innererror : {};
  const status = [inner.code, inner.status, body.code].find(isStatus);
  return {
    message: messageOf(inner) || messageOf(body),
    words: [deeper.code, inner.code, ...details.words, inner.type, inner.status, body.code].filter(isWord),
    ...(status !== undefined && { status }),
    ...(details.retryDelaySeconds !== undefined && { retryDelaySeconds: details.retryDelaySeconds }),
    perDay: details.perDay,
  };
}

function messageOf(object: JsonObject): string {
  for (const value of [object.message, object.error, object.detail]) {
    const text = toText(value);
    if (text !== "") return text;
  }
  return "";
}

/** Mistral's `message` may be an object with `detail`, or a list of `{loc, msg}`. */
function toText(value: JsonValue | undefined): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value))
    return value
      .map(itemText)
      .filter((text) => text !== "")
      .join("; ");
  return isJsonObject(value) ? toText(value.message) || toText(value.detail) : "";
}

function itemText(item: JsonValue): string {
  if (!isJsonObject(item)) return typeof item === "string" ? item : "";
  const place = Array.isArray(item.loc) ? item.loc.join(".") : "";
  const text = typeof item.msg === "string" ? item.msg : "";
  return place === "" ? text : `${place}: ${text}`;
}

interface Details {
  readonly words: readonly string[];
  readonly retryDelaySeconds?: number;
  readonly perDay: boolean;
}

/** Google's `details`: `ErrorInfo.reason`, `RetryInfo.retryDelay` such as `34.4s`, `QuotaFailure.violations[].quotaId`. */
function readDetails(details: JsonValue | undefined): Details {
  const words: string[] = [];
  let retryDelaySeconds: number | undefined;
  let perDay = false;
  for (const detail of Array.isArray(details) ? details : []) {
    if (!isJsonObject(detail)) continue;
    if (isWord(detail.reason)) words.push(detail.reason);
    const delay = typeof detail.retryDelay === "string" ? /^(\d+(?:\.\d+)?)s$/.exec(detail.retryDelay)?.[1] : undefined;
    if (delay !== undefined) retryDelaySeconds = Math.ceil(Number(delay));
    for (const violation of Array.isArray(detail.violations) ? detail.violations : []) {
      if (isJsonObject(violation) && typeof violation.quotaId === "string")
        perDay ||= /per_?day/i.test(violation.quotaId);
    }
  }
  return { words, ...(retryDelaySeconds !== undefined && { retryDelaySeconds }), perDay };
}

function isStatus(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 400 && value <= 599;
}

function isWord(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
