import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type EventReader, JsonLinesReader, SseError, type SseEvent, SseReader } from "../../src/upstream/sse.ts";

function readAll(reader: EventReader, pieces: readonly Uint8Array[]): readonly SseEvent[] {
  return [...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()];
}

function read(text: string): readonly SseEvent[] {
  return readAll(new SseReader(), [Buffer.from(text)]);
}

function data(text: string): readonly string[] {
  return read(text).map((event) => event.data);
}

function splitAt(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((place, index) => bytes.subarray(places[index], place));
}

describe("server-sent events", () => {
  test.each([
    ["LF", "\n"],
    ["CR LF", "\r\n"],
    ["CR", "\r"],
  ])("F59 lines may end with %s", (_name, end) => {
    expect(read(["event: a", "data: 1", "", "data: 2", "", ""].join(end))).toEqual([
      { event: "a", data: "1" },
      { event: "", data: "2" },
    ]);
  });

  test("F59 several data lines are one event", () => {
    expect(data('data: {\ndata:  "a": 1\ndata: }\n\n')).toEqual(['{\n "a": 1\n}']);
  });

  test("F59 comments, ids and unknown fields are not events", () => {
    expect(data(": OPENROUTER PROCESSING\n\nid: 7\nretry: 10\nfoo: bar\ndata: x\n\n: ping\n\n")).toEqual(["x"]);
  });

  test("an event without data is none, and its name does not stay", () => {
    expect(read("event: ping\n\ndata: x\n\n")).toEqual([{ event: "", data: "x" }]);
  });

  test("one space behind the colon goes, a second stays", () => {
    expect(data("data:a\n\ndata:  b\n\ndata\n\n")).toEqual(["a", " b", ""]);
  });

  test("a byte order mark at the beginning is not a part of the field", () => {
    expect(data("\uFEFFdata: x\n\n")).toEqual(["x"]);
  });

  test("the last event needs no blank line, and no line end", () => {
    expect(data("data: a\n\ndata: b\n")).toEqual(["a", "b"]);
    expect(data("data: a\n\ndata: b")).toEqual(["a", "b"]);
  });

  test("an event is given as soon as its blank line is there, be it a lone CR", () => {
    const reader = new SseReader();
    expect(reader.push(Buffer.from("data: a\r\n\r"))).toEqual([{ event: "", data: "a" }]);
    expect(reader.push(Buffer.from("\ndata: b\n\n"))).toEqual([{ event: "", data: "b" }]);
  });

  test("F58 characters cut anywhere stay whole", () => {
    const bytes = Buffer.from("data: 日本語 🦊 é\n\n");
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(readAll(new SseReader(), splitAt(bytes, [cut]))).toEqual([{ event: "", data: "日本語 🦊 é" }]);
    }
  });

  test("one event beyond the limit ends it, in one line or in many", () => {
    const inOne = new SseReader(100);
    expect(() => inOne.push(Buffer.from(`data: ${"x".repeat(200)}`))).toThrow(SseError);
    const whole = new SseReader(100);
    expect(() => whole.push(Buffer.from(`data: ${"x".repeat(200)}\n\n`))).toThrow(SseError);
    const inMany = new SseReader(100);
    expect(() => inMany.push(Buffer.from("data: xxxxxxxxx\n".repeat(20)))).toThrow(SseError);
    const separate = new SseReader(100);
    expect(separate.push(Buffer.from("data: xxxxxxxxx\n\n".repeat(20)))).toHaveLength(20);
  });

  test("a long line in small pieces is joined once", () => {
    const reader = new SseReader();
    const piece = Buffer.from("x".repeat(64));
    reader.push(Buffer.from("data: "));
    for (let count = 0; count < 50_000; count++) reader.push(piece);
    expect(reader.push(Buffer.from("\n\n"))[0]?.data).toHaveLength(64 * 50_000);
  });

  const line = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => `data: ${text.replace(/[\r\n]/g, "")}`),
    fc.constantFrom("", "", ": comment", "event: x", "data", "data:", "id: 1", "junk"),
  );
  const stream = fc
    .array(fc.tuple(line, fc.constantFrom("\n", "\r\n", "\r")), { maxLength: 30 })
    .map((lines) => lines.map(([text, end]) => text + end).join(""));

  test("any split of any stream gives the same events", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 12 }), (text, cuts) => {
        const bytes = Buffer.from(text);
        const whole = readAll(new SseReader(), [bytes]);
        expect(readAll(new SseReader(), splitAt(bytes, cuts))).toEqual(whole);
        expect(readAll(new SseReader(), splitAt(bytes, [...bytes.keys()]))).toEqual(whole);
      }),
    );
  });

  test("any bytes are read without a fault", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
        for (const event of readAll(new SseReader(), pieces)) expect(typeof event.data).toBe("string");
      }),
    );
  });
});

describe("JSON lines", () => {
  test("each line is an event, blank ones are none, and the last needs no end", () => {
    expect(readAll(new JsonLinesReader(), [Buffer.from('{"a":1}\n\r\n  \n{"b":"ü"}\r\n{"c":3}')])).toEqual([
      { event: "", data: '{"a":1}' },
      { event: "", data: '{"b":"ü"}' },
      { event: "", data: '{"c":3}' },
    ]);
  });

  test("any split gives the same lines", () => {
    const value = fc.json({ maxDepth: 2 });
    fc.assert(
      fc.property(fc.array(value), fc.array(fc.nat(), { maxLength: 8 }), (values, cuts) => {
        const bytes = Buffer.from(values.map((json) => `${json}\n`).join(""));
        expect(readAll(new JsonLinesReader(), splitAt(bytes, cuts)).map((event) => event.data)).toEqual(values);
      }),
    );
  });

  test("a line beyond the limit ends it", () => {
    expect(() => new JsonLinesReader(10).push(Buffer.from("x".repeat(11)))).toThrow(SseError);
  });
});
