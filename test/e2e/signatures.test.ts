import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { AnthropicBedrock } from "@anthropic-ai/bedrock-sdk";
import { BedrockClient, ListInferenceProfilesCommand } from "@aws-sdk/client-bedrock";
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelCommand,
  ListAsyncInvokesCommand,
} from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { generateText } from "ai";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Protocol, protocols } from "../support/clients.ts";
import { type FakeBedrock, fakeIdentity, type Identity, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { findBoto3, runPython } from "../support/python.ts";
import { type RawAnswer, send, sendH2, userTurn } from "../support/raw-http.ts";
import { signPost } from "../support/sign.ts";
import { collect, rejection } from "../support/wait.ts";

const boto3 = findBoto3();
const temporary: Identity = { ...fakeIdentity, sessionToken: "token/of+the=client" };
const wrong: Identity = { ...fakeIdentity, secretAccessKey: "wrong" };
const modelId = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2";
const messages = [{ role: "user" as const, content: [{ text: "Grüße 🦌" }] }];
const path = "/bedrock/model/vendor.model/converse";

let fake: FakeBedrock;
let gateway: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock();
  gateway = await startGateway({ config: relayConfig(fake.url), env: { BIFROST_LOG_LEVEL: "trace" } });
}, 60_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

function errorOf(answer: RawAnswer): [status: number, type: string, message: string] {
  const type = String(answer.headers["x-amzn-errortype"]).split(":")[0] ?? "";
  return [answer.status, type, answer.body.toString()];
}

function settings(protocol: Protocol, credentials: Identity, slash = "") {
  const origin = protocol === "h2" ? gateway.h2url : gateway.url;
  const handler = protocol === "http/1.1" && { requestHandler: new NodeHttpHandler() };
  return { region: "us-west-2", endpoint: `${origin}/bedrock${slash}`, credentials, maxAttempts: 1, ...handler };
}

describe("a request signed with a configured access key", () => {
  test.each(protocols)("by the AWS SDK for JavaScript over %s is served", async (protocol) => {
    for (const [identity, slash] of [
      [fakeIdentity, ""],
      [temporary, "/"],
    ] as const) {
      const client = new BedrockRuntimeClient(settings(protocol, identity, slash));
      await client.send(new ConverseCommand({ modelId, messages }));
      await client.send(new InvokeModelCommand({ modelId: "vendor.model-v1:0", body: "{}", trace: "ENABLED" }));
      await collect((await client.send(new ConverseStreamCommand({ modelId, messages }))).stream);
      await client.send(new ListAsyncInvokesCommand({ maxResults: 3, nextToken: "a+b/c= é&" }));
      client.destroy();
    }
    expect(fake.requests).toHaveLength(8);
    expect(fake.requests.map((request) => request.headers["x-amz-security-token"])).toEqual(Array(8).fill(undefined));
  });

  test.each(protocols)("with the wrong secret over %s is refused, and goes nowhere", async (protocol) => {
    const client = new BedrockRuntimeClient(settings(protocol, wrong));
    for (const command of [
      new ConverseCommand({ modelId, messages }),
      new ConverseStreamCommand({ modelId, messages }),
    ]) {
      const error = await rejection(client.send(command as ConverseCommand));
      expect(error).toMatchObject({ name: "InvalidSignatureException", $metadata: { httpStatusCode: 403 } });
    }
    client.destroy();
    expect(fake.requests).toEqual([]);
  });

  test("by the control plane's client is verified", async () => {
    const list = new ListInferenceProfilesCommand({ maxResults: 1, nextToken: "x+/=" });
    await new BedrockClient(settings("http/1.1", fakeIdentity)).send(list);
    const error = await rejection(new BedrockClient(settings("http/1.1", wrong)).send(list));
    expect(error).toMatchObject({ name: "InvalidSignatureException" });
    expect(fake.requests).toHaveLength(1);
  });

  test("by Anthropic's SDK, whose path has a raw colon, is verified", async () => {
    const create = ({ accessKeyId, secretAccessKey }: Identity) =>
      new AnthropicBedrock({
        baseURL: `${gateway.url}/bedrock`,
        awsRegion: "us-west-2",
        awsAccessKey: accessKeyId,
        awsSecretKey: secretAccessKey,
        apiKey: null,
        maxRetries: 0,
      }).messages.create({
        model: "anthropic.claude-3-haiku-20240307-v1:0",
        max_tokens: 64,
        messages: [{ role: "user", content: "Hello!" }],
      });
    await create(fakeIdentity);
    expect(await rejection(create(wrong))).toMatchObject({ status: 403 });
    expect(fake.requests).toHaveLength(1);
  });

  test("by Vercel's AI SDK, which signs two headers and names no hash, is verified", async () => {
    const generate = ({ accessKeyId, secretAccessKey }: Identity) => {
      const bedrock = createAmazonBedrock({
        baseURL: `${gateway.url}/bedrock`,
        region: "us-west-2",
        accessKeyId,
        secretAccessKey,
      });
      return generateText({ model: bedrock("us.amazon.nova-lite-v1:0"), prompt: "Hello!", maxRetries: 0 });
    };
    await generate(fakeIdentity);
    expect(await rejection(generate(wrong))).toMatchObject({ statusCode: 403 });
    expect(fake.requests).toHaveLength(1);
  });

  test.skipIf(boto3 === undefined)("by boto3 is verified", { timeout: 30_000 }, async () => {
    expect((await runPython("signed.py", gateway.url)).result).toEqual({
      right: "served",
      slash: "served",
      temporary: "served",
      headers: "served",
      wrong: ["InvalidSignatureException", 403],
    });
    expect(fake.requests).toHaveLength(16);
  });
});

describe("on the wire", () => {
  const body = userTurn("hi");
  const signed = (more: object = {}, identity = fakeIdentity) =>
    signPost(gateway.url, identity, { path, body, ...more });

  test("what was signed is served as it came", async () => {
    const headers = await signed({ headers: { "content-type": "application/json" } });
    expect((await send(gateway.url, path, { body, headers })).status).toBe(200);
    const slow = await signed({ at: new Date(Date.now() - 240_000) });
    expect((await send(gateway.url, path, { body, headers: slow })).status).toBe(200);
    const unsigned = await signed({ headers: { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } });
    expect((await send(gateway.url, path, { body, headers: unsigned })).status).toBe(200);
    expect(fake.requests.map((request) => request.body.toString())).toEqual([body, body, body]);
  });

  test("a change of body, path, query or signed header is refused", async () => {
    const headers = await signed({ headers: { "content-type": "application/json", "x-bf-env": "one" } });
    const answers = await Promise.all([
      send(gateway.url, path, { body: body.replace("hi", "ho"), headers }),
      send(gateway.url, "/bedrock/model/vendor.other/converse", { body, headers }),
      send(gateway.url, `${path}?a=b`, { body, headers }),
      send(gateway.url, path, { body, headers: { ...headers, "x-bf-env": "two" } }),
      send(gateway.url, path, { body, headers: { ...headers, host: "elsewhere:80" } }),
      send(gateway.url, path, { body, headers: { ...headers, "x-amz-security-token": "smuggled" } }),
      sendH2(gateway.h2url, path, {
        body,
        headers: { ...headers, ":authority": "elsewhere:80", host: "elsewhere:80" },
      }),
    ]);
    for (const answer of answers) {
      const [status, type, text] = errorOf(answer);
      expect([status, type]).toEqual([403, "InvalidSignatureException"]);
      expect(text).not.toContain(fakeIdentity.secretAccessKey);
      expect(answer.headers["x-amzn-requestid"]).toMatch(/^\S{8,}$/);
    }
    expect(fake.requests).toEqual([]);
  });

  test("one flipped bit of the signature is refused", async () => {
    const headers = await signed();
    const authorization = String(headers.authorization);
    const last = Number.parseInt(authorization.slice(-1), 16);
    const flipped = `${authorization.slice(0, -1)}${(last ^ 1).toString(16)}`;
    const answer = await send(gateway.url, path, { body, headers: { ...headers, authorization: flipped } });
    expect(errorOf(answer).slice(0, 2)).toEqual([403, "InvalidSignatureException"]);
    expect(fake.requests).toEqual([]);
    expect((await send(gateway.url, path, { body, headers })).status).toBe(200);
  });

  test("a signature is good for five minutes, in AWS's words", async () => {
    for (const [minutes, words] of [
      [-10, "Signature expired: "],
      [10, "Signature not yet current: "],
    ] as const) {
      const headers = await signed({ at: new Date(Date.now() + minutes * 60_000) });
      const [status, type, text] = errorOf(await send(gateway.url, path, { body, headers }));
      expect([status, type]).toEqual([403, "InvalidSignatureException"]);
      expect(text).toContain(words);
    }
    expect(fake.requests).toEqual([]);
  });

  test("a known access key in a malformed header is a 400, a dummy in one is a dummy", async () => {
    const header = (id: string) => ({ authorization: `AWS4-HMAC-SHA256 Credential=${id}/x, Signature=00` });
    const known = await send(gateway.url, path, { body, headers: header(fakeIdentity.accessKeyId) });
    expect(errorOf(known).slice(0, 2)).toEqual([400, "IncompleteSignatureException"]);
    expect((await send(gateway.url, path, { body, headers: header("bifrost-dummy-key") })).status).toBe(200);
    expect(fake.requests).toHaveLength(1);
  });

  test("an unknown access key is a dummy, however real it looks", async () => {
    for (const accessKeyId of ["bifrost-dummy-key", "test", "AKIASTRANGERSKEY0001"]) {
      const headers = await signed({}, { accessKeyId, secretAccessKey: "any" });
      expect((await send(gateway.url, path, { body, headers })).status).toBe(200);
    }
    expect(fake.requests).toHaveLength(3);
  });

  test("a presigned query is refused by name", async () => {
    const answer = await send(gateway.url, `${path}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00`, { body });
    const [status, type, text] = errorOf(answer);
    expect([status, type]).toEqual([400, "ValidationException"]);
    expect(text).toContain("X-Amz-Algorithm");
    expect(fake.requests).toEqual([]);
  });

  test("the secret and the clients' signatures are in no log", () => {
    expect(gateway.output()).not.toContain(fakeIdentity.secretAccessKey);
    expect(gateway.output()).not.toContain("Signature=");
  });
});
