/**
 * `application/vnd.amazon.eventstream`: writing frames, and cutting a byte stream into whole frames.
 *
 * A frame, all integers big-endian (the event-stream specification of Smithy 2.0):
 *
 *     total length u32 | headers length u32 | prelude CRC u32 | headers | payload | message CRC u32
 *
 * A header: name length u8, name, type u8, value. Bedrock's answers use type 7 (string with a u16 length) only.
 */

import { crc32, crc32Range } from "./crc32.ts";
import { type BedrockError, errorBody } from "./errors.ts";

/** The first byte of every frame under 16 MiB: the high byte of its length. */
export const firstFrameByte = 0x00;

const preludeBytes = 12;
const overhead = 16;

/** Frames beyond this are not Bedrock's: botocore refuses payloads over 24 MiB. */
const maxFrameBytes = 32 * 1024 * 1024;

/** What a frame says about itself. */
export interface Frame {
  readonly kind: "event" | "exception" | "error" | "other";
  /** `:event-type`, `:exception-type` or `:error-code`; empty when there is none. */
  readonly type: string;
  /** A view on the payload bytes, valid as long as the bytes it was read from. */
  readonly payload: Uint8Array;
}

/** Thrown when bytes cannot be an event stream: lengths out of range or a wrong prelude checksum. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

const eventHeaders = new Map<string, Buffer>();

/**
 * Encodes one event frame with a JSON payload, headers in Bedrock's own order.
 *
 * @param type the event's member name, e.g. `contentBlockDelta` or `chunk`
 */
export function encodeEvent(type: string, payload: string): Buffer {
  let headers = eventHeaders.get(type);
  if (headers === undefined) {
    headers = encodeHeaders([
      [":event-type", type],
      [":content-type", "application/json"],
      [":message-type", "event"],
    ]);
    eventHeaders.set(type, headers);
  }
  return encodeFrame(headers, payload);
}

/**
 * Encodes an exception frame. The SDKs know an exception in a stream by its lowerCamelCase member name only.
 *
 * @param name the frame's `:exception-type`; by default the member that this stream models for the error's type.
 *   `ModelTimeoutException` is modelled for the Invoke stream alone, so a Converse stream says
 *   `modelStreamErrorException` instead; so do all types that no stream models.
 */
export function encodeException(
  error: BedrockError,
  stream: string,
  name = streamExceptionName(error.type, stream),
): Buffer {
  const headers = encodeHeaders([
    [":exception-type", name],
    [":content-type", "application/json"],
    [":message-type", "exception"],
  ]);
  return encodeFrame(headers, errorBody(error));
}

/** The camelCase member under which a stream of this operation can carry an error of this type. */
export function streamExceptionName(type: string, stream: string): string {
  switch (type) {
    case "InternalServerException":
    case "ServiceUnavailableException":
    case "ThrottlingException":
    case "ValidationException":
      return `${type.charAt(0).toLowerCase()}${type.slice(1)}`;
    case "ModelTimeoutException":
      return stream === "InvokeModelWithResponseStream" ? "modelTimeoutException" : "modelStreamErrorException";
    default:
      return "modelStreamErrorException";
  }
}

function encodeHeaders(headers: readonly (readonly [string, string])[]): Buffer {
  const parts = headers.map(([name, value]) => {
    const length = Buffer.byteLength(value);
    const part = Buffer.alloc(1 + name.length + 3 + length);
    part.writeUInt8(name.length, 0);
    part.write(name, 1, "latin1");
    part.writeUInt8(7, 1 + name.length);
    part.writeUInt16BE(length, 2 + name.length);
    part.write(value, 4 + name.length);
    return part;
  });
  return Buffer.concat(parts);
}

function encodeFrame(headers: Buffer, payload: string): Buffer {
  const total = overhead + headers.length + Buffer.byteLength(payload);
  const frame = Buffer.allocUnsafe(total);
  frame.writeUInt32BE(total, 0);
  frame.writeUInt32BE(headers.length, 4);
  frame.writeUInt32BE(crc32Range(frame, 0, 8), 8);
  frame.set(headers, preludeBytes);
  frame.write(payload, preludeBytes + headers.length);
  frame.writeUInt32BE(crc32(frame.subarray(0, total - 4)), total - 4);
  return frame;
}

/** What a block of headers says, remembered because a stream repeats a handful of blocks for all its frames. */
interface Known {
  readonly block: Buffer;
  readonly kind: Frame["kind"];
  readonly type: string;
}

const knownBlocks: Known[] = [];
const maxKnownBlocks = 32;

/**
 * Reads type and payload of one whole frame. Headers it does not know are skipped.
 *
 * @param bytes holds the frame at `start`; its length fields have been checked by {@link FrameCutter}
 * @throws FrameError when the headers do not fit their block
 */
export function readFrame(bytes: Buffer, start: number, end: number): Frame {
  const headersStart = start + preludeBytes;
  const headersEnd = headersStart + bytes.readUInt32BE(start + 4);
  const payload = bytes.subarray(headersEnd, end - 4);
  for (const known of knownBlocks) {
    if (known.block.length !== headersEnd - headersStart) continue;
    if (known.block.compare(bytes, headersStart, headersEnd) === 0)
      return { kind: known.kind, type: known.type, payload };
  }
  const block = Buffer.from(bytes.subarray(headersStart, headersEnd));
  const said = readHeaders(block);
  if (knownBlocks.length < maxKnownBlocks) knownBlocks.push({ block, ...said });
  return { payload, ...said };
}

function readHeaders(block: Buffer): Pick<Frame, "kind" | "type"> {
  let kind: Frame["kind"] = "other";
  let type = "";
  for (let at = 0; at < block.length; ) {
    const nameEnd = at + 1 + block.readUInt8(at);
    if (nameEnd + 1 > block.length) throw new FrameError("a frame header runs past the headers' end");
    const name = block.toString("latin1", at + 1, nameEnd);
    const valueType = block.readUInt8(nameEnd);
    const valueEnd = nameEnd + 1 + valueLength(block, valueType, nameEnd + 1);
    if (valueEnd > block.length) throw new FrameError("a frame header runs past the headers' end");
    if (valueType === 7) {
      const value = block.toString("utf8", nameEnd + 3, valueEnd);
      if (name === ":message-type") kind = messageKind(value);
      else if (name === ":event-type" || name === ":exception-type" || name === ":error-code") type = value;
    }
    at = valueEnd;
  }
  return { kind, type };
}

function messageKind(value: string): Frame["kind"] {
  return value === "event" || value === "exception" || value === "error" ? value : "other";
}

/** Length in bytes of a header value, its own length field included. */
function valueLength(block: Buffer, type: number, at: number): number {
  const fixed = [0, 0, 1, 2, 4, 8, undefined, undefined, 8, 16][type];
  if (fixed !== undefined) return fixed;
  if (type !== 6 && type !== 7) throw new FrameError(`a frame header has the unknown type ${type}`);
  if (at + 2 > block.length) throw new FrameError("a frame header runs past the headers' end");
  return 2 + block.readUInt16BE(at);
}

/**
 * Cuts an arbitrarily split byte stream into runs of whole frames. Bytes are handed on as they came: a run is a view
 * on the given chunk wherever no frame spans two chunks.
 *
 * Fast path: one call for each read from upstream.
 */
export class FrameCutter {
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** Bytes of an unfinished frame that are waiting for more. */
  get pending(): number {
    return this.#restBytes;
  }

  /**
   * @param onFrame called for each whole frame in order, with the run it stands in and its bounds
   * @returns the whole frames as one run, or undefined when none is complete yet
   * @throws FrameError when the bytes cannot be frames
   */
  push(chunk: Buffer, onFrame: (run: Buffer, start: number, end: number) => void): Buffer | undefined {
    const bytes = this.#take(chunk);
    if (bytes === undefined) return undefined;
    let at = 0;
    while (bytes.length - at >= preludeBytes) {
      const end = at + checkedLength(bytes, at);
      if (end > bytes.length) break;
      onFrame(bytes, at, end);
      at = end;
    }
    if (at < bytes.length) this.#keep(at === 0 ? bytes : bytes.subarray(at));
    return at === 0 ? undefined : bytes.subarray(0, at);
  }

  /** Joins what was kept with the new chunk, but only once a whole frame can be in it: a large frame is copied once. */
  #take(chunk: Buffer): Buffer | undefined {
    if (this.#restBytes === 0) return chunk;
    this.#keep(chunk);
    const first = this.#joinedPrelude();
    if (first === undefined || this.#restBytes < checkedLength(first, 0)) return undefined;
    const joined = Buffer.concat(this.#rest, this.#restBytes);
    this.#rest = [];
    this.#restBytes = 0;
    return joined;
  }

  #keep(bytes: Buffer): void {
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
  }

  #joinedPrelude(): Buffer | undefined {
    if (this.#restBytes < preludeBytes) return undefined;
    const first = this.#rest[0];
    if (first !== undefined && first.length >= preludeBytes) return first;
    const joined = Buffer.concat(this.#rest, this.#restBytes);
    this.#rest = [joined];
    return joined;
  }
}

function checkedLength(bytes: Buffer, at: number): number {
  const total = bytes.readUInt32BE(at);
  const headers = bytes.readUInt32BE(at + 4);
  if (total < overhead || total > maxFrameBytes || headers > total - overhead) {
    throw new FrameError(`a frame claims ${total} bytes with ${headers} bytes of headers`);
  }
  if (bytes.readUInt32BE(at + 8) !== crc32Range(bytes, at, at + 8)) {
    throw new FrameError("a frame's prelude checksum is wrong");
  }
  return total;
}
