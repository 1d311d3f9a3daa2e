/** The objects of S3 that batch inference needs, by real clients and by raw requests, against a fake S3 that checks. */
import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type FakeBedrock,
  fakeBearer,
  fakeIdentity,
  type Identity,
  startFakeBedrock,
} from "../support/fake-bedrock.ts";
import { crc32Of, type FakeS3, refuse, startFakeS3 } from "../support/fake-s3.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { errorOf } from "../support/keys.ts";
import { findBoto3, runPython } from "../support/python.ts";
import { type RawRequest, send, sendH2 } from "../support/raw-http.ts";
import { openReader, rssOf } from "../support/reader.ts";
import { NodeSha256 } from "../support/verify-sigv4.ts";
import { rejection, sleep, until } from "../support/wait.ts";

const boto3 = findBoto3();
const revoked: Identity = { accessKeyId: "AKIAREVOKEDKEY000001", secretAccessKey: "revokedCanary/0123456789" };
const direct: Identity = {
  accessKeyId: "ASIADIRECTCANARY0001",
  secretAccessKey: "directCanarySecret/0123456789",
  sessionToken: "directCanarySession//0123456789==",
};

let fake: FakeS3;
let control: FakeBedrock;
let gateway: RunningGateway;
/** Without direct keys; every client needs a virtual key. */
let governed: RunningGateway;

function keyOf(name: string, { accessKeyId, secretAccessKey }: Identity, more: object = {}): object {
  return {
    name,
    models: ["*"],
    bedrock_key_config: {
      access_key: accessKeyId,
      secret_key: secretAccessKey,
      region: "eu-central-1",
      endpoints: { s3: fake.url, control: control.url },
    },
    ...more,
  };
}

beforeAll(async () => {
  fake = await startFakeS3([fakeIdentity, direct]);
  control = await startFakeBedrock();
  const apiKey = { name: "api-key", value: fakeBearer, weight: 100 };
  const other = { custom_provider_config: { base_provider_type: "bedrock" }, network_config: { max_retries: 0 } };
  const providers = {
    // The first cannot sign for S3.
    bedrock: { keys: [apiKey, keyOf("main", fakeIdentity)], network_config: { max_retries: 0 } },
    // S3 does not know the first.
    rotating: { ...other, keys: [keyOf("revoked", revoked), keyOf("good", fakeIdentity, { weight: 0 })] },
    bearers: { ...other, keys: [apiKey] },
    openai: { keys: [{ name: "o", value: "sk-o" }], network_config: { base_url: fake.url } },
  };
  const env = { BIFROST_LOG_LEVEL: "trace" };
  const virtual_keys = [
    { id: "vk-app", name: "app", value: "vk_12345", allow_all_providers: true },
    {
      id: "vk-other",
      name: "other",
      value: "vk_other",
      provider_configs: [{ provider: "openai", allowed_models: ["*"] }],
    },
  ];
  [gateway, governed] = await Promise.all([
    startGateway({ config: { client: { allow_direct_keys: true }, providers }, env }),
    startGateway({
      config: {
        client: { enforce_auth_on_inference: true, max_request_body_size_mb: 1 },
        providers,
        governance: { virtual_keys },
      },
      env,
      withoutH2: true,
    }),
  ]);
}, 60_000);
beforeEach(() => {
  fake.reset();
  control.reset();
});
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await Promise.all([gateway?.stop(), governed?.stop()]);
  await fake?.[Symbol.asyncDispose]();
  await control?.[Symbol.asyncDispose]();
}, 30_000);

const at = (path: string, options: RawRequest = {}, to = gateway) =>
  send(to.url, `/bedrock/files${path}`, { method: "GET", ...options });

describe.skipIf(boto3 === undefined)(`boto3 ${boto3}`, { timeout: 40_000 }, () => {
  test("writes, reads, lists and deletes objects, and sees S3's errors and the gateway's", async () => {
    const { result } = await runPython("files.py", gateway.url);
    const body = Buffer.from('{"recordId": "1"}\n'.repeat(1000));
    const etag = `"${createHash("md5").update(body).digest("hex")}"`;
    expect(result).toEqual({
      put: [etag, 200, "host/id+2="],
      same: true,
      got: [etag, body.length, "application/jsonl", { purpose: "batch" }, true],
      head: [body.length, "application/jsonl", { purpose: "batch" }, "AES256", "2026-11-24T10:00:00+00:00", "bytes"],
      part: [`bytes 0-16/${body.length}`, '{"recordId": "1"}', 206],
      bodies: [1, 2, 3, 4, 5, 6, 7].map((index) => `object ${index}`),
      large: true,
      empty: [0, ""],
      listed: [["in//two slashes"], ["in/records.jsonl"]],
      truncated: [true, false],
      deleted: 204,
      missing: ["NoSuchKey", 404, "The specified key does not exist."],
      missingHead: ["404", 404],
      notModified: ["304", 304],
      climbing: ["ValidationException", 400, expect.stringContaining("key: leaves its bucket")],
      multipart: ["UnknownOperationException", 404, expect.stringContaining("/bedrock/files/batch.bucket-1/k")],
      acl: ["ValidationException", 400, expect.stringContaining("acl: makes another operation")],
      tagging: ["ValidationException", 400, expect.stringContaining("tagging: makes another operation")],
      copy: ["ValidationException", 400, expect.stringContaining("x-amz-copy-source: copies")],
      buckets: ["UnknownOperationException", 404, expect.any(String)],
    });
    for (const { region, accessKeyId } of fake.requests)
      expect([region, accessKeyId]).toEqual(["eu-central-1", fakeIdentity.accessKeyId]);
    expect(fake.requests.slice(1, 8).map(({ url }) => url)).toEqual([
      "/batch.bucket-1/in//two%20slashes",
      "/batch.bucket-1//leading",
      "/batch.bucket-1/odd%20%21%27%28%29%2A%2B%40%3D%26%2C%3B%3A%24~%C3%A9%E6%97%A5",
      "/batch.bucket-1/a/../b",
      "/batch.bucket-1/per%252Fcent",
      "/batch.bucket-1/tail/",
      "/batch.bucket-1/x%25",
    ]);
    expect(fake.requests[0]?.headers).toMatchObject({
      "content-type": "application/jsonl",
      "cache-control": "no-store",
      "x-amz-meta-purpose": "batch",
      "x-amz-server-side-encryption": "AES256",
      "x-amz-checksum-crc32": crc32Of(body),
    });
  });

  test("signs with a configured access key, brings its own, and is refused when anything was changed", async () => {
    expect((await runPython("files_identity.py", gateway.url)).result).toEqual({
      configured: "served",
      wrong: ["InvalidSignatureException", 403],
      key: ["InvalidSignatureException", 403],
      body: ["InvalidSignatureException", 403],
      metadata: ["InvalidSignatureException", 403],
      stranger: ["UnrecognizedClientException", 403],
      framed: "served",
      direct: "served",
    });
    const framedBody = Buffer.alloc(2 * 1024 * 1024, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));
    expect(fake.objects.get("/bucket/framed")?.body.equals(framedBody)).toBe(true);
    expect(fake.requests[5]?.headers).toMatchObject({ "x-amz-checksum-crc32": crc32Of(framedBody) });
    expect(fake.requests[5]?.headers["content-encoding"]).toBeUndefined();
    expect(fake.requests.map(({ accessKeyId, region }) => `${accessKeyId} ${region}`)).toEqual([
      ...Array(6).fill(`${fakeIdentity.accessKeyId} eu-central-1`),
      ...Array(5).fill(`${direct.accessKeyId} ap-south-1`),
    ]);
  });
});

describe("a large object", { timeout: 60_000 }, () => {
  const size = 200 * 1024 * 1024;

  test.each(["http/1.1", "h2"] as const)(
    "streams over %s at its reader's speed and is kept nowhere",
    async (protocol) => {
      let sent = 0;
      const hash = createHash("sha256");
      fake.when("/bucket/large", async (_request, response) => {
        response.writeHead(200, { "content-length": String(size), etag: '"e"' });
        for (let index = 0; sent < size; index++) {
          const chunk = Buffer.alloc(1024 * 1024, index);
          hash.update(chunk);
          sent += chunk.length;
          if (!response.write(chunk)) await new Promise((resolve) => response.once("drain", resolve));
        }
        response.end();
      });
      const before = rssOf(gateway.pid);
      const reader = await openReader(
        protocol === "h2" ? gateway.h2url : gateway.url,
        protocol,
        "/bedrock/files/bucket/large",
      );
      expect(reader.head).toMatchObject({ "content-length": String(size), etag: '"e"' });
      await sleep(1500);
      // The reader takes nothing: what is under way lies in sockets' buffers and not in the gateway.
      expect(sent).toBeLessThan(size / 4);
      const paused = sent;
      await sleep(500);
      expect(sent).toBe(paused);
      const { digest, bytes } = await reader.rest();
      expect(bytes).toBe(size);
      expect(digest).toBe(hash.digest("hex"));
      expect(rssOf(gateway.pid) - before).toBeLessThan(80 * 1024 * 1024);
    },
  );

  test("waits for a reader who takes nothing for longer than the server library has patience", async () => {
    fake.when("/bucket/patient", async (_request, response) => {
      response.writeHead(200, { "content-length": String(size) });
      for (let sent = 0; sent < size; sent += 1024 * 1024)
        if (!response.write(Buffer.alloc(1024 * 1024))) await new Promise((resolve) => response.once("drain", resolve));
      response.end();
    });
    const reader = await openReader(gateway.url, "http/1.1", "/bedrock/files/bucket/patient");
    await sleep(13_000);
    expect((await reader.rest()).bytes).toBe(size);
  });

  test("whose reader leaves ends upstream, and the gateway goes on", async () => {
    let closed = false;
    fake.when("/bucket/endless", async (_request, response) => {
      response.on("close", () => {
        closed = true;
      });
      response.writeHead(200, { "content-length": String(size) });
      response.write(Buffer.alloc(64 * 1024));
    });
    for (const protocol of ["http/1.1", "h2"] as const) {
      closed = false;
      const reader = await openReader(
        protocol === "h2" ? gateway.h2url : gateway.url,
        protocol,
        "/bedrock/files/bucket/endless",
      );
      reader.leave();
      await until("the end of the upstream call", () => closed);
    }
  });

  test.each(["http/1.1", "h2"] as const)("that breaks off upstream breaks off over %s", async (protocol) => {
    fake.when("/bucket/broken", (_request, response) => {
      response.writeHead(200, { "content-length": "1000000" });
      response.write(Buffer.alloc(500_000), () => response.destroy());
    });
    const path = "/bedrock/files/bucket/broken";
    const failed =
      protocol === "h2"
        ? await rejection(sendH2(gateway.h2url, path, { method: "GET" }))
        : await rejection(send(gateway.url, path, { method: "GET" }));
    expect(String(failed)).toMatch(/aborted|ECONNRESET|socket hang up|INTERNAL_ERROR/);
    const metrics = { operation: "GetObject", outcome: "error" };
    expect(await gateway.metric("bifrost_requests_total", metrics)).toBeGreaterThan(0);
  });
});

test.each(["http/1.1", "h2"] as const)(
  "an object whose length nobody has said arrives whole over %s, or breaks off",
  async (protocol) => {
    const parts = Array.from({ length: 40 }, (_, index) => Buffer.alloc(50_000, index));
    for (const [path, ending] of [
      ["/bucket/unsized", "end"],
      ["/bucket/unsized-broken", "destroy"],
    ] as const) {
      fake.when(path, async (_request, response) => {
        response.writeHead(200, { etag: '"e"' });
        for (const part of parts) await new Promise<void>((resolve) => void response.write(part, () => resolve()));
        if (ending === "end") response.end();
        else response.destroy();
      });
    }
    const ask = (key: string) => {
      const path = `/bedrock/files/bucket/${key}`;
      return protocol === "h2"
        ? sendH2(gateway.h2url, path, { method: "GET" })
        : send(gateway.url, path, { method: "GET" });
    };
    const answer = await ask("unsized");
    expect(answer.headers["content-length"]).toBeUndefined();
    expect(answer.body.equals(Buffer.concat(parts))).toBe(true);
    expect(String(await rejection(ask("unsized-broken")))).toMatch(/aborted|ECONNRESET|socket hang up|INTERNAL_ERROR/);
  },
);

test("an upload beyond the limit is refused in S3's shape", async () => {
  const headers = { "x-bf-vk": "vk_12345" };
  const answer = await at("/bucket/k", { method: "PUT", headers, body: Buffer.alloc(1024 * 1024 + 1) }, governed);
  expect(errorOf(answer)).toMatchObject({ status: 413, type: "ValidationException" });
  expect(errorOf(answer).message).toContain("client.max_request_body_size_mb");
  expect(answer.headers["content-type"]).toBe("application/xml");
  expect(fake.requests).toEqual([]);
});

test("over HTTP/2 objects are written, read and headed as over HTTP/1.1", async () => {
  const over = (method: string, body = "") => sendH2(gateway.h2url, "/bedrock/files/bucket/h2//k", { method, body });
  expect((await over("PUT", "over h2")).status).toBe(200);
  expect((await over("GET")).body.toString()).toBe("over h2");
  expect(await over("HEAD")).toMatchObject({ status: 200, headers: { "content-length": "7" }, body: Buffer.alloc(0) });
  expect((await over("GET")).headers["x-bifrost-key"]).toBe("main");
  expect((await over("DELETE")).status).toBe(204);
  expect(await over("GET")).toMatchObject({ status: 404, body: expect.anything() });
});

describe("an upload in aws-chunked framing", () => {
  const bytes = Buffer.from("0123456789".repeat(20_000));
  const checksum = crc32Of(bytes);
  const trailer = { "x-amz-trailer": "x-amz-checksum-crc32", "content-encoding": "aws-chunked" };
  const unsigned = { ...trailer, "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER" };
  const put = (headers: Record<string, string>, body: Uint8Array, to = gateway) =>
    at("/bucket/framed", { method: "PUT", headers, body }, to);

  test("arrives as plain bytes with its checksum as a header", async () => {
    const headers = {
      ...unsigned,
      "x-amz-decoded-content-length": String(bytes.length),
      "content-encoding": "gzip,aws-chunked",
    };
    const answer = await put(headers, framed(bytes, `x-amz-checksum-crc32:${checksum}\r\n`));
    expect(answer.status).toBe(200);
    expect(fake.objects.get("/bucket/framed")?.body.equals(bytes)).toBe(true);
    expect(fake.requests[0]?.headers).toMatchObject({ "content-encoding": "gzip", "x-amz-checksum-crc32": checksum });
  });

  test("whose checksum is wrong goes up as it is: S3 verifies it", async () => {
    await put(unsigned, framed(bytes, "x-amz-checksum-crc32:AAAAAA==\r\n"));
    expect(fake.violations).toEqual([expect.stringContaining("the checksum is not the body's")]);
    fake.reset();
  });

  test.each([
    ["that breaks off", unsigned, Buffer.from("5\r\n012"), "body: is not framed"],
    ["that is no framing", unsigned, Buffer.from("plain"), "body: is not framed"],
    [
      "of another length",
      { ...unsigned, "x-amz-decoded-content-length": "3" },
      Buffer.from(`2\r\nab\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n`),
      "x-amz-decoded-content-length",
    ],
    ["whose trailer is missing", unsigned, Buffer.from("2\r\nab\r\n0\r\n\r\n"), "x-amz-trailer"],
    [
      "with a trailer that it did not announce",
      unsigned,
      Buffer.from("2\r\nab\r\n0\r\nx-amz-acl:public-read\r\n\r\n"),
      "x-amz-trailer",
    ],
  ])("%s is refused by name", async (_what, headers, body, name) => {
    const refused = errorOf(await put(headers, body));
    expect(refused).toMatchObject({ status: 400, type: "ValidationException" });
    expect(refused.message).toContain(name);
    expect(fake.requests).toEqual([]);
  });

  test.each([
    ["a configured key", fakeIdentity, "gateway"],
    ["a virtual key", { accessKeyId: "vk-app", secretAccessKey: "vk_12345" }, "governed"],
  ] as const)("whose chunks %s has signed is verified chunk by chunk", async (_who, identity, name) => {
    const to = name === "gateway" ? gateway : governed;
    const good = await signChunks(to.url, identity, "/bedrock/files/bucket/framed", bytes, checksum);
    expect((await put(good.headers, good.body, to)).status).toBe(200);
    expect(fake.objects.get("/bucket/framed")?.body.equals(bytes)).toBe(true);
    expect(fake.requests[0]?.accessKeyId).toBe(fakeIdentity.accessKeyId);
    const text = good.body.toString("latin1");
    for (const [from, into] of [
      ["0123456789", "0123456780"],
      [checksum, "AAAAAA=="],
      ["x-amz-trailer-signature:", "x-amz-trailer-signature:0"],
      ["chunk-signature=", "chunk-signature=ffffffff"],
    ] as const) {
      const tampered = text.replace(from, into);
      const body = Buffer.from(
        from.startsWith("chunk") ? tampered.replace(/(ffffffff.{56}).{8}/, "$1") : tampered,
        "latin1",
      );
      const refused = errorOf(await put(good.headers, body, to));
      expect([refused.status, refused.type], from).toEqual([403, "InvalidSignatureException"]);
    }
    expect(fake.requests).toHaveLength(1);
  });
});

describe("A73 no bucket and no key moves the upstream's origin, or leaves its bucket", () => {
  const evil = [
    "..",
    "%2e%2e",
    "a@evil.example",
    "a%40evil.example",
    "a%2fb",
    "a:1",
    "evil.example%2F",
    "%5c",
    "a%00b",
    "-a",
    "a b",
  ];

  test.each(evil)("the bucket %s is refused", async (bucket) => {
    for (const path of [`/${bucket.replace(" ", "%20")}/key`, `/${bucket.replace(" ", "%20")}`]) {
      const refused = errorOf(await at(path));
      expect([400, 404]).toContain(refused.status);
      expect(["ValidationException", "UnknownOperationException"]).toContain(refused.type);
    }
    expect(fake.requests).toEqual([]);
  });

  test.each(["../other/k", "a/../../other/k", "%2e%2e/other", "..%2fother%2fk", "a/..%2F..%2fb", "./../k"])(
    "the key %s is refused",
    async (key) => {
      expect(errorOf(await at(`/bucket/${key}`))).toMatchObject({ status: 400, type: "ValidationException" });
      expect(fake.requests).toEqual([]);
    },
  );

  test.each([
    ["a/../b", "/bucket/a/../b"],
    ["@evil.example/k", "/bucket/%40evil.example/k"],
    ["%2f%2fevil.example", "/bucket///evil.example"],
    ["a%2fb", "/bucket/a/b"],
    ["http://evil.example/", "/bucket/http%3A//evil.example/"],
    ["a%3Facl", "/bucket/a%3Facl"],
    ["a%23b%0d%0ax:%20y", "/bucket/a%23b%0D%0Ax%3A%20y"],
  ])("the key %s goes up as %s, and nowhere else", async (key, url) => {
    expect((await at(`/bucket/${key}`)).status).toBe(404);
    expect(fake.requests.map((request) => request.url)).toEqual([url]);
  });

  test("another operation hides in no parameter and no header", async () => {
    for (const query of ["acl", "%61cl=", "uploadId=1&partNumber=1", "tagging", "list-type=2&versions"]) {
      expect(errorOf(await at(`/bucket/k?${query}`)).status).toBe(400);
      expect(errorOf(await at(`/bucket?${query}`)).status).toBe(400);
    }
    const headers = { "x-bf-eh-x-amz-copy-source": "/other/secret" };
    expect(errorOf(await at("/bucket/k", { method: "PUT", headers, body: "x" })).status).toBe(400);
    expect(fake.requests).toEqual([]);
  });
});

describe("keys", () => {
  test("that S3 refuses make room for the next one, and rest", async () => {
    const headers = { "x-model-provider": "rotating" };
    const answer = await at("/bucket/k", { method: "PUT", headers, body: "x" });
    expect(answer).toMatchObject({
      status: 200,
      headers: { "x-bifrost-provider": "rotating", "x-bifrost-key": "good" },
    });
    expect(fake.requests.map(({ accessKeyId }) => accessKeyId)).toEqual([
      revoked.accessKeyId,
      fakeIdentity.accessKeyId,
    ]);
    await at("/bucket/k", { headers });
    expect(fake.requests.map(({ accessKeyId }) => accessKeyId).slice(2)).toEqual([fakeIdentity.accessKeyId]);
    const pinned = await at("/bucket/k", { headers: { ...headers, "x-bf-api-key": "revoked" } });
    expect(errorOf(pinned)).toMatchObject({ status: 503, type: "ServiceUnavailableException" });
  });

  test("are not changed for an access that S3 denies: that goes to the client as it came", async () => {
    fake.when("/bucket/denied", (_request, response) => refuse(response, 403, "AccessDenied", "Access Denied"));
    const answer = await at("/bucket/denied", { headers: { "x-model-provider": "rotating", "x-bf-api-key": "good" } });
    expect(answer).toMatchObject({
      status: 403,
      headers: { "content-type": "application/xml", "x-amzn-requestid": "S3REQUESTID00001" },
    });
    expect(answer.body.toString()).toContain("<Code>AccessDenied</Code>");
    expect(fake.requests).toHaveLength(1);
  });

  test("without AWS credentials are no keys for S3", async () => {
    const refused = errorOf(await at("/bucket/k", { headers: { "x-model-provider": "bearers" } }));
    expect(refused).toMatchObject({ status: 400, type: "ValidationException" });
    expect(refused.message).toContain("S3 takes no Bedrock API keys");
    for (const headers of [
      { authorization: "Bearer ABSKown0123456789" },
      { "x-bf-bedrock-api-key": "ABSKown0123456789" },
    ]) {
      const own = errorOf(await at("/bucket/k", { headers }));
      expect(own).toMatchObject({ status: 400, type: "ValidationException" });
      expect(own.message).toContain(Object.keys(headers)[0]);
    }
    expect(fake.requests).toEqual([]);
  });

  test("of the client's own that S3 refuses are the client's business", async () => {
    const headers = {
      "x-bf-bedrock-access-key": "AKIAUNKNOWNTOS300001",
      "x-bf-bedrock-secret-key": "unknownCanary/012345",
      "x-bf-bedrock-region": "us-east-1",
    };
    const answer = await at("/bucket/k", { headers });
    expect(answer.status).toBe(403);
    expect(answer.body.toString()).toContain("<Code>InvalidAccessKeyId</Code>");
    expect(fake.requests).toHaveLength(1);
  });
});

describe("x-model-provider", () => {
  test.each([
    ["nobody", 404, "ResourceNotFoundException", "there is no provider"],
    ["openai", 400, "ValidationException", "x-model-provider: openai is not Bedrock"],
  ])("%s is refused by name, in S3's shape", async (provider, status, type, message) => {
    const answer = await at("/bucket/k", { headers: { "x-model-provider": provider } });
    const refused = errorOf(answer);
    expect(refused).toMatchObject({ status, type });
    expect(refused.message).toContain(message);
    expect(answer.headers["content-type"]).toBe("application/xml");
    expect(answer.body.toString()).toContain(`<RequestId>${String(answer.headers["x-amzn-requestid"])}</RequestId>`);
  });
});

test("the mock provider has no files, and says so", async () => {
  await using mock = await startGateway({ withoutH2: true });
  for (const path of ["/files/bucket/k", "/model-invocation-jobs"]) {
    const refused = errorOf(await send(mock.url, `/bedrock${path}`, { method: "GET" }));
    expect(refused).toMatchObject({ status: 400, type: "ValidationException" });
    expect(refused.message).toContain("The mock provider does not serve");
  }
});

test("a virtual key may use the providers it names, and no others", async () => {
  const allowed = await at("/bucket/k", { method: "PUT", body: "x", headers: { "x-bf-vk": "vk_12345" } }, governed);
  expect(allowed.status).toBe(200);
  const refused = errorOf(await at("/bucket/k", { headers: { "x-bf-vk": "vk_other" } }, governed));
  expect(refused).toMatchObject({ status: 403, type: "AccessDeniedException" });
  const headed = await at("/bucket/k", { method: "HEAD", headers: { "x-bf-vk": "vk_other" } }, governed);
  expect(headed).toMatchObject({ status: 403, body: Buffer.alloc(0) });
  expect(fake.requests).toHaveLength(1);
});

test("secrets are in no log", () => {
  for (const { output } of [gateway, governed].map((one) => ({ output: one.output() }))) {
    for (const canary of [fakeIdentity.secretAccessKey, revoked.secretAccessKey, direct.secretAccessKey, fakeBearer])
      expect(output.includes(canary)).toBe(false);
  }
});

/** In chunks of 64 KiB, as botocore sends them. */
function framed(bytes: Buffer, trailers: string): Buffer {
  const parts: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += 65_536) {
    const chunk = bytes.subarray(start, start + 65_536);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailers}\r\n`)]);
}

/** An upload whose chunks and trailer are signed; the seed is AWS's own signer's. */
async function signChunks(origin: string, credentials: Identity, path: string, bytes: Buffer, checksum: string) {
  const signingDate = new Date();
  const region = "us-west-2";
  const signer = new SignatureV4({
    credentials,
    region,
    service: "s3",
    sha256: NodeSha256,
    uriEscapePath: false,
    applyChecksum: false,
  });
  const { host, hostname } = new URL(origin);
  const { headers } = await signer.sign(
    {
      method: "PUT",
      protocol: "http:",
      hostname,
      path,
      query: {},
      headers: {
        host,
        "content-encoding": "aws-chunked",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": String(bytes.length),
        "x-amz-trailer": "x-amz-checksum-crc32",
      },
    },
    { signingDate },
  );
  const time = String(headers["x-amz-date"]);
  const day = time.slice(0, 8);
  const scope = `${day}/${region}/s3/aws4_request`;
  const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();
  const key = [day, region, "s3", "aws4_request"].reduce<Buffer>(
    hmac,
    Buffer.from(`AWS4${credentials.secretAccessKey}`),
  );
  const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
  let previous = /Signature=(\w+)/.exec(String(headers.authorization))?.[1] ?? "";
  const parts: Buffer[] = [];
  for (let start = 0; ; start += 65_536) {
    const chunk = bytes.subarray(start, start + 65_536);
    const text = `AWS4-HMAC-SHA256-PAYLOAD\n${time}\n${scope}\n${previous}\n${sha256("")}\n${sha256(chunk)}`;
    previous = hmac(key, text).toString("hex");
    parts.push(Buffer.from(`${chunk.length.toString(16)};chunk-signature=${previous}\r\n`), chunk);
    if (chunk.length === 0) break;
    parts.push(Buffer.from("\r\n"));
  }
  const line = `x-amz-checksum-crc32:${checksum}`;
  const text = `AWS4-HMAC-SHA256-TRAILER\n${time}\n${scope}\n${previous}\n${sha256(`${line}\n`)}`;
  parts.push(Buffer.from(`${line}\r\nx-amz-trailer-signature:${hmac(key, text).toString("hex")}\r\n\r\n`));
  return { headers, body: Buffer.concat(parts) };
}
