import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAwsChunked, joinChunks, readAwsChunked, withoutAwsChunked } from "../../src/bedrock/aws-chunked.ts";
import { verifySignature } from "../../src/bedrock/signature.ts";
import { sha256Hex } from "../../src/upstream/sigv4.ts";

const refused = expect.objectContaining({
  type: "ValidationException",
  message: expect.stringContaining("body: is not framed as aws-chunked"),
});

function thrown(body: string): unknown {
  try {
    return readAwsChunked(Buffer.from(body));
  } catch (error) {
    return error;
  }
}

describe("an aws-chunked body", () => {
  test("of any chunks and trailers is taken apart into what was put in", () => {
    const chunk = fc.uint8Array({ minLength: 1, maxLength: 300 });
    const value = fc.stringMatching(/^[!-~]{0,20}$/);
    const trailer = fc.tuple(fc.constantFrom("x-amz-checksum-crc32", "x-amz-checksum-sha256"), value);
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 6 }), fc.array(trailer, { maxLength: 2 }), (chunks, trailers) => {
        const parts = chunks.flatMap((bytes) => [`${bytes.length.toString(16)}\r\n`, bytes, "\r\n"]);
        const lines = trailers.map(([name, text]) => `${name}:${text}\r\n`);
        const body = Buffer.concat([...parts, "0\r\n", ...lines, "\r\n"].map((part) => Buffer.from(part as string)));
        const framed = readAwsChunked(body);
        expect(joinChunks(framed)).toEqual(Buffer.concat(chunks));
        expect(framed.trailers).toEqual(trailers);
      }),
    );
  });

  test("of one chunk is not copied", () => {
    const body = Buffer.from("3\r\nabc\r\n0\r\n\r\n");
    expect(joinChunks(readAwsChunked(body)).buffer).toBe(body.buffer);
  });

  test.each([
    ["nothing", ""],
    ["no size", "\r\nabc"],
    ["a size that is no number", "x\r\nabc\r\n0\r\n\r\n"],
    ["a negative size", "-1\r\nabc\r\n0\r\n\r\n"],
    ["a size beyond all reason", "ffffffffffff\r\nabc\r\n0\r\n\r\n"],
    ["a size with more digits than a number has", "fffffffffffff\r\nabc\r\n0\r\n\r\n"],
    ["a chunk that is shorter than it says", "5\r\nabc\r\n0\r\n\r\n"],
    ["a chunk that is longer than it says", "2\r\nabc\r\n0\r\n\r\n"],
    ["no last chunk", "3\r\nabc\r\n"],
    ["no end behind the last chunk", "3\r\nabc\r\n0\r\n"],
    ["an extension that is no signature", "3;x=1\r\nabc\r\n0\r\n\r\n"],
    ["a trailer that is no header", "0\r\nno colon\r\n\r\n"],
    ["a trailer with a line break in its value", "0\r\nx-amz-checksum-crc32:a\nb\r\n\r\n"],
    ["bytes behind its end", "0\r\n\r\n3\r\nabc\r\n"],
    ["a line without an end", `0\r\nx-amz-checksum-crc32:${"a".repeat(10_000)}\r\n\r\n`],
    ["millions of chunks", `${"1\r\na\r\n".repeat(100_001)}0\r\n\r\n`],
  ])("with %s is refused", (_what, body) => {
    expect(thrown(body)).toEqual(refused);
  });

  test("of random bytes is read or refused, and nothing else happens", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("0", "3", "a", ";", "\r\n", "\n", ":"), maxLength: 30 }),
        (text) => {
          const outcome = thrown(text);
          if (outcome instanceof Error) expect(outcome).toEqual(refused);
        },
      ),
    );
  });

  test("is told by its hash or its content-encoding", () => {
    expect(isAwsChunked(new Map([["content-encoding", "gzip, aws-chunked"]]))).toBe(true);
    expect(isAwsChunked(new Map([["x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]]))).toBe(true);
    expect(isAwsChunked(new Map([["content-encoding", "gzip"]]))).toBe(false);
    expect(withoutAwsChunked("gzip,aws-chunked")).toBe("gzip");
    expect(withoutAwsChunked("aws-chunked")).toBeUndefined();
    expect(withoutAwsChunked(undefined)).toBeUndefined();
  });
});

/** The examples of the Amazon S3 API Reference on chunked uploads, without trailing headers and with them. */
describe("the signed chunks of S3's own example", () => {
  const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
  const now = Date.UTC(2013, 4, 24);
  const bytes = Buffer.alloc(66_560, "a");

  function example(withTrailer: boolean) {
    const payload = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${withTrailer ? "-TRAILER" : ""}`;
    const own = withTrailer ? { "x-amz-trailer": "x-amz-checksum-crc32c" } : { "content-length": "66824" };
    const headers: Record<string, string> = {
      host: "s3.amazonaws.com",
      "content-encoding": "aws-chunked",
      "x-amz-content-sha256": payload,
      "x-amz-date": "20130524T000000Z",
      "x-amz-decoded-content-length": "66560",
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
      ...own,
    };
    const [seed, one, two, three] = withTrailer
      ? [
          "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
          "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
          "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
          "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ]
      : [
          "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
          "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
          "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
          "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ];
    const scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
    const names = Object.keys(headers).sort().join(";");
    const authorization = `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=${names},Signature=${seed}`;
    const trailer = withTrailer
      ? "x-amz-checksum-crc32c:sOO8/Q==\r\n" +
        "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"
      : "";
    const body =
      `10000;chunk-signature=${one}\r\n${bytes.subarray(0, 65_536).toString()}\r\n` +
      `400;chunk-signature=${two}\r\n${bytes.subarray(65_536).toString()}\r\n` +
      `0;chunk-signature=${three}\r\n${trailer}\r\n`;
    return { headers: new Map([...Object.entries(headers), ["authorization", authorization]]), body };
  }

  const verify = ({ headers, body }: { headers: Map<string, string>; body: string }) => {
    const received = { method: "PUT", path: "/examplebucket/chunkObject.txt", query: "", headers, now };
    const s3 = { body: Buffer.from(body), hash: sha256Hex };
    return verifySignature({ ...received, bodyHash: () => sha256Hex(body), s3 }, secret);
  };

  test.each([false, true])("are right (with a trailer: %s)", async (withTrailer) => {
    expect(await verify(example(withTrailer))).toEqual({ ok: true });
  });

  test.each([
    ["a byte", "aaaa\r\n400", "aaab\r\n400"],
    ["a signature", "b474d8", "b474d9"],
    ["the trailer", "sOO8/Q==", "sOO8/A=="],
    ["the trailer's signature", "d81f82", "d81f83"],
    ["a trailer more", "x-amz-trailer-signature", "x-amz-checksum-crc32:AA==\r\nx-amz-trailer-signature"],
    ["no signature of the trailer", "x-amz-trailer-signature", "x-amz-other"],
    ["a chunk's end", "400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", "400"],
  ])("are wrong when %s has changed", async (_what, from, to) => {
    const good = example(true);
    expect(good.body).toContain(from);
    const outcome = await verify({ ...good, body: good.body.replace(from, to) });
    expect(outcome).toMatchObject({ ok: false, type: "InvalidSignatureException" });
  });

  test("are wrong when a chunk is missing, or comes twice, or a trailer that nobody signed is added", async () => {
    const good = example(false);
    const second = /400;.*\r\n/s.exec(good.body)?.[0].slice(0, 400) ?? "";
    expect(second).not.toBe("");
    const [first = "", ...others] = good.body.split("400;");
    for (const body of [
      `${first}${others.join("").slice(others.join("").indexOf("0;chunk"))}`,
      `${first}400;${others[0]?.split("0;chunk")[0]}400;${others.join("400;")}`,
      good.body.replace(/\r\n$/, "x-amz-checksum-crc32:AA==\r\n\r\n"),
    ]) {
      expect(await verify({ ...good, body })).toMatchObject({ ok: false, type: "InvalidSignatureException" });
    }
  });
});
