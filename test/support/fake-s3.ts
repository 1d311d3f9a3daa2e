/**
 * A fake S3 on a loopback port, buckets addressed by path. It keeps objects in memory, verifies every signature by the
 * access key that signed, and every checksum; what is wrong is collected in `violations`.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { crc32 } from "node:zlib";
import type { Identity } from "./fake-bedrock.ts";
import { verifySigV4 } from "./verify-sigv4.ts";

export interface StoredObject {
  readonly body: Buffer;
  /** What the client said of it: `content-type`, `x-amz-meta-…` and the like. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface S3Request {
  readonly method: string;
  /** Raw, with the query. */
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
  readonly accessKeyId: string;
  readonly region: string;
}

/** Takes a request in the place of the store. */
type Script = (request: S3Request, response: ServerResponse) => void | Promise<void>;

export interface FakeS3 extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly S3Request[];
  readonly violations: readonly string[];
  /** By raw path, e.g. `/bucket/a%20key`. */
  readonly objects: Map<string, StoredObject>;
  /** Answers every request for this raw path like this from now on. */
  when(path: string, script: Script): void;
  reset(): void;
}

const kept = /^(content-(type|encoding|language|disposition)|cache-control|x-amz-(meta-.*|checksum-.*|server-side.*))$/;
const forbidden =
  /^(x-bf-.*|x-bifrost-.*|amz-sdk-.*|x-amz-(trailer|decoded-content-length|user-agent)|x-model-provider|expect|te|trailer|transfer-encoding|cookie)$/;

export async function startFakeS3(identities: readonly Identity[]): Promise<FakeS3> {
  const requests: S3Request[] = [];
  const violations: string[] = [];
  const objects = new Map<string, StoredObject>();
  const scripts = new Map<string, Script>();

  const serve = async (message: IncomingMessage, response: ServerResponse) => {
    const { method = "", url = "", headers } = message;
    const [, accessKeyId = "", region = ""] =
      /Credential=([^/]+)\/\d+\/([^/]+)\//.exec(String(headers.authorization)) ?? [];
    const request = { method, url, headers, body: await buffer(message), accessKeyId, region };
    requests.push(request);
    const wrong = (what: string) => void violations.push(`${method} ${url}: ${what}`);
    for (const name of Object.keys(headers)) if (forbidden.test(name)) wrong(`header ${name} went upstream`);
    if (headers["content-encoding"]?.includes("aws-chunked") === true) wrong("the body is framed");
    const signer = identities.find((identity) => identity.accessKeyId === accessKeyId);
    if (signer === undefined) return refuse(response, 403, "InvalidAccessKeyId", `No such key: ${accessKeyId}`);
    const verified = await verifySigV4(request, { credentials: signer, service: "s3" });
    if (!verified.ok) {
      wrong(verified.reason);
      return refuse(response, 403, "SignatureDoesNotMatch", verified.reason);
    }
    const [path = "", query = ""] = url.split("?");
    const script = scripts.get(path);
    if (script !== undefined) return await script(request, response);
    if (/^\/[^/]+$/.test(path)) return list(response, path, new URLSearchParams(query), objects);
    answer(request, path, response, objects, wrong);
  };

  const server = createServer({ maxHeaderSize: 128 * 1024, keepAliveTimeout: 30_000 }, (message, response) => {
    serve(message, response).catch((error: unknown) => {
      violations.push(`the fake failed: ${String(error)}`);
      response.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the fake has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    violations,
    objects,
    when: (path, script) => void scripts.set(path, script),
    reset: () => {
      requests.length = 0;
      violations.length = 0;
      objects.clear();
      scripts.clear();
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const own = { "x-amz-request-id": "S3REQUESTID00001", "x-amz-id-2": "host/id+2=", server: "AmazonS3" };

/** An error as S3 writes it. */
export function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  response.writeHead(status, { ...own, "content-type": "application/xml" }).end(text);
}

function answer(
  { method, headers, body }: S3Request,
  path: string,
  response: ServerResponse,
  objects: Map<string, StoredObject>,
  wrong: (what: string) => void,
): void {
  if (method === "PUT") {
    const declared = headers["x-amz-checksum-crc32"];
    if (declared !== undefined && declared !== crc32Of(body)) wrong("the checksum is not the body's");
    const md5 = headers["content-md5"];
    if (md5 !== undefined && md5 !== createHash("md5").update(body).digest("base64")) wrong("content-md5 is wrong");
    const entries = Object.entries(headers).flatMap(([name, value]) =>
      kept.test(name) && typeof value === "string" ? [[name, value] as const] : [],
    );
    objects.set(path, { body, headers: Object.fromEntries(entries) });
    response.writeHead(200, { ...own, etag: etagOf(body), "content-length": "0" }).end();
    return;
  }
  if (method === "DELETE") {
    objects.delete(path);
    response.writeHead(204, own).end();
    return;
  }
  const object = objects.get(path);
  if (object === undefined) {
    if (method === "HEAD") response.writeHead(404, own).end();
    else refuse(response, 404, "NoSuchKey", "The specified key does not exist.");
    return;
  }
  const etag = etagOf(object.body);
  const told = { ...own, ...object.headers, etag, "accept-ranges": "bytes", "last-modified": modified };
  if (headers["if-none-match"] === etag) {
    response.writeHead(304, { ...own, etag }).end();
    return;
  }
  const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "");
  const bytes = range === null ? object.body : object.body.subarray(Number(range[1]), Number(range[2]) + 1);
  const part = range === null ? {} : { "content-range": `bytes ${range[1]}-${range[2]}/${object.body.length}` };
  const { "x-amz-checksum-crc32": checksum, ...others } = told as Record<string, string>;
  const whole = range === null && headers["x-amz-checksum-mode"] === "ENABLED" && checksum !== undefined;
  response.writeHead(range === null ? 200 : 206, {
    ...others,
    ...(whole && { "x-amz-checksum-crc32": checksum, "x-amz-checksum-type": "FULL_OBJECT" }),
    ...part,
    "content-length": String(bytes.length),
  });
  response.end(method === "HEAD" ? undefined : bytes);
}

const modified = "Tue, 24 Nov 2026 10:00:00 GMT";

function list(
  response: ServerResponse,
  path: string,
  query: URLSearchParams,
  objects: Map<string, StoredObject>,
): void {
  const prefix = query.get("prefix") ?? "";
  const limit = Number(query.get("max-keys") ?? 1000);
  const after = query.get("continuation-token") ?? "";
  const keys = [...objects.keys()]
    .filter((one) => one.startsWith(`${path}/`))
    .map((one) => decodeURIComponent(one.slice(path.length + 1)))
    .filter((key) => key.startsWith(prefix) && key > after)
    .sort();
  const page = keys.slice(0, limit);
  const more = keys.length > page.length;
  const contents = page.map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join("");
  const next = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : "";
  const text =
    `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
    `<Name>${path.slice(1)}</Name><KeyCount>${page.length}</KeyCount><MaxKeys>${limit}</MaxKeys>` +
    `<IsTruncated>${more}</IsTruncated>${next}${contents}</ListBucketResult>`;
  response.writeHead(200, { ...own, "content-type": "application/xml" }).end(text);
}

function etagOf(body: Buffer): string {
  return `"${createHash("md5").update(body).digest("hex")}"`;
}

export function crc32Of(body: Uint8Array): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString("base64");
}
