import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ResponseError, ResponseReader } from "../../../bench/load/response-reader.ts";

const sized = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
const chunked =
  "HTTP/1.1 424 Failed\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1A;name=value\r\n" +
  `${"x".repeat(26)}\r\n0\r\ntrailer: yes\r\n\r\n`;

/** Reads the pieces one by one; an answer may only be complete with the last of them. */
function read(pieces: readonly Buffer[], reader = new ResponseReader()): ResponseReader {
  const complete = pieces.map((piece) => reader.push(piece));
  expect(complete).toEqual(pieces.map((_, n) => n === pieces.length - 1));
  return reader;
}

const cuts = (length: number) => fc.uniqueArray(fc.integer({ min: 1, max: length - 1 }), { maxLength: 12 });

function split(text: string, at: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  const edges = [0, ...[...at].sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((edge, n) => bytes.subarray(edges[n], edge));
}

describe("an answer", () => {
  test("with a length is counted however it is split", () => {
    fc.assert(
      fc.property(cuts(sized.length), (at) => {
        const { status, bodyBytes } = read(split(sized, at));
        expect([status, bodyBytes]).toEqual([200, 5]);
      }),
    );
  });

  test("in chunks is counted without their framing, however it is split", () => {
    fc.assert(
      fc.property(cuts(chunked.length), (at) => {
        const { status, bodyBytes } = read(split(chunked, at));
        expect([status, bodyBytes]).toEqual([424, 31]);
      }),
    );
  });

  test("gives its body to whoever wants it", () => {
    fc.assert(
      fc.property(cuts(chunked.length), (at) => {
        const body: Buffer[] = [];
        // What is given is a view on what was read.
        read(split(chunked, at), new ResponseReader((bytes) => body.push(Buffer.from(bytes))));
        expect(Buffer.concat(body).toString()).toBe(`hello${"x".repeat(26)}`);
      }),
    );
  });

  test("may be empty", () => {
    expect(read([Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")]).bodyBytes).toBe(0);
    expect(read([Buffer.from("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")]).bodyBytes).toBe(0);
  });

  test("is followed by the next one on the same connection", () => {
    const reader = read(split(chunked, [70]));
    reader.reset();
    expect(read([Buffer.from(sized)], reader)).toMatchObject({ status: 200, bodyBytes: 5 });
  });
});

describe("what is no answer", () => {
  test.each([
    ["bytes behind a complete answer", `${sized}H`],
    ["bytes behind the last chunk", `${chunked}\n`],
    ["neither a length nor chunks", "HTTP/1.1 200 OK\r\n\r\n"],
    ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
    ["an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"],
    ["a chunk size that is no number", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"],
    ["a chunk without a size", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n"],
    ["a head without an end", "HTTP/1.1 200 OK\r\n".repeat(10_000)],
  ])("is refused: %s", (_what, text) => {
    expect(() => new ResponseReader().push(Buffer.from(text))).toThrow(ResponseError);
  });
});
