/** What goes over the wire in the measurements: the same bytes in every process and every run. */
import { encodeEvent } from "../../src/bedrock/event-stream.ts";
import { eventFrame } from "../../test/support/frames.ts";

/** Bodies of requests. Those that begin with `chat` are for OpenAI's API, the others are Converse requests. */
export const bodyNames = [
  "1 KB",
  "10 KB",
  "100 KB",
  "5 MB",
  "20 MB",
  "90 MB",
  "history",
  "chat 1 KB",
  "chat stream",
] as const;
export type BodyName = (typeof bodyNames)[number];

/** Models whose prices are known, so that budgets are charged. */
export const bedrockModel = "us.anthropic.claude-sonnet-4-20250514-v1:0";
export const openaiModel = "gpt-4o";

/** Where an OpenAI server answers. */
export const chatPath = "/v1/chat/completions";

/** Where the fake takes traces over OTLP/HTTP, and where it says how many such messages have come. */
export const tracesPath = "/v1/traces";
export const tracesReceivedPath = "/traces-received";

/** All events of a stream that is sent at once, the last two being `messageStop` and `metadata`. */
export const framesPerStream = 200;

/**
 * What the fake upstream does, told by the model's name:
 *
 * - `delay`: answers after so many milliseconds
 * - `answer`: with a text of so many KB
 * - `events`: with a stream of so many timed events, one every so many milliseconds
 * - `fail`: with this status
 * - `cut`: breaks its connection in the middle of the answer
 */
export type Plan =
  | { readonly kind: "delay"; readonly ms: number }
  | { readonly kind: "answer"; readonly kilobytes: number }
  | { readonly kind: "events"; readonly count: number; readonly gapMs: number }
  | { readonly kind: "fail"; readonly status: number }
  | { readonly kind: "cut" };

/** The models of plans begin with this. */
export const planPrefix = "bench.";

export function planModel(plan: Plan): string {
  switch (plan.kind) {
    case "delay":
      return `${planPrefix}delay-${plan.ms}-`;
    case "answer":
      return `${planPrefix}answer-${plan.kilobytes}-`;
    case "events":
      return `${planPrefix}events-${plan.count}-${plan.gapMs}`;
    case "fail":
      return `${planPrefix}fail-${plan.status}-`;
    case "cut":
      return `${planPrefix}cut-`;
  }
}

/** @param text holds the model's name somewhere: a path, or the beginning of a body */
export function planIn(text: string): Plan | undefined {
  const found = /bench\.([a-z]+)-(\d*)-?(\d*)/.exec(text);
  if (found === null) return undefined;
  const [first, second] = [Number(found[2]), Number(found[3])];
  const kind = found[1];
  if (kind === "delay") return { kind, ms: first };
  if (kind === "answer") return { kind, kilobytes: first };
  if (kind === "events") return { kind, count: first, gapMs: second };
  if (kind === "fail") return { kind, status: first };
  return kind === "cut" ? { kind } : undefined;
}

const lorem = "The quick brown fox jumps over the lazy dog, and nobody minds. ";
const words = lorem.split(/(?<= )/);

export function textOf(length: number): string {
  return lorem.repeat(Math.ceil(length / lorem.length)).slice(0, length);
}

const made = new Map<BodyName, string>();

/** Made once in each process. */
export function bodyOf(name: BodyName): string {
  const known = made.get(name);
  if (known !== undefined) return known;
  const body = makeBody(name);
  made.set(name, body);
  return body;
}

function makeBody(name: BodyName): string {
  switch (name) {
    case "1 KB":
      return textRequest(1024);
    case "10 KB":
      return textRequest(10 * 1024);
    case "100 KB":
      return textRequest(100 * 1024);
    case "5 MB":
      return imageRequest(5 * 1024 * 1024);
    case "20 MB":
      return imageRequest(20 * 1024 * 1024);
    case "90 MB":
      return imageRequest(90 * 1024 * 1024);
    case "history":
      return JSON.stringify(historyRequest(1000));
    case "chat 1 KB":
      return chatRequest(false);
    case "chat stream":
      return chatRequest(true);
  }
}

function textRequest(bytes: number): string {
  return fill(bytes, (text) => ({
    messages: [{ role: "user", content: [{ text }] }],
    inferenceConfig: { maxTokens: 512, temperature: 0.5 },
  }));
}

/** Most of it is one image in base64. */
function imageRequest(bytes: number): string {
  const png = Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    Buffer.alloc(Math.floor((bytes * 3) / 4), "pixels"),
  ]);
  const image = { format: "png", source: { bytes: png.toString("base64") } };
  return JSON.stringify({ messages: [{ role: "user", content: [{ text: "What is this?" }, { image }] }] });
}

/** A conversation in which every fourth message is a call, and the one after it brings its result. */
export function historyRequest(length: number) {
  const input = { json: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } };
  const tool = { name: "get_weather", description: "Tells the weather of a city.", inputSchema: input };
  const messages = Array.from({ length }, (_, n) => {
    const toolUseId = `tooluse_${n - (n % 4)}`;
    if (n % 4 === 1) {
      const toolUse = { toolUseId, name: "get_weather", input: { city: "Oslo" } };
      return { role: "assistant" as const, content: [{ toolUse }] };
    }
    if (n % 4 === 2) {
      const toolResult = { toolUseId, content: [{ text: textOf(200) }] };
      return { role: "user" as const, content: [{ toolResult }] };
    }
    return { role: n % 2 === 0 ? ("user" as const) : ("assistant" as const), content: [{ text: textOf(200) }] };
  });
  return {
    messages: [...messages, { role: "user" as const, content: [{ text: "And now?" }] }],
    system: [{ text: "You are a helpful assistant." }],
    inferenceConfig: { maxTokens: 512, temperature: 0.5 },
    toolConfig: { tools: [{ toolSpec: tool }] },
  };
}

function chatRequest(stream: boolean): string {
  return fill(1024, (content) => ({
    model: openaiModel,
    messages: [{ role: "user", content }],
    max_tokens: 512,
    temperature: 0.5,
    ...(stream && { stream, stream_options: { include_usage: true } }),
  }));
}

/** A Converse answer. */
export function converseAnswer(kilobytes = 1): string {
  return fill(kilobytes * 1024, (text) => ({
    metrics: { latencyMs: 412 },
    output: { message: { content: [{ text }], role: "assistant" } },
    stopReason: "end_turn",
    usage: { inputTokens: 180, outputTokens: 164, totalTokens: 344 },
  }));
}

const chatHead = { id: "chatcmpl-0123456789", created: 1_790_000_000, model: "gpt-4o-2024-08-06" };

/** A chat completion. */
export function chatAnswer(kilobytes = 1): string {
  return fill(kilobytes * 1024, (content) => ({
    ...chatHead,
    object: "chat.completion",
    choices: [{ index: 0, message: { role: "assistant", content, refusal: null }, finish_reason: "stop" }],
    usage: { prompt_tokens: 180, completion_tokens: 164, total_tokens: 344 },
  }));
}

/** A stream in the wire form of Bedrock or OpenAI: what comes before and after the texts, and a text. */
export interface StreamForm {
  readonly type: string;
  readonly head: readonly Buffer[];
  readonly text: (text: string) => Buffer;
  readonly tail: readonly Buffer[];
}

/** Frames of about 190 bytes each: a token of text, and Bedrock's padding. */
export const converseStream: StreamForm = {
  type: "application/vnd.amazon.eventstream",
  head: [eventFrame("messageStart", { role: "assistant" })],
  // The same bytes for the same text, and cheap: timed events are written by the thousand.
  text: (text) =>
    encodeEvent(
      "contentBlockDelta",
      JSON.stringify({ contentBlockIndex: 0, delta: { text }, p: "abcdefghijklmnopqrs" }),
    ),
  tail: [
    eventFrame("contentBlockStop", { contentBlockIndex: 0 }),
    eventFrame("messageStop", { stopReason: "end_turn" }),
    eventFrame("metadata", {
      metrics: { latencyMs: 731 },
      usage: { inputTokens: 180, outputTokens: 196, totalTokens: 376 },
    }),
  ],
};

/** As many server-sent events as make the same frames of Converse. */
export const chatStream: StreamForm = {
  type: "text/event-stream",
  head: [chatDelta({ role: "assistant", content: "" })],
  text: (content) => chatDelta({ content }),
  tail: [
    chatDelta({}, "stop"),
    chatChunk([], { usage: { prompt_tokens: 180, completion_tokens: 196, total_tokens: 376 } }),
    Buffer.from("data: [DONE]\n\n"),
  ],
};

/** A stream of {@link framesPerStream} frames. */
export function wholeStream({ head, text, tail }: StreamForm): Buffer[] {
  const texts = framesPerStream - converseStream.head.length - converseStream.tail.length;
  return [...head, ...Array.from({ length: texts }, (_, n) => text(` ${words[n % words.length]}`)), ...tail];
}

/** The text of an event that says when it was sent. @param micros of a clock that all processes share */
export function timedText(sequence: number, micros: number): string {
  return `${sequence}@${Math.round(micros)} and some more`;
}

/** @returns undefined when this is no timed text */
export function readTimedText(text: string): { readonly sequence: number; readonly micros: number } | undefined {
  const found = /^(\d+)@(\d+) and some more$/.exec(text);
  return found === null ? undefined : { sequence: Number(found[1]), micros: Number(found[2]) };
}

/** Microseconds of the machine's monotonic clock, which is the same in all processes. */
export function sharedClock(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

function chatDelta(delta: object, finish: string | null = null): Buffer {
  return chatChunk([{ index: 0, delta, finish_reason: finish }]);
}

function chatChunk(choices: readonly object[], more: object = {}): Buffer {
  return Buffer.from(`data: ${JSON.stringify({ ...chatHead, object: "chat.completion.chunk", choices, ...more })}\n\n`);
}

/** The document with as much text as makes it so many bytes of JSON. */
function fill(bytes: number, document: (text: string) => object): string {
  return JSON.stringify(document(textOf(bytes - JSON.stringify(document("")).length)));
}
