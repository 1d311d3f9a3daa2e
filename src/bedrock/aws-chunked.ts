/**
 * The framing in which S3's clients send uploads whose checksum, or whose signature, comes piece by piece
 * (`content-encoding: aws-chunked`). What is in it goes up without it: its signatures are the client's.
 *
 * Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
 * Chunks", with and without trailing headers, and recordings of botocore.
 */
import { type BedrockError, refuseField } from "./errors.ts";

/** An upload taken apart. */
export interface ChunkedBody {
  readonly chunks: readonly Chunk[];
  /** Headers behind the last chunk, in lower case, without the signature of the trailer itself. */
  readonly trailers: readonly (readonly [name: string, value: string])[];
  readonly trailerSignature: string | undefined;
}

/** One piece; the last has no bytes. */
export interface Chunk {
  readonly bytes: Buffer;
  readonly signature: string | undefined;
}

const contentHash = "x-amz-content-sha256";
const streamingPrefix = "STREAMING-";
const trailerSignatureName = "x-amz-trailer-signature";
const signatureExtension = /^;chunk-signature=([0-9a-f]{64})$/;
/** A chunk's head, and a trailer's line, are shorter than this. Bytes. */
const maxLine = 4096;
/** S3 wants chunks of 8 KB and more; clients that stream send smaller ones, but nobody sends millions. */
const maxChunks = 100_000;

/** Whether a request's body is framed. */
export function isAwsChunked(headers: ReadonlyMap<string, string>): boolean {
  return (
    headers.get(contentHash)?.startsWith(streamingPrefix) === true ||
    codings(headers.get("content-encoding")).includes("aws-chunked")
  );
}

/** What stays of a `content-encoding` when the framing is gone; undefined when nothing does. */
export function withoutAwsChunked(contentEncoding: string | undefined): string | undefined {
  const rest = codings(contentEncoding).filter((coding) => coding !== "aws-chunked");
  return rest.length === 0 ? undefined : rest.join(",");
}

/**
 * Takes an upload apart. The chunks are views of the body: nothing is copied, and no signature looked at.
 *
 * @throws BedrockError ValidationException when it is not framed so
 */
export function readAwsChunked(body: Buffer): ChunkedBody {
  const chunks: Chunk[] = [];
  let at = 0;
  for (;;) {
    const head = readLine(body, at);
    const [, digits, extension = ""] = /^([0-9A-Fa-f]{1,12})(;.*)?$/.exec(head.text) ?? [];
    if (digits === undefined) throw malformed(`no chunk begins at byte ${at}`);
    const signature = extension === "" ? undefined : signatureExtension.exec(extension)?.[1];
    if (extension !== "" && signature === undefined) throw malformed("a chunk has an extension that is no signature");
    const end = head.next + Number.parseInt(digits, 16);
    at = head.next;
    if (end > body.length) throw malformed("it ends within a chunk");
    const bytes = body.subarray(at, end);
    if (chunks.push({ bytes, signature }) > maxChunks) throw malformed(`it has more than ${maxChunks} chunks`);
    if (bytes.length === 0) return { chunks, ...readTrailers(body, at) };
    if (body[end] !== 0x0d || body[end + 1] !== 0x0a) throw malformed("a chunk does not end where its size says");
    at = end + 2;
  }
}

/** The bytes in the chunks. A single chunk is not copied. */
export function joinChunks({ chunks }: ChunkedBody): Buffer {
  const [first, last] = chunks;
  if (first !== undefined && chunks.length === 2 && last?.bytes.length === 0) return first.bytes;
  return Buffer.concat(chunks.map(({ bytes }) => bytes));
}

/**
 * Checks the signatures of all chunks and of the trailer. Each signs its piece and the signature before it.
 *
 * @param seed the request's own signature
 * @param scope `20260131/us-east-1/s3/aws4_request`
 * @param signedTrailer the request has said that trailers come, and that they are signed
 * @param sign the signature of a text, 64 lower-case hexadecimal digits
 * @param hash SHA-256 in lower-case hexadecimal
 * @returns what is wrong; undefined when nothing is
 */
export async function checkChunkSignatures(
  { chunks, trailers, trailerSignature }: ChunkedBody,
  request: { readonly seed: string; readonly time: string; readonly scope: string; readonly signedTrailer: boolean },
  sign: (text: string) => string,
  hash: (bytes: Buffer) => string | Promise<string>,
): Promise<string | undefined> {
  const { seed, time, scope, signedTrailer } = request;
  const nothing = await hash(Buffer.alloc(0));
  let previous = seed;
  let hashed = 0;
  for (const [index, { bytes, signature }] of chunks.entries()) {
    const text = `AWS4-HMAC-SHA256-PAYLOAD\n${time}\n${scope}\n${previous}\n${nothing}\n${await hash(bytes)}`;
    previous = sign(text);
    if (signature !== previous) return `the signature of chunk ${index + 1} is not right`;
    hashed += bytes.length;
    if (hashed < breathBytes && index % breathChunks !== breathChunks - 1) continue;
    hashed = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (!signedTrailer) return trailers.length === 0 ? undefined : "it has trailers that are not signed";
  const lines = trailers.map(([name, value]) => `${name}:${value}\n`).join("");
  const text = `AWS4-HMAC-SHA256-TRAILER\n${time}\n${scope}\n${previous}\n${await hash(Buffer.from(lines))}`;
  return trailerSignature === sign(text) ? undefined : "the signature of the trailer is not right";
}

/** After so much hashing others get their turn. */
const breathBytes = 4 * 1024 * 1024;
const breathChunks = 1000;

function readTrailers(body: Buffer, from: number): Pick<ChunkedBody, "trailers" | "trailerSignature"> {
  const trailers: (readonly [string, string])[] = [];
  let trailerSignature: string | undefined;
  let at = from;
  for (;;) {
    const line = readLine(body, at);
    at = line.next;
    if (line.text === "") break;
    const [, name, value] = /^([A-Za-z0-9-]+):[ \t]*([\x20-\x7e]*?)\s*$/.exec(line.text) ?? [];
    if (name === undefined || value === undefined) throw malformed("its trailer has a line that is no header");
    if (name.toLowerCase() === trailerSignatureName) trailerSignature = value;
    else trailers.push([name.toLowerCase(), value]);
  }
  if (at !== body.length) throw malformed("bytes follow its end");
  return { trailers, trailerSignature };
}

function readLine(body: Buffer, at: number): { readonly text: string; readonly next: number } {
  const end = body.subarray(at, at + maxLine).indexOf("\r\n");
  if (end === -1) throw malformed("it breaks off, or has a line that is too long");
  return { text: body.toString("latin1", at, at + end), next: at + end + 2 };
}

function codings(contentEncoding: string | undefined): string[] {
  return (contentEncoding ?? "")
    .split(",")
    .map((coding) => coding.trim())
    .filter((coding) => coding !== "");
}

function malformed(reason: string): BedrockError {
  return refuseField("body", `is not framed as aws-chunked, as the headers say: ${reason}.`);
}
