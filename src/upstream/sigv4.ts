/**
 * AWS Signature Version 4 for requests to Bedrock. Every relayed request passes here, so this is a fast path:
 * `bench/sign.ts` holds it against `@smithy/signature-v4`, and a property test holds it equal to it.
 *
 * Source: AWS General Reference, "Create a signed AWS API request". S3's canonical path is the one on the wire.
 */
import { createHash, createHmac, hash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { LRUCache } from "lru-cache";

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** What is signed of a request. The bytes sent must agree with it: path, query and header values as they are here. */
export interface SignableRequest {
  /** Upper case. */
  readonly method: string;
  /** The `host` header: with a port unless it is the scheme's own. */
  readonly host: string;
  /** The path on the wire: each label percent-encoded once already, e.g. `/model/a%3A0/converse`. */
  readonly path: string;
  /** The raw query as it will be sent, without `?`. */
  readonly query: string;
  /** Names in any case. `host` and what {@link sign} answers are ignored here; a repeated name is joined with a comma. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** {@link sha256Hex} of the body, or `UNSIGNED-PAYLOAD`. */
  readonly bodyHash: string;
}

type Header = [name: string, value: string];

/** Headers that proxies and HTTP clients add or change on the way, as `@smithy/signature-v4` lists them. */
const unsigned = new Set([
  ..."cache-control connection expect from keep-alive max-forwards pragma referer te trailer".split(" "),
  ..."transfer-encoding upgrade user-agent x-amzn-trace-id".split(" "),
  // These are answered by `sign`, or stand in the request's `host`.
  ..."host authorization date x-amz-date x-amz-content-sha256 x-amz-security-token".split(" "),
]);

/** A key serves one day, region and identity; beyond this many, the ones longest unused are derived again. */
const maxSigningKeys = 1000;
const signingKeys = new LRUCache<string, Buffer>({ max: maxSigningKeys });

/** Lower-case hexadecimal SHA-256 of a body. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return hash("sha256", bytes, "hex");
}

/** What is hashed in one go: about a quarter of a millisecond. */
export const hashedAtOnceBytes = 512 * 1024;

/**
 * SHA-256 of a large body in hexadecimal, slice by slice, with other work of the thread between them. A worker would not
 * make it cheaper here: the copy it needs takes as long as the hash (`bench/hop.ts`).
 */
export async function sha256InSlices(body: Uint8Array): Promise<string> {
  const whole = createHash("sha256");
  for (let from = 0; from < body.length; from += hashedAtOnceBytes) {
    if (from > 0) await setImmediate();
    whole.update(body.subarray(from, from + hashedAtOnceBytes));
  }
  return whole.digest("hex");
}

/**
 * Signs a request.
 *
 * @param service the signing name: `bedrock` for all of Bedrock's endpoints, `s3`
 * @param now a date, or milliseconds since 1970
 * @returns the headers to add: `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` when the credentials are
 * temporary, `authorization`
 */
export function sign(
  request: SignableRequest,
  credentials: AwsCredentials,
  region: string,
  service: string,
  now: Date | number,
): Header[] {
  const time = timestamp(typeof now === "number" ? now : now.getTime());
  const date = time.slice(0, 8);
  const added: Header[] = [
    ["x-amz-date", time],
    ["x-amz-content-sha256", request.bodyHash],
  ];
  if (credentials.sessionToken) added.push(["x-amz-security-token", credentials.sessionToken]);

  const headers = canonicalHeaders(request, added);
  let lines = "";
  let names = "";
  for (const [name, value] of headers) {
    lines += `${name}:${value}\n`;
    names += names === "" ? name : `;${name}`;
  }
  const path = service === "s3" ? request.path : canonicalPath(request.path);
  const query = request.query === "" ? "" : canonicalQuery(request.query);
  const canonical = `${request.method}\n${path}\n${query}\n${lines}\n${names}\n${request.bodyHash}`;

  const scope = `${date}/${region}/${service}/aws4_request`;
  const toSign = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256Hex(canonical)}`;
  const key = signingKey(credentials, date, region, service);
  const signature = createHmac("sha256", key).update(toSign).digest("hex");
  added.push([
    "authorization",
    `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  ]);
  return added;
}

function signingKey(credentials: AwsCredentials, date: string, region: string, service: string): Buffer {
  const id = `${date}\n${region}\n${service}\n${credentials.accessKeyId}\n${credentials.secretAccessKey}`;
  const known = signingKeys.get(id);
  if (known !== undefined) return known;
  let key: Buffer | string = `AWS4${credentials.secretAccessKey}`;
  key = hmac(key, date);
  key = hmac(key, region);
  key = hmac(key, service);
  key = hmac(key, "aws4_request");
  signingKeys.set(id, key);
  return key;
}

function hmac(key: Buffer | string, data: string): Buffer {
  return createHmac("sha256", key).update(data).digest();
}

let lastSecond = Number.NaN;
let lastTimestamp = "";

/** `20250131T235959Z`, kept for the second it stands for. */
function timestamp(milliseconds: number): string {
  const second = Math.floor(milliseconds / 1000);
  if (second !== lastSecond) {
    lastTimestamp = new Date(second * 1000).toISOString().replace(/[-:]|\.\d{3}/g, "");
    lastSecond = second;
  }
  return lastTimestamp;
}

/** Lower-case names, sorted, blanks in values tidied, each name once. */
function canonicalHeaders(request: SignableRequest, added: readonly Header[]): Header[] {
  const headers: Header[] = [["host", tidy(request.host)]];
  for (const [anyCase, value] of request.headers) {
    const name = anyCase.toLowerCase();
    if (!unsigned.has(name) && !name.startsWith("proxy-") && !name.startsWith("sec-")) insert(headers, name, value);
  }
  for (const [name, value] of added) insert(headers, name, value);
  return headers;
}

/** Insertion sort: a request has about six headers, and this also finds a repeated name. */
function insert(headers: Header[], name: string, value: string): void {
  let at = headers.length;
  for (; at > 0; at--) {
    const other = headers[at - 1];
    if (other === undefined || other[0] < name) break;
    if (other[0] === name) {
      other[1] += `,${tidy(value)}`;
      return;
    }
  }
  if (at === headers.length) headers.push([name, tidy(value)]);
  else headers.splice(at, 0, [name, tidy(value)]);
}

const untidy = /[\t\r\n]| {2}|^ | $/;

function tidy(value: string): string {
  return untidy.test(value) ? value.replace(/[ \t\r\n]+/g, " ").replace(/^ | $/g, "") : value;
}

const beyondUnreserved = /[^A-Za-z0-9\-._~/]/;
const unnormalized = /\/\/|\/\.\.?(?:\/|$)|^\.|^[^/]/;

/** The wire path with its empty and dot segments resolved and every segment percent-encoded once more. */
function canonicalPath(path: string): string {
  const plain = path === "" ? "/" : unnormalized.test(path) ? normalizePath(path) : path;
  // A `/` of the path is the only source of `%2F` here: one that stood encoded has become `%252F`.
  return beyondUnreserved.test(plain) ? encode(plain).replaceAll("%2F", "/") : plain;
}

function normalizePath(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") segments.pop();
    else segments.push(segment);
  }
  const slash = segments.length > 0 && path.endsWith("/") ? "/" : "";
  return `/${segments.join("/")}${slash}`;
}

/** Parameters decoded, encoded in AWS's way, and sorted by name, then by value. */
function canonicalQuery(query: string): string {
  const parameters: Header[] = [];
  for (const part of query.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    const value = equals < 0 ? "" : part.slice(equals + 1);
    parameters.push([encode(decode(name)), encode(decode(value))]);
  }
  parameters.sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)));
  return parameters.map(([name, value]) => `${name}=${value}`).join("&");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not percent-encoding: AWS sees the characters themselves.
    return text;
  }
}

/** RFC 3986: all but the unreserved characters are encoded. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
