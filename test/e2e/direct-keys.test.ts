import { BedrockRuntimeClient, ConverseCommand } from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { failure } from "../support/answers.ts";
import { bearerClient, type Protocol, protocols } from "../support/clients.ts";
import {
  type FakeBedrock,
  fakeBearer,
  type Identity,
  type Recorded,
  startFakeBedrock,
} from "../support/fake-bedrock.ts";
import { type FakeProvider, startFakeProvider } from "../support/fake-providers.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { anthropicWire } from "../support/providers/anthropic.ts";
import { openaiWire } from "../support/providers/openai.ts";
import { findBoto3, runPython } from "../support/python.ts";
import { type RawAnswer, send, sendH2, userTurn } from "../support/raw-http.ts";
import { signPost } from "../support/sign.ts";
import { rejection } from "../support/wait.ts";

const boto3 = findBoto3();
const one: Identity = { accessKeyId: "AKIACONFIGUREDONE001", secretAccessKey: "secretOfOneCanary" };
const two: Identity = { accessKeyId: "AKIACONFIGUREDTWO001", secretAccessKey: "secretOfTwoCanary" };
const own: Identity = {
  accessKeyId: "ASIADIRECTCANARY0001",
  secretAccessKey: "directCanarySecret/0123456789",
  sessionToken: "directCanarySession//0123456789==",
};
const ownLasting: Identity = { accessKeyId: "AKIADIRECTCANARY0002", secretAccessKey: "directCanarySecret2/0123" };
const ownBearer = "ABSKdirectCanaryBearer0123456789";
const path = "/bedrock/model/vendor.model/converse";
const body = userTurn("hi");

const configuredKey = "sk-configured-canary-0123456789";
const ownKey = "sk-direct-canary-0123456789";

let fake: FakeBedrock;
/** An upstream whose keys are bearer tokens, and one that wants `x-api-key`. */
let openai: FakeProvider;
let anthropic: FakeProvider;
let open: RunningGateway;
let closed: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock({ identities: [one, two, own, ownLasting], bearers: [fakeBearer, ownBearer] });
  [openai, anthropic] = await Promise.all([
    startFakeProvider(openaiWire(), { keys: [configuredKey, ownKey] }),
    startFakeProvider(anthropicWire, { keys: [configuredKey, ownKey] }),
  ]);
  const other = ({ url }: FakeProvider) => ({
    keys: [{ name: "first", value: configuredKey }],
    network_config: { base_url: url, max_retries: 0 },
  });
  const key = (name: string, { accessKeyId, secretAccessKey }: Identity) => ({
    name,
    models: ["*"],
    bedrock_key_config: { access_key: accessKeyId, secret_key: secretAccessKey, region: "us-east-1" },
  });
  const config = (allowed: boolean) => ({
    client: { allow_direct_keys: allowed },
    providers: {
      bedrock: {
        keys: [key("one", one), key("two", two)],
        network_config: { base_url: fake.url, max_retries: 0 },
      },
      openai: other(openai),
      anthropic: other(anthropic),
    },
  });
  const env = { BIFROST_LOG_LEVEL: "trace" };
  [open, closed] = await Promise.all([
    startGateway({ config: config(true), env }),
    startGateway({ config: config(false), env }),
  ]);
}, 60_000);
beforeEach(() => {
  for (const one of [fake, openai, anthropic]) one.reset();
});
afterEach(() => {
  for (const one of [fake, openai, anthropic]) expect(one.violations).toEqual([]);
});
afterAll(async () => {
  await Promise.all([open?.stop(), closed?.stop()]);
  for (const one of [fake, openai, anthropic]) await one?.[Symbol.asyncDispose]();
}, 30_000);

const headersOf = ({ accessKeyId, secretAccessKey, sessionToken }: Identity, region = "eu-west-1") => ({
  "x-bf-bedrock-access-key": accessKeyId,
  "x-bf-bedrock-secret-key": secretAccessKey,
  ...(sessionToken !== undefined && { "x-bf-bedrock-session-token": sessionToken }),
  "x-bf-bedrock-region": region,
});
const post = (headers: Readonly<Record<string, string>>, gateway = open) => send(gateway.url, path, { body, headers });

/** Who paid: the access key id and region a request went up with, or its bearer token. */
function credentialOf(request: Recorded | undefined): string {
  const authorization = String(request?.headers.authorization);
  return /Credential=([^/]+)\/\d+\/([^/]+)/.exec(authorization)?.slice(1).join(" ") ?? authorization;
}

function errorOf(answer: RawAnswer): [status: number, type: string, message: string] {
  const type = String(answer.headers["x-amzn-errortype"]).split(":")[0] ?? "";
  return [answer.status, type, answer.body.toString()];
}

function client(protocol: Protocol, credentials: Identity, gateway = open): BedrockRuntimeClient {
  const origin = protocol === "h2" ? gateway.h2url : gateway.url;
  const handler = protocol === "http/1.1" && { requestHandler: new NodeHttpHandler() };
  return new BedrockRuntimeClient({
    region: "us-west-2",
    endpoint: `${origin}/bedrock`,
    credentials,
    maxAttempts: 1,
    ...handler,
  });
}
const converse = () =>
  new ConverseCommand({ modelId: "vendor.model", messages: [{ role: "user", content: [{ text: "hi" }] }] });

describe("direct keys that are allowed", () => {
  test("AWS credentials in headers sign the upstream request, for their region", async () => {
    expect((await post(headersOf(ownLasting))).status).toBe(200);
    expect(credentialOf(fake.requests.at(-1))).toBe(`${ownLasting.accessKeyId} eu-west-1`);
    expect((await sendH2(open.h2url, path, { body, headers: headersOf(own, "us-gov-west-1") })).status).toBe(200);
    expect(credentialOf(fake.requests.at(-1))).toBe(`${own.accessKeyId} us-gov-west-1`);
    expect(fake.requests.at(-1)?.headers["x-amz-security-token"]).toBe(own.sessionToken);
  });

  test("they stream, and serve every request that brings them", async () => {
    for (let round = 0; round < 10; round++) {
      const answer = await send(open.url, `${path}-stream`, { body, headers: headersOf(ownLasting) });
      expect(answer.status).toBe(200);
    }
    expect(new Set(fake.requests.map(credentialOf))).toEqual(new Set([`${ownLasting.accessKeyId} eu-west-1`]));
  });

  test.each(protocols)("a Bedrock API key as the SDK's bearer token over %s is used", async (protocol) => {
    await bearerClient(open, protocol, ownBearer).send(converse());
    expect(credentialOf(fake.requests.at(-1))).toBe(`Bearer ${ownBearer}`);
  });

  test("a Bedrock API key in a header is used, beside dummy credentials", async () => {
    const dummies = await signPost(
      open.url,
      { accessKeyId: "bifrost-dummy-key", secretAccessKey: "x" },
      { path, body },
    );
    expect((await post({ ...dummies, "x-bf-bedrock-api-key": ownBearer })).status).toBe(200);
    expect((await post({ "x-bf-bedrock-api-key": ownBearer, "x-bf-bedrock-region": "ap-south-1" })).status).toBe(200);
    expect(fake.requests.map(credentialOf)).toEqual([`Bearer ${ownBearer}`, `Bearer ${ownBearer}`]);
  });

  test.skipIf(boto3 === undefined)("boto3's AWS_BEARER_TOKEN_BEDROCK is used", { timeout: 30_000 }, async () => {
    expect((await runPython("bearer.py", open.url)).stdout).toContain("Hello from the fake.");
    expect(credentialOf(fake.requests.at(-1))).toBe(`Bearer ${ownBearer}`);
  });

  test.each(protocols)("a configured key that signed over %s serves alone", async (protocol) => {
    for (const [identity, name] of [
      [two, "two"],
      [one, "one"],
    ] as const) {
      fake.reset();
      const signer = client(protocol, identity);
      for (let round = 0; round < 12; round++) await signer.send(converse());
      signer.destroy();
      expect(new Set(fake.requests.map(credentialOf)), name).toEqual(new Set([`${identity.accessKeyId} us-east-1`]));
    }
  });

  test("a configured key that did not sign rightly is refused, whatever else the request brings", async () => {
    const forged = await signPost(open.url, { ...two, secretAccessKey: "guess" }, { path, body });
    for (const headers of [forged, { ...forged, ...headersOf(ownLasting) }]) {
      expect(errorOf(await post(headers)).slice(0, 2)).toEqual([403, "InvalidSignatureException"]);
    }
    expect(fake.requests).toEqual([]);
  });

  test.each(protocols)("a real access key that is not configured is explained over %s", async (protocol) => {
    const error = await rejection(client(protocol, ownLasting).send(converse()));
    expect(error).toMatchObject({ name: "UnrecognizedClientException", $metadata: { httpStatusCode: 403 } });
    expect(String(error)).toContain("x-bf-bedrock-secret-key");
    expect(String(error)).toContain("AWS_BEARER_TOKEN_BEDROCK");
    expect(fake.requests).toEqual([]);
  });

  test("dummies and virtual keys mean the configured keys", async () => {
    await client("h2", { accessKeyId: "bifrost-dummy-key", secretAccessKey: "bifrost-dummy-secret" }).send(converse());
    for (const token of ["bifrost-dummy-key", "sk-bf-some-virtual-key"]) {
      expect((await post({ authorization: `Bearer ${token}` })).status).toBe(200);
    }
    for (const credential of fake.requests.map(credentialOf)) expect(credential).toMatch(/^AKIACONFIGURED/);
    expect(fake.requests).toHaveLength(3);
  });

  test("a direct key that AWS refuses is the client's business: its error comes back, and no other key is tried", async () => {
    for (const headers of [headersOf(ownLasting), { authorization: `Bearer ${ownBearer}` }]) {
      fake.reset();
      fake.queue(failure(403, "UnrecognizedClientException", "The security token included in the request is invalid."));
      expect(errorOf(await post(headers)).slice(0, 2)).toEqual([403, "UnrecognizedClientException"]);
      expect(fake.requests).toHaveLength(1);
    }
  });

  test.each([
    ["x-bf-bedrock-secret-key", { "x-bf-bedrock-access-key": "AKIAX", "x-bf-bedrock-region": "us-east-1" }],
    ["x-bf-bedrock-region", { "x-bf-bedrock-access-key": "AKIAX", "x-bf-bedrock-secret-key": "s" }],
    ["x-bf-bedrock-access-key", { "x-bf-bedrock-secret-key": "s", "x-bf-bedrock-region": "us-east-1" }],
  ])("half of them is refused: %s is missing", async (header, headers) => {
    const [status, type, text] = errorOf(await post(headers));
    expect([status, type]).toEqual([400, "ValidationException"]);
    expect(text).toContain(`${header}: is missing`);
    expect(fake.requests).toEqual([]);
  });

  test("A73 a region never moves the upstream's origin", async () => {
    for (const region of [
      "us-east-1.evil.example",
      "evil.example/",
      "x@evil.example",
      "../..",
      "us-east-1%2f",
      "169.254.169.254",
      "2852039166",
    ]) {
      for (const headers of [headersOf(ownLasting, region), { ...headersOf(own, region) }]) {
        const [status, type, text] = errorOf(await post(headers));
        expect([status, type]).toEqual([400, "ValidationException"]);
        expect(text).toContain("x-bf-bedrock-region");
      }
    }
    expect(fake.requests).toEqual([]);
  });
});

describe("direct keys for other providers", () => {
  const to = (model: string, headers: Readonly<Record<string, string>>) =>
    send(open.url, `/bedrock/model/${encodeURIComponent(model)}/converse`, { body, headers });
  const flag = { "x-bf-direct-key": "true" };

  test.each([
    ["a bearer token", { authorization: `Bearer ${ownKey}` }],
    ["x-api-key", { "x-api-key": ownKey }],
  ])("as %s with x-bf-direct-key are used, in the header that the provider wants", async (_what, headers) => {
    for (const [model, provider] of [
      ["openai/gpt-4o", openai],
      ["anthropic/claude-sonnet-4-5", anthropic],
    ] as const) {
      const answer = await to(model, { ...flag, ...headers });
      expect(answer).toMatchObject({ status: 200, headers: { "x-bifrost-key": "direct" } });
      expect(provider.requests.map(({ key }) => key)).toEqual([ownKey]);
    }
  });

  test.each([
    ["without x-bf-direct-key", { authorization: `Bearer ${ownKey}` }],
    ["with x-bf-direct-key: false", { authorization: `Bearer ${ownKey}`, "x-bf-direct-key": "false" }],
    ["dummies", { authorization: "Bearer bifrost-dummy-key", ...flag }],
  ])("%s are none: the configured key is used", async (_what, headers) => {
    expect((await to("openai/gpt-4o", headers)).headers["x-bifrost-key"]).toBe("first");
    expect(openai.requests.map(({ key }) => key)).toEqual([configuredKey]);
  });

  test.each([
    ["x-bf-direct-key", flag],
    ["x-bf-bedrock-access-key", headersOf(ownLasting)],
    ["x-bf-bedrock-api-key", { "x-bf-bedrock-api-key": ownBearer }],
  ])("that cannot be used are refused by name, and no fallback pays for them: %s", async (header, headers) => {
    const [status, type, text] = errorOf(await to("openai/gpt-4o", { ...headers, "x-bf-fallbacks": "bedrock/m" }));
    expect([status, type]).toEqual([400, "ValidationException"]);
    expect(text).toContain(header);
    expect([...openai.requests, ...fake.requests]).toEqual([]);
  });

  test("that the provider refuses are the client's business: no other key is tried", async () => {
    openai.queue(openai.failure(401, "Incorrect API key provided.", { word: "invalid_api_key" }));
    const answer = await to("openai/gpt-4o", { ...flag, authorization: `Bearer ${ownKey}` });
    const [status, type, text] = errorOf(answer);
    expect([status, type]).toEqual([403, "UnrecognizedClientException"]);
    expect(text).toContain("the key that came with the request");
    expect(openai.requests.map(({ key }) => key)).toEqual([ownKey]);
  });

  test("are for the first target: fallbacks use the configured keys", async () => {
    openai.queue(openai.failure(500, "Broken."));
    const headers = { ...flag, authorization: `Bearer ${ownKey}`, "x-bf-fallbacks": "anthropic/claude-sonnet-4-5" };
    expect(await to("openai/gpt-4o", headers)).toMatchObject({
      status: 200,
      headers: { "x-bifrost-provider": "anthropic", "x-bifrost-key": "first" },
    });
    expect(openai.requests.map(({ key }) => key)).toEqual([ownKey]);
    expect(anthropic.requests.map(({ key }) => key)).toEqual([configuredKey]);

    fake.queue(failure(503, "ServiceUnavailableException", "Later."));
    const fromBedrock = { ...headersOf(ownLasting), "x-bf-fallbacks": "openai/gpt-4o" };
    expect((await to("vendor.model", fromBedrock)).headers["x-bifrost-provider"]).toBe("openai");
    expect(credentialOf(fake.requests.at(-1))).toBe(`${ownLasting.accessKeyId} eu-west-1`);
    expect(openai.requests.at(-1)?.key).toBe(configuredKey);
  });
});

describe("direct keys that are not allowed", () => {
  test("in x-bf headers are refused by name", async () => {
    for (const headers of [
      headersOf(ownLasting),
      { "x-bf-bedrock-api-key": ownBearer },
      { "x-bf-direct-key": "true", authorization: `Bearer ${ownBearer}` },
    ]) {
      const [status, type, text] = errorOf(await post(headers, closed));
      expect([status, type]).toEqual([403, "AccessDeniedException"]);
      expect(text).toContain("allow_direct_keys");
      expect(text).toContain(String(Object.keys(headers)[0]));
    }
    expect(fake.requests).toEqual([]);
  });

  test("in authorization are dummies like any others", async () => {
    await bearerClient(closed, "http/1.1", ownBearer).send(converse());
    await client("h2", own, closed).send(converse());
    for (const credential of fake.requests.map(credentialOf)) expect(credential).toMatch(/^AKIACONFIGURED/);
    expect(fake.requests).toHaveLength(2);
  });

  test("a configured key that signed leaves load balancing as it is", async () => {
    const signer = client("http/1.1", two, closed);
    for (let round = 0; round < 40; round++) await signer.send(converse());
    expect(new Set(fake.requests.map(credentialOf)).size).toBe(2);
  });
});

test("direct keys are in no log and no metric", async () => {
  for (const gateway of [open, closed]) {
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    for (const canary of [
      own.secretAccessKey,
      String(own.sessionToken),
      ownLasting.secretAccessKey,
      ownBearer,
      ownKey,
    ]) {
      expect(gateway.output().includes(canary), canary).toBe(false);
      expect(metrics.includes(canary), canary).toBe(false);
    }
  }
});
