/**
 * What translating costs: reading a Converse request, and, for each dialect, writing the provider's request, reading its
 * answer, and reading its stream from the bytes of server-sent events to the frames the client gets.
 * `npx tsx bench/translate.ts`.
 */
import type { ConverseRequest } from "../src/bedrock/converse.ts";
import { readConverse } from "../src/bedrock/converse-reader.ts";
import { encodeEvent } from "../src/bedrock/event-stream.ts";
import type { Dialect, DialectName, Memo, Target } from "../src/providers/dialect.ts";
import { dialects } from "../src/providers/dialects.ts";
import { SseReader } from "../src/upstream/sse.ts";
import { anthropicWire } from "../test/support/providers/anthropic.ts";
import { cohereWire } from "../test/support/providers/cohere.ts";
import { geminiWire } from "../test/support/providers/gemini.ts";
import { mistralWire } from "../test/support/providers/mistral.ts";
import { openaiWire } from "../test/support/providers/openai.ts";
import type { Wire } from "../test/support/providers/wire.ts";
import { type BodyName, bodyOf, historyRequest, textOf } from "./load/traffic.ts";
import { type Case, isStarted, type Part, printParts, repeated, rowsOf } from "./measure.ts";

/** Microseconds for each streamed event. */
const mostForEvent = 6;
const times = 20;
const streamedCharacters = 4000;

/** How each provider answers. */
const wires: Readonly<Record<DialectName, { readonly model: string; readonly wire: Wire }>> = {
  openai: { model: "gpt-4o", wire: openaiWire() },
  anthropic: { model: "claude-sonnet-4-20250514", wire: anthropicWire },
  gemini: { model: "gemini-2.5-pro", wire: geminiWire() },
  mistral: { model: "mistral-large-latest", wire: mistralWire },
  cohere: { model: "command-a-03-2025", wire: cohereWire },
};
const names: readonly DialectName[] = ["openai", "anthropic", "gemini", "mistral", "cohere"];

export const parts: readonly Part[] = [
  {
    name: "parsing",
    title: "Parsing a request",
    text: "From the bytes of a Converse request to values whose every field has been checked. A relayed request is not parsed.",
    measure: (ms) => rowsOf((["1 KB", "10 KB", "100 KB", "history"] as const).map(parsing), ms),
  },
  {
    name: "encode",
    title: "Writing a provider's request",
    text: "`encode` of a Converse request with one tool, from values to JSON text.",
    measure: (ms) => rowsOf([...names.map((name) => encoding(name, 1)), ...larger()], ms),
  },
  {
    name: "decode",
    title: "Reading a provider's answer",
    text: "`decode` of an answer of about 1 KB, from bytes to values.",
    measure: (ms) => rowsOf(names.map(decoding), ms),
  },
  {
    name: "stream",
    title: "Reading a provider's stream",
    text:
      "From the bytes of a server-sent event through `SseReader`, the dialect and `encodeEvent` to the frame of a Converse\n" +
      "event; for each event. Reads of the socket hold one event, sixteen, or all of them.",
    measure: (ms) => rowsOf(names.flatMap(streaming), ms),
  },
];

function parsing(name: BodyName): Case {
  const body = Buffer.from(bodyOf(name));
  const title = name === "history" ? "a history of 1,000 messages" : name;
  return repeated(title, times, () => readConverse(JSON.parse(body.toString()), false));
}

function encoding(name: DialectName, kilobytes: number): Case {
  const request = requestOf(kilobytes);
  return repeated(`${name}, ${kilobytes} KB`, times, () => dialects[name].encode(request, targetOf(name)));
}

function larger(): Case[] {
  const history = readConverse(historyRequest(1000), false);
  return [
    encoding("openai", 10),
    encoding("openai", 100),
    repeated("openai, a history of 1,000 messages", times, () => dialects.openai.encode(history, targetOf("openai"))),
  ];
}

function decoding(name: DialectName): Case {
  const { model, wire } = wires[name];
  const answer = { headers: {}, body: Buffer.from(JSON.stringify(wire.whole({ text: textOf(700) }, model))) };
  const memo = memoOf(name);
  return repeated(name, times, () => {
    const read = dialects[name].decode(answer, memo);
    if (read.kind !== "answer") throw new Error(`${name} reads its answer as a failure: ${read.error.message}`);
    return read;
  });
}

function streaming(name: DialectName): Case[] {
  const { model, wire } = wires[name];
  const events = wire.events({ text: textOf(streamedCharacters) }, model).map((event) => Buffer.from(event));
  const memo = memoOf(name);
  const run = (title: string, perRead: number): Case => {
    const reads = inReads(events, perRead);
    return {
      name: `${name}, ${title}`,
      times: events.length,
      run: () => translate(reads, dialects[name], memo),
      ...(name === "openai" && { most: mostForEvent }),
    };
  };
  if (name !== "openai") return [run("16 events a read", 16)];
  return [run("one event a read", 1), run("16 events a read", 16), run("all in one read", events.length)];
}

/** The road of a stream's bytes without the network. @returns how many bytes the client gets */
function translate(reads: readonly Buffer[], dialect: Dialect, memo: Memo): number {
  const reader = new SseReader();
  const stream = dialect.stream(memo);
  let bytes = 0;
  for (const read of reads) {
    for (const item of reader.push(read)) {
      const { events, failure } = stream.push(item);
      if (failure !== undefined) throw new Error(`${dialect.name}: ${failure.error.message}`);
      for (const event of events) {
        for (const [name, payload] of Object.entries(event)) bytes += encodeEvent(name, JSON.stringify(payload)).length;
      }
    }
  }
  if (bytes < streamedCharacters) throw new Error(`${dialect.name} makes ${bytes} bytes of its stream`);
  return bytes;
}

function inReads(events: readonly Buffer[], perRead: number): Buffer[] {
  return Array.from({ length: Math.ceil(events.length / perRead) }, (_, n) =>
    Buffer.concat(events.slice(n * perRead, (n + 1) * perRead)),
  );
}

/** A request of so many KB, in a turn of a conversation that has a tool. */
function requestOf(kilobytes: number): ConverseRequest {
  const messages = [{ role: "user", content: [{ text: textOf(kilobytes * 1024 - 400) }] }];
  return readConverse({ ...historyRequest(0), messages }, false);
}

function targetOf(name: DialectName): Target {
  return { provider: name, kind: name, model: wires[name].model, streaming: true, seed: "bench" };
}

function memoOf(name: DialectName): Memo {
  return dialects[name].encode(requestOf(1), targetOf(name)).memo;
}

if (isStarted(import.meta.url)) await printParts(parts);
