/**
 * Verifies AWS Signature Version 4 on requests as they arrived, for a secret that the caller knows.
 *
 * What clients sign differs: the AWS SDK for JavaScript signs `:authority` over HTTP/2 and names the body's hash in a
 * header; boto3 signs `host` and names no hash; Vercel's AI SDK signs two headers; Anthropic's SDK leaves `:` in the
 * path. All of them sign the path on the wire, so nothing here may have been decoded or rewritten before.
 *
 * Source: AWS General Reference, "Create a signed AWS API request", and recordings of these clients.
 */
import { createHmac, hash, timingSafeEqual } from "node:crypto";
import { LRUCache } from "lru-cache";
import { checkChunkSignatures, readAwsChunked } from "./aws-chunked.ts";
import type { ErrorType } from "./errors.ts";

/** The body that a signature is over. */
export interface SignedPayload {
  /** Lower-case hexadecimal SHA-256 of the body. Asked at most once, and not while anything cheaper is wrong. */
  readonly bodyHash: () => string | Promise<string>;
  /** Of S3's operations, which have a signing name of their own, their own idea of a path, and bodies signed in chunks. */
  readonly s3?: { readonly body: Buffer; readonly hash: (bytes: Buffer) => string | Promise<string> } | undefined;
}

/** A request as it arrived. */
export interface ReceivedRequest extends SignedPayload {
  /** Upper case. */
  readonly method: string;
  /** The raw path, `/bedrock` included. */
  readonly path: string;
  /** The raw query without `?`. */
  readonly query: string;
  /** Lower-case names, repeated headers joined with `, `; HTTP/2's `:authority` under its own name. */
  readonly headers: ReadonlyMap<string, string>;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** The parts of an `authorization` header of Signature Version 4. */
export interface Authorization {
  readonly ok: true;
  readonly accessKeyId: string;
  /** `20260131` */
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly terminator: string;
  /** Lower-case names in ascending order. */
  readonly signedHeaders: readonly string[];
  /** 64 lower-case hexadecimal digits. */
  readonly signature: string;
}

/** Why a request is refused, in AWS's terms. */
export interface SignatureRefusal {
  readonly ok: false;
  readonly type: ErrorType;
  readonly message: string;
}

export type Verification = { readonly ok: true } | SignatureRefusal;

type SigningName = "bedrock" | "s3";

const algorithm = "AWS4-HMAC-SHA256";
const unsignedPayload = "UNSIGNED-PAYLOAD";
/** What S3's clients say instead of a hash, and whether chunks and trailers are signed then. */
const streamingPayloads: ReadonlyMap<string, "unsigned" | "chunks" | "chunks_and_trailer"> = new Map([
  ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "unsigned"],
  ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "chunks"],
  ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "chunks_and_trailer"],
]);
const contentHash = "x-amz-content-sha256";
const maxSkewMs = 5 * 60_000;

/** A key serves one secret, day, region and service. A client chooses its region's name, so there must be a limit. */
const signingKeys = new LRUCache<string, Buffer>({ max: 1000 });

/** The access key id an `authorization` header names, however broken the rest; undefined when it names none. */
export function accessKeyIdOf(authorization: string): string | undefined {
  if (!authorization.startsWith("AWS4-")) return undefined;
  return /[ ,]Credential=([^/,\s]+)/.exec(authorization)?.[1];
}

/** The first parameter of a query that carries a signature; such presigned requests are not supported. */
export function presignedParameter(query: string): string | undefined {
  if (query === "") return undefined;
  const names = parseQuery(query).map(([name]) => name);
  return names.find((name) => /^x-amz-(?:algorithm|credential|signature)$/i.test(name));
}

/** Reads an `authorization` header. What is malformed is an `IncompleteSignatureException`. */
export function parseAuthorization(header: string): Authorization | SignatureRefusal {
  const space = header.indexOf(" ");
  const scheme = space < 0 ? header : header.slice(0, space);
  if (scheme !== algorithm) return incomplete(`Authorization header must begin with '${algorithm}'.`);

  const parameters = new Map<string, string>();
  for (const part of header.slice(scheme.length).split(",")) {
    const [name, value] = splitOnce(part.trim(), "=");
    if (value === undefined) return incomplete("Authorization header must be a list of 'Name=value', set off by ','.");
    if (parameters.has(name)) return incomplete(`Authorization header has the parameter '${shorten(name)}' twice.`);
    parameters.set(name, value);
  }
  const credential = parameters.get("Credential");
  const names = parameters.get("SignedHeaders");
  const signature = parameters.get("Signature");
  if (credential === undefined) return incomplete("Authorization header requires 'Credential' parameter.");
  if (names === undefined) return incomplete("Authorization header requires 'SignedHeaders' parameter.");
  if (signature === undefined) return incomplete("Authorization header requires 'Signature' parameter.");

  const [accessKeyId, date, region, scopeService, terminator, ...rest] = credential.split("/");
  if (!accessKeyId || !date || !region || !scopeService || !terminator || rest.length > 0) {
    return incomplete("Credential must be '<access key id>/<date>/<region>/<service>/aws4_request'.");
  }
  const signedHeaders = names.split(";");
  if (!signedHeaders.every((name, at) => isHeaderName(name) && (at === 0 || (signedHeaders[at - 1] ?? "") < name))) {
    return incomplete("SignedHeaders must be lower-case header names in ascending order, each once, set off by ';'.");
  }
  if (!isHash(signature)) return incomplete("Signature must be 64 lower-case hexadecimal digits.");
  return { ok: true, accessKeyId, date, region, service: scopeService, terminator, signedHeaders, signature };
}

/**
 * Whether the request carries the signature of this secret over what arrived. The clock may be off by 5 minutes.
 *
 * @param secret the secret access key; never part of a message
 * @param expected what the signature's scope must name; any region by default, since a gateway has none of its own
 */
export async function verifySignature(
  request: ReceivedRequest,
  secret: string,
  expected: { readonly region?: string } = {},
): Promise<Verification> {
  const authorization = parseAuthorization(request.headers.get("authorization") ?? "");
  if (!authorization.ok) return authorization;
  const wrong =
    checkScope(authorization, serviceOf(request), expected.region) ??
    checkTime(authorization, request.headers.get("x-amz-date"), request.now) ??
    checkSignedHeaders(authorization.signedHeaders, request.headers);
  if (wrong !== undefined) return wrong;

  const declared = request.headers.get(contentHash);
  const streaming = request.s3 === undefined ? undefined : streamingPayloads.get(declared ?? "");
  if (declared !== undefined && declared !== unsignedPayload && streaming === undefined && !isHash(declared)) {
    const others = request.s3 === undefined ? "" : `, ${[...streamingPayloads.keys()].join(", ")}`;
    return invalid(
      `${contentHash} must be the SHA-256 of the body in lower-case hexadecimal, or '${unsignedPayload}'${others}.`,
    );
  }
  const payload = declared ?? (await request.bodyHash());
  if (!isSigned(request, authorization, payload, secret)) {
    return invalid(
      "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access " +
        "Key and signing method, and that nothing between client and gateway changes the host, the path or the headers.",
    );
  }
  // Only now, so that a stranger's large body is not hashed.
  if (request.s3 !== undefined && streaming !== undefined && streaming !== "unsigned") {
    return checkChunks(request, request.s3, authorization, streaming === "chunks_and_trailer", secret);
  }
  const isHashed = declared !== undefined && declared !== unsignedPayload && streaming === undefined;
  if (isHashed && declared !== (await request.bodyHash())) {
    return invalid(`${contentHash} does not match the SHA-256 of the body that arrived.`);
  }
  return { ok: true };
}

/** @throws BedrockError ValidationException when the body has no chunks */
async function checkChunks(
  { headers }: ReceivedRequest,
  { body, hash: hashOf }: NonNullable<SignedPayload["s3"]>,
  authorization: Authorization,
  signedTrailer: boolean,
  secret: string,
): Promise<Verification> {
  const { date, region, signature } = authorization;
  const time = headers.get("x-amz-date") ?? "";
  const scope = scopeOf(date, region, "s3");
  const key = signingKey(secret, date, region, "s3");
  const wrong = await checkChunkSignatures(
    readAwsChunked(body),
    { seed: signature, time, scope, signedTrailer },
    (text) => hmac(key, text).toString("hex"),
    hashOf,
  );
  return wrong === undefined ? { ok: true } : invalid(`The body does not match what was signed: ${wrong}.`);
}

function checkScope(
  scope: Authorization,
  service: SigningName,
  region: string | undefined,
): SignatureRefusal | undefined {
  if (scope.terminator !== "aws4_request") {
    return invalid("Credential should be scoped with a valid terminator: 'aws4_request'.");
  }
  if (scope.service !== service) return invalid(`Credential should be scoped to correct service: '${service}'.`);
  if (!/^[a-z0-9-]{1,64}$/.test(scope.region)) return invalid("Credential should be scoped to a valid region.");
  if (region !== undefined && scope.region !== region) {
    return invalid(`Credential should be scoped to a valid region, not '${scope.region}': '${region}'.`);
  }
  return undefined;
}

function checkTime(scope: Authorization, time: string | undefined, now: number): SignatureRefusal | undefined {
  if (time === undefined) return incomplete("Authorization header requires existence of a 'X-Amz-Date' header.");
  const signedAt = parseTime(time);
  if (Number.isNaN(signedAt)) {
    return incomplete("X-Amz-Date must be in ISO-8601 'basic format', such as 20260131T235959Z.");
  }
  if (!time.startsWith(scope.date) || scope.date.length !== 8) {
    return invalid(
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: ` +
        `'${shorten(scope.date)}' != '${time.slice(0, 8)}', from '${time}'.`,
    );
  }
  if (signedAt < now - maxSkewMs) {
    const limit = formatTime(now - maxSkewMs);
    return invalid(`Signature expired: ${time} is now earlier than ${limit} (${formatTime(now)} - 5 min.)`);
  }
  if (signedAt > now + maxSkewMs) {
    const limit = formatTime(now + maxSkewMs);
    return invalid(`Signature not yet current: ${time} is still later than ${limit} (${formatTime(now)} + 5 min.)`);
  }
  return undefined;
}

function checkSignedHeaders(
  names: readonly string[],
  headers: ReadonlyMap<string, string>,
): SignatureRefusal | undefined {
  if (!names.includes("host") && !names.includes(":authority")) {
    return invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  if (!names.includes("x-amz-date")) return invalid("'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization.");
  if (headers.has("x-amz-security-token") && !names.includes("x-amz-security-token")) {
    return invalid("'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.");
  }
  const missing = names.find((name) => headerValue(headers, name) === undefined);
  if (missing === undefined) return undefined;
  return invalid(`The signed header '${shorten(missing)}' did not arrive.`);
}

function isSigned(request: ReceivedRequest, authorization: Authorization, payload: string, secret: string): boolean {
  const { signedHeaders } = authorization;
  const values = signedHeaders.map((name) => tidy(headerValue(request.headers, name) ?? ""));
  const path = request.s3 === undefined ? canonicalPath(request.path) : request.path;
  const rest = canonicalQuery(request.query);
  const matches = (headers: readonly string[]) => {
    const lines = signedHeaders.map((name, at) => `${name}:${headers[at]}\n`).join("");
    const canonical = `${request.method}\n${path}\n${rest}\n${lines}\n${signedHeaders.join(";")}\n${payload}`;
    return isSignatureOf(canonical, request, authorization, secret);
  };
  if (matches(values)) return true;
  // A header that was sent twice is signed with `,` between its values; HTTP joins them with `, `, and means the same.
  const closed = values.map((value) => value.replaceAll(", ", ","));
  return closed.some((value, at) => value !== values[at]) && matches(closed);
}

function isSignatureOf(canonical: string, request: ReceivedRequest, scope: Authorization, secret: string): boolean {
  const { date, region } = scope;
  const time = request.headers.get("x-amz-date") ?? "";
  const service = serviceOf(request);
  const toSign = `${algorithm}\n${time}\n${scopeOf(date, region, service)}\n${hash("sha256", canonical, "hex")}`;
  const expected = hmac(signingKey(secret, date, region, service), toSign);
  return timingSafeEqual(expected, Buffer.from(scope.signature, "hex"));
}

function serviceOf({ s3 }: ReceivedRequest): SigningName {
  return s3 === undefined ? "bedrock" : "s3";
}

function scopeOf(date: string, region: string, service: SigningName): string {
  return `${date}/${region}/${service}/aws4_request`;
}

function signingKey(secret: string, date: string, region: string, service: SigningName): Buffer {
  const id = `${date}\n${region}\n${service}\n${secret}`;
  const known = signingKeys.get(id);
  if (known !== undefined) return known;
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), "aws4_request");
  signingKeys.set(id, key);
  return key;
}

function hmac(key: Buffer | string, data: string): Buffer {
  return createHmac("sha256", key).update(data).digest();
}

/** A proxy that turns HTTP/2 into HTTP/1.1, or back, moves the name of the host from one header to the other. */
function headerValue(headers: ReadonlyMap<string, string>, name: string): string | undefined {
  const value = headers.get(name);
  if (value !== undefined) return value;
  if (name === "host") return headers.get(":authority");
  return name === ":authority" ? headers.get("host") : undefined;
}

function tidy(value: string): string {
  return value.replace(/[ \t\r\n]+/g, " ").replace(/^ | $/g, "");
}

/** The wire path with its empty and dot segments resolved and every segment percent-encoded once more; S3 signs it as it is. */
function canonicalPath(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") segments.pop();
    else segments.push(encode(segment));
  }
  const slash = segments.length > 0 && path.endsWith("/") ? "/" : "";
  return `/${segments.join("/")}${slash}`;
}

/** Parameters decoded, encoded in AWS's way, and sorted by name, then by value. */
function canonicalQuery(query: string): string {
  const parameters = parseQuery(query).map(([name, value]) => [encode(name), encode(value)] as const);
  parameters.sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)));
  return parameters.map(([name, value]) => `${name}=${value}`).join("&");
}

function parseQuery(query: string): (readonly [name: string, value: string])[] {
  return query
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const [name, value = ""] = splitOnce(part, "=");
      return [decode(name), decode(value)];
    });
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

/** RFC 3986: all but the unreserved characters are encoded. Unlike `encodeURIComponent`, no text makes it throw. */
function encode(text: string): string {
  return text.replace(/[^A-Za-z0-9\-._~]+/g, (run) =>
    Buffer.from(run).toString("hex").toUpperCase().replace(/../g, "%$&"),
  );
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function isHash(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

function isHeaderName(name: string): boolean {
  return /^:?[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name);
}

/** NaN when it is not a time. */
function parseTime(time: string): number {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time);
  if (parts === null) return Number.NaN;
  const [, year, month, day, hour, minute, second] = parts;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function formatTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/[-:]|\.\d{3}/g, "");
}

function shorten(text: string): string {
  return text.length <= 64 ? text : `${text.slice(0, 64)}…`;
}

function incomplete(message: string): SignatureRefusal {
  return { ok: false, type: "IncompleteSignatureException", message };
}

function invalid(message: string): SignatureRefusal {
  return { ok: false, type: "InvalidSignatureException", message };
}
