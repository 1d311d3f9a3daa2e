/** What was asked and answered, kept for the request log or for traces where somebody wants it. */

import { refuseField } from "../bedrock/errors.ts";
import { FrameCutter, readFrame } from "../bedrock/event-stream.ts";
import { isJsonObject, tryParse } from "../bedrock/json.ts";
import type { ObservabilityConfig } from "../config/observability.ts";
import type { Identity } from "../governance/identity.ts";
import type { RequestHeaders } from "../http/exchange.ts";
import type { RecordedContent } from "../telemetry/request-record.ts";

const header = "x-bf-disable-content-logging";

/**
 * Whether a request's content is kept, and for whom: what the configuration says, unless the virtual key says otherwise,
 * unless the client forbids it, or asks for it where it may.
 *
 * @returns undefined when nobody wants it
 * @throws BedrockError ValidationException when the client's header is neither `true` nor `false`
 */
export function keepContent(
  headers: RequestHeaders,
  identity: Identity | undefined,
  { request_log: log, otel }: ObservabilityConfig,
): KeptContent | undefined {
  const asked = headers.get(header)?.toLowerCase();
  if (asked !== undefined && asked !== "true" && asked !== "false") throw refuseField(header, "must be true or false.");
  if (asked === "true") return undefined;
  const forbidden = identity?.keepsContent === false;
  const own = asked === "false" && log.allow_per_request_content_storage_override ? true : identity?.keepsContent;
  const logged = log.enabled && (own ?? log.content);
  const traced = otel.content && !forbidden;
  return logged || traced ? new KeptContent(log.max_content_bytes, logged, traced) : undefined;
}

export class KeptContent {
  readonly #maxBytes: number;
  readonly #logged: boolean;
  readonly #traced: boolean;
  #request: Uint8Array | undefined;
  #answer: Uint8Array | string | undefined;
  #said: StreamText | undefined;

  /**
   * @param maxBytes of the request and of the answer each; what is longer is cut
   * @param logged the request log may have it
   * @param traced traces may have it
   */
  constructor(maxBytes: number, logged: boolean, traced: boolean) {
    this.#maxBytes = maxBytes;
    this.#logged = logged;
    this.#traced = traced;
  }

  /** The request log may have it. */
  get isLogged(): boolean {
    return this.#logged;
  }

  request(body: Uint8Array): void {
    this.#request = body;
  }

  answer(body: Uint8Array | string): void {
    this.#answer = body;
  }

  /** Whole frames of a stream, as the client gets them. */
  frames(bytes: Uint8Array): void {
    this.#said ??= new StreamText(this.#maxBytes);
    this.#said.push(bytes);
  }

  record(): RecordedContent {
    return {
      request: this.#request && cut(this.#request, this.#maxBytes),
      answer: this.#said?.text ?? (this.#answer && cut(this.#answer, this.#maxBytes)),
      logged: this.#logged,
      traced: this.#traced,
    };
  }
}

function cut(body: Uint8Array | string, maxBytes: number): string {
  if (typeof body === "string") return cut(Buffer.from(body.slice(0, maxBytes)), maxBytes);
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  // A character cut in two would become a sign for a damaged one.
  let end = Math.min(bytes.length, maxBytes);
  while (end < bytes.length && end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString("utf8", 0, end);
}

/**
 * What a stream said: the text, reasoning and tool input of Converse's events as one text, and the models' own objects
 * of InvokeModelWithResponseStream as lines of JSON.
 */
class StreamText {
  readonly #maxBytes: number;
  readonly #cutter = new FrameCutter();
  #parts: string[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get text(): string {
    return cut(this.#parts.join(""), this.#maxBytes);
  }

  push(bytes: Uint8Array): void {
    if (this.#bytes >= this.#maxBytes) return;
    this.#cutter.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), (run, start, end) => {
      const { type, payload } = readFrame(run, start, end);
      if (type !== "chunk" && type !== "contentBlockDelta") return;
      const said = saidBy(type, tryParse(payload));
      this.#parts.push(said);
      this.#bytes += said.length;
    });
  }
}

function saidBy(type: "chunk" | "contentBlockDelta", event: unknown): string {
  if (!isJsonObject(event)) return "";
  if (type === "chunk")
    return typeof event.bytes === "string" ? `${Buffer.from(event.bytes, "base64").toString("utf8")}\n` : "";
  const { delta } = event;
  if (!isJsonObject(delta)) return "";
  if (typeof delta.text === "string") return delta.text;
  const { reasoningContent, toolUse } = delta;
  if (isJsonObject(reasoningContent) && typeof reasoningContent.text === "string") return reasoningContent.text;
  return isJsonObject(toolUse) && typeof toolUse.input === "string" ? toolUse.input : "";
}
