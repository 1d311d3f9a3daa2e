/** Signatures for S3: the path is signed as it stands on the wire, and bodies may be hashed, left out, or chunked. */
import { SignatureV4 } from "@smithy/signature-v4";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ReceivedRequest, verifySignature } from "../../src/bedrock/signature.ts";
import { sha256Hex } from "../../src/upstream/sigv4.ts";
import { NodeSha256 } from "../support/verify-sigv4.ts";

const credentials = { accessKeyId: "AKID", secretAccessKey: "secret" };
const signingDate = new Date("2026-11-24T10:00:00Z");
const body = Buffer.from("hello");

/** As AWS's own signer signs it. */
async function arrived(path: string, changes: { service?: string; payload?: string } = {}): Promise<ReceivedRequest> {
  const { service = "s3", payload = sha256Hex(body) } = changes;
  const signer = new SignatureV4({
    credentials,
    region: "us-west-2",
    service,
    sha256: NodeSha256,
    uriEscapePath: false,
    applyChecksum: false,
  });
  const headers = { host: "gateway:8080", "x-amz-content-sha256": payload };
  const unsigned = { method: "PUT", protocol: "http:", hostname: "gateway", path, query: {}, headers, body };
  const signed = await signer.sign(unsigned, { signingDate });
  return {
    method: "PUT",
    path,
    query: "",
    headers: new Map(Object.entries(signed.headers)),
    bodyHash: () => sha256Hex(body),
    s3: { body, hash: sha256Hex },
    now: signingDate.getTime(),
  };
}

test("a path is signed as it is: slashes, dots and escapes are part of the key", async () => {
  const segment = fc.constantFrom("", ".", "..", "a", "a%20b", "%252F", "%40", "b~c");
  await fc.assert(
    fc.asyncProperty(fc.array(segment, { minLength: 1, maxLength: 6 }), async (segments) => {
      const request = await arrived(`/bedrock/files/bucket/${segments.join("/")}`);
      expect(await verifySignature(request, "secret")).toEqual({ ok: true });
      const other = await verifySignature({ ...request, path: `${request.path}/` }, "secret");
      expect(other).toMatchObject({ ok: false, type: "InvalidSignatureException" });
    }),
  );
});

test.each(["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"])("a body may be left out: %s", async (payload) => {
  const request = await arrived("/bedrock/files/bucket/k", { payload });
  expect(await verifySignature(request, "secret")).toEqual({ ok: true });
  expect(await verifySignature(request, "other")).toMatchObject({ ok: false });
});

test("a body with another hash is refused, and one that is signed in a way that is not known", async () => {
  const tampered = { ...(await arrived("/bedrock/files/bucket/k")), bodyHash: () => sha256Hex("other") };
  expect(await verifySignature(tampered, "secret")).toMatchObject({ ok: false, type: "InvalidSignatureException" });
  const strange = await arrived("/bedrock/files/bucket/k", { payload: "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" });
  const refused = await verifySignature(strange, "secret");
  expect(refused).toMatchObject({ ok: false, message: expect.stringContaining("x-amz-content-sha256") });
});

test("a signature for Bedrock is none for S3, and the other way round", async () => {
  const forBedrock = await arrived("/bedrock/files/bucket/k", { service: "bedrock" });
  const wrong = { ok: false, message: expect.stringContaining("correct service: 's3'") };
  expect(await verifySignature(forBedrock, "secret")).toMatchObject(wrong);
  const forS3 = { ...(await arrived("/bedrock/model/m/converse")), s3: undefined };
  const other = { ok: false, message: expect.stringContaining("correct service: 'bedrock'") };
  expect(await verifySignature(forS3, "secret")).toMatchObject(other);
});

test("a body in chunks is for S3 alone", async () => {
  const payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
  const request = { ...(await arrived("/bedrock/model/m/converse", { payload, service: "bedrock" })), s3: undefined };
  expect(await verifySignature(request, "secret")).toMatchObject({ ok: false, type: "InvalidSignatureException" });
});
