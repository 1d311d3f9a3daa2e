/** The objects of S3 that batch inference needs: what of a client's request goes up, and what is refused by name. */
import { isAwsChunked, joinChunks, readAwsChunked, withoutAwsChunked } from "../bedrock/aws-chunked.ts";
import { refuseField } from "../bedrock/errors.ts";
import type { OperationName, Route } from "../bedrock/operations.ts";
import type { RequestHeaders } from "../http/exchange.ts";

type HeaderList = readonly (readonly [name: string, value: string])[];

/** Of another parameter S3 makes another operation: an ACL, a tag set, a part of a multipart upload. */
const objectReads =
  "x-id versionid partnumber response-cache-control response-content-disposition response-content-encoding " +
  "response-content-language response-content-type response-expires";
const parameters: { readonly [name in OperationName]?: ReadonlySet<string> } = {
  PutObject: wordsOf("x-id"),
  GetObject: wordsOf(objectReads),
  HeadObject: wordsOf(objectReads),
  DeleteObject: wordsOf("x-id versionid"),
  ListObjectsV2: wordsOf(
    "x-id list-type continuation-token delimiter encoding-type fetch-owner marker max-keys prefix start-after",
  ),
};

/** No character of these is one that a path, a host or a URL gives a meaning; dots alone are no name. */
const bucketGrammar = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

/**
 * Checks what of a request decides where it goes and which operation it is.
 *
 * @param query undecoded
 * @param up the headers that go up
 * @throws BedrockError ValidationException naming the bucket, the key, the parameter or the header
 */
export function checkFilesRequest({ operation, labels }: Route, query: string, up: HeaderList): void {
  const [bucket = "", key] = labels;
  if (!bucketGrammar.test(bucket)) throw refuseField("bucket", "is not the name of a bucket of S3.");
  if (key !== undefined && climbs(key)) throw refuseField("key", "leaves its bucket by its `..` segments.");
  const known = parameters[operation.name];
  for (const [name] of new URLSearchParams(query)) {
    if (known?.has(name.toLowerCase()) === true) continue;
    throw refuseField(name.slice(0, 64), `makes another operation of ${operation.name}, and that is not served.`);
  }
  for (const [name] of up) {
    if (name.startsWith("x-amz-copy-source")) throw refuseField(name, "copies an object, and that is not served.");
  }
}

/**
 * The body that goes up, and the headers that change with it: out of its `aws-chunked` framing, with the checksums of its
 * trailer as headers, for S3 to verify.
 *
 * @param up the headers that go up
 * @throws BedrockError ValidationException when the body is not framed as the request says, or is not all there
 */
export function readUpload(
  headers: RequestHeaders,
  up: HeaderList,
  body: Buffer,
): { readonly headers: HeaderList; readonly body: Buffer } {
  if (!isAwsChunked(headers)) return { headers: up, body };
  const framed = readAwsChunked(body);
  const bytes = joinChunks(framed);
  const declared = headers.get("x-amz-decoded-content-length");
  if (declared !== undefined && declared !== String(bytes.length)) {
    throw refuseField("x-amz-decoded-content-length", `is not the ${bytes.length} bytes that arrived.`);
  }
  const announced = wordsOf((headers.get("x-amz-trailer") ?? "").toLowerCase().replaceAll(",", " "));
  const arrived = new Map(framed.trailers);
  for (const name of arrived.keys()) {
    if (!announced.has(name)) throw refuseField("x-amz-trailer", `does not announce the trailer ${name.slice(0, 64)}.`);
    if (!name.startsWith("x-amz-checksum-")) throw refuseField("x-amz-trailer", "may announce checksums only.");
  }
  for (const name of announced) {
    if (name !== "" && !arrived.has(name)) throw refuseField("x-amz-trailer", `the trailer ${name} did not arrive.`);
  }
  const encoding = withoutAwsChunked(headers.get("content-encoding"));
  const others = up.filter(([name]) => name !== "content-encoding");
  return {
    headers: [...others, ...(encoding === undefined ? [] : [["content-encoding", encoding] as const]), ...arrived],
    body: bytes,
  };
}

/** S3 itself refuses keys in which, read from the left, more segments go up than down. */
function climbs(key: string): boolean {
  let depth = 0;
  for (const segment of key.split("/")) {
    if (segment === "..") depth--;
    else if (segment !== "" && segment !== ".") depth++;
    if (depth < 0) return true;
  }
  return false;
}

function wordsOf(text: string): ReadonlySet<string> {
  return new Set(text.split(/\s+/));
}
