/**
 * What event-stream frames cost: writing them, cutting and reading a stream of them, and the checksum that both need, in
 * JavaScript and in zlib. `npx tsx bench/frames.ts`.
 */
import { crc32 as zlibCrc32 } from "node:zlib";
import { EventStreamCodec } from "@smithy/eventstream-codec";
import { crc32Range } from "../src/bedrock/crc32.ts";
import { encodeEvent, FrameCutter, readFrame } from "../src/bedrock/event-stream.ts";
import { converseStream, wholeStream } from "./load/traffic.ts";
import { isStarted, type Part, printParts, repeated, rowsOf } from "./measure.ts";

const times = 500;
const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString("utf8"),
  (text) => Buffer.from(text, "utf8"),
);
const frames = wholeStream(converseStream);
const stream = Buffer.concat(frames);
const frameBytes = Math.round(stream.length / frames.length);

export const parts: readonly Part[] = [
  {
    name: "framing",
    title: "Writing a frame",
    text: "One event frame around a JSON text of the given size; `encodeEvent` against `@smithy/eventstream-codec`.",
    measure: (ms) => rowsOf([64, 512, 4096].flatMap(writing), ms),
  },
  {
    name: "frame-reading",
    title: "Reading a frame",
    text:
      `A stream of ${frames.length} frames of about ${frameBytes} bytes, cut into frames, each one's kind, type and payload\n` +
      "found. Smithy checks the checksum of each frame as well, the gateway that of its lengths alone, since it passes the\n" +
      "frame on unchanged.",
    measure: (ms) => rowsOf(reading(), ms),
  },
  {
    name: "crc",
    title: "CRC-32",
    text: "`crc32Range` in JavaScript against `zlib.crc32`. `src/bedrock/crc32.ts` changes over at 400 bytes.",
    measure: (ms) => rowsOf([64, 128, 400, 4096].flatMap(checksums), ms),
  },
];

function writing(size: number) {
  const type = "contentBlockDelta";
  const headers = {
    ":event-type": { type: "string" as const, value: type },
    ":content-type": { type: "string" as const, value: "application/json" },
    ":message-type": { type: "string" as const, value: "event" },
  };
  const payload = JSON.stringify({ contentBlockIndex: 0, delta: { text: "x".repeat(size) } }).slice(0, size);
  const encode = () => codec.encode({ headers, body: Buffer.from(payload) });
  return [
    repeated(`${size} B, ours`, times, () => encodeEvent(type, payload)),
    repeated(`${size} B, Smithy`, times, encode, { theirs: true }),
  ];
}

function reading() {
  const packets = split(stream, 1400);
  const cut = (chunks: readonly Buffer[]) => {
    const cutter = new FrameCutter();
    for (const chunk of chunks) cutter.push(chunk, readFrame);
  };
  return [
    { name: "`FrameCutter` and `readFrame`, all in one read", times: frames.length, run: () => cut([stream]) },
    { name: "the same, in reads of 1,400 bytes", times: frames.length, run: () => cut(packets) },
    {
      name: "`@smithy/eventstream-codec`, frames already cut",
      times: frames.length,
      theirs: true,
      run: () => {
        for (const frame of frames) codec.decode(frame);
      },
    },
  ];
}

function checksums(size: number) {
  const bytes = Buffer.alloc(size, "checksum");
  return [
    repeated(`${size} B, JavaScript`, times, () => crc32Range(bytes, 0, size)),
    repeated(`${size} B, zlib`, times, () => zlibCrc32(bytes), { theirs: true }),
  ];
}

function split(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size));
}

if (isStarted(import.meta.url)) await printParts(parts);
