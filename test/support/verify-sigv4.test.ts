import { createServer, type Http2Server } from "node:http2";
import { buffer } from "node:stream/consumers";
import { BedrockClient, ListFoundationModelsCommand } from "@aws-sdk/client-bedrock";
import { BedrockRuntimeClient, ConverseCommand } from "@aws-sdk/client-bedrock-runtime";
import { SignatureV4 } from "@smithy/signature-v4";
import { describe, expect, test } from "vitest";
import { sha256Hex, sign } from "../../src/upstream/sigv4.ts";
import { serve } from "./loopback.ts";
import { NodeSha256, type ReceivedRequest, type Verification, verifySigV4 } from "./verify-sigv4.ts";

const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret", sessionToken: "token" };
const options = { credentials, region: "us-east-1" };

describe("the verifier agrees with AWS's own clients", () => {
  test("over HTTP/1.1, with a query", async () => {
    const verdicts: Verification[] = [];
    await using server = await serve(async (request, response) => {
      verdicts.push(await verifySigV4(request, options));
      response.setHeader("content-type", "application/json");
      response.end('{"modelSummaries":[]}');
    });
    const client = new BedrockClient({ endpoint: `${server.origin}/bedrock`, region: "us-east-1", credentials });
    await client.send(new ListFoundationModelsCommand({ byProvider: "a b&c" }));
    client.destroy();
    expect(verdicts).toEqual([{ ok: true }]);
  });

  test("over HTTP/2, where `:authority` is signed", async () => {
    const verdicts: Verification[] = [];
    const server = createServer((message, response) => {
      buffer(message)
        .then(async (body) => {
          verdicts.push(
            await verifySigV4({ method: message.method, url: message.url, headers: message.headers, body }, options),
          );
          response.setHeader("content-type", "application/json");
          response.end('{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn"}');
        })
        .catch((error: unknown) => response.stream.destroy(error instanceof Error ? error : undefined));
    });
    const port = await listen(server);
    const endpoint = `http://127.0.0.1:${port}/bedrock`;
    const client = new BedrockRuntimeClient({ endpoint, region: "us-east-1", credentials });
    await client.send(
      new ConverseCommand({ modelId: "arn:aws:bedrock:us-east-1:1:inference-profile/x:0", messages: [] }),
    );
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
    expect(verdicts).toEqual([{ ok: true }]);
  });
});

describe("the verifier refuses", () => {
  const now = new Date("2025-06-01T12:00:00Z");
  const body = Buffer.from('{"a":1}');
  const signable = {
    method: "POST",
    host: "127.0.0.1:8080",
    path: "/model/a%3A0/converse",
    query: "x=1",
    headers: [["content-type", "application/json"]],
    bodyHash: sha256Hex(body),
  } as const;
  const good: ReceivedRequest = {
    method: "POST",
    url: "/model/a%3A0/converse?x=1",
    headers: {
      host: signable.host,
      "content-type": "application/json",
      ...Object.fromEntries(sign(signable, credentials, "us-east-1", "bedrock", now)),
    },
    body,
  };
  const withHeader = (name: string, value: string | undefined) => ({
    ...good,
    headers: { ...good.headers, [name]: value },
  });
  const verify = (request: ReceivedRequest, more: object = {}) => verifySigV4(request, { ...options, now, ...more });

  test("nothing that is right", async () => {
    expect(await verify(good)).toEqual({ ok: true });
    expect(await verify(good, { now: new Date(now.getTime() + 299_000) })).toEqual({ ok: true });
  });

  test("nothing that leaves the body's hash to the canonical request, as boto3 does; another body it does", async () => {
    const signer = new SignatureV4({
      credentials,
      region: "us-east-1",
      service: "bedrock",
      sha256: NodeSha256,
      applyChecksum: false,
    });
    const { headers } = await signer.sign(
      {
        method: "POST",
        protocol: "http:",
        hostname: "received",
        path: signable.path,
        query: { x: "1" },
        body,
        headers: { host: signable.host, "content-type": "application/json" },
      },
      { signingDate: now },
    );
    expect(headers).not.toHaveProperty("x-amz-content-sha256");
    expect(await verify({ ...good, headers })).toEqual({ ok: true });
    expect(await verify({ ...good, headers, body: Buffer.from("other") })).toMatchObject({ ok: false });
  });

  test("nothing whose payload is declared unsigned", async () => {
    const added = sign({ ...signable, bodyHash: "UNSIGNED-PAYLOAD" }, credentials, "us-east-1", "bedrock", now);
    const headers = { ...good.headers, ...Object.fromEntries(added) };
    expect(await verify({ ...good, headers, body: Buffer.from("other") })).toEqual({ ok: true });
  });

  test.each<[string, ReceivedRequest, object, string]>([
    ["another method", { ...good, method: "GET" }, {}, "the signature is wrong"],
    ["another path", { ...good, url: "/model/b/converse?x=1" }, {}, "the signature is wrong"],
    ["a path decoded on the way", { ...good, url: "/model/a:0/converse?x=1" }, {}, "the signature is wrong"],
    ["another query", { ...good, url: "/model/a%3A0/converse?x=2" }, {}, "the signature is wrong"],
    ["another body", { ...good, body: Buffer.from("{}") }, {}, "not the hash of the body"],
    ["a changed header", withHeader("content-type", "text/plain"), {}, "the signature is wrong"],
    ["another host", withHeader("host", "evil.example"), {}, "the signature is wrong"],
    ["a lost header", withHeader("content-type", undefined), {}, "content-type did not arrive"],
    ["another secret", good, { credentials: { ...credentials, secretAccessKey: "x" } }, "the signature is wrong"],
    ["another access key", good, { credentials: { ...credentials, accessKeyId: "x" } }, "another access key"],
    ["another session token", withHeader("x-amz-security-token", "x"), {}, "session token"],
    ["another region", good, { region: "us-west-2" }, "for the region us-east-1"],
    ["another service", good, { service: "sts" }, "for the service bedrock"],
    ["a late arrival", good, { now: new Date(now.getTime() + 301_000) }, "5 minutes"],
    ["an early arrival", good, { now: new Date(now.getTime() - 301_000) }, "5 minutes"],
    ["no signature", withHeader("authorization", undefined), {}, "no authorization"],
    ["a bearer token", withHeader("authorization", "Bearer x"), {}, "unreadable authorization"],
    ["no date", withHeader("x-amz-date", undefined), {}, "unreadable x-amz-date"],
  ])("%s", async (_what, request, more, reason) => {
    expect(await verify(request, more)).toEqual({ ok: false, reason: expect.stringContaining(reason) });
  });
});

async function listen(server: Http2Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}
