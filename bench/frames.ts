/**
 * What event-stream frames cost: writing them, cutting and reading a stream of them, and the checksum that both need, in
 * JavaScript and in zlib. `npx tsx bench/frames.ts`.
 */
import { fileURLToPath } from "node:url";
import { crc32 as zlibCrc32 } from "node:zlib";
import { EventStreamCodec } from "@smithy/eventstream-codec";
import { crc32Range } from "../src/bedrock/crc32.ts";
import { encodeEvent, FrameCutter, readFrame } from "../src/bedrock/event-stream.ts";
import { medians } from "./measure.ts";
import { markdownTable, renderSection, type Section } from "./report.ts";
import { streamFrames } from "./traffic.ts";

const times = 500;
const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString("utf8"),
  (text) => Buffer.from(text, "utf8"),
);

/** @param ms how long each of eighteen cases is measured */
export async function run(ms: number): Promise<Section[]> {
  return [await encoding(ms), await reading(ms), await checksums(ms)];
}

async function encoding(ms: number): Promise<Section> {
  const type = "contentBlockDelta";
  const headers = {
    ":event-type": { type: "string" as const, value: type },
    ":content-type": { type: "string" as const, value: "application/json" },
    ":message-type": { type: "string" as const, value: "event" },
  };
  const rows: string[][] = [];
  for (const size of [64, 512, 4096]) {
    const payload = JSON.stringify({ contentBlockIndex: 0, delta: { text: "x".repeat(size) } }).slice(0, size);
    const [ours = 0, theirs = 0] = await medians(
      [
        { name: "ours", times, run: () => repeat(() => encodeEvent(type, payload)) },
        { name: "Smithy", times, run: () => repeat(() => codec.encode({ headers, body: Buffer.from(payload) })) },
      ],
      ms,
    );
    rows.push([`${size} B`, nanoseconds(ours), nanoseconds(theirs), (theirs / ours).toFixed(1)]);
  }
  return {
    title: "Writing a frame",
    text: "One event frame around a JSON text of the given size; `encodeEvent` against `@smithy/eventstream-codec`. Median ns.",
    table: markdownTable(["payload", "ours", "Smithy", "ratio"], rows),
  };
}

async function reading(ms: number): Promise<Section> {
  const frames = streamFrames();
  const stream = Buffer.concat(frames);
  const packets = split(stream, 1400);
  const cut = (chunks: readonly Buffer[]) => {
    const cutter = new FrameCutter();
    for (const chunk of chunks) cutter.push(chunk, readFrame);
  };
  const cases = [
    { name: "`FrameCutter` and `readFrame`, all in one read", times: frames.length, run: () => cut([stream]) },
    { name: "the same, in reads of 1,400 bytes", times: frames.length, run: () => cut(packets) },
    {
      name: "`@smithy/eventstream-codec`, frames already cut",
      times: frames.length,
      run: () => {
        for (const frame of frames) codec.decode(frame);
      },
    },
  ];
  const micros = await medians(cases, ms);
  return {
    title: "Reading a frame",
    text: `A stream of ${frames.length} frames of about ${Math.round(stream.length / frames.length)} bytes, cut into frames, each one's kind, type and payload found. Smithy checks the checksum of each frame as well, the gateway that of its lengths alone, since it passes the frame on unchanged.`,
    table: markdownTable(
      ["", "median ns per frame"],
      micros.map((value, n) => [cases[n]?.name ?? "", nanoseconds(value)]),
    ),
  };
}

async function checksums(ms: number): Promise<Section> {
  const rows: string[][] = [];
  for (const size of [64, 128, 400, 4096]) {
    const bytes = Buffer.alloc(size, "checksum");
    const [script = 0, zlib = 0] = await medians(
      [
        { name: "JavaScript", times, run: () => repeat(() => crc32Range(bytes, 0, size)) },
        { name: "zlib", times, run: () => repeat(() => zlibCrc32(bytes)) },
      ],
      ms,
    );
    rows.push([`${size} B`, nanoseconds(script), nanoseconds(zlib)]);
  }
  return {
    title: "CRC-32",
    text: "`crc32Range` in JavaScript against `zlib.crc32`. Median ns. `src/bedrock/crc32.ts` changes over at 400 bytes.",
    table: markdownTable(["bytes", "JavaScript", "zlib"], rows),
  };
}

/** @returns the last result, so that the work cannot be left out as useless */
function repeat(work: () => unknown): unknown {
  let result: unknown;
  for (let n = 0; n < times; n++) result = work();
  return result;
}

function split(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size));
}

function nanoseconds(micros: number): string {
  return Math.round(micros * 1000).toString();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const section of await run(1000)) console.log(renderSection(section));
}
