import { EventStreamCodec, Int64, type MessageHeaders, type MessageHeaderValue } from "@smithy/eventstream-codec";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { crc32 } from "../../src/bedrock/crc32.ts";
import { BedrockError, errorBody } from "../../src/bedrock/errors.ts";
import {
  encodeEvent,
  encodeException,
  FrameCutter,
  FrameError,
  firstFrameByte,
  readFrame,
  streamExceptionName,
} from "../../src/bedrock/event-stream.ts";
import { converseFrames, eventFrame } from "../support/frames.ts";

const smithy = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString("utf8"),
  (text) => Buffer.from(text, "utf8"),
);

afterEach(() => vi.restoreAllMocks());

function smithyFrame(headers: MessageHeaders, body: Uint8Array | string = "{}"): Buffer {
  return Buffer.from(smithy.encode({ headers, body: Buffer.from(body) }));
}

function read(frame: Buffer) {
  return readFrame(frame, 0, frame.length);
}

/** A frame with lengths and headers of the caller's choice and right checksums. */
function rawFrame(headers: Uint8Array, claim: { total?: number; headers?: number } = {}, payload = "{}"): Buffer {
  const body = Buffer.concat([headers, Buffer.from(payload)]);
  const frame = Buffer.alloc(body.length + 16);
  frame.writeUInt32BE(claim.total ?? frame.length, 0);
  frame.writeUInt32BE(claim.headers ?? headers.length, 4);
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8);
  frame.set(body, 12);
  frame.writeUInt32BE(crc32(frame.subarray(0, -4)), frame.length - 4);
  return frame;
}

/** Only the twelve bytes that announce a frame. */
function prelude(total: number, headers: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(total, 0);
  bytes.writeUInt32BE(headers, 4);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
  return bytes;
}

const eventType = fc.constantFrom("messageStart", "contentBlockDelta", "chunk", "aTypeOfTomorrow");
const jsonText = fc.json({ maxDepth: 2 });

describe("writing", () => {
  test("an event gives the recorded check vector", () => {
    const frame = encodeEvent("messageStart", '{"role": "assistant"}');
    expect(frame.length).toBe(119);
    expect(frame.subarray(0, 12).toString("hex")).toBe("0000007700000052abb5d36e");
    expect(frame.subarray(-4).toString("hex")).toBe("5be0d2f5");
  });

  test("an exception gives the recorded check vector, but for a space in the payload", () => {
    const frame = smithyFrame(
      {
        ":exception-type": { type: "string", value: "throttlingException" },
        ":content-type": { type: "string", value: "application/json" },
        ":message-type": { type: "string", value: "exception" },
      },
      '{"message": "slow"}',
    );
    expect(frame.subarray(0, 12).toString("hex")).toBe("00000084000000611bf198f5");
    expect(frame.subarray(-4).toString("hex")).toBe("2e9feb30");
    const ours = encodeException(new BedrockError("ThrottlingException", "slow"), "ConverseStream");
    expect(ours.length).toBe(frame.length - 1);
    expect(ours.subarray(12, 12 + 0x61)).toEqual(frame.subarray(12, 12 + 0x61));
  });

  test("any event gives the bytes that AWS's encoder gives, and its decoder reads it", () => {
    fc.assert(
      fc.property(eventType, fc.oneof(jsonText, fc.string({ unit: "grapheme" })), (type, payload) => {
        const headers: MessageHeaders = {
          ":event-type": { type: "string", value: type },
          ":content-type": { type: "string", value: "application/json" },
          ":message-type": { type: "string", value: "event" },
        };
        const frame = encodeEvent(type, payload);
        expect(frame).toEqual(smithyFrame(headers, payload));
        expect(smithy.decode(frame)).toEqual({ headers, body: Uint8Array.from(Buffer.from(payload)) });
        expect(frame[0]).toBe(firstFrameByte);
      }),
    );
  });

  test("any exception is read by AWS's decoder, with the message and members it was given", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.constantFrom(undefined, 529), (message, originalStatusCode) => {
        const members = originalStatusCode === undefined ? {} : { members: { originalStatusCode } };
        const error = new BedrockError("ModelStreamErrorException", message, members);
        const decoded = smithy.decode(encodeException(error, "ConverseStream"));
        expect(decoded.headers[":message-type"]).toEqual({ type: "string", value: "exception" });
        expect(decoded.headers[":exception-type"]).toEqual({ type: "string", value: "modelStreamErrorException" });
        expect(Buffer.from(decoded.body).toString()).toBe(errorBody(error));
      }),
    );
  });

  test("an exception can be given the name that another side gave it", () => {
    const frame = encodeException(
      new BedrockError("ModelStreamErrorException", "x"),
      "ConverseStream",
      "someException",
    );
    expect(read(frame)).toMatchObject({ kind: "exception", type: "someException" });
  });

  test("a large payload is written whole", () => {
    const payload = JSON.stringify({ delta: "é".repeat(500_000) });
    expect(Buffer.from(smithy.decode(encodeEvent("contentBlockDelta", payload)).body).toString()).toBe(payload);
  });
});

describe("the name of an exception in a stream", () => {
  const modelled = [
    ["InternalServerException", "internalServerException"],
    ["ModelStreamErrorException", "modelStreamErrorException"],
    ["ServiceUnavailableException", "serviceUnavailableException"],
    ["ThrottlingException", "throttlingException"],
    ["ValidationException", "validationException"],
  ];

  test.each(["ConverseStream", "InvokeModelWithResponseStream"])("is the member that %s models", (stream) => {
    for (const [type = "", name] of modelled) expect(streamExceptionName(type, stream)).toBe(name);
  });

  test("of a timeout is modelled for the Invoke stream alone", () => {
    expect(streamExceptionName("ModelTimeoutException", "InvokeModelWithResponseStream")).toBe("modelTimeoutException");
    expect(streamExceptionName("ModelTimeoutException", "ConverseStream")).toBe("modelStreamErrorException");
  });

  test.each(["AccessDeniedException", "ResourceNotFoundException", "ModelErrorException", "", "constructor"])(
    "of %j, which no stream models, is the general one",
    (type) => {
      expect(streamExceptionName(type, "ConverseStream")).toBe("modelStreamErrorException");
    },
  );
});

describe("reading a frame", () => {
  test("gives back what was written", () => {
    fc.assert(
      fc.property(eventType, jsonText, (type, payload) => {
        const frame = read(encodeEvent(type, payload));
        expect(frame).toMatchObject({ kind: "event", type });
        expect(Buffer.from(frame.payload).toString()).toBe(payload);
      }),
    );
  });

  test("finds the payload as a view on the bytes it was read from", () => {
    const bytes = Buffer.concat([Buffer.from("xx"), encodeEvent("chunk", '{"a":1}'), Buffer.from("yy")]);
    const frame = readFrame(bytes, 2, bytes.length - 2);
    expect(Buffer.from(frame.payload).toString()).toBe('{"a":1}');
    expect(frame.payload.buffer).toBe(bytes.buffer);
  });

  const headerValue: fc.Arbitrary<MessageHeaderValue> = fc.oneof(
    fc.boolean().map((value) => ({ type: "boolean" as const, value })),
    fc.integer({ min: -128, max: 127 }).map((value) => ({ type: "byte" as const, value })),
    fc.integer({ min: -32_768, max: 32_767 }).map((value) => ({ type: "short" as const, value })),
    fc.integer().map((value) => ({ type: "integer" as const, value })),
    fc.maxSafeInteger().map((value) => ({ type: "long" as const, value: Int64.fromNumber(value) })),
    fc.uint8Array({ maxLength: 40 }).map((value) => ({ type: "binary" as const, value })),
    fc.string({ unit: "grapheme", maxLength: 40 }).map((value) => ({ type: "string" as const, value })),
    fc.date({ min: new Date(0), noInvalidDate: true }).map((value) => ({ type: "timestamp" as const, value })),
    fc.uuid().map((value) => ({ type: "uuid" as const, value })),
  );
  const otherHeaders = fc.dictionary(
    fc.stringMatching(/^[a-z][a-z-]{0,20}$/).filter((name) => name !== "__proto__"),
    headerValue,
    { maxKeys: 6, noNullPrototype: true },
  );

  test("finds its type among AWS's headers of every type, wherever it stands", () => {
    fc.assert(
      fc.property(otherHeaders, otherHeaders, eventType, fc.uint8Array(), (before, after, type, body) => {
        const headers: MessageHeaders = {
          ...before,
          ":message-type": { type: "string", value: "event" },
          ":event-type": { type: "string", value: type },
          ...after,
        };
        const frame = read(smithyFrame(headers, body));
        expect(frame).toMatchObject({ kind: "event", type });
        expect(Buffer.from(frame.payload)).toEqual(Buffer.from(body));
      }),
    );
  });

  test.each([
    ["event", ":event-type", "event"],
    ["exception", ":exception-type", "exception"],
    ["error", ":error-code", "error"],
    ["something", ":event-type", "other"],
  ])("of the message type %s takes its type from %s", (messageType, header, kind) => {
    const frame = smithyFrame({
      ":message-type": { type: "string", value: messageType },
      [header]: { type: "string", value: "theType" },
    });
    expect(read(frame)).toMatchObject({ kind, type: "theType" });
  });

  test("without headers, or with headers of the wrong type, is no event and has no type", () => {
    expect(read(smithyFrame({}))).toMatchObject({ kind: "other", type: "" });
    expect(
      read(
        smithyFrame({ ":message-type": { type: "boolean", value: true }, ":event-type": { type: "byte", value: 1 } }),
      ),
    ).toMatchObject({ kind: "other", type: "" });
  });

  test("is not misled by more header blocks than are remembered", () => {
    for (const round of [1, 2]) {
      for (let index = 0; index < 100; index++) {
        expect(read(eventFrame(`type${index}`, { round }))).toMatchObject({ kind: "event", type: `type${index}` });
      }
    }
  });

  test.each([
    ["a name longer than the block", [200, 1, 2]],
    ["a name without a type", [1, 97]],
    ["an unknown type", [1, 97, 10]],
    ["a string without its length", [1, 97, 7, 0]],
    ["a string longer than the block", [1, 97, 7, 0, 9, 98]],
    ["bytes longer than the block", [1, 97, 6, 255, 255]],
    ["a number cut short", [1, 97, 5, 0, 0, 0]],
    ["an id cut short", [1, 97, 9, 0]],
  ])("with %s in its headers is refused", (_what, headers) => {
    expect(() => read(rawFrame(Uint8Array.from(headers)))).toThrow(FrameError);
  });

  test("with any bytes as its headers is read or refused, and nothing else happens", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (headers) => {
        try {
          expect(read(rawFrame(headers)).payload.length).toBe(2);
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
    );
  });
});

describe("cutting", () => {
  /** Feeds pieces and collects what comes out. */
  function cut(pieces: readonly Buffer[], cutter = new FrameCutter()) {
    const runs: Buffer[] = [];
    const frames: Buffer[] = [];
    for (const piece of pieces) {
      const inRun: Buffer[] = [];
      const run = cutter.push(piece, (bytes, start, end) => inRun.push(bytes.subarray(start, end)));
      frames.push(...inRun);
      if (run === undefined) expect(inRun).toEqual([]);
      else {
        expect(Buffer.concat(inRun)).toEqual(run);
        runs.push(run);
      }
    }
    return { runs, frames, pending: cutter.pending };
  }

  function split(bytes: Buffer, at: readonly number[]): Buffer[] {
    const places = [...new Set([0, ...at.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
      (a, b) => a - b,
    );
    return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
  }

  const anyFrame = fc.tuple(eventType, fc.string({ maxLength: 80 })).map(([type, text]) => encodeEvent(type, text));

  test("any split of any frames gives the same frames, the same bytes, and what is left over", () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        fc.nat(30),
        (frames, places, left) => {
          const whole = Buffer.concat(frames);
          const rest = encodeEvent("chunk", "unfinished").subarray(0, left);
          const result = cut(split(Buffer.concat([whole, rest]), places));
          expect(result.frames).toEqual(frames);
          expect(Buffer.concat(result.runs)).toEqual(whole);
          expect(result.pending).toBe(left);
        },
      ),
    );
  });

  test("one byte at a time gives the frames one at a time", () => {
    const frames = converseFrames();
    const bytes = Buffer.concat(frames);
    const { runs, pending } = cut(split(bytes, Array.from(bytes.keys())));
    expect(runs).toEqual(frames);
    expect(pending).toBe(0);
  });

  test("frames that lie whole in a chunk are views on it", () => {
    const frames = converseFrames();
    const chunk = Buffer.concat([...frames, encodeEvent("chunk", "x").subarray(0, 20)]);
    const { runs } = cut([chunk]);
    expect(runs).toHaveLength(1);
    expect(runs[0]?.buffer).toBe(chunk.buffer);
    expect(runs[0]?.byteOffset).toBe(chunk.byteOffset);
  });

  test("an empty chunk is nothing, with and without bytes that wait", () => {
    const frame = encodeEvent("chunk", "x");
    const { frames, pending } = cut([Buffer.alloc(0), frame.subarray(0, 5), Buffer.alloc(0), frame.subarray(5)]);
    expect(frames).toEqual([frame]);
    expect(pending).toBe(0);
  });

  test("a frame of 3 MB in pieces of 64 KB is copied once, not once for each piece", () => {
    const frame = encodeEvent("contentBlockDelta", "x".repeat(3 * 1024 * 1024));
    const copied = vi.spyOn(Buffer, "concat");
    const cutter = new FrameCutter();
    let run: Buffer | undefined;
    for (let at = 0; at < frame.length; at += 65_536)
      run = cutter.push(frame.subarray(at, at + 65_536), () => undefined) ?? run;
    const bytes = copied.mock.results.reduce((sum, { value }) => sum + (Buffer.isBuffer(value) ? value.length : 0), 0);
    expect(run?.equals(frame)).toBe(true);
    expect(bytes).toBe(frame.length);
  });

  test("a large frame whose first bytes come one by one is not copied for each of them", () => {
    const frame = encodeEvent("chunk", "x".repeat(100_000));
    const copied = vi.spyOn(Buffer, "concat");
    const cutter = new FrameCutter();
    for (const byte of frame) cutter.push(Buffer.from([byte]), () => undefined);
    const bytes = copied.mock.results.reduce((sum, { value }) => sum + (Buffer.isBuffer(value) ? value.length : 0), 0);
    expect(cutter.pending).toBe(0);
    expect(bytes).toBeLessThan(2 * frame.length);
  });

  test.each([
    ["shorter than a frame can be", 15, 0],
    ["of no length", 0, 0],
    ["with headers that fill more than the frame", 100, 85],
    ["with giant headers", 100, 0xffff_ffff],
    ["of 32 MiB and one byte", 32 * 1024 * 1024 + 1, 0],
    ["of 4 GiB", 0xffff_ffff, 0],
  ])("a frame %s is refused as soon as it is announced", (_what, total, headers) => {
    const bytes = prelude(total, headers);
    expect(() => cut([bytes])).toThrow(FrameError);
    expect(() => cut(split(bytes, Array.from(bytes.keys())))).toThrow(FrameError);
    expect(() => cut([Buffer.concat([encodeEvent("chunk", "x"), bytes])])).toThrow(FrameError);
  });

  test("the longest frame that can be is waited for", () => {
    expect(cut([prelude(32 * 1024 * 1024, 0)])).toMatchObject({ frames: [], pending: 12 });
    expect(cut([prelude(100, 84)])).toMatchObject({ frames: [], pending: 12 });
  });

  test("the shortest frame that can be is a frame", () => {
    const frame = rawFrame(new Uint8Array(0), {}, "");
    expect(frame.length).toBe(16);
    expect(cut([frame, frame]).frames).toEqual([frame, frame]);
  });

  test("a wrong checksum over the lengths is refused", () => {
    const frame = encodeEvent("chunk", "x");
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 11 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(frame);
        damaged.writeUInt8(damaged.readUInt8(at) ^ flip, at);
        expect(() => cut([damaged])).toThrow(FrameError);
      }),
    );
  });

  test("bytes that are no frames are refused or waited for, whatever they are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.array(fc.nat(), { maxLength: 5 }), (bytes, places) => {
        const cutter = new FrameCutter();
        try {
          expect(cut(split(Buffer.from(bytes), places), cutter)).toMatchObject({ frames: [], pending: bytes.length });
          expect(bytes.length).toBeLessThan(12);
        } catch (error) {
          if (!(error instanceof FrameError)) throw error;
        }
      }),
    );
  });
});
