import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { failure, json, stream } from "../support/answers.ts";
import { type FakeBedrock, fakeBearer, startFakeBedrock } from "../support/fake-bedrock.ts";
import { startFakeCollector } from "../support/fake-collector.ts";
import { keyOf, startFakeProvider } from "../support/fake-providers.ts";
import { converseFrames, exceptionFrame } from "../support/frames.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { openaiWire } from "../support/providers/openai.ts";
import { send, sendH2, speak, userTurn } from "../support/raw-http.ts";
import { sleep, until } from "../support/wait.ts";

const identity = {
  accessKeyId: "ASIACANARYACCESSKEY1",
  secretAccessKey: "canarySecret/InTheConfiguration+0123456789",
  sessionToken: "canarySessionToken//InTheConfiguration0123456789==",
};
const ofTheClient = {
  bearer: "canaryClientBearerToken0123456789",
  sigv4: "canaryClientSignature0123456789abcdef",
  session: "canaryClientSessionToken0123456789",
  apiKey: "canaryClientApiKey0123456789",
  secretKey: "canaryClientSecretKey0123456789",
  virtualKey: "sk-bf-canaryVirtualKey0123456789",
};
const canaries = [...Object.values(identity).slice(1), fakeBearer, ...Object.values(ofTheClient)];

let fake: FakeBedrock;
let gateway: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock({ identities: [identity] });
  const endpoints = { runtime: fake.url, control: fake.url, agent_runtime: fake.url };
  gateway = await startGateway({
    env: { CANARY_SECRET: identity.secretAccessKey, BIFROST_LOG_LEVEL: "trace" },
    config: {
      providers: {
        bedrock: {
          keys: [
            {
              name: "signed",
              models: ["*"],
              weight: 1,
              bedrock_key_config: {
                access_key: identity.accessKeyId,
                secret_key: "env.CANARY_SECRET",
                session_token: identity.sessionToken,
                region: "us-east-1",
                endpoints,
              },
            },
            {
              name: "bearer",
              models: ["*"],
              weight: 1,
              value: fakeBearer,
              bedrock_key_config: { region: "us-east-1", endpoints },
            },
          ],
          network_config: { max_retries: 0 },
        },
      },
    },
  });
}, 30_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

describe("credentials", () => {
  test("of the configuration and of clients appear in no log line, metric, error or answer, at any level", async () => {
    const heard: string[] = [];
    const repeat = canaries.join(" ");
    const headers = [
      { authorization: `Bearer ${ofTheClient.bearer}`, "x-bf-vk": ofTheClient.virtualKey },
      {
        authorization: `AWS4-HMAC-SHA256 Credential=bifrost-dummy-key/20260101/us-west-2/bedrock/aws4_request, SignedHeaders=host, Signature=${ofTheClient.sigv4}`,
        "x-amz-security-token": ofTheClient.session,
        "x-api-key": ofTheClient.apiKey,
      },
      {
        "x-bf-bedrock-access-key": "AKIACANARYCLIENT0001",
        "x-bf-bedrock-secret-key": ofTheClient.secretKey,
        "x-bf-bedrock-session-token": ofTheClient.session,
        "x-bf-bedrock-region": "us-east-1",
        "x-bf-bedrock-api-key": ofTheClient.apiKey,
      },
    ];
    const own = [...Object.values(identity), fakeBearer].join(" ");
    for (let round = 0; round < 4; round++) {
      for (const one of headers) {
        fake.queue(
          json({ output: { message: { role: "assistant", content: [] } }, stopReason: "end_turn" }),
          failure(403, "AccessDeniedException", `No: ${own}`),
          failure(403, "UnrecognizedClientException", `No: ${own}`),
          failure(403, "UnrecognizedClientException", `No: ${own}`),
          stream([exceptionFrame("validationException", own)]),
          stream([...converseFrames().slice(0, 2), exceptionFrame("validationException", own)]),
        );
        for (const action of ["converse", "converse", "converse", "converse-stream", "converse-stream"]) {
          const options = { body: userTurn("hi"), headers: one };
          const path = `/bedrock/model/vendor.model/${action}`;
          const answer = await (round % 2 === 0
            ? send(gateway.url, path, options)
            : sendH2(gateway.h2url, path, options));
          heard.push(answer.body.toString("latin1"), JSON.stringify(answer.headers));
        }
        expect(fake.violations).toEqual([]);
        fake.reset();
      }
    }
    heard.push(
      await speak(gateway.url, `POST /bedrock/model/m/converse HTTP/1.1\r\nauthorization: ${repeat}\r\n`, 200),
    );
    heard.push((await send(gateway.url, "/metrics", { method: "GET" })).body.toString());
    await sleep(200);
    expect(heard.join("\n").length).toBeGreaterThan(5000);
    for (const canary of canaries) {
      expect(
        heard.filter((text) => text.includes(canary)),
        canary,
      ).toEqual([]);
      expect(gateway.output().includes(canary), canary).toBe(false);
    }
  });

  test("of providers, virtual keys, headers and the collector appear in no trace, metric, log line or page", async () => {
    const own = {
      openai: keyOf("openai"),
      virtualKey: "sk-bf-canaryConfiguredVirtualKey0123456789",
      extraHeader: "canaryExtraHeader0123456789",
      collector: "canaryCollectorToken0123456789",
      environment: "canaryEnvironmentHeader0123456789",
      admin: "canaryAdminToken0123456789",
      inUrl: "canaryInTheUrl0123456789",
    };
    const everything = [...canaries, ...Object.values(own)];
    await using collector = await startFakeCollector();
    await using openai = await startFakeProvider(openaiWire(), { keys: [own.openai] });
    const network = { max_retries: 0, base_url: openai.url, extra_headers: { "x-extra": own.extraHeader } };
    await using full = await startGateway({
      env: {
        BIFROST_LOG_LEVEL: "trace",
        BIFROST_ADMIN_TOKEN: own.admin,
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=${own.environment}`,
      },
      config: {
        providers: { openai: { keys: [{ name: "o", value: own.openai }], network_config: network } },
        client: { allow_direct_keys: true },
        governance: {
          virtual_keys: [
            {
              id: "vk",
              name: "app",
              value: own.virtualKey,
              provider_configs: [{ provider: "openai", key_ids: ["*"], allowed_models: ["*"] }],
            },
          ],
        },
        observability: {
          dimensions: ["env"],
          slow_request_ms: 0,
          otel: { endpoint: collector.url, headers: { "x-token": own.collector }, content: true },
        },
      },
    });
    const heard: string[] = [];
    const withKey = { "x-bf-vk": own.virtualKey };
    const headers: Readonly<Record<string, string>>[] = [
      withKey,
      { authorization: `Bearer ${own.virtualKey}` },
      { ...withKey, authorization: `Bearer ${ofTheClient.bearer}`, "x-api-key": ofTheClient.apiKey },
      { ...withKey, "x-bf-direct-key": "true", authorization: `Bearer ${ofTheClient.bearer}` },
      { "x-bf-vk": ofTheClient.virtualKey, "x-bf-bedrock-secret-key": ofTheClient.secretKey },
      { ...withKey, "x-amz-security-token": ofTheClient.session, cookie: `session=${ofTheClient.session}` },
    ];
    for (const one of headers) {
      for (const action of ["converse", "converse-stream"]) {
        openai.queue(openai.failure(500, `No: ${own.openai}`), openai.failure(401, `Bad key ${own.openai}`));
        for (let round = 0; round < 3; round++) {
          const path = `/bedrock/model/openai%2Fgpt-4o/${action}?key=${own.inUrl}`;
          const answer = await send(full.url, path, { body: userTurn("hi"), headers: one });
          heard.push(answer.body.toString("latin1"), JSON.stringify(answer.headers));
        }
        openai.reset();
      }
    }
    await send(full.url, `/bedrock/nothing?key=${own.inUrl}`, { body: "x", headers: withKey });
    for (const path of ["/metrics", "/api/keys/health", "/api/config", "/api/keys", "/api/providers"]) {
      const page = await send(full.url, path, { method: "GET", headers: { authorization: `Bearer ${own.admin}` } });
      expect(page.status, path).toBe(200);
      heard.push(page.body.toString());
    }
    await until("the traces", () => collector.spans.length > 20);
    expect(collector.exports[0]?.headers).toMatchObject({ "x-token": own.collector, authorization: own.environment });
    heard.push(...collector.exports.map(({ text }) => text), full.output());
    expect(full.output().split("\n").length).toBeGreaterThan(headers.length * 6);
    for (const canary of everything)
      expect(
        heard.filter((text) => text.includes(canary)).map((text) => text.slice(0, 400)),
        canary,
      ).toEqual([]);
  }, 30_000);

  test("stay out of what an invalid configuration is refused with", async () => {
    const config = {
      providers: {
        bedrock: { keys: [{ name: "x", models: ["*"], weight: 1, value: fakeBearer, secret: ofTheClient.secretKey }] },
      },
    };
    let said = "";
    try {
      const wrong = await startGateway({ config });
      await wrong.stop();
    } catch (error) {
      said = String(error);
    }
    expect(said).toContain("secret");
    for (const canary of canaries) expect(said).not.toContain(canary);
  }, 30_000);
});
