/** Who a client is: virtual keys by header, by bearer token, and by signature. */
import { BedrockRuntimeClient, ConverseCommand } from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { operationPath, operations } from "../../src/bedrock/operations.ts";
import { protocols } from "../support/clients.ts";
import { type FakeBedrock, fakeIdentity, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { governedConfig, quotaOf } from "../support/governed.ts";
import { ask, errorOf, rewrite } from "../support/keys.ts";
import { findBoto3, runPython } from "../support/python.ts";
import { send, sendH2, userTurn } from "../support/raw-http.ts";
import { signPost } from "../support/sign.ts";
import { rejection } from "../support/wait.ts";

const model = "vendor.model-v1:0";
const key = { id: "vk-app", name: "app", value: "vk_12345", allow_all_providers: true };
const others = [
  { ...key, id: "vk-off", name: "off", value: "sk-bf-off", is_active: false },
  { ...key, id: "vk-old", name: "old", value: "sk-bf-old", expires_at: "2020-01-01T00:00:00Z" },
  {
    id: "vk-narrow",
    name: "narrow",
    value: "sk-bf-narrow",
    provider_configs: [{ provider: "bedrock", allowed_models: ["vendor.small"], key_ids: ["main"] }],
  },
  {
    id: "vk-other-key",
    name: "other key",
    value: "sk-bf-other-key",
    provider_configs: [{ provider: "bedrock", allowed_models: ["*"], key_ids: ["another"] }],
  },
];

describe("a virtual key", { timeout: 30_000 }, () => {
  let fake: FakeBedrock;
  let gateway: RunningGateway;
  let open: RunningGateway;

  beforeAll(async () => {
    fake = await startFakeBedrock();
    const governance = { virtual_keys: [key, ...others] };
    [gateway, open] = await Promise.all([
      startGateway({ config: governedConfig(fake, governance, { client: { enforce_auth_on_inference: true } }) }),
      startGateway({ config: governedConfig(fake, governance), withoutH2: true }),
    ]);
  }, 60_000);
  beforeEach(() => fake.reset());
  afterEach(() => expect(fake.violations).toEqual([]));
  afterAll(async () => {
    await Promise.all([gateway?.stop(), open?.stop()]);
    await fake?.[Symbol.asyncDispose]();
  }, 30_000);

  describe("A52 with enforcement on, without a valid one no operation is served:", () => {
    test.each(operations.map((operation) => [operation.name, operation] as const))("%s", async (_name, operation) => {
      const labels = ["a", "b"];
      const path = `/bedrock${operationPath({ operation, labels })}`;
      const options = { method: operation.method, body: operation.method === "POST" ? "{}" : "" };
      const none = await send(gateway.url, path, options);
      expect(errorOf(none)).toMatchObject({ status: 403, type: "AccessDeniedException" });
      if (operation.method !== "HEAD") expect(errorOf(none).message).toContain("needs a virtual key");
      for (const value of ["sk-bf-unknown", "sk-bf-off", "sk-bf-old"]) {
        const refused = await send(gateway.url, path, { ...options, headers: { "x-bf-vk": value } });
        expect(errorOf(refused)).toMatchObject({ status: 403, type: "AccessDeniedException" });
      }
      const overH2 = await sendH2(gateway.h2url, path, options);
      expect(overH2.status).toBe(403);
      expect(fake.requests).toEqual([]);
    });
  });

  test.each(protocols)("is the two credentials of a stock client over %s", async (protocol) => {
    const client = (secretAccessKey: string, accessKeyId = "vk-app") =>
      new BedrockRuntimeClient({
        region: "us-west-2",
        endpoint: `${protocol === "h2" ? gateway.h2url : gateway.url}/bedrock`,
        credentials: { accessKeyId, secretAccessKey },
        maxAttempts: 1,
        ...(protocol === "http/1.1" && { requestHandler: new NodeHttpHandler() }),
      });
    const converse = new ConverseCommand({ modelId: model, messages: [{ role: "user", content: [{ text: "hi" }] }] });
    const served = await client("vk_12345").send(converse);
    expect(served.output?.message?.content).toEqual([{ text: "Hello from the fake." }]);
    expect(await rejection(client("vk_wrong").send(converse))).toMatchObject({ name: "InvalidSignatureException" });
    expect(await rejection(client("sk-bf-off", "vk-off").send(converse))).toMatchObject({
      name: "AccessDeniedException",
    });
    expect(fake.requests).toHaveLength(1);
  });

  test.skipIf(findBoto3() === undefined)(
    "is the two credentials of boto3, and the header of the overview",
    async () => {
      expect((await runPython("virtual_key.py", gateway.url)).result).toEqual({
        right: "Hello from the fake.",
        stream: "messageStart",
        wrong: ["InvalidSignatureException", 403],
        dummy: ["AccessDeniedException", 403],
      });
      expect((await runPython("overview_headers.py", gateway.url)).stdout).toContain("Hello from the fake.");
      for (const { headers } of fake.requests) {
        expect(headers["x-bf-vk"]).toBeUndefined();
        expect(headers["x-bf-env"]).toBeUndefined();
      }
    },
  );

  test("by signature is refused when the body was tampered with", async () => {
    const path = `/bedrock/model/${encodeURIComponent(model)}/converse`;
    const credentials = { accessKeyId: "vk-app", secretAccessKey: "vk_12345" };
    const headers = await signPost(gateway.url, credentials, { path, body: userTurn("hi") });
    expect((await send(gateway.url, path, { headers, body: userTurn("hi") })).status).toBe(200);
    const tampered = await send(gateway.url, path, { headers, body: userTurn("ho") });
    expect(errorOf(tampered)).toMatchObject({ status: 403, type: "InvalidSignatureException" });
    expect(fake.requests).toHaveLength(1);
  });

  test("comes as a header or as a bearer token, and the upstream sees neither", async () => {
    expect((await ask(gateway, model, { "x-bf-vk": "vk_12345" })).status).toBe(200);
    expect((await ask(gateway, model, { authorization: "Bearer vk_12345" })).status).toBe(200);
    for (const { headers } of fake.requests) {
      expect(JSON.stringify(headers)).not.toContain("vk_12345");
      expect(String(headers.authorization)).toContain(fakeIdentity.accessKeyId);
    }
  });

  test("without enforcement is not needed, and one that is sent must be known", async () => {
    expect((await ask(open, model)).status).toBe(200);
    expect((await ask(open, model, { "x-bf-vk": "vk_12345" })).status).toBe(200);
    expect(errorOf(await ask(open, model, { "x-bf-vk": "sk-bf-nobody" }))).toMatchObject({ status: 403 });
  });

  test("may use the models and keys it names, and no others", async () => {
    const narrow = { "x-bf-vk": "sk-bf-narrow" };
    expect((await ask(gateway, "vendor.small", narrow)).status).toBe(200);
    const refused = errorOf(await ask(gateway, model, narrow));
    expect(refused).toMatchObject({ status: 403, type: "AccessDeniedException" });
    expect(refused.message).toContain("vendor.model-v1:0");
    expect((await ask(gateway, model, { "x-bf-vk": "sk-bf-other-key" })).status).toBe(404);
    expect(fake.requests).toHaveLength(1);
  });

  test("sees what is left of its limits, and nobody else does", async () => {
    expect(await quotaOf(gateway, "vk_12345")).toEqual([]);
    expect((await send(gateway.url, "/api/governance/virtual-keys/quota", { method: "GET" })).status).toBe(401);
    await expect(quotaOf(gateway, "sk-bf-nobody")).rejects.toThrow("401");
  });

  test("A58 that was rotated is good until its grace ends, within a second, on every front end", async () => {
    const rotated = (validUntil: number) => ({
      ...key,
      value: "vk_new",
      previous_values: [{ value: "vk_12345", valid_until: new Date(validUntil).toISOString() }],
    });
    await using fresh = await startGateway({
      config: governedConfig(fake, { virtual_keys: [key] }),
      env: { BIFROST_FRONTENDS: "2" },
      withoutH2: true,
    });
    const until = Date.now() + 4000;
    await rewrite(fresh, governedConfig(fake, { virtual_keys: [rotated(until)] }));
    const credentials = { accessKeyId: "vk-app", secretAccessKey: "vk_12345" };
    const path = `/bedrock/model/${encodeURIComponent(model)}/converse`;
    const bySignature = async () => {
      const headers = await signPost(fresh.url, credentials, { path, body: userTurn("hi") });
      return (await send(fresh.url, path, { headers, body: userTurn("hi") })).status;
    };
    expect((await ask(fresh, model, { "x-bf-vk": "vk_new" })).status).toBe(200);
    expect((await ask(fresh, model, { "x-bf-vk": "vk_12345" })).status).toBe(200);
    expect(await bySignature()).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, until + 1000 - Date.now()));
    const old = await Promise.all(Array.from({ length: 16 }, () => ask(fresh, model, { "x-bf-vk": "vk_12345" })));
    expect(old.map(({ status }) => status)).toEqual(Array.from({ length: 16 }, () => 403));
    expect(await bySignature()).toBe(403);
    expect((await ask(fresh, model, { "x-bf-vk": "vk_new" })).status).toBe(200);
  });
});
