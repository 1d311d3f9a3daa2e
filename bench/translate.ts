/**
 * What translating costs, with OpenAI's chat completions: a request and an answer, and a streamed token from the bytes of
 * its server-sent event to the frame the client gets. `npx tsx bench/translate.ts`.
 */
import { fileURLToPath } from "node:url";
import type { ConverseRequest, Message } from "../src/bedrock/converse.ts";
import { encodeEvent } from "../src/bedrock/event-stream.ts";
import type { Memo, Target } from "../src/providers/dialect.ts";
import { openai } from "../src/providers/openai/openai.ts";
import { SseReader } from "../src/upstream/sse.ts";
import { medians } from "./measure.ts";
import { markdownTable, renderSection, type Section } from "./report.ts";

/** Microseconds for each streamed event. */
export const eventBar = 6;

const times = 20;
const words = "The quick brown fox jumps over the lazy dog, and nobody minds. ".split(/(?<= )/);
const target: Target = { provider: "openai", kind: "openai", model: "gpt-4o", streaming: true, seed: "bench" };
const tools = [
  {
    toolSpec: {
      name: "get_weather",
      description: "Tells the weather of a city.",
      inputSchema: { json: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
    },
  },
];

/** @param ms how long each of eight cases is measured */
export async function run(ms: number): Promise<Section[]> {
  return [await whole(ms), await streamed(ms)];
}

async function whole(ms: number): Promise<Section> {
  const { memo } = openai.encode(requestOf(1), target);
  const answer = { headers: {}, body: Buffer.from(JSON.stringify(completion(textOf(700)))) };
  const requests = [1, 10, 100].map((size) => ({
    name: `request of ${size} KB`,
    request: requestOf(size),
  }));
  requests.push({ name: "request with a history of 1,000 messages, 250 calls among them", request: history(1000) });
  const cases = [
    ...requests.map(({ name, request }) => ({
      name,
      times,
      run: () => repeat(() => openai.encode(request, target)),
    })),
    { name: "answer of 1 KB", times, run: () => repeat(() => openai.decode(answer, memo)) },
  ];
  const micros = await medians(cases, ms);
  return {
    title: "Translating requests and answers",
    text: "`encode` of a Converse request for OpenAI, from values to JSON text; `decode` of an answer, from bytes to values. One tool is defined. Median µs.",
    table: markdownTable(
      ["", "µs"],
      micros.map((value, n) => [cases[n]?.name ?? "", value.toFixed(value < 100 ? 1 : 0)]),
    ),
  };
}

async function streamed(ms: number): Promise<Section> {
  const { memo } = openai.encode(requestOf(1), target);
  const events = 1000;
  const reads = streamReads(events);
  const cases = [
    { name: "one event a read", times: events, run: () => translate(reads, memo) },
    { name: "bursts of 16", times: events, run: () => translate(inBursts(reads, 16), memo) },
    { name: "all in one read", times: events, run: () => translate([Buffer.concat(reads)], memo) },
  ];
  const micros = await medians(cases, ms);
  return {
    title: "Translating a stream",
    text: `A stream of ${events} tokens: from the bytes of a server-sent event through \`SseReader\`, OpenAI's dialect and \`encodeEvent\` to the frame of a Converse event. Median ns per token; the bar is ${eventBar} µs.`,
    table: markdownTable(
      ["", "ns per token", "bar"],
      micros.map((value, n) => [
        cases[n]?.name ?? "",
        Math.round(value * 1000).toString(),
        value <= eventBar ? "met" : "missed",
      ]),
    ),
  };
}

/** The road of a stream's bytes without the network. @returns how many bytes the client gets */
function translate(reads: readonly Buffer[], memo: Memo): number {
  const reader = new SseReader();
  const stream = openai.stream(memo);
  let bytes = 0;
  for (const read of reads) {
    for (const item of reader.push(read)) {
      for (const event of stream.push(item).events) {
        for (const [name, payload] of Object.entries(event)) bytes += encodeEvent(name, JSON.stringify(payload)).length;
      }
    }
  }
  return bytes;
}

/** The reads of a stream as OpenAI sends it, each with one event: a token of text, with its padding. */
function streamReads(tokens: number): Buffer[] {
  const chunk = (delta: object, reason: string | null, usage: object | null = null) =>
    Buffer.from(
      `data: ${JSON.stringify({
        id: "chatcmpl-CYPS1lijGoK8gd9lYzY3r9Sx50nbt",
        object: "chat.completion.chunk",
        created: 1767225600,
        model: "gpt-4o-2024-08-06",
        service_tier: "default",
        system_fingerprint: "fp_f8b414701e",
        choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
        usage,
        obfuscation: "D3WbtIxo1Q",
      })}\n\n`,
    );
  return [
    chunk({ role: "assistant", content: "", refusal: null }, null),
    ...Array.from({ length: tokens }, (_, n) => chunk({ content: words[n % words.length] }, null)),
    chunk({}, "stop", { prompt_tokens: 200, completion_tokens: tokens, total_tokens: tokens + 200 }),
    Buffer.from("data: [DONE]\n\n"),
  ];
}

function inBursts(reads: readonly Buffer[], size: number): Buffer[] {
  return Array.from({ length: Math.ceil(reads.length / size) }, (_, n) =>
    Buffer.concat(reads.slice(n * size, (n + 1) * size)),
  );
}

/** A request of so many KB of text, in a turn of a conversation. */
function requestOf(kilobytes: number): ConverseRequest {
  const text = textOf(kilobytes * 1024 - 400);
  return {
    messages: [{ role: "user", content: [{ text }] }],
    system: [{ text: "You are a helpful assistant." }],
    inferenceConfig: { maxTokens: 512, temperature: 0.5 },
    toolConfig: { tools },
  };
}

/** A conversation in which every fourth message is a call, and the one after it brings its result. */
function history(length: number): ConverseRequest {
  const messages = Array.from({ length }, (_, n): Message => {
    const toolUseId = `tooluse_${n - (n % 4)}`;
    if (n % 4 === 1) {
      return { role: "assistant", content: [{ toolUse: { toolUseId, name: "get_weather", input: { city: "Oslo" } } }] };
    }
    if (n % 4 === 2)
      return { role: "user", content: [{ toolResult: { toolUseId, content: [{ text: textOf(200) }] } }] };
    return { role: n % 2 === 0 ? "user" : "assistant", content: [{ text: textOf(200) }] };
  });
  return { ...requestOf(1), messages: [...messages, { role: "user", content: [{ text: "And now?" }] }] };
}

function completion(content: string): object {
  return {
    id: "chatcmpl-CYPS1lijGoK8gd9lYzY3r9Sx50nbt",
    object: "chat.completion",
    created: 1767225600,
    model: "gpt-4o-2024-08-06",
    choices: [
      { index: 0, message: { role: "assistant", content, refusal: null }, logprobs: null, finish_reason: "stop" },
    ],
    usage: { prompt_tokens: 200, completion_tokens: 160, total_tokens: 360 },
    service_tier: "default",
  };
}

function textOf(length: number): string {
  return words
    .join("")
    .repeat(Math.ceil(length / 60))
    .slice(0, length);
}

/** @returns the last result, so that the work cannot be left out as useless */
function repeat(work: () => unknown): unknown {
  let result: unknown;
  for (let n = 0; n < times; n++) result = work();
  return result;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const section of await run(1000)) console.log(renderSection(section));
}
