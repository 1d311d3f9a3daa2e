/**
 * Event-stream frames for tests, written and read by AWS's own `@smithy/eventstream-codec`, which shares no line with
 * `src/`: what it cannot decode, no SDK can.
 */
import { EventStreamCodec } from "@smithy/eventstream-codec";

export interface DecodedFrame {
  /** `event` or `exception`. */
  readonly kind: string;
  /** `:event-type` or `:exception-type`. */
  readonly type: string;
  readonly contentType: string | undefined;
  readonly payload: Buffer;
}

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString("utf8"),
  (text) => Buffer.from(text, "utf8"),
);

const paddingAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
let paddingLength = 7;

/** Bedrock pads every payload with a prefix of this alphabet, of a length that says nothing about the text. */
export function padding(): string {
  paddingLength = (paddingLength * 17 + 5) % paddingAlphabet.length;
  return paddingAlphabet.slice(0, paddingLength + 1);
}

/** One event as Bedrock writes it: header order, compact JSON, `p` behind the (sorted) members. */
export function eventFrame(type: string, payload: object): Buffer {
  return frame(
    [
      [":event-type", type],
      [":content-type", "application/json"],
      [":message-type", "event"],
    ],
    JSON.stringify({ ...payload, p: padding() }),
  );
}

/** @param type lowerCamelCase, e.g. `throttlingException` */
export function exceptionFrame(type: string, message: string): Buffer {
  return frame(
    [
      [":exception-type", type],
      [":content-type", "application/json"],
      [":message-type", "exception"],
    ],
    JSON.stringify({ message }),
  );
}

/** A `chunk` event of InvokeModelWithResponseStream around the model's own JSON. */
export function chunkFrame(json: object): Buffer {
  return eventFrame("chunk", { bytes: Buffer.from(JSON.stringify(json)).toString("base64") });
}

function frame(headers: readonly (readonly [string, string])[], payload: string): Buffer {
  const typed = Object.fromEntries(headers.map(([name, value]) => [name, { type: "string" as const, value }]));
  return Buffer.from(codec.encode({ headers: typed, body: Buffer.from(payload) }));
}

/**
 * Decodes a whole stream.
 *
 * @throws Error when a checksum is wrong or the last frame is not whole
 */
export function decodeFrames(stream: Uint8Array): DecodedFrame[] {
  const bytes = Buffer.from(stream);
  const frames: DecodedFrame[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < 16) throw new Error(`${bytes.length - at} bytes are left behind the last whole frame`);
    const length = bytes.readUInt32BE(at);
    if (at + length > bytes.length) throw new Error(`the last frame has ${bytes.length - at} of ${length} bytes`);
    const message = codec.decode(bytes.subarray(at, at + length));
    const header = (name: string) => {
      const value = message.headers[name];
      return value?.type === "string" ? value.value : undefined;
    };
    frames.push({
      kind: header(":message-type") ?? "",
      type: header(":event-type") ?? header(":exception-type") ?? "",
      contentType: header(":content-type"),
      payload: Buffer.from(message.body),
    });
    at += length;
  }
  return frames;
}

/** The payload of a frame as an object. */
export function payloadOf(frame: DecodedFrame | undefined): Record<string, unknown> {
  const parsed: unknown = JSON.parse(frame?.payload.toString("utf8") ?? "");
  if (typeof parsed !== "object" || parsed === null) throw new Error("the payload is no object");
  return { ...parsed };
}

export interface ConverseStreamShape {
  readonly pieces?: readonly string[];
  readonly usage?: object;
  readonly stopReason?: string;
  readonly toolUse?: { readonly toolUseId: string; readonly name: string; readonly fragments: readonly string[] };
}

/** A ConverseStream as recorded from Bedrock: no contentBlockStart for text, `messageStop` and `metadata` at its end. */
export function converseFrames(shape: ConverseStreamShape = {}): Buffer[] {
  const { pieces = ["Once upon", " a time,", " the end."], toolUse } = shape;
  const frames = [eventFrame("messageStart", { role: "assistant" })];
  for (const text of pieces) frames.push(eventFrame("contentBlockDelta", { contentBlockIndex: 0, delta: { text } }));
  frames.push(eventFrame("contentBlockStop", { contentBlockIndex: 0 }));
  if (toolUse !== undefined) {
    const { toolUseId, name, fragments } = toolUse;
    frames.push(
      eventFrame("contentBlockStart", {
        contentBlockIndex: 1,
        start: { toolUse: { name, toolUseId, type: "tool_use" } },
      }),
      ...fragments.map((input) =>
        eventFrame("contentBlockDelta", { contentBlockIndex: 1, delta: { toolUse: { input } } }),
      ),
      eventFrame("contentBlockStop", { contentBlockIndex: 1 }),
    );
  }
  frames.push(
    eventFrame("messageStop", { stopReason: shape.stopReason ?? (toolUse === undefined ? "end_turn" : "tool_use") }),
    eventFrame("metadata", {
      metrics: { latencyMs: 731 },
      usage: shape.usage ?? {
        inputTokens: 12,
        outputTokens: 7,
        serverToolUsage: {},
        totalTokens: 19,
      },
    }),
  );
  return frames;
}

/** An Anthropic Messages stream as InvokeModelWithResponseStream carries it; the last chunk has the invocation metrics. */
export function anthropicFrames(pieces: readonly string[] = ["Silent", " code", " runs"]): Buffer[] {
  return [
    chunkFrame({
      type: "message_start",
      message: {
        model: "claude-3-haiku-20240307",
        id: "msg_bdrk_01FakeFakeFakeFakeFake",
        type: "message",
        role: "assistant",
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 14, output_tokens: 1 },
      },
    }),
    chunkFrame({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }),
    ...pieces.map((text) => chunkFrame({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })),
    chunkFrame({ type: "content_block_stop", index: 0 }),
    chunkFrame({
      type: "message_delta",
      delta: { stop_reason: "end_turn", stop_sequence: null },
      usage: { output_tokens: 9 },
    }),
    chunkFrame({
      type: "message_stop",
      "amazon-bedrock-invocationMetrics": {
        inputTokenCount: 14,
        outputTokenCount: 9,
        invocationLatency: 640,
        firstByteLatency: 212,
      },
    }),
  ];
}
