/**
 * Verifies SigV4 requests that a fake AWS received, for tests: the request is signed again by AWS's own
 * `@smithy/signature-v4`, which shares no line with `src/`, and the signatures are compared.
 */
import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";

/** A request as it was received, nothing decoded or rewritten. */
export interface ReceivedRequest {
  readonly method: string;
  /** Raw path and query. */
  readonly url: string;
  /** Lower-case names, as `node:http` and `node:http2` give them (with `:authority`). */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

export interface VerifyOptions {
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** Checked when given; else the scope's own region is used. */
  readonly region?: string;
  /** @default "bedrock" */
  readonly service?: string;
  /** @default the present */
  readonly now?: Date;
}

export type Verification = { readonly ok: true } | { readonly ok: false; readonly reason: string };

const maxSkewMs = 5 * 60_000;

/** Whether the request's `authorization` is what these credentials sign it with. */
export async function verifySigV4(request: ReceivedRequest, options: VerifyOptions): Promise<Verification> {
  const { credentials, service = "bedrock", now = new Date() } = options;
  const header = (name: string) => {
    const value = request.headers[name];
    return typeof value === "string" || value === undefined ? value : value.join(",");
  };

  const authorization = header("authorization");
  if (authorization === undefined) return refuse("no authorization header");
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (parts === null) return refuse(`unreadable authorization: ${authorization}`);
  const [, accessKeyId = "", scopeDate = "", scopeRegion = "", scopeService = "", list = ""] = parts;
  if (accessKeyId !== credentials.accessKeyId) return refuse(`signed with another access key: ${accessKeyId}`);
  if (scopeService !== service) return refuse(`signed for the service ${scopeService}, not ${service}`);
  if (options.region !== undefined && scopeRegion !== options.region) {
    return refuse(`signed for the region ${scopeRegion}, not ${options.region}`);
  }

  const time = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(header("x-amz-date") ?? "");
  if (time === null) return refuse(`unreadable x-amz-date: ${header("x-amz-date")}`);
  const [, year, month, day, hour, minute, second] = time;
  const signingDate = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Math.abs(signingDate.getTime() - now.getTime()) > maxSkewMs) return refuse("x-amz-date is over 5 minutes off");
  if (`${year}${month}${day}` !== scopeDate) return refuse("the scope's date is not that of x-amz-date");

  const names = list.split(";");
  if ([...names].sort().join(";") !== list) return refuse("SignedHeaders is not sorted");
  if (!names.includes("host") && !names.includes(":authority")) return refuse("the host is not signed");
  if (!names.includes("x-amz-date")) return refuse("x-amz-date is not signed");
  if (header("x-amz-security-token") !== credentials.sessionToken) return refuse("not this identity's session token");
  if (credentials.sessionToken !== undefined && !names.includes("x-amz-security-token")) {
    return refuse("x-amz-security-token is not signed");
  }

  const headers: Record<string, string> = {};
  for (const name of names) {
    const value = header(name);
    if (value === undefined) return refuse(`the signed header ${name} did not arrive`);
    headers[name] = value;
  }
  const claimed = header("x-amz-content-sha256");
  if (claimed !== undefined && claimed !== "UNSIGNED-PAYLOAD") {
    const actual = createHash("sha256").update(request.body).digest("hex");
    if (claimed !== actual) return refuse("x-amz-content-sha256 is not the hash of the body");
  }
  const unsignableHeaders = new Set<string>();
  if (claimed !== undefined && !names.includes("x-amz-content-sha256")) {
    headers["x-amz-content-sha256"] = claimed;
    unsignableHeaders.add("x-amz-content-sha256");
  }

  const signer = new SignatureV4({
    credentials,
    region: scopeRegion,
    service,
    sha256: NodeSha256,
    applyChecksum: false,
    uriEscapePath: service !== "s3",
  });
  const [path = "", search = ""] = splitOnce(request.url, "?");
  const again = await signer.sign(
    {
      method: request.method,
      protocol: "http:",
      hostname: "received",
      path,
      query: parseQuery(search),
      headers,
      body: request.body,
    },
    { signingDate, signableHeaders: new Set(names), unsignableHeaders },
  );
  const expected = again.headers.authorization;
  if (expected !== undefined && expected.replaceAll(" ", "") === authorization.replaceAll(" ", "")) return { ok: true };
  return refuse(`the signature is wrong: ${authorization}, expected ${expected}`);
}

function refuse(reason: string): Verification {
  return { ok: false, reason };
}

function parseQuery(search: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  for (const part of search.split("&")) {
    if (part === "") continue;
    const [name = "", value = ""] = splitOnce(part, "=").map(decodeURIComponent);
    const known = query[name];
    query[name] = known === undefined ? value : [known, value].flat();
  }
  return query;
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** `node:crypto` in the shape Smithy asks for. */
export class NodeSha256 {
  readonly #hash;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    if (secret === undefined) this.#hash = createHash("sha256");
    else this.#hash = createHmac("sha256", typeof secret === "string" ? secret : bytesOf(secret));
  }
  update(data: Uint8Array): void {
    this.#hash.update(data);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
  reset(): void {}
}

function bytesOf(data: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
